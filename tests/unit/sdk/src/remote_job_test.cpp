#include "sdk/src/remote_job.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "node/protocol/receipt_check.h"
#include "tests/unit/sdk/core/submitter_world.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;

class RemoteRuns : public ::testing::Test {
 protected:
  Receipt receipt(Range range, const std::vector<std::string>& outputs,
                  const std::vector<const KeyPair*>& by) const {
    return receipt_of(1, job, range, outputs, by);
  }
  std::shared_ptr<const detail::UnitRun> run(const Receipt& receipt) {
    return run_of(receipt, lists.of(agreeing_workers(receipt)));
  }
  static std::vector<std::string> hex(const std::vector<const KeyPair*>& keys) {
    std::vector<NodeId> ids;
    for (const KeyPair* key : keys) ids.push_back(key->id());
    std::sort(ids.begin(), ids.end());
    std::vector<std::string> text;
    for (const NodeId& id : ids) text.push_back(to_hex(id));
    return text;
  }

  KeyPair one = key_of(21), two = key_of(22), three = key_of(23);
  JobId job = job_id_of(Bytes{1});
  WorkerLists lists;
};

TEST_F(RemoteRuns, EveryVerifiedUnitNamesItsWorkers) {
  const auto small = run(receipt({0, 2}, {"\x01", "\x02"}, {&one, &two}));
  for (std::uint64_t place = 0; place < small->count; ++place) {
    const UnitResult<std::uint64_t> result(nullptr, small, place);
    EXPECT_EQ(result.value(), place + 1);
    EXPECT_THAT(result.workers(), ElementsAreArray(hex({&one, &two})));
  }
}

TEST_F(RemoteRuns, RunsOfTheSameWorkersShareOneList) {
  const auto a = run(receipt({0, 1}, {"\x01"}, {&one, &two}));
  const auto b = run(receipt({1, 2}, {"\x02"}, {&two, &one}));
  const auto c = run(receipt({2, 3}, {"\x03"}, {&two, &three}));
  EXPECT_EQ(a->workers.get(), b->workers.get());
  EXPECT_NE(a->workers.get(), c->workers.get());
}

TEST_F(RemoteRuns, WhoeverWasOutvotedIsNotAmongThem) {
  Receipt mixed = receipt({0, 1}, {"\x01"}, {&one, &two});
  const PackedOutputs other = pack({"\x07"});
  Support liar = support_of(three, job, {0, 1}, other, {0, 1});
  liar.digests = *digests_of(other);
  mixed.supports.insert(mixed.supports.begin(), liar);
  Manifest manifest;
  manifest.units = 1;
  ASSERT_EQ(receipt_fault(manifest, job, mixed, Ed25519Checker()), "");
  EXPECT_THAT(*run(mixed)->workers, ElementsAreArray(hex({&one, &two})));
}

TEST_F(RemoteRuns, WhoeverWasJudgedEquivalentIsAmongThem) {
  Receipt near = receipt({0, 1}, {"\x01"}, {&one});
  const PackedOutputs other = pack({"\x02"});
  Support second = support_of(two, job, {0, 1}, other, {0, 1});
  second.digests = *digests_of(other);
  near.supports.push_back(second);
  ComparisonVerdict verdict;
  verdict.job = job;
  verdict.worker = one.id();
  verdict.digests = {digests_of(near.outputs)->front(), second.digests.front()};
  verdict.all_match = true;
  near.comparisons.push_back(sign_fact(one, Purpose::kComparison, encode(verdict)));
  EXPECT_THAT(*run(near)->workers, ElementsAreArray(hex({&one, &two})));
  near.comparisons.clear();
  EXPECT_THAT(*run(near)->workers, ElementsAreArray(hex({&one})));
}

TEST_F(RemoteRuns, AFailedUnitHasNone) {
  Receipt failed;
  failed.range = {4, 5};
  failed.end = UnitEnd::kFailed;
  const UnitResult<std::uint64_t> result(nullptr, run(failed), 0);
  EXPECT_FALSE(result.ok());
  EXPECT_THAT(result.workers(), IsEmpty());
}

