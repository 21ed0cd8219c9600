#include "sdk/cli/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node/protocol/shared_key.h"
#include "sdk/cli/explain.h"
#include "sdk/cli/outcome.h"

namespace shoal::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr UnixMs kNow = 1'700'000'000'000;

NodeId node(std::uint8_t n) {
  NodeId id;
  id.bytes[0] = n;
  return id;
}
const SeenDoor kDoor{{node(200), "tcp://192.0.2.1:4242"}, ""};
const SeenDoor kSilentDoor{{node(200), "tcp://192.0.2.1:4242"}, "connection refused"};

WorkersReady pool_of(std::size_t workers, bool answering = true) {
  WorkersReady seen;
  seen.coordinators_up = 1;
  seen.nodes_known = workers;
  seen.workers.resize(workers);
  for (auto& worker : seen.workers) {
    worker.record.threads = 4;
    worker.record.sequence = kNow - 1000;
    if (answering) worker.status = WorkerStatus{};
  }
  return seen;
}

TEST(DoctorTest, APoolThatIsWellIsNotBlamed) {
  Diagnosis diagnosis;
  judge_pool(diagnosis, pool_of(3), {kDoor}, kNow);
  judge_jobs(diagnosis, {});
  EXPECT_EQ(diagnosis.reason, "");
  EXPECT_EQ(diagnosis.exit_code, kSuccess);
  EXPECT_THAT(last_line(diagnosis), Not(HasSubstr("Most likely")));
}

TEST(DoctorTest, ACoordinatorThatIsAwayAndOneOfAnotherPoolAreToldApart) {
  Diagnosis away;
  judge_pool(away, {}, {kSilentDoor}, kNow);
  EXPECT_THAT(last_line(away), HasSubstr("no coordinator can be reached"));
  EXPECT_EQ(away.exit_code, kUnreachable);
  Diagnosis other;
  judge_pool(other, {}, {kDoor}, kNow);
  EXPECT_THAT(last_line(other), HasSubstr("another pool"));
}

TEST(DoctorTest, AWorkerThatATicketNamesIsNoCoordinator) {
  WorkersReady seen = pool_of(2);
  seen.workers[0].record.node = node(7);
  const SeenDoor worker{{node(7), "tcp://192.0.2.7:4300"}, ""};
  Diagnosis both;
  judge_doors(both, {kDoor, worker}, &seen);
  ASSERT_EQ(both.findings.size(), 2U);
  EXPECT_EQ(both.findings[0].what, "coordinator");
  EXPECT_EQ(both.findings[1].what, "worker as a way in");
  judge_pool(both, seen, {kDoor, worker}, kNow);
  EXPECT_THAT(both.findings[2].text, HasSubstr("1 of 1 answer"));
  EXPECT_EQ(both.findings[2].level, Finding::Level::kGood);

  seen.coordinators_up = 0;
  Diagnosis alone;
  judge_doors(alone, {kSilentDoor, worker}, &seen);
  EXPECT_EQ(alone.findings[0].what, "way in") << "nobody has said what it is";
  EXPECT_EQ(alone.findings[0].level, Finding::Level::kDoubtful);
  judge_pool(alone, seen, {worker}, kNow);
  EXPECT_THAT(alone.findings[2].text, HasSubstr("workers alone"));
}

TEST(DoctorTest, WorkersWhoseKeyIsSharedAreNamed) {
  WorkersReady seen = pool_of(2);
  seen.workers[1].record.node = node(7);
  seen.workers[0].status->doing = "idle";
  Diagnosis well;
  judge_keys(well, seen);
  EXPECT_TRUE(well.findings.empty());
  seen.workers[1].status->doing = "idle; " + std::string(kKeyIsShared) + ", at tcp://192.0.2.9:1";
  judge_keys(well, seen);
  ASSERT_EQ(well.findings.size(), 1U);
  EXPECT_THAT(well.findings[0].what, HasSubstr("07"));
  EXPECT_THAT(well.findings[0].text, HasSubstr("192.0.2.9"));
}

