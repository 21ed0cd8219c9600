#pragma once

#include <cstdint>
#include <string>

#include "node/protocol/bytes.h"
#include "node/protocol/ids.h"

// Of messages.h, those of reach.capnp: who can be dialled, and how the others are reached.
namespace shoal {

// What a node has found out about itself, by asking others to dial it.
enum class Reachability : std::uint8_t { kUnknown = 0, kReachable = 1, kUnreachable = 2 };

struct DialBackRequest {  // "dial the address that you see me at, at this port"
  std::uint64_t nonce = 0;
  std::uint16_t port = 0;
  friend bool operator==(const DialBackRequest&, const DialBackRequest&) = default;
};
struct DialBackReply {  // at once; the attempt follows
  std::uint64_t nonce = 0;
  bool accepted = false;
  std::string observed_address;
  friend bool operator==(const DialBackReply&, const DialBackReply&) = default;
};
struct DialBack {  // in place of Hello, on a connection that was made for it
  std::uint64_t nonce = 0;
  friend bool operator==(const DialBack&, const DialBack&) = default;
};
struct Reserve {  // "be a relay of mine, as long as this link is up"
  friend bool operator==(const Reserve&, const Reserve&) = default;
};
struct Reserved {
  bool accepted = false;
  friend bool operator==(const Reserved&, const Reserved&) = default;
};
// What a relay passes on names both ends, by peer_name(); it checks `from` against the link.
struct Reverse {  // "dial me"
  NodeId from;
  NodeId to;
  std::uint16_t port = 0;
  std::string address;  // of `from`, as the relay sees it
  NodeId node = {};     // whose session `from` is; zero: `from` is a node's own id
  friend bool operator==(const Reverse&, const Reverse&) = default;
};
struct CircuitOpen {
  NodeId from;
  NodeId to;
  Hash256 random;                // fresh: no two circuits have the same key
  std::string address;           // of `from`, as the relay sees it
  std::uint16_t punch_port = 0;  // of `from`; 0: it does not punch
  NodeId node = {};              // as in Reverse
  friend bool operator==(const CircuitOpen&, const CircuitOpen&) = default;
};
struct CircuitAnswer {
  NodeId from;
  NodeId to;
  bool accepted = false;
  Hash256 random;
  std::string detail;
  std::string address;           // of `from`, as the relay sees it
  std::uint16_t punch_port = 0;  // of `from`; 0: it does not punch
  friend bool operator==(const CircuitAnswer&, const CircuitAnswer&) = default;
};
struct CircuitData {  // one sealed Message (sealed_channel.h)
  NodeId from;
  NodeId to;
  Bytes sealed;
  friend bool operator==(const CircuitData&, const CircuitData&) = default;
};
struct CircuitEnd {
  NodeId from;
  NodeId to;
  std::string detail;
  friend bool operator==(const CircuitEnd&, const CircuitEnd&) = default;
};

}  // namespace shoal
