#include "node/link/endpoint.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace shoal {
namespace {

TEST(Endpoint, AnAddressAndAPort) {
  const auto endpoint = parse_endpoint("tcp://192.0.2.7:4242");
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->host, "192.0.2.7");
  EXPECT_EQ(endpoint->port, 4242);
  EXPECT_FALSE(endpoint->is_ipv6);
  EXPECT_TRUE(is_numeric_address(endpoint->host));
}

TEST(Endpoint, AName) {
  const auto endpoint = parse_endpoint("tcp://door-1.example.org:1");
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->host, "door-1.example.org");
  EXPECT_FALSE(is_numeric_address(endpoint->host));
}

TEST(Endpoint, IPv6StandsInBrackets) {
  const auto endpoint = parse_endpoint("tcp://[2001:db8::1]:4242");
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->host, "2001:db8::1");
  EXPECT_TRUE(endpoint->is_ipv6);
  EXPECT_EQ(dial_name(*endpoint, 0), "tcp://[2001:db8::1]:04242");
}

TEST(Endpoint, WhatCouldOpenSomethingHereIsRefused) {
  for (const char* text : {"",
                           "tcp://",
                           "tcp://host",
                           "tcp://host:",
                           "tcp://host:0",
                           "tcp://host:65536",
                           "tcp://host:-1",
                           "tcp://host:12x",
                           "tcp://:4242",
                           "tcp://*:4242",
                           "tcp://host:*",
                           "ipc:///tmp/x",
                           "inproc://events-in",
                           "udp://host:4242",
                           "tcp://0.0.0.0:5000;192.0.2.7:5000",
                           "tcp://ho st:4242",
                           "tcp://[::1:4242",
                           "tcp://[not-an-address]:4242",
                           "tcp://2001:db8::1:4242",
                           "tcp://host\n:4242"}) {
    EXPECT_FALSE(parse_endpoint(text)) << text;
  }
  EXPECT_FALSE(parse_endpoint("tcp://" + std::string(300, 'a') + ":4242"));
}

TEST(Endpoint, EachDialHasANameOfItsOwnAndNoneIsTheText) {
  const auto endpoint = parse_endpoint("tcp://192.0.2.7:4242");
  ASSERT_TRUE(endpoint);
  std::set<std::string> names{"tcp://192.0.2.7:4242"};
  for (std::uint64_t serial = 0; serial < kDialNames; ++serial) {
    EXPECT_TRUE(names.insert(dial_name(*endpoint, serial)).second) << serial;
  }
}

}  // namespace
}  // namespace shoal
