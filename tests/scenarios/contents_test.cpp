#include <gtest/gtest.h>

#include <utility>

#include "tests/sim/pool.h"

// Contents of jobs among nodes that lie about them.
namespace shoal::sim {
namespace {

// Changes what it says before it is sent.
class Meddler : public PlainWorker {
 public:
  using PlainWorker::PlainWorker;
  PeerActions step(Instant now, PeerEvent event) override {
    PeerActions actions = PlainWorker::step(now, std::move(event));
    for (PeerAction& action : actions) {
      auto* send = std::get_if<Send>(&action);
      auto message = send != nullptr ? decode(send->bytes) : tl::unexpected(DecodeError{});
      if (!message) continue;
      meddle(*message);
      send->bytes = encode(*message);
    }
    return actions;
  }

 protected:
  virtual void meddle(Message& message) = 0;
};

// Whatever it serves has one wrong byte.
class Poisoner final : public Meddler {
 public:
  using Meddler::Meddler;

 private:
  void meddle(Message& message) override {
    if (auto* block = std::get_if<Block>(&message); block != nullptr && !block->bytes.empty()) {
      block->bytes[block->bytes.size() / 2] ^= 1;
    }
  }
};

// Says that it holds all of what it is asked about, and sends nothing of it.
class Boaster final : public Meddler {
 public:
  using Meddler::Meddler;

 private:
  void meddle(Message& message) override {
    if (auto* block = std::get_if<Block>(&message)) {
      *block = Block{block->content, block->first_leaf, {}, {}, true};
    } else if (auto* held = std::get_if<Holdings>(&message); held != nullptr && held->length > 0) {
      held->bits.assign(
          std::min<std::size_t>(limits::kHoldingsBytes, (held->length / (256 * 1024) + 8) / 8),
          0xff);
      held->first_block = 0;
    }
  }
};

template <class Machine>
void expect_fetched_among(int liars) {
  Pool pool;
  pool.workers(4);
  for (int i = 0; i < liars; ++i) {
    WorkerSpec spec;
    spec.factory = worker_factory<Machine>();
    spec.honest = false;
    pool.worker(spec);
  }
  JobSpec spec = Pool::job_of(120, 200ms);
  spec.program_bytes = 3'000'000;
  JobRun& job = pool.submit(spec);
  ASSERT_TRUE(job.accepted.has_value());
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 120U);
  // Who stores a wrong byte is found out by the world itself.
  EXPECT_EQ(pool.judgement(), "");
  for (const NodeIndex worker : pool.all_workers()) {
    if (pool.world().node(worker).honest()) {
      EXPECT_TRUE(pool.world().node(worker).contents.holds(*job.manifest.program));
    }
  }
}

TEST(Contents, PoisonedBlocksReachNobodysDisk) { expect_fetched_among<Poisoner>(3); }

TEST(Contents, WhoBoastsOfWhatItDoesNotHoldHoldsUpNobody) { expect_fetched_among<Boaster>(3); }

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
  const NodeIndex full = pool.all_workers().front();
  JobSpec spec = Pool::job_of(200, 500ms);
  spec.program_bytes = 6'000'000;
  pool.world().fill_disk(full);
  JobRun& job = pool.submit(spec);
  ASSERT_TRUE(pool.run_until_ended(job, 20));
  EXPECT_FALSE(pool.world().node(full).contents.holds(*job.manifest.program));
  pool.world().make_room(full);
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 200U);
  EXPECT_EQ(pool.judgement(), "");
}

}  // namespace
}  // namespace shoal::sim
