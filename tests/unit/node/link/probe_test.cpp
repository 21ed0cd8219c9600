#include <gtest/gtest.h>

#include "node/link/link.h"
#include "tests/unit/node/link/link_test_support.h"

// A probe is a connection that says one number and is no link.
namespace shoal {
namespace {

using namespace link_test;

TEST(Probe, TheNumberArrivesAndNoLinkComesOfIt) {
  Node a(1), b(2);
  a.link->perform(Probe{b.id(), b.endpoint(), 0x1234567890abcdef});
  ASSERT_TRUE(run({&a, &b}, [&] { return !b.probed().empty(); }));
  EXPECT_EQ(b.probed(), std::vector<std::uint64_t>{0x1234567890abcdef});
  ASSERT_TRUE(connect(b, a)) << "both serve on";
  EXPECT_EQ(a.count<LinkUp>(b.id()), 1U);
  EXPECT_EQ(a.count<LinkLost>(b.id()), 0U) << "the end of a probe is not told";
  EXPECT_EQ(b.count<LinkUp>(a.id()), 1U);
}

TEST(Probe, ALinkToTheSamePeerIsNotTouched) {
  Node a(1), b(2);
  ASSERT_TRUE(connect(b, a));
  for (std::uint64_t nonce = 1; nonce <= 5; ++nonce) {
    a.link->perform(Probe{b.id(), b.endpoint(), nonce});
  }
  ASSERT_TRUE(run({&a, &b}, [&] { return b.probed().size() == 5; }));
  a.send(b.id(), numbered(1));
  b.send(a.id(), numbered(2));
  ASSERT_TRUE(run(
      {&a, &b}, [&] { return a.count<Received>(b.id()) == 1 && b.count<Received>(a.id()) == 1; }));
  EXPECT_FALSE(a.lost(b));
  EXPECT_FALSE(b.lost(a));
}

// Each counts as a connection for as long as it lasts, and no longer.
TEST(Probe, WhoHasProbedOthersHasRoomForNewcomers) {
  Node a(1), b(2), c(3);
  for (std::uint64_t nonce = 1; nonce <= 8; ++nonce) {
    a.link->perform(Probe{b.id(), b.endpoint(), nonce});
  }
  ASSERT_TRUE(
      run({&a, &b}, [&] { return b.probed().size() == 8 && a.link->figures().probes == 0; }));
  EXPECT_TRUE(connect(c, a));
}

TEST(Probe, NothingIsToldOfOneThatFails) {
  Node a(1), b(2), c(3);
  a.link->perform(Probe{b.id(), "tcp://127.0.0.1:1", 1});     // nobody listens there
  a.link->perform(Probe{b.id(), c.endpoint(), 2});            // somebody else does
  a.link->perform(Probe{b.id(), "tcp://localhost:4242", 3});  // names are not looked up
  a.link->perform(Probe{b.id(), "nonsense", 4});
  a.link->perform(Probe{a.id(), a.endpoint(), 5});
  a.link->perform(Probe{b.id(), b.endpoint(), 6});
  ASSERT_TRUE(run({&a, &b, &c}, [&] { return !b.probed().empty(); }));
  EXPECT_EQ(b.probed(), std::vector<std::uint64_t>{6});
  EXPECT_TRUE(c.probed().empty()) << "the number is for the holder of the key";
  EXPECT_TRUE(a.events.empty());
}

TEST(Probe, NoMoreAreOpenAtOnceThanTheLimit) {
  Node a(1);
  // Nobody answers these: the address is of no host (RFC 5737), or there is no way to it.
  const KeyPair nobody = key_of(9);
  for (int i = 0; i < 500; ++i) {
    a.link->perform(Probe{nobody.id(), "tcp://192.0.2.1:4242", 1});
  }
  a.step();
  EXPECT_LE(a.link->figures().probes, 64U);
  EXPECT_TRUE(a.events.empty());
}

}  // namespace
}  // namespace shoal
