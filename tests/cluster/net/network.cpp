#include "tests/cluster/net/network.h"

#include <fstream>
#include <stdexcept>
#include <utility>

namespace shoal::cluster {
namespace {

constexpr const char* kIp = "/usr/sbin/ip";
constexpr const char* kNft = "/usr/sbin/nft";
constexpr std::uint32_t kFirstBlock = 198U << 24 | 18U << 16;
constexpr const char* kAllBlocks = "198.18.0.0/16";
constexpr std::size_t kNodesMax = 254;

// What `where` sends to all others.
int connect(const NetNamespace& where, const std::string& address) {
  const int tun = open_tun(where, "wan", address + "/32");
  where.run({kIp, "route", "add", kAllBlocks, "dev", "wan", "src", address, "congctl", "cubic"});
  return tun;
}

void forward_packets(const NetNamespace& router) {
  router.inside([] {
    std::ofstream file("/proc/sys/net/ipv4/ip_forward");
    file << "1" << std::flush;
    if (!file) throw std::runtime_error("/proc/sys/net/ipv4/ip_forward cannot be written");
  });
}

std::string rules_of(Nat nat) {
  const std::string random = nat == Nat::kFullyRandom ? " fully-random" : "";
  return R"(table ip home {
    chain out { type nat hook postrouting priority srcnat; oifname "wan" masquerade)" +
         random + R"(; }
    chain in {
      type filter hook input priority filter;
      iifname "wan" ct state { established, related } accept;
      iifname "wan" drop;
    }
  })";
}

// Puts `home` behind `router`.
void make_home(const NetNamespace& home, const NetNamespace& router, Nat nat,
               const std::string& inner, const std::string& gateway) {
  router.run(
      {kIp, "link", "add", "lan", "type", "veth", "peer", "name", "eth0", "netns", home.path()});
  router.run({kIp, "address", "add", gateway + "/24", "dev", "lan"});
  router.run({kIp, "link", "set", "lan", "up"});
  home.run({kIp, "address", "add", inner + "/24", "dev", "eth0"});
  home.run({kIp, "link", "set", "eth0", "up"});
  home.run({kIp, "route", "add", "default", "via", gateway, "congctl", "cubic"});
  forward_packets(router);
  router.run({kNft, rules_of(nat)});
}

}  // namespace

NetNode& Network::add(const std::string& name, const Wire& wire, Nat nat) {
  const std::size_t number = nodes_.size() + 1;
  if (number > kNodesMax || nodes_.contains(name)) throw std::runtime_error("no place for " + name);
  const std::string outer = "198.18." + std::to_string(number) + ".1";
  const std::string at_home = "192.168." + std::to_string(number);
  NetNode node{name, outer, outer, NetNamespace(), std::nullopt, 0};
  if (nat != Nat::kNone) {
    node.router.emplace();
    node.address = at_home + ".2";
  }
  const NetNamespace& edge = node.router ? *node.router : node.space;
  const int tun = connect(edge, outer);
  const auto block = kFirstBlock + (static_cast<std::uint32_t>(number) << 8);
  node.port = switch_.plug(tun, block, wire);
  if (node.router) make_home(node.space, *node.router, nat, node.address, at_home + ".1");
  return nodes_.emplace(name, std::move(node)).first->second;
}

void Network::set_wire(const std::string& name, const Wire& wire) {
  switch_.set_wire(node(name).port, wire);
}
void Network::cut(const std::string& one, const std::string& other) {
  switch_.cut(node(one).port, node(other).port);
}
void Network::heal(const std::string& one, const std::string& other) {
  switch_.heal(node(one).port, node(other).port);
}

}  // namespace shoal::cluster
