#include <gtest/gtest.h>

#include "node/protocol/hash.h"
#include "node/protocol/result.h"
#include "tests/unit/worker/core/pool.h"
#include "worker/core/job_led.h"

// One worker of a job says what an honest one would not, to a leader that is honest: it decides no
// unit by itself, and keeps none from the others for long.
namespace shoal {
namespace {

using test::honest;
using test::PlainSigner;
using test::Pool;

Bytes wrong() { return to_bytes(as_bytes("wrong")); }

// Worker 1 leads, worker 2 says nothing but what the test has it say, and the others are honest.
struct Faulty : testing::Test {
  static constexpr std::size_t kFaulty = 2;
  explicit Faulty(std::size_t workers = 3) : pool(workers) {
    pool.paused = {kFaulty};
    pool.meddle = [this](std::size_t from, std::size_t to, Message& message) {
      if (to == kFaulty) {
        if (const auto* grant = std::get_if<LeaseGrant>(&message); grant && grant->lease != 0) {
          grants.push_back(*grant);
        }
        if (const auto* request = std::get_if<RevealRequest>(&message)) asked.push_back(*request);
      }
      return from != kFaulty && (!loses || !loses(from, to, message));
    };
  }
  void submit(std::uint64_t units) {
    job = pool.submit(1, pool.manifest(units, 2));
    pool.want_receipts(1, job);
  }
  void say(const Message& message) { pool.say_as(kFaulty, 1, message); }
  void ask(std::uint32_t threads = 1) {
    say(WorkRequest{.job = job, .threads = threads, .unit_ns = 0, .backlog_units = 0});
  }
  LeaseReport report() const {
    LeaseReport report;
    report.job = job;
    report.epoch = 1;
    return report;
  }
  void give_back() {
    LeaseReport all = report();
    for (const LeaseGrant& grant : grants) all.leases.push_back({grant.lease, {}});
    say(all);
  }
  void keep(std::uint64_t unit_ns = 1) {
    LeaseReport all = report();
    all.unit_ns = unit_ns;
    for (const LeaseGrant& grant : grants) all.leases.push_back({grant.lease, grant.ranges});
    say(all);
  }
  void fail(UnitIndex unit) {
    Failure failure;
    failure.job = job;
    failure.worker = pool.id(kFaulty);
    failure.unit = unit;
    say(FailureNotice{{sign_fact(key, Purpose::kFailure, encode(failure))}});
  }
  static PackedOutputs wrong_outputs(Range range) {
    PackedOutputs outputs;
    for (UnitIndex unit = range.first; unit < range.last; ++unit) {
      const Bytes output = wrong();
      outputs.sizes.push_back(output.size());
      outputs.inline_bytes.insert(outputs.inline_bytes.end(), output.begin(), output.end());
    }
    return outputs;
  }
  void commit(Range range) {
    const Hash256 root = merkle_root(*digests_of(wrong_outputs(range)));
    const Commitment commitment{.job = job,
                                .worker = key.id(),
                                .range = range,
                                .sealed = commitment_seal(job, key.id(), range, salt, root)};
    say(CommitNotice{{sign_fact(key, Purpose::kCommitment, encode(commitment))}, job, 1});
  }
  void show_what_is_asked() {
    for (const RevealRequest& request : std::exchange(asked, {})) {
      const PackedOutputs outputs = wrong_outputs(request.range);
      Reveal reveal;
      reveal.job = job;
      reveal.range = reveal.part = request.range;
      reveal.salt = salt;
      reveal.root = merkle_root(*digests_of(outputs));
      reveal.outputs = outputs;
      say(reveal);
    }
  }
  RangeSet ended(UnitEnd how) const {
    RangeSet units;
    for (const Receipt& receipt : pool.receipts()) {
      if (receipt.end == how) units.add(receipt.range);
    }
    return units;
  }
  std::uint64_t verified() const { return ended(UnitEnd::kVerified).size(); }
  // Everybody else computes for so many seconds.
  void run(
      int seconds, const Pool::Kernel& kernel, const std::function<void()>& each = [] {}) {
    for (int tenth = 0; tenth < 10 * seconds; ++tenth) {
      each();
      for (std::size_t n = 1; n <= 9; ++n) {
        while (pool.compute(n, kernel)) continue;
      }
      pool.pass(100ms);
    }
  }
  Pool pool;
  std::function<bool(std::size_t, std::size_t, Message&)> loses;
  const PlainSigner key{kFaulty};
  const Hash256 salt = {};
  JobId job;
  std::vector<LeaseGrant> grants;
  std::vector<RevealRequest> asked;
};

// With so many workers: too few to outvote who was misled, and enough.
struct Misleads : Faulty, testing::WithParamInterface<std::size_t> {
  Misleads() : Faulty(GetParam()) {}
};
TEST_P(Misleads, AndFindsNoneThatConfirmsIt) {
  pool.paused = {1, 2, 3, 4, 5};
  submit(40);
  ask();
  ASSERT_FALSE(grants.empty());
  ASSERT_EQ(grants[0].kind, LeaseKind::kPrimary);
  std::vector<UnitIndex> given;
  for (Range run : grants[0].ranges) {
    for (UnitIndex unit = run.first; unit < run.last; ++unit) given.push_back(unit);
  }
  for (UnitIndex unit : given) {
    say(UnitState{.job = job, .unit = unit, .state = to_bytes(as_bytes("misleading"))});
  }
  give_back();
  pool.paused = {2, 3, 4, 5};
  const auto goes_on = [&](std::size_t n, UnitIndex unit) {
    return pool.states_at(n).contains(unit) ? wrong() : *honest(n, unit);
  };
  run(20, goes_on);
  EXPECT_EQ(pool.states_at(1).size(), GetParam() == 3 ? 0 : given.size());
  for (UnitIndex unit : given) commit({unit, unit + 1});
  pool.paused = {2};
  run(20, goes_on, [&] { show_what_is_asked(); });
  for (const Receipt& receipt : pool.receipts()) {
    if (receipt.end != UnitEnd::kVerified) continue;
    for (std::uint64_t at = 0; at < receipt.range.size(); ++at) {
      EXPECT_EQ(slice(receipt.outputs, at, at + 1).inline_bytes,
                honest(0, receipt.range.first + at));
    }
  }
  EXPECT_EQ(verified(), 40U);
}
INSTANTIATE_TEST_SUITE_P(FaultyWorker, Misleads, testing::Values(3, 5));

TEST_F(Faulty, WhatFailsOnOneIsDecidedByThoseWhoHaveCommittedToIt) {
  pool.paused = {1, 2, 3};
  submit(1);
  ask();
  for (int second = 0; second < 100 && grants.empty(); ++second) {
    pool.pass(1s);
    ask();
  }
  ASSERT_FALSE(grants.empty());
  give_back();
  pool.paused = {2};
  std::vector<Message> reveals;
  loses = [&](std::size_t, std::size_t, Message& message) {
    if (!std::holds_alternative<Reveal>(message)) return false;
    reveals.push_back(message);
    return true;
  };
  for (int n : {1, 3, 1, 3}) {
    pool.compute(n, honest);
    pool.pass(100ms);
  }
  ASSERT_FALSE(reveals.empty());
  fail(0);
  for (const Message& reveal : reveals) pool.say_as(3, 1, reveal);
  run(20, honest);
  EXPECT_EQ(verified(), 1U);
}

// It is the last one that could have decided.
struct GivesBack : Faulty {
  void expect_an_end(UnitEnd end, const Pool::Kernel& kernel) {
    submit(1);
    ask();
    run(5, kernel);
    ASSERT_EQ(grants.size(), 1U);
    ASSERT_TRUE(pool.receipts().empty());
    give_back();
    run(10, kernel);
    EXPECT_EQ(ended(end).size(), 1U);
  }
};
TEST_F(GivesBack, AUnitOnWhichTheOthersDiffer) {
  expect_an_end(UnitEnd::kDisputed,
                [](std::size_t n, UnitIndex) { return Bytes{std::uint8_t(n)}; });
}
TEST_F(GivesBack, AUnitThatFailsOnAllOthers) {
  expect_an_end(UnitEnd::kFailed, [](std::size_t, UnitIndex) { return std::nullopt; });
}

TEST(FaultyWorker, AUnitThatFailsOnOneOfTwoBeforeTheOtherHasComputedItEnds) {
  Pool two(2);
  const JobId unit = two.submit(1, two.manifest(1, 2));
  two.want_receipts(1, unit);
  two.pass(3s);
  const auto kernel = [](std::size_t n, UnitIndex u) {
    return n == 2 ? std::nullopt : honest(n, u);
  };
  two.compute(2, kernel);
  two.compute(1, kernel);
  two.run(kernel);
  EXPECT_EQ(two.receipts().size(), 1U);
}

struct Holds : Faulty {
  void expect_others_compute_it(const std::function<void()>& keeps) {
    submit(40);
    ask(1024);
    ASSERT_FALSE(grants.empty());
    since = pool.now();
    run(60, honest, keeps);
    EXPECT_EQ(verified(), 40U);
  }
  Holds() : Faulty(5) {}
  Instant since;
};

TEST_F(Holds, AndRenews) {
  expect_others_compute_it([&] { keep(); });
}
TEST_F(Holds, AndSaysThatItsUnitsTakeThatLong) {
  expect_others_compute_it(
      [&] { keep(static_cast<std::uint64_t>((pool.now() - since).count()) + 1); });
}
TEST_F(Holds, AndCommitsNothing) {
  expect_others_compute_it([&] {
    keep();
    commit({30, 31});
  });
}
TEST_F(Holds, AndShowsItsPapersAgainAndAgain) {
  expect_others_compute_it([&] {
    Rejoin rejoin{.job = job, .epoch = 1, .parts = {}, .threads = 1024, .unit_ns = 1};
    for (const LeaseGrant& grant : grants) rejoin.parts.push_back({*grant.grant, grant.ranges});
    say(rejoin);
  });
}

// Two keys that hand the same units to each other.
TEST_F(Holds, AndHandsThemOn) {
  constexpr std::size_t kOther = 4;
  pool.paused = {kFaulty, kOther};
  const PlainSigner other{kOther};
  LeaseGrant held;
  bool other_has_them = false;
  loses = [&](std::size_t from, std::size_t, Message&) { return from == kOther; };
  const auto before = std::exchange(pool.meddle, nullptr);
  pool.meddle = [&](std::size_t from, std::size_t to, Message& message) {
    const auto* reply = std::get_if<TransferReply>(&message);
    if (reply != nullptr && reply->new_lease != 0 && (to == kFaulty || to == kOther)) {
      held.lease = reply->new_lease;
      held.ranges = reply->ranges;
      other_has_them = to == kOther;
    }
    return before(from, to, message);
  };
  expect_others_compute_it([&] {
    if (held.lease == 0) {
      held = grants[0];
      pool.say_as(kOther, 1, WorkRequest{job, 1024, 1, 0});  // so many it may hold
    }
    const Signer& victim = other_has_them ? other : key;
    const Signer& thief = other_has_them ? key : other;
    const Transfer transfer{.job = job,
                            .epoch = 1,
                            .lease = held.lease,
                            .ranges = held.ranges,
                            .from = victim.id(),
                            .to = thief.id()};
    const Bytes body = encode(transfer);
    pool.say_as(other_has_them ? kFaulty : kOther, 1,
                TransferNotice{.by_victim = sign_fact(victim, Purpose::kTransfer, body),
                               .by_thief = thief.sign(Purpose::kTransfer, body)});
  });
}

// Whatever a stranger to a unit says of it must not cut it out of its run: a leader of as many runs
// as units has neither the memory nor the time for them.
TEST(FaultyWorker, WhatItSaysOfUnitsThatItWasNotGivenCutsNothing) {
  constexpr UnitIndex kUnits = 100'000;
  const PlainSigner self(7), stranger(8);
  const test::PlainChecker checker;
  const PeerConfig config;
  const StewardContext context{
      .self = self.id(), .config = config, .signer = self, .checker = checker};
  Manifest manifest;
  manifest.units = kUnits;
  JobLed job{context, sign_fact(self, Purpose::kManifest, encode(manifest)), manifest, Rng(1)};
  Outbox out{self.id()};
  job.start(out);
  job.lead(Instant{}, 1, out);
  job.worker_here(self.id(), 1, "", std::nullopt);
  job.worker_here(stranger.id(), 1, "", std::nullopt);
  for (UnitIndex unit = 0; unit < 4000; unit += 2) {
    const Commitment commitment{
        .job = job.id(), .worker = stranger.id(), .range = {unit, unit + 1}, .sealed = {}};
    const Signed fact = sign_fact(stranger, Purpose::kCommitment, encode(commitment));
    job.on_commit(Instant{}, stranger.id(), CommitNotice{{fact}, job.id(), 0}, out);
    Failure failure;
    failure.job = job.id();
    failure.worker = stranger.id();
    failure.unit = kUnits - 1 - unit;
    job.on_failure(Instant{}, stranger.id(),
                   sign_fact(stranger, Purpose::kFailure, encode(failure)), out);
  }
  while (out.has_own_message()) out.next_own_message();
  job.on_work_request(
      Instant{}, self.id(),
      WorkRequest{.job = job.id(), .threads = 1, .unit_ns = 1000, .backlog_units = 0}, out);
  ASSERT_TRUE(out.has_own_message());
  const Message answer = out.next_own_message();
  const auto* grant = std::get_if<LeaseGrant>(&answer);
  ASSERT_NE(grant, nullptr);
  EXPECT_GT(RangeSet(grant->ranges).size(), 10'000U) << "many runs are looked at in many requests";
}

}  // namespace
}  // namespace shoal
