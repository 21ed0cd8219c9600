#pragma once

#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "node/protocol/limits.h"
#include "node/protocol/messages.h"
#include "node/protocol/rng.h"
#include "node/protocol/time.h"
#include "node/protocol/transport.h"

// A coordinator as a state machine: it keeps the signed, expiring records of a pool's nodes and
// gives out random samples of them. It holds no job, unit, result or content, and loses nothing of
// worth when it is killed: nodes announce themselves again.
namespace shoal {

struct RendezvousConfig {
  PoolId pool;
  UnixMs unix_ms_at_zero = 0;
  std::size_t records_max = limits::kCoordinatorRecords;
  std::size_t records_per_address = limits::kRecordsPerAddress;
  std::size_t requests_per_address_per_minute = limits::kRequestsPerAddressPerMinute;
  // Who begins with nothing asks its first visitors whom they know, so that a coordinator that was
  // restarted need not wait for each node's next visit. So many of them, and no more: in a large
  // pool there are visitors enough.
  std::size_t visitors_asked_max = 64;
};

// Bytes by kind, so that it can be shown that no unit, result or content passes here.
struct RendezvousFigures {
  std::uint64_t records = 0;
  std::uint64_t announcements = 0;
  std::uint64_t samples = 0;
  std::uint64_t refused = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t job_bytes = 0;  // of messages that are not the rendezvous conversation; all refused
};

using RendezvousEvent = std::variant<LinkUp, LinkLost, Received>;
using RendezvousAction = std::variant<Send, Drop, Tell>;
using RendezvousActions = std::vector<RendezvousAction>;

// Not thread-safe; never blocks. As Peer. Every announcement's signature is checked.
class Rendezvous {
 public:
  Rendezvous(RendezvousConfig, const SignatureChecker&, Rng);
  ~Rendezvous();
  Rendezvous(Rendezvous&&) noexcept;
  [[nodiscard]] RendezvousActions step(Instant now, RendezvousEvent event);
  RendezvousFigures figures() const;
  void check_invariants() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal
