// The keys of the JSON that `--json` prints. A key that is renamed or removed, or that changes its
// meaning, needs another kSchema: others' programs read this.
#include "sdk/cli/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdk/cli/doctor.h"

namespace shoal::cli {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> keys(const nlohmann::json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) names.push_back(name);
  return names;  // sorted, as nlohmann::json keeps them
}

TEST(SchemaTest, TheNumberIsOne) { EXPECT_EQ(kSchema, 1); }

TEST(SchemaTest, AModule) {
  ModuleInfo info;
  info.kernels = {{"search"}, {"count", true}};
  EXPECT_EQ(module_json("primes.wasm", 75, info), nlohmann::json::parse(R"({
    "schema": 1, "module": "primes.wasm", "bytes": 75, "kernels": ["search", "count"]})"));
}

TEST(SchemaTest, AJob) {
  JobStatus status;
  status.name = "garden";
  status.phase = JobPhase::kPaused;
  status.units = 7;
  status.moved = 3;
  const auto json = job_json(status);
  EXPECT_THAT(keys(json),
              ElementsAre("committed", "created_unix_ms", "disputed", "epoch", "failed",
                          "inputs_held", "job", "keep_s", "kept_until_unix_ms", "large_outputs",
                          "leased", "moved", "name", "priority", "recomputed", "schema", "state",
                          "stewards", "stewards_here", "submitter", "thin_outputs", "unblinded",
                          "units", "usage", "verified", "waiting_for", "workers"));
  EXPECT_EQ(json["schema"], 1);
  EXPECT_EQ(json["job"], std::string(64, '0'));
  EXPECT_EQ(json["state"], "paused");
  EXPECT_EQ(json["units"], 7);
  EXPECT_EQ(json["moved"], 3);
  EXPECT_EQ(job_json(status, false)["state"], "unreachable");
  EXPECT_TRUE(json["kept_until_unix_ms"].is_null()) << "it has not ended";
  EXPECT_TRUE(json["usage"].is_null()) << "nothing was measured";

  status.kept_until = 1'800'000'000'000;
  status.stewards.resize(2);
  status.stewards[1].bytes.fill(0xab);
  status.stewards_here = 1;
  status.priority = -4;
  status.usage = {3, 45, {20, 30}, {15, 25}, {2048, 4096}};
  const auto more = job_json(status);
  EXPECT_EQ(more["kept_until_unix_ms"], 1'800'000'000'000);
  ASSERT_EQ(more["stewards"].size(), 2U);
  EXPECT_EQ(more["stewards"][1], to_hex(status.stewards[1]));
  EXPECT_EQ(more["stewards_here"], 1);
  EXPECT_EQ(more["priority"], -4);
  EXPECT_EQ(more["usage"], nlohmann::json::parse(R"({
    "units": 3, "cpu_ms_total": 45, "wall_ms": {"median": 20, "max": 30},
    "cpu_ms": {"median": 15, "max": 25}, "memory_kib": {"median": 2048, "max": 4096}})"));
}

TEST(SchemaTest, StatesAreTheseWords) {
  EXPECT_EQ(name_of(JobPhase::kFetching), "fetching");
  EXPECT_EQ(name_of(JobPhase::kRunning), "running");
  EXPECT_EQ(name_of(JobPhase::kPaused), "paused");
  EXPECT_EQ(name_of(JobPhase::kDone), "done");
  EXPECT_EQ(name_of(JobPhase::kCancelled), "cancelled");
}

TEST(SchemaTest, PathsAreTheseWords) {
  EXPECT_EQ(name_of(LinkPath::kDirect), "direct");
  EXPECT_EQ(name_of(LinkPath::kReversed), "reversed");
  EXPECT_EQ(name_of(LinkPath::kPunched), "punched");
  EXPECT_EQ(name_of(LinkPath::kRelayed), "relayed");
}

