#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "tests/sim/pool.h"

// Contents of jobs among nodes that lie about them.
namespace shoal::sim {
namespace {

// Changes what it says before it is sent. `lies`: the blocks that it was asked for, and answered
// with something else. While it stays zero, a story about liars tells nothing.
class Meddler : public PlainWorker {
 public:
  Meddler(WorkerParts parts, std::uint64_t& lies) : PlainWorker(std::move(parts)), lies_(lies) {}
  PeerActions step(Instant now, PeerEvent event) override {
    PeerActions actions = PlainWorker::step(now, std::move(event));
    for (PeerAction& action : actions) {
      auto* send = std::get_if<Send>(&action);
      auto message = send != nullptr ? decode(send->bytes) : tl::unexpected(DecodeError{});
      if (!message) continue;
      if (meddle(*message) && std::holds_alternative<Block>(*message)) ++lies_;
      send->bytes = encode(*message);
    }
    return actions;
  }

 protected:
  virtual bool meddle(Message& message) = 0;  // true: it did

 private:
  std::uint64_t& lies_;
};

// Whatever it serves has one wrong byte.
class Poisoner final : public Meddler {
 public:
  using Meddler::Meddler;

 private:
  bool meddle(Message& message) override {
    auto* block = std::get_if<Block>(&message);
    if (block == nullptr || block->bytes.empty()) return false;
    block->bytes[block->bytes.size() / 2] ^= 1;
    return true;
  }
};

// Says that it holds all of what it is asked about, and sends nothing of it.
class Boaster final : public Meddler {
 public:
  using Meddler::Meddler;

 private:
  bool meddle(Message& message) override {
    if (auto* block = std::get_if<Block>(&message)) {
      *block = Block{block->content, block->first_leaf, {}, {}, true};
      return true;
    }
    auto* held = std::get_if<Holdings>(&message);
    if (held == nullptr || held->length == 0) return false;
    held->bits.assign(
        std::min<std::size_t>(limits::kHoldingsBytes, (held->length / (256 * 1024) + 8) / 8), 0xff);
    held->first_block = 0;
    return true;
  }
};

// Its blocks are of one place, their proofs of another.
class Misplacer final : public Meddler {
 public:
  using Meddler::Meddler;

 private:
  bool meddle(Message& message) override {
    auto* block = std::get_if<Block>(&message);
    if (block == nullptr || block->proof.empty()) return false;
    block->proof.front().bytes[0] ^= 1;
    return true;
  }
};

// What it serves it holds back, as far as `lets_go` says; `withheld` counts that.
class Withholder : public PlainWorker {
 public:
  Withholder(WorkerParts parts, std::uint64_t& withheld)
      : PlainWorker(std::move(parts)), withheld_(withheld) {}
  PeerActions step(Instant now, PeerEvent event) override {
    PeerActions actions = PlainWorker::step(now, std::move(event));
    std::erase_if(actions, [&](const PeerAction& action) {
      const auto* send = std::get_if<Send>(&action);
      const auto message = send != nullptr ? decode(send->bytes) : tl::unexpected(DecodeError{});
      const auto* block = message ? std::get_if<Block>(&*message) : nullptr;
      const bool kept = block != nullptr && !block->bytes.empty() && !lets_go(now, *block);
      withheld_ += kept ? 1 : 0;
      return kept;
    });
    return actions;
  }

 protected:
  virtual bool lets_go(Instant now, const Block& block) = 0;

 private:
  std::uint64_t& withheld_;
};

// 1 KiB a second: a block in four minutes.
class Crawler final : public Withholder {
 public:
  using Withholder::Withholder;

 private:
  bool lets_go(Instant now, const Block& block) override {
    if (now < next_) return false;
    next_ = now + std::chrono::seconds(block.bytes.size() / 1024);
    return true;
  }
  Instant next_ = {};
};

// Sends all of a content but the block that it is asked for last, and then nothing any more.
class Dier final : public Withholder {
 public:
  using Withholder::Withholder;

