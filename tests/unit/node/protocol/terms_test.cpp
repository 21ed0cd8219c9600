#include "node/protocol/terms.h"

#include <gtest/gtest.h>

#include "tests/unit/node/protocol/receipts.h"

namespace shoal {
namespace {

class Terms : public ::testing::Test {
 protected:
  SignedTerm term(const KeyPair& signer, std::uint64_t epoch,
                  const std::vector<const KeyPair*>& stewards,
                  const std::vector<const KeyPair*>& endorsed_by = {}) const {
    Term what{.job = job, .epoch = epoch, .stewards = {}};
    for (const KeyPair* steward : stewards) what.stewards.push_back(steward->id());
    SignedTerm paper{sign_fact(signer, Purpose::kTerm, encode(what)), {}};
    for (const KeyPair* more : endorsed_by) {
      paper.endorsements.push_back({more->id(), more->sign(Purpose::kTerm, paper.term.body)});
    }
    return paper;
  }
  std::string fault(const TermChain& chain) const {
    auto term = term_in_force(chain, job, submitter.id(), checker);
    return term ? "" : term.error();
  }

  Ed25519Checker checker;
  JobId job = job_id_of(Bytes{7});
  KeyPair submitter = key_of(1), a = key_of(2), b = key_of(3), c = key_of(4), d = key_of(5),
          stranger = key_of(6);
  SignedTerm first = term(submitter, 1, {&a, &b, &c});
};

TEST_F(Terms, TheSubmitterNamesTheFirstStewards) {
  const auto in_force = term_in_force({first}, job, submitter.id(), checker);
  ASSERT_TRUE(in_force) << in_force.error();
  EXPECT_EQ(in_force->stewards, (std::vector<NodeId>{a.id(), b.id(), c.id()}));
  EXPECT_EQ(fault({}), "it is empty");
  EXPECT_EQ(fault({term(a, 1, {&a})}), "its first term is not signed by the submitter");
  SignedTerm changed = first;
  changed.term.body[changed.term.body.size() / 2] ^= 1;
  EXPECT_NE(fault({changed}), "");
  JobId other;
  EXPECT_FALSE(term_in_force({first}, other, submitter.id(), checker));
}

TEST_F(Terms, AnyStewardMayElectButNobodyElse) {
  EXPECT_EQ(fault({first, term(b, 2, {&b, &a, &c})}), "");
  EXPECT_EQ(fault({first, term(c, 2, {&c, &a, &b})}), "");
  EXPECT_EQ(fault({first, term(stranger, 2, {&b, &a, &c})}),
            "a term is not signed by a steward of the one before");
  EXPECT_EQ(fault({first, term(b, 1, {&b, &a, &c})}), "its epochs do not rise");
}

TEST_F(Terms, ReplacingAStewardTakesAMajority) {
  EXPECT_EQ(fault({first, term(a, 2, {&a, &b, &d}, {&b})}), "");
  const std::string alone = "stewards were replaced without a majority";
  EXPECT_EQ(fault({first, term(a, 2, {&a, &b, &d})}), alone);
  EXPECT_EQ(fault({first, term(a, 2, {&a, &b, &d}, {&a})}), alone) << "one may not sign twice";
  EXPECT_EQ(fault({first, term(a, 2, {&a, &b, &d}, {&d})}), alone) << "the new one has no say";
  EXPECT_EQ(fault({first, term(a, 2, {&a}, {})}), alone) << "leaving others out is replacing too";
  SignedTerm forged = term(a, 2, {&a, &b, &d}, {&b});
  forged.endorsements[0].signature.bytes[5] ^= 1;
  EXPECT_EQ(fault({first, forged}), alone);
}

TEST_F(Terms, AmongTwoBothAreTheMajorityAndOneIsItsOwn) {
  const SignedTerm two = term(submitter, 1, {&a, &b}), one = term(submitter, 1, {&a});
  EXPECT_NE(fault({two, term(a, 2, {&a, &d})}), "");
  EXPECT_EQ(fault({two, term(a, 2, {&a, &b, &d}, {&b})}), "");
  EXPECT_EQ(fault({one, term(a, 2, {&a, &d})}), "");
}

TEST_F(Terms, EpochsDoNotJump) {
  EXPECT_EQ(fault({first, term(b, 1 + limits::kEpochStep, {&b, &a, &c})}), "");
  EXPECT_EQ(fault({first, term(b, 2 + limits::kEpochStep, {&b, &a, &c})}), "an epoch jumps");
}

// Whoever is to lead after it must have an epoch to sign.
TEST_F(Terms, NobodyCanTakeTheLastEpoch) {
  const std::uint64_t last = (1ULL << 63) - 1;  // that can be said
  const SignedTerm greedy = term(submitter, last, {&a, &b, &c});
  EXPECT_EQ(fault({greedy}), "its first epoch leaves no room for others");
  EXPECT_EQ(fault({term(submitter, limits::kFirstEpoch + 1, {&a})}),
            "its first epoch leaves no room for others");
  EXPECT_FALSE(extended({greedy}, term(b, last + 1, {&b, &a, &c}))) << "nobody could read it";
  // As far as a chain can go from the first that may be.
  std::uint64_t epoch = limits::kFirstEpoch;
  TermChain chain{term(submitter, epoch, {&a, &b, &c})};
  while (auto longer = extended(chain, term(b, epoch + limits::kEpochStep, {&b, &a, &c}))) {
    chain = *longer;
    epoch += limits::kEpochStep;
  }
  EXPECT_EQ(chain.size(), limits::kTermsPerChain);
  EXPECT_EQ(fault(chain), "");
}

TEST_F(Terms, TheHigherEpochCountsAndAmongEqualsOneThatAllChoose) {
  const TermChain old{first}, by_b{first, term(b, 2, {&b, &a, &c})},
      by_c{first, term(c, 2, {&c, &a, &b})};
  EXPECT_TRUE(outranks(by_b, old));
  EXPECT_FALSE(outranks(old, by_b));
  EXPECT_NE(outranks(by_b, by_c), outranks(by_c, by_b));
  EXPECT_FALSE(outranks(by_b, by_b));
  EXPECT_TRUE(outranks(old, {}));
}

TEST_F(Terms, ElectionsLeaveNoTraceInTheChain) {
  TermChain chain{first};
  for (std::uint64_t epoch = 2; epoch < 200; ++epoch) {
    const KeyPair& leader = epoch % 2 == 0 ? b : a;
    chain = *extended(chain, term(leader, epoch, {&leader, epoch % 2 == 0 ? &a : &b, &c}));
  }
  EXPECT_EQ(chain.size(), 2U);
  EXPECT_EQ(fault(chain), "");
  chain = *extended(chain, term(a, 200, {&a, &b, &d}, {&b}));
  EXPECT_EQ(chain.size(), 2U) << "the change follows from the first term as well";
  chain = *extended(chain, term(d, 201, {&d, &a, &b}));
  EXPECT_EQ(chain.size(), 3U);
  EXPECT_EQ(fault(chain), "");
}

// Nobody else could follow it there if its election were left out.
TEST_F(Terms, WhoJumpsAsFarAsItMayIsFollowedByTheOthers) {
  std::uint64_t epoch = 1 + limits::kEpochStep;
  TermChain chain = *extended({first}, term(c, epoch, {&c, &a, &b}));
  ASSERT_EQ(fault(chain), "");
  for (int turn = 0; turn < 100; ++turn) {
    const KeyPair& leader = turn % 2 == 0 ? b : a;
    const KeyPair& other = turn % 2 == 0 ? a : b;
    chain = *extended(chain, term(leader, ++epoch, {&leader, &other, &c}));
    ASSERT_EQ(fault(chain), "") << turn;
  }
  EXPECT_EQ(chain.size(), 3U);
  chain = *extended(chain, term(b, ++epoch, {&b, &a, &d}, {&a}));
  EXPECT_EQ(fault(chain), "");
}

TEST_F(Terms, AChainHasAnEnd) {
  TermChain chain{first};
  for (std::uint64_t epoch = 2; epoch < limits::kTermsPerChain; ++epoch) {
    const KeyPair& third = epoch % 2 == 0 ? d : c;
    auto longer = extended(chain, term(a, epoch, {&a, &b, &third}, {&b}));
    ASSERT_TRUE(longer) << epoch;
    chain = std::move(*longer);
  }
  EXPECT_EQ(fault(chain), "");
  EXPECT_FALSE(extended(chain, term(a, 99, {&a, &b, &stranger}, {&b})));
  // Elections go on, one after the other.
  const KeyPair& third = limits::kTermsPerChain % 2 == 0 ? c : d;
  for (std::uint64_t epoch = 100; epoch < 104; ++epoch) {
    const KeyPair& leader = epoch % 2 == 0 ? b : a;
    auto longer = extended(chain, term(leader, epoch, {&leader, epoch % 2 == 0 ? &a : &b, &third}));
    ASSERT_TRUE(longer) << epoch;
    chain = std::move(*longer);
    EXPECT_EQ(chain.size(), limits::kTermsPerChain);
  }
  EXPECT_EQ(fault(chain), "");
  EXPECT_FALSE(extended(chain, term(b, 104, {&b, &a, &stranger}, {&a})));
}

TEST_F(Terms, AreKeptAsTheyCame) {
  const TermChain chain{first, term(a, 2, {&a, &b, &d}, {&b})};
  EXPECT_EQ(*decode_chain(encode_chain(job, chain)), chain);
}

}  // namespace
}  // namespace shoal
