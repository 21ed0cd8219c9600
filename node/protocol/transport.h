#pragma once

#include <optional>
#include <string>

#include "node/protocol/facts.h"

// What a state machine and its transport say to each other. The transport (node/link on a real
// network, the simulated network in tests) authenticates: it exchanges Hello on each new link,
// checks it, and only then reports LinkUp. Between two nodes there is at most one link, whoever
// dialled; messages on it arrive in order or the link is lost.
namespace shoal {

// --- events ---
struct LinkUp {
  NodeId peer;
  Role role = Role::kWorker;
  std::string address;           // the other side's IP address as seen here
  std::optional<Signed> record;  // as the peer sent it in its Hello; signature not yet checked
};
struct LinkLost {  // also after Drop, and where a LinkUp never came: a dial that failed
  NodeId peer;
  std::string why;
};
struct Received {  // the raw bytes of one Message; never a Hello or a Refused
  NodeId peer;
  Bytes bytes;
};

// --- actions ---
struct Dial {
  NodeId peer;
  std::string endpoint;
};
struct Send {  // in order with other Sends to `peer`; lost if the link is lost
  NodeId peer;
  Bytes bytes;
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
