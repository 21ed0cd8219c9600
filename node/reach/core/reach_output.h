#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "node/protocol/messages.h"
#include "node/protocol/transport.h"

// What the parts of Reach (reach.h) share.
namespace shoal {

using ReachEvent = std::variant<LinkUp, LinkLost, Received>;      // for the owner
using ReachAction = std::variant<Dial, Probe, Send, Drop, Tell>;  // for the transport, in order
struct ReachOutput {
  std::vector<ReachEvent> events;
  std::vector<ReachAction> actions;

  void send(const NodeId& to, const Message& message) {
    actions.emplace_back(Send{to, encode(message)});
  }
};

// A connection. Circuits are not among these: nothing is arranged over them.
struct ReachLink {
  Role role = Role::kWorker;
  std::string address = {};
  LinkPath path = LinkPath::kDirect;
  bool dialled = false;       // by this node
  std::string endpoint = {};  // that it dialled
  NodeId node = {};           // whose key the other side holds
};
using ReachLinks = std::map<NodeId, ReachLink>;

// What Dial wants to know of an end that a message names: `node` as in Reverse.
inline std::optional<NodeId> session_of(const NodeId& node) {
  return node.is_zero() ? std::nullopt : std::optional(node);
}

}  // namespace shoal
