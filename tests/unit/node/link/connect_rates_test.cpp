#include "node/link/connect_rates.h"

#include <gtest/gtest.h>

#include "node/link/descriptor.h"

namespace shoal {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

const ConnectRates::Time kStart{1000s};

int taken(ConnectRates& rates, const std::string& address, ConnectRates::Time now) {
  int count = 0;
  while (rates.take(address, now)) ++count;
  return count;
}

TEST(ConnectRates, ABurstAndThenAsManyAsAreEarned) {
  ConnectRates rates(10, 5);
  EXPECT_EQ(taken(rates, "a", kStart), 10);
  EXPECT_EQ(taken(rates, "a", kStart), 0);
  EXPECT_EQ(taken(rates, "a", kStart + 199ms), 0);
  EXPECT_EQ(taken(rates, "a", kStart + 200ms), 1);
  EXPECT_EQ(taken(rates, "a", kStart + 1200ms), 5);
  // Never more than a burst, however long it was quiet.
  EXPECT_EQ(taken(rates, "a", kStart + 3600s), 10);
}

TEST(ConnectRates, AddressesHaveNothingToDoWithEachOther) {
  ConnectRates rates(2, 1);
  EXPECT_EQ(taken(rates, "a", kStart), 2);
  EXPECT_EQ(taken(rates, "b", kStart), 2);
}

TEST(ConnectRates, TheQuietAreForgottenAndTheTableHasAnEnd) {
  ConnectRates rates(2, 1);
  for (std::size_t i = 0; i < ConnectRates::kAddressesMax + 100; ++i) {
    EXPECT_TRUE(rates.take(std::to_string(i), kStart));
  }
  EXPECT_EQ(rates.watched(), ConnectRates::kAddressesMax);
  EXPECT_TRUE(rates.take("late", kStart + 10s));
  EXPECT_EQ(rates.watched(), 1U);
}

TEST(AddressBlock, OfIPv6ItIsTheNetwork) {
  EXPECT_EQ(host_network("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(host_network("2001:db8:0:7:1:2:3:4"), "2001:db8:0:7::/64");
  EXPECT_EQ(host_network("2001:db8:0:7::1"), host_network("2001:db8:0:7:ffff::"));
  EXPECT_NE(host_network("2001:db8:0:7::1"), host_network("2001:db8:0:8::1"));
  EXPECT_EQ(host_network(""), "");
}

}  // namespace
}  // namespace shoal
