#include "node/content/core/traffic.h"

#include <gtest/gtest.h>

#include "tests/unit/node/content/core/fetcher.h"

namespace shoal {
namespace {

using namespace test;

constexpr UnixMs kLastOfMay = 1'780'271'940'000;  // 2026-05-31 23:59:00 UTC
constexpr std::uint32_t kMay = 12 * 56 + 4;

TEST(Traffic, MonthsAreThoseOfTheCalendar) {
  EXPECT_EQ(month_of(0), 0U);
  EXPECT_EQ(month_of(kLastOfMay), kMay);
  EXPECT_EQ(month_of(kLastOfMay + 59'999), kMay);
  EXPECT_EQ(month_of(kLastOfMay + 60'000), kMay + 1);
}

TEST(Traffic, ACapHoldsUntilTheMonthEnds) {
  TrafficMeter meter({1000, 500}, {kMay, 900, 0}, kLastOfMay);
  EXPECT_TRUE(meter.may_send(Instant{}, 100));
  meter.sent(Instant{}, 100);
  EXPECT_FALSE(meter.may_send(Instant{}, 1));
  EXPECT_TRUE(meter.may_fetch(Instant{}, 500));
  EXPECT_FALSE(meter.may_fetch(Instant{}, 501));
  const Instant june = Instant{} + Duration(60s);
  EXPECT_TRUE(meter.may_send(june, 1000));
  meter.sent(june, 7);
  EXPECT_EQ(meter.traffic(), (Traffic{kMay + 1, 7, 0}));
}

TEST(Traffic, AnAccountOfAnotherMonthIsNotCharged) {
  TrafficMeter meter({1000, 0}, {kMay - 1, 1000, 0}, kLastOfMay);
  EXPECT_TRUE(meter.may_send(Instant{}, 1000));
}

TEST(Traffic, NoMoreIsSentAndAskedForThanTheCapsAllow) {
  const Content content(40 * kBlockBytes);
  Fetcher fetcher;
  fetcher.exchange.limit_traffic({3 * kBlockBytes, 20 * kBlockBytes}, {}, kLastOfMay);
  fetcher.now = Instant{};
  for (std::uint64_t i = 0; i < 5; ++i) {
    fetcher.run(fetcher.exchange.on_request(fetcher.now, kBob,
                                            {content.id, content.bytes.size(), first_leaf_of(i)}));
    if (fetcher.reads.size() > i) {
      fetcher.run(fetcher.exchange.on_read(fetcher.now, {kBob, content.block(first_leaf_of(i))}));
    }
  }
  ASSERT_EQ(fetcher.served.size(), 5U);
  EXPECT_FALSE(fetcher.served[2].second.missing);
  EXPECT_TRUE(fetcher.served[3].second.missing) << "a fourth block in a month of three";
  fetcher.link(kAnn);
  fetcher.want(content, {kAnn});
  std::size_t blocks = 0;
  for (; !fetcher.requests.empty(); ++blocks) fetcher.answer({&content});
  EXPECT_EQ(blocks, 20U);
  while (!fetcher.arrived.contains(content.id)) fetcher.wait_for_deadline();
  EXPECT_NE(fetcher.arrived[content.id].find("no more this month"), std::string::npos)
      << fetcher.arrived[content.id];
}

TEST(Traffic, WhatWasAskedForAtOnceIsNotSentBeyondTheCap) {
  const Content content(40 * kBlockBytes);
  Fetcher fetcher;
  fetcher.exchange.limit_traffic({3 * kBlockBytes, 0}, {}, kLastOfMay);
  fetcher.now = Instant{};
  for (std::uint64_t i = 0; i < 5; ++i) {
    fetcher.run(fetcher.exchange.on_request(fetcher.now, kBob,
                                            {content.id, content.bytes.size(), first_leaf_of(i)}));
  }
  for (std::size_t i = 0; i < fetcher.reads.size(); ++i) {
    const std::uint64_t first_leaf = fetcher.reads[i].first_leaf;
    fetcher.run(fetcher.exchange.on_read(fetcher.now, {kBob, content.block(first_leaf)}));
    fetcher.run(fetcher.exchange.on_bulk_sent(fetcher.now, kBob));
  }
  ASSERT_EQ(fetcher.served.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(fetcher.served[i].second.missing, i >= 3) << i << ": three blocks in a month";
  }
  EXPECT_EQ(fetcher.exchange.traffic().sent, 3 * kBlockBytes);
}

// It would be asked for them, and be taken for one who claims what it has not.
TEST(Traffic, WhoMaySendNoMoreThisMonthSaysThatItHoldsNothing) {
  const Content content(20 * kBlockBytes);
  const Holdings asks{content.id, content.bytes.size(), 0, {}, true};
  Fetcher fetcher;
  fetcher.held_whole = {content.id};
  fetcher.exchange.limit_traffic({kBlockBytes, 0}, {kMay, kBlockBytes, 0}, kLastOfMay);
  fetcher.now = Instant{};
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, asks));
  ASSERT_EQ(fetcher.holdings.size(), 1U);
  EXPECT_TRUE(fetcher.holdings[0].second.bits.empty());
  fetcher.now = Instant{} + Duration(60s);
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kAnn, asks));
  ASSERT_EQ(fetcher.holdings.size(), 2U);
  EXPECT_FALSE(fetcher.holdings[1].second.bits.empty()) << "it is June";
}

}  // namespace
}  // namespace shoal
