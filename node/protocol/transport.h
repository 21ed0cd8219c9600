#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node/protocol/facts.h"

// What a state machine and its transport say to each other. The transport (node/link on a real
// network, the simulated network in tests) authenticates: it exchanges Hello on each new link,
// checks it, and only then reports LinkUp. Between two peers there is at most one link, whoever
// dialled; messages on it arrive in order or the link is lost.
//
// A peer is a node, and its name the node's id. A submitter's key alone may be in use by several
// processes at once; each of those, a *session*, is a peer with a link and a name of its own
// (peer_name), and what it asks is answered to it. Signatures are of the key, never of a session.
namespace shoal {

// SHA-256("shoal session" | node | session): nobody can choose a session so that it is taken for
// another peer. Of any node but a submitter, or without a session: the node's id.
NodeId peer_name(Role role, const NodeId& node, std::uint64_t session);

// The way a link goes. The first three are connections; a relayed one is short and thin
// (limits::kCircuitBytes), and no content goes over it.
enum class LinkPath : std::uint8_t {
  kDirect,
  kReversed,  // dialled because the other side asked for it through a relay
  kPunched,   // both dialled at the same moment
  kRelayed,
};
std::string_view name_of(LinkPath);

// --- events ---
struct LinkUp {
  NodeId peer;
  Role role = Role::kWorker;
  std::string address;           // the other side's IP address as seen here
  std::optional<Signed> record;  // as the peer sent it in its Hello; signature not yet checked
  LinkPath path = LinkPath::kDirect;
  std::optional<NodeId> session_of = {};  // whose session `peer` is; none: `peer` is a node's id

  const NodeId& node() const { return session_of ? *session_of : peer; }
};
struct LinkLost {  // also after Drop, and where a LinkUp never came: a dial that failed
  NodeId peer;
  std::string why;
  // Its machine, or the way to it, refused at once: the node does not run, or listens elsewhere.
  bool nobody_listens = false;
};
struct Received {  // the raw bytes of one Message; never a Hello or a Refused
  NodeId peer;
  Bytes bytes;
};

// One message that was sent to it as bulk has left the transport's queue. Comes for each of them,
// unless the link is lost.
struct BulkSent {
  NodeId peer;
};
struct Probed {  // somebody dialled, said this number in place of Hello, and was hung up on
  std::uint64_t nonce = 0;
};

// --- actions ---
struct Dial {
  NodeId peer;
  std::string endpoint;
  std::vector<Via> via = {};  // where there is no endpoint: relays to ask (node/reach); never seen
                              // by a transport
  // Not 0: from this local port, at the same moment as the peer dials this node. The one of the
  // lesser id greets first.
  std::uint16_t punch_from = 0;
  // Where `peer` names a session: of which node. Whoever is dialled without is known by the name
  // that was dialled.
  std::optional<NodeId> session_of = {};
};
struct Probe {  // for DialBack: dial, say `nonce` in place of Hello, hang up. No event follows
  NodeId peer;
  std::string endpoint;
  std::uint64_t nonce = 0;
};
struct Send {  // in order with other Sends to `peer`; lost if the link is lost
  NodeId peer;
  Bytes bytes;
  // In order with other bulk; everything else may overtake it. BulkSent tells when it is gone.
  bool bulk = false;
};
struct Drop {
  NodeId peer;
  std::string why;
};
enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };
struct Tell {  // for people
  LogLevel level = LogLevel::kInfo;
  std::string text;
};

}  // namespace shoal