 private:
  bool lets_go(Instant, const Block& block) override {
    sent_.insert(block.first_leaf);
    return sent_.size() < kBlocksOfProgram;
  }
  static constexpr std::size_t kBlocksOfProgram = 12;
  std::set<std::uint64_t> sent_;
};

// With few, the honest have it from the submitter and each other, and nobody asks a liar.
constexpr int kLiars = 12;

template <class Machine>
void expect_fetched_among(int liars) {
  std::uint64_t lies = 0;
  Pool pool;
  pool.workers(4);
  for (int i = 0; i < liars; ++i) {
    WorkerSpec spec;
    spec.factory = [&lies](WorkerParts parts) {
      return std::make_unique<Machine>(std::move(parts), lies);
    };
    spec.honest = false;
    pool.worker(spec);
  }
  JobSpec spec = Pool::job_of(120, 200ms);
  spec.program_bytes = 3'000'000;
  JobRun& job = pool.submit(spec);
  ASSERT_TRUE(job.accepted.has_value());
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 120U);
  EXPECT_GT(lies, 0U) << "nobody has asked any of them";
  // Who stores a wrong byte is found out by the world itself.
  EXPECT_EQ(pool.judgement(), "");
  for (const NodeIndex worker : pool.all_workers()) {
    if (pool.world().node(worker).honest()) {
      EXPECT_TRUE(pool.world().node(worker).contents.holds(*job.manifest.program));
    }
  }
}

TEST(Contents, PoisonedBlocksReachNobodysDisk) { expect_fetched_among<Poisoner>(kLiars); }

TEST(Contents, PiecesThatBelongElsewhereReachNobodysDisk) {
  expect_fetched_among<Misplacer>(kLiars);
}

TEST(Contents, SourcesOfOneKibibyteASecondHoldUpNobody) { expect_fetched_among<Crawler>(kLiars); }

TEST(Contents, SeedsThatDieAtTheLastBlockHoldUpNobody) { expect_fetched_among<Dier>(kLiars); }

TEST(Contents, WhoBoastsOfWhatItDoesNotHoldHoldsUpNobody) { expect_fetched_among<Boaster>(kLiars); }

// One after the other, so that each learns it from those before; all of them are restarted midway.
TEST(Contents, ThoseWhoFetchAreAllRestartedAndTheJobIsTakenAllTheSame) {
  Pool pool;
  pool.workers(4);
  pool.run(10s);
  JobSpec spec = Pool::job_of(60, 200ms);
  spec.program_bytes = 30'000'000;
  JobRun& job = pool.world().submit(pool.submitter(), spec);
  for (int turn = 0; turn < 3 && !job.accepted; ++turn) {
    pool.run(300ms);
    for (const NodeIndex worker : pool.all_workers()) pool.stop(worker);
    for (const NodeIndex worker : pool.all_workers()) pool.restart(worker);
  }
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 60U);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Contents, ADiskThatFillsUpInTheMiddleIsDoneWithoutUntilThereIsRoom) {
  Pool pool;
  pool.workers(4);
  pool.run(10s);
  JobSpec spec = Pool::job_of(400, 500ms);
  spec.program_bytes = 6'000'000;
  JobRun& job = pool.submit(spec);
  const NodeIndex full = pool.worker();
  const auto& contents = pool.world().node(full).contents;
  const ContentId program = *job.manifest.program;
  ASSERT_TRUE(pool.world().run_until([&] { return contents.blocks_of(program) > 0; }, 60s));
  pool.world().fill_disk(full);
  ASSERT_TRUE(pool.run_until_ended(job, 40));
  EXPECT_GT(contents.blocks_of(program), 0U) << "what had come is gone";
  EXPECT_FALSE(contents.holds(program)) << "the disk was full too late";
  pool.world().make_room(full);
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 400U);
  EXPECT_GT(pool.world().node(full).units_computed, 0U);
  EXPECT_EQ(pool.judgement(), "");
}

// Writes down what its application is told of a fetch.
class Fetching final : public PlainSubmitter {
 public:
  Fetching(SubmitterParts parts, std::vector<ContentReady>& told)
      : PlainSubmitter(std::move(parts)), told_(told) {}
  SubmitterActions step(Instant now, SubmitterEvent event) override {
    SubmitterActions actions = PlainSubmitter::step(now, std::move(event));
    for (const auto& action : actions) {
      if (const auto* ready = std::get_if<ContentReady>(&action)) told_.push_back(*ready);
    }
    return actions;
  }

 private:
  std::vector<ContentReady>& told_;
};

class AFetch : public ::testing::Test {
 protected:
  // Seconds of the pool's time until it was said that nobody has it, and of whom it was asked.
  void expect_said_soon(const ContentId& id, std::uint64_t length) {
    pool_.world().ask(fetcher_, FetchContent{.content = id, .length = length});
    EXPECT_TRUE(pool_.world().run_until([&] { return !told_.empty(); }, 20s));
    ASSERT_EQ(told_.size(), 1U);
    EXPECT_EQ(told_[0].content, id);
    EXPECT_THAT(told_[0].error, ::testing::HasSubstr("does not have it"));
  }

  Pool pool_;
  std::vector<ContentReady> told_;
  NodeIndex fetcher_ = pool_.world().add_submitter(
      [this](SubmitterParts parts) { return std::make_unique<Fetching>(std::move(parts), told_); });
};

TEST_F(AFetch, OfAnIdThatNeverExistedEndsWithinSecondsAndSaysWhoWasAsked) {
  pool_.workers(4);
  pool_.run(10s);
  ContentId never;
  never.bytes.fill(0xaa);
  expect_said_soon(never, 30'000'000);
}

// It was there, and those who knew of it are too.
TEST_F(AFetch, OfWhatNobodyHasAnyMoreEndsWithinSecondsAndSaysWhoWasAsked) {
  pool_.workers(4);
  JobSpec spec = Pool::job_of(1'000'000, 200ms);
  spec.program_bytes = 3'000'000;
  const JobRun& job = pool_.submit(spec);
  ASSERT_TRUE(job.accepted);
  const std::vector<NodeIndex> holders = pool_.all_workers();
  pool_.stop(pool_.submitter());
  for (const NodeIndex worker : holders) pool_.stop(worker);
  pool_.workers(4);
  pool_.run(10s);
  expect_said_soon(*job.manifest.program, spec.program_bytes);
}

}  // namespace
}  // namespace shoal::sim