TEST(DoctorTest, TheKindsOfKernelsThatWorkersTakeAreCounted) {
  WorkersReady seen = pool_of(3);
  seen.workers[0].record.kernels = {"ising"};
  seen.workers[1].record.kernels = {"ising"};
  Diagnosis none;
  judge_kinds(none, seen);
  ASSERT_EQ(none.findings.size(), 1U);
  EXPECT_EQ(none.findings[0].level, Finding::Level::kDoubtful) << "nobody takes WebAssembly";
  seen.workers[2].record.runs_wasm = true;
  Diagnosis some;
  judge_kinds(some, seen);
  EXPECT_EQ(some.findings[0].level, Finding::Level::kFact);
  EXPECT_THAT(some.findings[0].text,
              HasSubstr("2 of 3 workers take those that ship, 1 of 3 WebAssembly"));
}

TEST(DoctorTest, WhatAWorkerTakesFromNobodyIsSaidOfIt) {
  NodeRecord record;
  EXPECT_EQ(not_taken_text(record), "; takes neither kernels that ship nor WebAssembly");
  record.kernels = {"ising"};
  EXPECT_EQ(not_taken_text(record), "; takes no WebAssembly");
  record.runs_wasm = true;
  EXPECT_EQ(not_taken_text(record), "");
  record.kernels.clear();
  EXPECT_EQ(not_taken_text(record), "; takes no kernels that ship");
}

std::string taken_with(const std::vector<std::string>& layers) {
  Diagnosis diagnosis;
  judge_sandbox(diagnosis, layers);
  EXPECT_EQ(diagnosis.findings.back().what, "sandbox: good for");
  return diagnosis.findings.back().text;
}

TEST(DoctorTest, WhatAWorkerTakesFollowsFromTheLayersOfItsSandbox) {
  const std::string none = "namespaces: making them: Operation not permitted";
  EXPECT_EQ(taken_with({"namespaces: yes", "proc: yes", "seccomp: yes", "landlock: 4"}),
            "all kinds of units");
  EXPECT_EQ(taken_with({"namespaces: yes", "proc: yes", "seccomp: yes", "landlock: 0"}),
            "all kinds of units");
  EXPECT_THAT(taken_with({"namespaces: yes", "proc: it may not", "seccomp: yes", "landlock: 4"}),
              AllOf(HasSubstr("all kinds"), HasSubstr("/dev/stdin")));
  EXPECT_THAT(taken_with({none, "proc: no", "seccomp: yes", "landlock: 1"}),
              AllOf(HasSubstr("WebAssembly"), HasSubstr("no programs")));
  EXPECT_THAT(taken_with({none, "proc: no", "seccomp: yes", "landlock: 0"}), HasSubstr("nothing"));
  EXPECT_THAT(taken_with({"namespaces: yes", "proc: yes", "seccomp: no", "landlock: 4"}),
              HasSubstr("nothing"));
  EXPECT_THAT(taken_with({"namespaces: yes", "proc: yes", "seccomp: yes", "not root: Operation not",
                          "landlock: 4"}),
              AllOf(HasSubstr("nothing"), HasSubstr("ordinary user")));
}

TEST(DoctorTest, MissingWorkersAndAWrongClockAreToldApart) {
  Diagnosis none;
  judge_pool(none, pool_of(0), {kDoor}, kNow);
  EXPECT_THAT(last_line(none), HasSubstr("shoal worker"));
  WorkersReady invisible = pool_of(0);
  invisible.nodes_known = 5;
  Diagnosis clock;
  judge_pool(clock, invisible, {kDoor}, kNow);
  EXPECT_THAT(last_line(clock), HasSubstr("clock"));
}

TEST(DoctorTest, WorkersThatDoNotAnswerAreTheReason) {
  Diagnosis diagnosis;
  judge_pool(diagnosis, pool_of(2, false), {kDoor}, kNow);
  EXPECT_THAT(last_line(diagnosis), HasSubstr("none of them can be reached"));
}

