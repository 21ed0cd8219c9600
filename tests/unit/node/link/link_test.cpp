#include "node/link/link.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>

#include "tests/unit/node/link/link_test_support.h"

namespace shoal {
namespace {

using namespace link_test;

TEST(Link, BothSidesLearnWhoTheOtherIs) {
  Node a(1), b(2);
  Signed record{a.id(), to_bytes(as_bytes("a record")), {}};
  a.link->set_record(record);
  ASSERT_TRUE(connect(a, b));
  const LinkUp seen = b.all<LinkUp>(a.id()).front();
  EXPECT_EQ(seen.record, record);
  EXPECT_EQ(seen.address, "127.0.0.1");
  EXPECT_EQ(a.all<LinkUp>(b.id()).front().address, "127.0.0.1");
  EXPECT_FALSE(a.all<LinkUp>(b.id()).front().record);
  EXPECT_EQ(a.link->figures().links, 1U);
  EXPECT_EQ(b.link->figures().links, 1U);
}

TEST(Link, MessagesGoBothWays) {
  Node a(1), b(2);
  ASSERT_TRUE(connect(a, b));
  a.send(b.id(), numbered(17));
  b.send(a.id(), numbered(18));
  ASSERT_TRUE(run(
      {&a, &b}, [&] { return a.count<Received>(b.id()) == 1 && b.count<Received>(a.id()) == 1; }));
  EXPECT_EQ(b.all<Received>(a.id()).front().bytes, numbered(17));
  EXPECT_EQ(a.all<Received>(b.id()).front().bytes, numbered(18));
}

TEST(Link, TenThousandMessagesKeepTheirOrder) {
  Node a(1), b(2);
  ASSERT_TRUE(connect(a, b));
  constexpr std::uint32_t kCount = 10'000;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    a.send(b.id(), numbered(i));
    b.send(a.id(), numbered(i));
    if (i % 500 == 0) {
      a.step();
      b.step();
    }
  }
  ASSERT_TRUE(run({&a, &b}, [&] {
    return a.count<Received>(b.id()) >= kCount && b.count<Received>(a.id()) >= kCount;
  }));
  EXPECT_TRUE(in_order(a.all<Received>(b.id()), kCount));
  EXPECT_TRUE(in_order(b.all<Received>(a.id()), kCount));
}

TEST(Link, TheLargestMessageArrivesWhole) {
  Node a(1), b(2);
  ASSERT_TRUE(connect(a, b));
  Bytes large(limits::kMessageBytes);
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<std::uint8_t>(i * 31 >> 3);
  a.send(b.id(), large);
  b.send(a.id(), large);
  ASSERT_TRUE(run(
      {&a, &b}, [&] { return a.count<Received>(b.id()) == 1 && b.count<Received>(a.id()) == 1; }));
  EXPECT_EQ(a.all<Received>(b.id()).front().bytes, large);
  EXPECT_EQ(b.all<Received>(a.id()).front().bytes, large);
}

TEST(Link, APeerThatReadsLateStillGetsAllInOrder) {
  Node a(1), b(2);
  ASSERT_TRUE(connect(a, b));
  constexpr std::uint32_t kCount = 3000;
  for (std::uint32_t i = 0; i < kCount; ++i) a.send(b.id(), numbered(i, 16 * 1024));
  ASSERT_TRUE(run({&a, &b}, [&] { return b.count<Received>(a.id()) >= kCount; }));
  EXPECT_TRUE(in_order(b.all<Received>(a.id()), kCount));
  EXPECT_FALSE(a.lost(b));
}

TEST(Link, APeerThatReadsNothingIsLost) {
  Node a(1), b(2);
  ASSERT_TRUE(connect(a, b));
  std::uint32_t sent = 0;
  // More than both high-water marks, the kernel's buffers and the queue behind them hold.
  ASSERT_TRUE(run({&a}, [&] {
    for (int i = 0; i < 64 && sent < 20'000; ++i) a.send(b.id(), numbered(sent++, 64 * 1024));
    return a.lost(b);
  }));
  EXPECT_EQ(a.all<LinkLost>(b.id()).front().why,
            "it does not take the messages that are sent to it");
  EXPECT_EQ(a.link->figures().links, 0U);
}

TEST(Link, APeerOfAnotherPoolIsRefusedByName) {
  Node a(1), b(2, pool_of(9));
  a.dial(b);
  ASSERT_TRUE(run({&a, &b}, [&] { return a.lost(b); }));
  const std::string why = a.all<LinkLost>(b.id()).front().why;
  EXPECT_TRUE(why.starts_with("it belongs to another pool")) << why;
  EXPECT_FALSE(a.up(b));
  EXPECT_FALSE(b.up(a));
  EXPECT_FALSE(b.lost(a));
  EXPECT_EQ(b.link->figures().refused, 1U);
}

TEST(Link, AnotherNodeAtTheEndpointIsNotTakenForTheOneThatWasMeant) {
  Node a(1), b(2);
  const NodeId absent = key_of(3).id();
  a.link->perform(Dial{absent, b.endpoint()});
  ASSERT_TRUE(run({&a, &b}, [&] { return a.count<LinkLost>(absent) > 0; }));
  const std::string why = a.all<LinkLost>(absent).front().why;
  EXPECT_NE(why.find("is not that node"), std::string::npos) << why;
  EXPECT_FALSE(b.up(a));
  // And the same endpoint is found under its own name.
  EXPECT_TRUE(connect(a, b));
}

TEST(Link, AClosedPortIsToldOnce) {
  Node a(1), b(2);
  std::string endpoint;
  NodeId gone;
  {
    Node c(3);
    endpoint = c.endpoint();
    gone = c.id();
  }
  a.link->perform(Dial{gone, endpoint});
  ASSERT_TRUE(run({&a}, [&] { return a.count<LinkLost>(gone) > 0; }));
  EXPECT_EQ(a.all<LinkLost>(gone).front().why, "nobody listens at " + endpoint);
  ASSERT_TRUE(connect(a, b));
  EXPECT_EQ(a.count<LinkLost>(gone), 1U);
}

TEST(Link, WhatCannotBeDialledIsToldAtOnce) {
  Node a(1);
  const NodeId other = key_of(2).id();
  a.link->perform(Dial{other, "inproc://events-in"});
  a.link->perform(Dial{a.id(), a.endpoint()});
  a.step();
  EXPECT_EQ(a.count<LinkLost>(other), 1U);
  EXPECT_EQ(a.count<LinkLost>(a.id()), 1U);
}

TEST(Link, ASilentListenerRunsOutOfTime) {
  const int silent = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(silent, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(silent, 4), 0);
  ASSERT_EQ(::getsockname(silent, reinterpret_cast<sockaddr*>(&address), &size), 0);
  Node a(1);
  const NodeId other = key_of(2).id();
  a.link->perform(Dial{other, "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port))});
  ASSERT_TRUE(run({&a}, [&] { return a.count<LinkLost>(other) > 0; }));
  EXPECT_EQ(a.count<LinkLost>(other), 1U);
  ::close(silent);
}

TEST(Link, AHostNameIsLookedUp) {
  Node a(1), b(2);
  a.link->perform(Dial{b.id(), "tcp://localhost:" + std::to_string(b.link->port())});
  EXPECT_TRUE(run({&a, &b}, [&] { return a.up(b) && b.up(a); }));
}

TEST(Link, TheOneWhoDialledMayDrop) {
  Node a(1), b(2);
  ASSERT_TRUE(connect(a, b));
  a.send(b.id(), numbered(5));
  a.link->perform(Drop{b.id(), "done here"});
  ASSERT_TRUE(run({&a, &b}, [&] { return a.lost(b) && b.lost(a); }));
  EXPECT_EQ(a.all<LinkLost>(b.id()).front().why, "done here");
  // What was sent before has left.
  EXPECT_EQ(b.count<Received>(a.id()), 1U);
  EXPECT_EQ(a.link->figures().links + b.link->figures().links, 0U);
}

TEST(Link, TheOneWhoWasDialledMayDrop) {
  Node a(1), b(2);
  ASSERT_TRUE(connect(a, b));
  b.send(a.id(), numbered(5));
  b.link->perform(Drop{a.id(), "done here"});
  ASSERT_TRUE(run({&a, &b}, [&] { return a.lost(b) && b.lost(a); }));
  EXPECT_EQ(b.all<LinkLost>(a.id()).front().why, "done here");
  EXPECT_EQ(a.count<Received>(b.id()), 1U);
}

TEST(Link, AfterALossTheSameTwoCanMeetAgain) {
  Node a(1), b(2);
  for (std::size_t round = 1; round <= 5; ++round) {
    a.dial(b);
    ASSERT_TRUE(run({&a, &b}, [&] {
      return a.count<LinkUp>(b.id()) == round && b.count<LinkUp>(a.id()) == round;
    }));
    a.link->perform(Drop{b.id(), "for now"});
    ASSERT_TRUE(run({&a, &b}, [&] {
      return a.count<LinkLost>(b.id()) == round && b.count<LinkLost>(a.id()) == round;
    }));
  }
}

TEST(Link, BothMayDialAtTheSameMoment) {
  Node a(1), b(2);
  a.dial(b);
  b.dial(a);
  ASSERT_TRUE(run({&a, &b}, [&] { return a.up(b) && b.up(a); }));
  constexpr std::uint32_t kCount = 2000;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    a.send(b.id(), numbered(i));
    b.send(a.id(), numbered(i));
    if (i % 100 == 0) {
      a.step();
      b.step();
    }
  }
  ASSERT_TRUE(run({&a, &b}, [&] {
    return a.count<Received>(b.id()) >= kCount && b.count<Received>(a.id()) >= kCount;
  }));
  EXPECT_TRUE(in_order(a.all<Received>(b.id()), kCount));
  EXPECT_TRUE(in_order(b.all<Received>(a.id()), kCount));
  EXPECT_EQ(a.count<LinkUp>(b.id()), 1U);
  EXPECT_EQ(b.count<LinkUp>(a.id()), 1U);
  EXPECT_FALSE(a.lost(b));
  EXPECT_FALSE(b.lost(a));
  a.link->perform(Drop{b.id(), "enough"});
  ASSERT_TRUE(run({&a, &b}, [&] { return a.lost(b) && b.lost(a); }));
  EXPECT_EQ(b.count<LinkLost>(a.id()), 1U);
}

TEST(Link, APeerThatEndsIsMissedAtOnceAndFoundAgain) {
  Node a(1), b(2);
  ASSERT_TRUE(connect(a, b));
  const std::uint16_t port = b.link->port();
  b.link.reset();
  b.events.clear();
  ASSERT_TRUE(run({&a}, [&] { return a.lost(b); }));
  b.open(pool_of(1), 64, port);
  a.dial(b);
  ASSERT_TRUE(run({&a, &b}, [&] { return a.count<LinkUp>(b.id()) == 2 && b.up(a); }));
  EXPECT_EQ(a.count<LinkLost>(b.id()), 1U);
}

TEST(Link, WithoutRoomAnotherIsRefused) {
  Node a(1, pool_of(1), 1), b(2), c(3);
  ASSERT_TRUE(connect(b, a));
  c.dial(a);
  ASSERT_TRUE(run({&a, &b, &c}, [&] { return c.lost(a); }));
  const std::string why = c.all<LinkLost>(a.id()).front().why;
  EXPECT_TRUE(why.starts_with("it has no room for another")) << why;
  EXPECT_FALSE(a.up(c));
  EXPECT_FALSE(b.lost(a));
}

TEST(Link, WaitTellsOfTheCallersDescriptors) {
  Node a(1);
  const int quiet = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  const int loud = ::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
  std::vector<bool> readable;
  EXPECT_TRUE(a.link->wait(kPatience, {quiet, loud}, readable).empty());
  EXPECT_EQ(readable, (std::vector<bool>{false, true}));
  ::close(quiet);
  ::close(loud);
}

TEST(Link, ATakenPortIsNamed) {
  Node a(1);
  const KeyPair key = key_of(2);
  LinkConfig config;
  config.listen = a.endpoint();
  const auto second = Link::open(config, key);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().fault, LinkFault::kAddressInUse);
  EXPECT_NE(second.error().what.find(a.endpoint()), std::string::npos) << second.error().what;
}

TEST(Link, AnEndpointThatIsNoneIsNamed) {
  const KeyPair key = key_of(2);
  LinkConfig config;
  config.listen = "tcp://nonsense";
  const auto link = Link::open(config, key);
  ASSERT_FALSE(link);
  EXPECT_EQ(link.error().fault, LinkFault::kBadEndpoint);

  // Nobody listens at a name.
  config.listen = "tcp://localhost:0";
  const auto named = Link::open(config, key);
  ASSERT_FALSE(named);
  EXPECT_EQ(named.error().fault, LinkFault::kBadEndpoint) << named.error().what;
  EXPECT_NE(named.error().what.find("with an address of this machine"), std::string::npos)
      << named.error().what;
}

// Says why no link is opened where so few more files and sockets may be open; ends the process.
[[noreturn]] void open_with_descriptors(rlim_t more) {
  const int first_free = dup(STDIN_FILENO);
  close(first_free);
  const rlim_t most = static_cast<rlim_t>(first_free) + more;
  const rlimit limit{most, most};
  const KeyPair key = key_of(1);
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) _exit(2);
  const auto link = Link::open({}, key);
  if (!link) std::fputs(link.error().what.c_str(), stderr);
  _exit(link ? 1 : 0);
}

// In silence nobody would seem to answer.
TEST(LinkDeathTest, WhereTooFewDescriptorsMayBeOpenTheLimitIsNamed) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  for (const rlim_t more : {4, 8, 12, 16, 20}) {
    EXPECT_EXIT(open_with_descriptors(more), testing::ExitedWithCode(0),
                "files and sockets open.*ulimit -n");
  }
}

TEST(Link, AnAddressThatTheMachineDoesNotHaveYetIsNoWrongUsage) {
  const KeyPair key = key_of(2);
  LinkConfig config;
  config.listen = "tcp://192.0.2.1:0";
  const auto link = Link::open(config, key);
  ASSERT_FALSE(link);
  EXPECT_EQ(link.error().fault, LinkFault::kSystem) << link.error().what;
  EXPECT_NE(link.error().what.find("with an address of this machine"), std::string::npos)
      << link.error().what;
}

}  // namespace
}  // namespace shoal