// Two leaders at once may end units in runs that overlap.
TEST_F(RemoteRuns, APartOfAReceiptHasTheOutputsOfItsUnits) {
  std::string large(limits::kInlineOutputBytes + 1, 'x');
  Receipt whole = receipt({10, 14}, {"\x01", "\x02", "\x03", "\x04"}, {&one, &two});
  whole.outputs.sizes[0] = large.size();
  whole.outputs.inline_bytes.erase(whole.outputs.inline_bytes.begin());
  whole.outputs.large = {content_id(as_bytes(large))};
  const auto cut = run(part_of(whole, {12, 14}));
  EXPECT_EQ(cut->first, 12u);
  ASSERT_EQ(cut->count, 2u);
  EXPECT_TRUE(cut->large.empty());
  EXPECT_EQ(UnitResult<std::uint64_t>(nullptr, cut, 0).value(), 3u);
  EXPECT_EQ(UnitResult<std::uint64_t>(nullptr, cut, 1).value(), 4u);
  const auto first = run(part_of(whole, {10, 11}));
  ASSERT_EQ(first->large.count(0), 1u);
  EXPECT_EQ(first->large.at(0).content, to_hex(content_id(as_bytes(large))));
}

TEST_F(RemoteRuns, APartOfAFailedReceiptHasTheFailuresOfItsUnits) {
  Receipt failed;
  failed.range = {4, 6};
  failed.end = UnitEnd::kFailed;
  for (UnitIndex unit = 4; unit < 6; ++unit) {
    failed.failures.push_back(sign_fact(one, Purpose::kFailure,
                                        encode(Failure{job, one.id(), unit, FailureKind::kThrew,
                                                       "unit " + std::to_string(unit), ""})));
  }
  const auto cut = run_of(part_of(failed, {5, 6}), nullptr);
  ASSERT_EQ(cut->errors.size(), 1u);
  EXPECT_EQ(cut->errors[0].message, "unit 5");
  EXPECT_EQ(cut->errors[0].attempts, 1u);
}

// Whoever holds a lease may say anything of its units, and programs print it as it is.
TEST_F(RemoteRuns, NothingThatAWorkerOrStewardSaysSteersATerminal) {
  const std::string steering =
      "a\x1b[2J\x07"
      "b\r\xc2\x9b"
      "1m\x7f\tc\n\xc3\xa9\x80";
  const std::string plain = "a [2J b  1m \tc\n\xc3\xa9\x80";
  Receipt failed;
  failed.range = {0, 1};
  failed.end = UnitEnd::kFailed;
  failed.failures.push_back(
      sign_fact(one, Purpose::kFailure,
                encode(Failure{job, one.id(), 0, FailureKind::kThrew, steering, steering})));
  const auto told = run_of(failed, nullptr);
  EXPECT_EQ(told->errors[0].message, plain);
  EXPECT_EQ(told->errors[0].stderr_end, plain);

  JobStatus status;
  status.waiting_for = steering;
  EXPECT_EQ(KnownProgress(1).hear(status).waiting_for, plain);

  ClientError refused;
  refused.what = steering;
  EXPECT_EQ(to_error(refused).what(), plain);
}

TEST_F(RemoteRuns, ProgressOfADoneJobKeepsWhatWasKnown) {
  KnownProgress known(3);
  JobStatus now;
  now.verified = 1;
  now.leased = 2;
  now.workers = 5;
  now.moved = 2;
  now.recomputed = 1;
  const Progress told = known.hear(now);
  EXPECT_EQ(told.workers, 5u);
  EXPECT_EQ(told.in_work, 2u);
  const Receipt all = receipt({0, 3}, {"\x01", "\x02", "\x03"}, {&one, &two});
  known.take(all, agreeing_workers(all));
  const Progress done = known.alone();
  EXPECT_TRUE(known.done());
  EXPECT_EQ(done.verified, 3u);
  EXPECT_EQ(done.workers, 5u);
  EXPECT_EQ(done.moved, 2u);
  EXPECT_EQ(done.recomputed, 1u);
  EXPECT_EQ(done.in_work, 0u);
}