TEST(DoctorTest, PathsAreCounted) {
  WorkersReady seen = pool_of(4);
  seen.workers[0].path = LinkPath::kDirect;
  seen.workers[1].path = LinkPath::kDirect;
  seen.workers[2].path = LinkPath::kRelayed;
  seen.workers[2].record.via.resize(1);
  seen.workers[2].status->reachability = Reachability::kUnreachable;
  Diagnosis well;
  judge_paths(well, seen);
  ASSERT_EQ(well.findings.size(), 1U);
  EXPECT_EQ(well.findings[0].text,
            "2 direct, 1 relayed from here; 1 cannot be dialled and have relays");
  seen.workers[0].status->mapped = "tcp://192.0.2.1:4300";
  Diagnosis mapped;
  judge_paths(mapped, seen);
  EXPECT_EQ(mapped.findings[0].text,
            "2 direct, 1 relayed from here; 1 cannot be dialled and have relays; "
            "routers let others in to 1 that asked them to");
  seen.workers[0].status->mapped.clear();
  seen.workers[0].status->links_punched = seen.workers[2].status->links_punched = 1;
  Diagnosis punched;
  judge_paths(punched, seen);
  EXPECT_EQ(punched.findings[0].text,
            "2 direct, 1 relayed from here; 1 cannot be dialled and have relays; "
            "of the workers' own links 2 ends are punched, 0 relayed");
  seen.workers[1].status->reachability = Reachability::kUnreachable;
  Diagnosis stranded;
  judge_paths(stranded, seen);
  ASSERT_EQ(stranded.findings.size(), 2U);
  EXPECT_EQ(stranded.findings[1].level, Finding::Level::kDoubtful);
}

TEST(DoctorTest, ARecordFromTheFutureIsAboutClocks) {
  WorkersReady seen = pool_of(2);
  seen.workers[1].record.sequence = kNow + 120'000;
  Diagnosis diagnosis;
  judge_pool(diagnosis, seen, {kDoor}, kNow);
  EXPECT_EQ(diagnosis.findings.back().what, "clock");
  EXPECT_EQ(diagnosis.findings.back().level, Finding::Level::kDoubtful);
}

TEST(DoctorTest, TheFirstThingThatIsWrongIsTheReason) {
  Diagnosis diagnosis;
  diagnosis.blame("state folder", "read-only", "make it writable", kError);
  diagnosis.blame("ticket", "cut off", "give all of it", kUsage);
  EXPECT_EQ(diagnosis.reason, "make it writable");
  EXPECT_EQ(diagnosis.exit_code, kError);
  EXPECT_EQ(diagnosis.findings.size(), 2U);
}

TEST(DoctorTest, AJobThatWaitsIsTheReasonWhereNothingElseIs) {
  JobStatus job;
  job.units = 10;
  job.waiting_for = "each unit needs 2 workers";
  Diagnosis diagnosis;
  judge_pool(diagnosis, pool_of(1), {kDoor}, kNow);
  judge_jobs(diagnosis, {job});
  EXPECT_THAT(last_line(diagnosis), HasSubstr("each unit needs 2 workers"));
}

TEST(ExplainTest, OneLineForEachState) {
  JobStatus job;
  job.units = 10;
  const auto explained = [&] { return explanation(job, std::nullopt); };
  EXPECT_THAT(explained(), HasSubstr("no worker computes"));
  // What a follower says: it knows nothing of leases.
  job.stewards.resize(3);
  EXPECT_THAT(explained(), HasSubstr("Who leads it does not answer"));
  job.leads = true;
  EXPECT_THAT(explained(), HasSubstr("no worker computes"));
  job.workers = 2;
  EXPECT_THAT(explained(), HasSubstr("It moves: 2 workers"));
  job.waiting_for = "the disk is full";
  EXPECT_THAT(explained(), HasSubstr("the disk is full"));
  job.phase = JobPhase::kPaused;
  EXPECT_THAT(explained(), HasSubstr("paused"));
  job.phase = JobPhase::kCancelled;
  EXPECT_THAT(explained(), HasSubstr("cancelled"));
  job.phase = JobPhase::kDone;
  job.verified = 9;
  job.failed = 1;
  EXPECT_THAT(explained(), HasSubstr("1 failed"));
  job.verified = 10;
  job.failed = 0;
  EXPECT_THAT(explained(), HasSubstr("all 10 units are verified"));
  job.units = job.verified = 1;
  EXPECT_THAT(explained(), HasSubstr("its unit is verified"));
}