TEST(SchemaTest, Workers) {
  WorkersReady seen;
  seen.coordinators_up = 1;
  seen.nodes_known = 2;
  seen.workers.resize(2);
  seen.workers[0].record.kernels = {"ising"};
  seen.workers[0].record.runs_wasm = true;
  seen.workers[0].status = WorkerStatus{};
  seen.workers[0].status->units_stolen = 5;
  seen.workers[0].status->reachability = Reachability::kUnreachable;
  seen.workers[0].status->links_relayed = 3;
  seen.workers[0].status->mapped = "tcp://192.0.2.1:4300";
  seen.workers[0].path = LinkPath::kReversed;
  seen.workers[0].record.via.resize(1);
  const auto json = workers_json(seen);
  EXPECT_THAT(keys(json), ElementsAre("coordinators_up", "nodes_known", "schema", "workers"));
  EXPECT_EQ(json["schema"], 1);
  const auto& worker = json["workers"][0];
  EXPECT_THAT(keys(worker),
              ElementsAre("address", "agent", "endpoints", "kernels", "memory_bytes", "node",
                          "owner", "path", "relays", "runs_wasm", "status", "threads"));
  EXPECT_THAT(keys(worker["status"]),
              ElementsAre("backlog_units", "doing", "jobs_led", "links", "mapped", "peers",
                          "reachability", "units_computed", "units_failed", "units_stolen"));
  EXPECT_THAT(keys(worker["status"]["links"]),
              ElementsAre("direct", "punched", "relayed", "reversed"));
  EXPECT_EQ(worker["status"]["links"]["relayed"], 3);
  EXPECT_EQ(worker["status"]["reachability"], "unreachable");
  EXPECT_EQ(worker["status"]["mapped"], "tcp://192.0.2.1:4300");
  EXPECT_EQ(worker["path"], "reversed");
  EXPECT_EQ(worker["runs_wasm"], true);
  EXPECT_EQ(json["workers"][1]["runs_wasm"], false);
  EXPECT_EQ(json["workers"][1]["owner"], nullptr) << "its own";
  seen.workers[1].owner.bytes[0] = 9;
  EXPECT_EQ(workers_json(seen)["workers"][1]["owner"], to_hex(seen.workers[1].owner));
  EXPECT_EQ(worker["relays"].size(), 1U);
  EXPECT_TRUE(json["workers"][1]["path"].is_null()) << "it was not reached";
  EXPECT_EQ(worker["status"]["units_stolen"], 5);
  EXPECT_TRUE(json["workers"][1]["status"].is_null()) << "it does not answer";
}

TEST(SchemaTest, AUnit) {
  const auto good = result_json(4, {{"x", 1}});
  EXPECT_THAT(keys(good), ElementsAre("ok", "schema", "type", "unit", "value"));
  EXPECT_EQ(good["unit"], 4);
  EXPECT_EQ(good["ok"], true);
  EXPECT_EQ(good["type"], "result");

  const auto bad = failure_json(5, {FailureReason::kOutOfMemory, "no room", 3, "oops"});
  EXPECT_THAT(keys(bad), ElementsAre("error", "ok", "schema", "type", "unit"));
  EXPECT_EQ(bad["ok"], false);
  EXPECT_THAT(keys(bad["error"]), ElementsAre("attempts", "kind", "message", "stderr_end"));
  EXPECT_EQ(bad["error"]["kind"], "out_of_memory");
  EXPECT_EQ(bad["error"]["attempts"], 3);
}

TEST(SchemaTest, FailuresAreTheseWords) {
  EXPECT_EQ(name_of(FailureReason::kThrew), "threw");
  EXPECT_EQ(name_of(FailureReason::kCrashed), "crashed");
  EXPECT_EQ(name_of(FailureReason::kTimedOut), "timed_out");
  EXPECT_EQ(name_of(FailureReason::kOutOfMemory), "out_of_memory");
  EXPECT_EQ(name_of(FailureReason::kBadAnswer), "bad_answer");
  EXPECT_EQ(name_of(FailureReason::kRefused), "refused");
  EXPECT_EQ(name_of(FailureReason::kDisputed), "disputed");
}

TEST(SchemaTest, TheFirstAndTheLastLineOfASubmission) {
  const auto first = submitted_json(JobId{}, 10, 2);
  EXPECT_THAT(keys(first), ElementsAre("job", "quorum", "schema", "type", "units"));
  EXPECT_EQ(first["type"], "submitted");
  const auto last = summary_json(JobId{}, {10, 7, 2, 1});
  EXPECT_THAT(keys(last),
              ElementsAre("disputed", "failed", "job", "schema", "type", "units", "verified"));
  EXPECT_EQ(last["type"], "summary");
  EXPECT_EQ(last["verified"], 7);
  EXPECT_EQ(last["failed"], 2);
  EXPECT_EQ(last["disputed"], 1);
}

TEST(SchemaTest, ADiagnosis) {
  Diagnosis diagnosis;
  diagnosis.blame("ticket", "it is cut off", "give the whole ticket", kUsage);
  const auto json = diagnosis_json(diagnosis);
  EXPECT_THAT(keys(json), ElementsAre("findings", "reason", "schema"));
  EXPECT_THAT(keys(json["findings"][0]), ElementsAre("level", "text", "what"));
  EXPECT_EQ(json["reason"], "give the whole ticket");
}

TEST(SchemaTest, TextOfOthersThatIsNotUtf8DoesNotStopTheOutput) {
  JobStatus status;
  status.name = "\xff\xfe";
  EXPECT_FALSE(nlohmann::json::parse(json_line(job_json(status)), nullptr, false).is_discarded());
}

}  // namespace
}  // namespace shoal::cli