// A short job is over before its steward was asked even once.
TEST_F(RemoteRuns, ProgressCountsTheWorkersOfReceiptsWhereNobodySaidHowMany) {
  KnownProgress known(2);
  known.hear(JobStatus{});
  for (std::uint64_t unit = 0; unit < 2; ++unit) {
    const Receipt part = receipt({unit, unit + 1}, {"\x01"}, {&one, unit == 0 ? &two : &three});
    known.take(part, agreeing_workers(part));
  }
  EXPECT_EQ(known.alone().workers, 3u);
}

// A large output that has been fetched, in a pool of which nobody can be reached now.
class FetchedOutputs : public ::testing::Test {
 protected:
  FetchedOutputs() {
    std::string name = (fs::temp_directory_path() / "shoal-outputs-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    ClientConfig config;
    config.ticket.pool = PoolId{key_of(31).id().bytes};
    config.state = folder_ / "state";
    auto client = Client::open(std::move(config));
    EXPECT_TRUE(client) << client.error().what;
    client_ = std::move(*client);
    content_ = client_->content().put(output_).value();
    run_.count = 1;
    run_.workers = std::make_shared<std::vector<std::string>>();
    run_.large[0] = {to_hex(content_), output_.size()};
  }
  ~FetchedOutputs() override {
    client_.reset();
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  void save() {
    RemoteJob(client_, job_id_of(Bytes{1}), 1, true, {}).save(run_, 0, folder_ / "to/out");
  }
  std::string saved() const {
    std::ifstream file(folder_ / "to/out", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  fs::path folder_;
  Bytes output_ = Bytes(700'000, 'o');
  std::shared_ptr<Client> client_;
  ContentId content_;
  detail::UnitRun run_;
};

TEST_F(FetchedOutputs, AreSavedAsOrdinaryFilesAndNotOverAFolder) {
  fs::create_directories(folder_ / "to/out");
  try {
    save();
    FAIL() << "a folder is no place for a file";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kState);
    EXPECT_THAT(error.what(), HasSubstr("is there, and no file"));
  }
  ASSERT_EQ(client_->content().put(output_).value(), content_) << "it went with its job";
  fs::remove(folder_ / "to/out");
  std::ofstream(folder_ / "to/other") << "old";
  fs::create_symlink("other", folder_ / "to/out");
  save();
  EXPECT_EQ(saved(), std::string(output_.begin(), output_.end()));
  EXPECT_TRUE(fs::is_symlink(folder_ / "to/out"));

  ASSERT_EQ(client_->content().put(output_).value(), content_);
  fs::remove(folder_ / "to/out");
  save();
  EXPECT_EQ(saved(), std::string(output_.begin(), output_.end()));
  EXPECT_EQ(fs::status(folder_ / "to/out").permissions() & fs::perms::owner_exec, fs::perms::none);
}

TEST_F(FetchedOutputs, AreCheckedWhileTheyAreSavedAndNothingOfADamagedOneIs) {
  fs::create_directory(folder_ / "to");
  std::ofstream(folder_ / "to/out") << "mine";
  std::fstream(*client_->content().path_of(content_),
               std::ios::binary | std::ios::in | std::ios::out)
          .seekp(400'000)
      << '!';
  // Nobody has it: once it is wanted again, enough has been waited.
  const std::jthread impatient([&](const std::stop_token& stop) {
    while (!stop.stop_requested() && client_->content().holds(content_)) std::this_thread::yield();
    client_->interrupt();
  });
  try {
    save();
    FAIL() << "damaged bytes were saved";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutputLost);
    EXPECT_THAT(error.what(), HasSubstr("output of unit 0 was damaged on this machine's disk"));
    EXPECT_THAT(error.what(), HasSubstr("Save it again when"));
  }
  EXPECT_EQ(saved(), "mine");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "to"), fs::directory_iterator{}), 1);
  EXPECT_FALSE(client_->content().holds(content_));
}

}  // namespace
}  // namespace shoal
