#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node/protocol/ids.h"
#include "node/protocol/rng.h"

// Whom to ask to keep a job. Three disks are worth something only as far as they do not fail
// together: stewards are spread over owners, addresses and address blocks before anything else
// counts. Nobody can be kept from having many keys at one address; they are taken where there is no
// other.
namespace shoal {

struct StewardCandidate {
  NodeId node;
  NodeId owner;               // owner_of() its record
  std::string host;           // an address as it was seen, or a host's name; empty: not known
  std::uint64_t threads = 1;  // that it lends
  bool warm = false;          // a link stands, and it is not used for everything already
};

// How little it helps to have the one beside the other.
enum class Nearness : std::uint8_t {
  kApart = 0,  // different address blocks (/24, /48), or all is on this machine: a test, a demo
  kBlock = 1,  // the same block, or it cannot be told
  kSame = 2,   // the same address
};
Nearness nearness(std::string_view host, std::string_view other_host);

// The host of "tcp://host:port", without brackets; empty where it is no endpoint.
std::string_view host_of(std::string_view endpoint);

// The next one after `seated`: of another owner and far from those, then strong, then warm; by lot
// among equals.
// Nothing where there are no candidates.
std::optional<NodeId> next_steward(const std::vector<StewardCandidate>& seated,
                                   const std::vector<StewardCandidate>& candidates, Rng& rng);

}  // namespace shoal
