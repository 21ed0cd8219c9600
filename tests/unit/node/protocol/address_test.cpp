#include "node/protocol/address.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(Address, ScopesAreThoseOfTheRegistries) {
  for (const char* text : {"127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_EQ(scope_of(text), AddressScope::kLoopback) << text;
  }
  for (const char* text :
       {"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.1.1", "100.64.0.1",
        "100.127.0.1", "fe80::1", "fd00::1", "fc12:3::4", "::ffff:10.0.0.1"}) {
    EXPECT_EQ(scope_of(text), AddressScope::kPrivate) << text;
  }
  for (const char* text : {"8.8.8.8", "172.15.0.1", "172.32.0.1", "192.167.1.1", "100.63.0.1",
                           "100.128.0.1", "2001:db8::1", "2a00::1", "::ffff:8.8.8.8"}) {
    EXPECT_EQ(scope_of(text), AddressScope::kPublic) << text;
  }
  for (const char* text :
       {"", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1", "localhost", "example.org",
        "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.-4", "01.2.3.4x", "zz::1", "::ffff:nonsense"}) {
    EXPECT_EQ(scope_of(text), AddressScope::kNone) << text;
  }
}

TEST(Address, BlocksAreWhatOneOperatorUsuallyOwns) {
  EXPECT_EQ(address_block("192.0.2.7"), address_block("192.0.2.200"));
  EXPECT_NE(address_block("192.0.2.7"), address_block("192.0.3.7"));
  EXPECT_EQ(address_block("2001:db8:1:2::3"), address_block("2001:db8:1:7::3"));
  EXPECT_NE(address_block("2001:db8:1:2::3"), address_block("2001:db8:2:2::3"));
}

TEST(Address, EndpointsComeApartAndTogether) {
  for (const char* text : {"tcp://192.0.2.7:4242", "tcp://[2001:db8::1]:1", "tcp://host.name:80"}) {
    const auto at = split_endpoint(text);
    ASSERT_TRUE(at) << text;
    EXPECT_EQ(join_endpoint(*at), text);
  }
  for (const char* text : {"udp://1.2.3.4:1", "tcp://1.2.3.4", "tcp://:1", "tcp://2001:db8::1:1",
                           "tcp://[]:1", "tcp://a:65536", "tcp://a:"}) {
    EXPECT_FALSE(split_endpoint(text)) << text;
  }
}

}  // namespace
}  // namespace shoal
