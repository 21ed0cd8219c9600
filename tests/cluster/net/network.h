#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "tests/cluster/net/namespaces.h"
#include "tests/cluster/net/switch.h"

namespace shoal::cluster {

// How a router translates the addresses of those behind it.
enum class Nat : std::uint8_t {
  kNone,
  kPortKeeping,  // the outer port is the inner one, wherever that is free
  kFullyRandom,  // another outer port for each conversation, which nobody can foresee
};

// A machine on the test network: a namespace of its own, and behind a NAT one more for the router.
struct NetNode {
  std::string name;
  std::string address;         // what the machine itself believes to have
  std::string public_address;  // what the others see
  NetNamespace space;
  std::optional<NetNamespace> router;
  Switch::Port port = 0;
};

// Machines in namespaces, with a switch in their middle. Each has a block of addresses of its own
// (198.18.N.0/24, of those that RFC 2544 sets aside for tests), and sends with cubic: most
// volunteers have it, and at some loss it is far slower than what a test machine may have chosen.
//
// A home router lets in only what answers something sent: whoever is behind a NAT has to dial.
class Network {
 public:
  explicit Network(std::uint64_t seed) : switch_(seed) {}

  // Throws where the machine cannot do it.
  NetNode& add(const std::string& name, const Wire& wire, Nat nat = Nat::kNone);
  NetNode& node(const std::string& name) { return nodes_.at(name); }

  void set_wire(const std::string& name, const Wire& wire);
  void cut(const std::string& one, const std::string& other);
  void heal(const std::string& one, const std::string& other);
  Switch::Figures figures() const { return switch_.figures(); }

 private:
  std::map<std::string, NetNode> nodes_;
  Switch switch_;  // ends before the namespaces do
};

}  // namespace shoal::cluster
