#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node/protocol/keys.h"
#include "node/protocol/result.h"

namespace shoal {

// All that a node needs to join a pool, in one printable string: "shoal1" and base64url (without
// padding) of the body, the pool key's signature over it, and the first 4 bytes of the SHA-256 of
// both. Not secret in an open pool.
struct Ticket {
  struct Door {  // a coordinator, or any peer that lets others in
    NodeId node;
    std::string endpoint;  // "tcp://host:port"
    friend bool operator==(const Door&, const Door&) = default;
  };
  PoolId pool;
  std::string name;  // for people
  std::vector<Door> doors;
  bool native_from_anyone = false;  // the pool's members trust all its submitters with native code
  friend bool operator==(const Ticket&, const Ticket&) = default;
};

enum class TicketFault : std::uint8_t {
  kNotATicket,    // does not start with "shoal1"
  kBadCharacter,  // a character that no ticket holds
  kTooShort,      // cut off
  kBadChecksum,   // mistyped
  kBadSignature,  // changed after the pool signed it
  kBadBody,       // checksum holds, contents do not: made by a newer or a broken program
};
struct TicketError {
  TicketFault fault;
  std::string what;  // a sentence for people: what happened, and what to do
};

// `pool_key.id()` must be `ticket.pool`.
std::string print_ticket(const Ticket& ticket, const Signer& pool_key);
// White space around it is ignored.
Result<Ticket, TicketError> parse_ticket(std::string_view text, const SignatureChecker&);

}  // namespace shoal