TEST(ExplainTest, AJobThatNobodyLeadsIsExplainedByWhoIsThere) {
  EXPECT_THAT(explanation(std::nullopt, WorkersReady{}), HasSubstr("no coordinator"));
  EXPECT_THAT(explanation(std::nullopt, pool_of(0)), HasSubstr("no worker"));
  EXPECT_THAT(explanation(std::nullopt, pool_of(2)), HasSubstr("No worker that can be reached"));
}

JobStatus kept_by(std::size_t stewards, std::uint32_t here) {
  JobStatus job;
  job.stewards.resize(stewards);
  if (stewards > 0) job.stewards[0].bytes[0] = 0xab;
  job.stewards_here = here;
  return job;
}

TEST(ExplainTest, SaysWhoKeepsAJobAndWhatWouldBeLost) {
  EXPECT_THAT(keeping_text(kept_by(3, 3)),
              AllOf(HasSubstr("ab000000 leads it"), HasSubstr("all three stewards are here"),
                    HasSubstr("the loss of any two of them")));
  EXPECT_THAT(keeping_text(kept_by(3, 2)), AllOf(HasSubstr("two of three stewards are here"),
                                                 HasSubstr("the loss of either of them")));
  EXPECT_THAT(keeping_text(kept_by(3, 1)),
              AllOf(HasSubstr("one of three stewards is here"), HasSubstr("if its disk is lost")));
  EXPECT_THAT(keeping_text(kept_by(1, 1)), HasSubstr("if its disk is lost, so is the job"));
  EXPECT_EQ(keeping_text(kept_by(0, 0)), "");
}

TEST(ExplainTest, SaysWhatWouldBeLostIfItsSubmitterLeft) {
  JobStatus job = kept_by(3, 3);
  job.phase = JobPhase::kFetching;
  EXPECT_THAT(leaving_text(job), HasSubstr("it would wait for you"));
  job.phase = JobPhase::kRunning;
  EXPECT_THAT(leaving_text(job), HasSubstr("You may leave: nothing of it is with you alone."));
  job.inputs_held = 3;
  EXPECT_THAT(leaving_text(job), HasSubstr("program and inputs are on three workers."));
  job.large_outputs = 200;
  EXPECT_THAT(leaving_text(job), HasSubstr("200 large results on two or more"));
  job.thin_outputs = 4;
  EXPECT_THAT(leaving_text(job), HasSubstr("4 of its 200 large results are on less than two"));
}

TEST(ExplainTest, SaysUntilWhenResultsAreKept) {
  JobStatus job = kept_by(3, 3);
  EXPECT_THAT(keeping_text(job), Not(HasSubstr("kept until")));
  job.kept_until = 1'800'000'000'000;
  EXPECT_THAT(keeping_text(job), HasSubstr("kept until 2027-01-1"));
}

TEST(ExplainTest, SaysWhatUnitsTook) {
  EXPECT_TRUE(usage_rows({}).empty());
  std::string text;
  for (const auto& [what, value] :
       usage_rows({96, 61'000, {1'200, 3'450}, {900, 3'000}, {2'048, 1'572'864}})) {
    text += std::string(what) + ": " + value + "\n";
  }
  EXPECT_EQ(text,
            "unit wall time: 1.2 s the median, 3.5 s the most\n"
            "unit CPU time: 0.9 s the median, 3.0 s the most\n"
            "unit memory: 2.0 MiB the median, 1.5 GiB the most\n"
            "CPU time: 61.0 s by the 96 units that were measured, each counted once\n");
}

}  // namespace
}  // namespace shoal::cli
