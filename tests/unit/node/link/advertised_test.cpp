#include "node/link/advertised.h"

#include <gtest/gtest.h>

#include "node/protocol/limits.h"

namespace shoal {
namespace {

using Endpoints = std::vector<std::string>;

const std::vector<InterfaceAddress> kInterfaces{
    {"lo", "127.0.0.1"}, {"docker0", "172.17.0.1"}, {"eth0", "192.0.2.7"}, {"wlan0", "192.0.2.9"}};
const std::vector<Ticket::Door> kDoorElsewhere{{{}, "tcp://198.51.100.1:5000"}};
const std::vector<Ticket::Door> kDoorHere{{{}, "tcp://127.0.0.1:5000"}};

TEST(Endpoints, AreReadAndWritten) {
  EXPECT_EQ(split_endpoint("tcp://10.0.0.1:80"), (HostPort{"10.0.0.1", 80}));
  EXPECT_EQ(split_endpoint("tcp://[::1]:0"), (HostPort{"::1", 0}));
  EXPECT_EQ(join_endpoint({"::1", 9}), "tcp://[::1]:9");
  for (const char* wrong : {"10.0.0.1:80", "tcp://10.0.0.1", "tcp://:80", "tcp://h:", "tcp://h:x",
                            "tcp://h:65536", "tcp://::1:80", "tcp://[]:80", "ipc://h:1", ""}) {
    EXPECT_EQ(split_endpoint(wrong), std::nullopt) << wrong;
  }
}

TEST(Endpoints, OnAllAddressesRealNetworksComeFirstAndLoopbackLast) {
  EXPECT_EQ(endpoints_to_advertise({"0.0.0.0", 7}, "", kDoorElsewhere, kInterfaces),
            (Endpoints{"tcp://192.0.2.7:7", "tcp://192.0.2.9:7", "tcp://172.17.0.1:7",
                       "tcp://127.0.0.1:7"}));
}

TEST(Endpoints, AListenerOnOneAddressAdvertisesThatOne) {
  EXPECT_EQ(endpoints_to_advertise({"127.0.0.1", 7}, "", kDoorElsewhere, kInterfaces),
            (Endpoints{"tcp://127.0.0.1:7"}));
}

TEST(Endpoints, APoolWhoseDoorsAreOnThisMachineStaysOnIt) {
  EXPECT_EQ(endpoints_to_advertise({"0.0.0.0", 7}, "", kDoorHere, kInterfaces),
            (Endpoints{"tcp://127.0.0.1:7"}));
}

TEST(Endpoints, WhatTheOwnerAdvertisesIsAll) {
  EXPECT_EQ(endpoints_to_advertise({"0.0.0.0", 7}, "node.example.org", kDoorHere, kInterfaces),
            (Endpoints{"tcp://node.example.org:7"}));
  EXPECT_EQ(endpoints_to_advertise({"0.0.0.0", 7}, "node.example.org:99", {}, kInterfaces),
            (Endpoints{"tcp://node.example.org:99"}));
  EXPECT_EQ(endpoints_to_advertise({"0.0.0.0", 7}, "2001:db8::1", {}, kInterfaces),
            (Endpoints{"tcp://[2001:db8::1]:7"}));
}

TEST(Endpoints, AreNoMoreThanARecordHolds) {
  std::vector<InterfaceAddress> many;
  for (int i = 0; i < 50; ++i) many.push_back({"eth0", "192.0.2." + std::to_string(i)});
  EXPECT_EQ(endpoints_to_advertise({"0.0.0.0", 7}, "", {}, many).size(), limits::kEndpoints);
}

TEST(Endpoints, ARoutersHelpIsNeededWhereAllAreOfThisNetworkAndThePoolIsNot) {
  const Endpoints near{"tcp://192.168.1.2:7", "tcp://127.0.0.1:7"};
  const Endpoints far{"tcp://192.168.1.2:7", "tcp://198.51.100.7:7"};
  const std::vector<Ticket::Door> neighbour{{{}, "tcp://192.168.1.9:5000"}};
  const std::vector<Ticket::Door> name{{{}, "tcp://lab.example.org:5000"}};
  EXPECT_TRUE(only_within_reach_of_neighbours(near, kDoorElsewhere));
  EXPECT_TRUE(only_within_reach_of_neighbours(near, name));
  EXPECT_FALSE(only_within_reach_of_neighbours(far, kDoorElsewhere));
  EXPECT_FALSE(only_within_reach_of_neighbours(near, neighbour)) << "so is the pool";
  EXPECT_FALSE(only_within_reach_of_neighbours(near, kDoorHere));
}

TEST(Endpoints, ThisMachineHasLoopback) {
  bool loopback = false;
  for (const InterfaceAddress& address : interface_addresses(false)) {
    loopback = loopback || is_loopback_address(address.address);
    EXPECT_EQ(address.address.find(':'), std::string::npos);
  }
  EXPECT_TRUE(loopback);
}

}  // namespace
}  // namespace shoal
