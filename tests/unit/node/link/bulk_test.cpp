// Bulk, and messages that must not wait for it.

#include <gtest/gtest.h>

#include <algorithm>

#include "node/link/parts.h"
#include "tests/unit/node/link/link_test_support.h"

namespace shoal {
namespace {

using namespace link_test;

constexpr std::size_t kBlock = 256 << 10;

TEST(LinkBulk, IsOvertakenByAllElse) {
  Node a(1), b(2);
  ASSERT_TRUE(connect(a, b));
  constexpr std::uint32_t kBulk = 40;
  for (std::uint32_t i = 0; i < kBulk; ++i) {
    a.link->perform(Send{b.id(), numbered(i, kBlock), true});
  }
  a.send(b.id(), numbered(kBulk));
  ASSERT_TRUE(run({&a, &b}, [&] { return b.count<Received>(a.id()) > kBulk; }));
  std::vector<Received> received = b.all<Received>(a.id());
  const auto small = std::find_if(received.begin(), received.end(),
                                  [](const Received& r) { return r.bytes.size() < kBlock; });
  ASSERT_NE(small, received.end());
  EXPECT_LT(small - received.begin(), 10) << "it waited behind megabytes";
  received.erase(small);
  EXPECT_TRUE(in_order(received, kBulk));
  for (const Received& r : received) EXPECT_EQ(r.bytes.size(), kBlock);
}

TEST(LinkBulk, GoesOnOverALinkThatSlowsDown) {
  Node a(1), b(2);
  ASSERT_TRUE(connect(a, b));
  constexpr std::uint32_t kBulk = 100;
  for (std::uint32_t i = 0; i < kBulk; ++i) {
    a.link->perform(Send{b.id(), numbered(i, kBlock), true});
  }
  // B does not read for a while; what A holds back is not lost.
  ASSERT_TRUE(run({&a, &b}, [&] { return b.count<Received>(a.id()) >= 10; }));
  for (int i = 0; i < 100; ++i) a.step();
  ASSERT_TRUE(run({&a, &b}, [&] { return b.count<Received>(a.id()) >= kBulk; }));
  EXPECT_TRUE(in_order(b.all<Received>(a.id()), kBulk));
  EXPECT_EQ(a.count<BulkSent>(b.id()), kBulk);
}

TEST(LinkBulk, APartThatBelongsToNoMessageEndsTheLink) {
  Node a(1), b(2);
  ASSERT_TRUE(connect(a, b));
  a.send(b.id(), make_part(numbered(1), 100));
  a.send(b.id(), numbered(2));
  ASSERT_TRUE(run({&a, &b}, [&] { return b.count<Received>(a.id()) == 1; }));
  a.send(b.id(), make_part(numbered(1), 100));
  ASSERT_TRUE(run({&a, &b}, [&] { return b.lost(a) && a.lost(b); }));
  EXPECT_EQ(b.count<Received>(a.id()), 1U);
}

}  // namespace
}  // namespace shoal
