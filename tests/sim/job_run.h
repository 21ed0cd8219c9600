#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "node/protocol/messages.h"
#include "node/protocol/range.h"
#include "node/protocol/ticket.h"
#include "sdk/core/submitter.h"
#include "tests/sim/kernel.h"
#include "tests/sim/network.h"

namespace shoal::sim {

struct JobSpec {
  std::uint64_t units = 100;
  SimKernel kernel{};
  std::uint32_t quorum = 2;
  std::uint32_t max_attempts = 3;
  bool wait_for_quorum = true;
  bool close_when_done = true;      // sign the snapshot once every unit has ended
  std::uint64_t program_bytes = 0;  // above 0: a native program of that size
  std::uint64_t input_bytes = 0;    // above 0: a pack of inputs, so many bytes each
  std::int32_t priority = 0;
  std::uint64_t keep_s = limits::kResultsKeptS;
};

// One job as its submitter's application sees it.
struct JobRun {
  std::size_t number = 0;
  JobSpec spec;
  JobId id;
  Manifest manifest;
  Signed signed_manifest;
  NodeIndex submitter = 0;
  Time submitted = 0;
  std::optional<Time> accepted;
  std::vector<Ticket::Door> steward_doors;
  TermChain terms;
  std::vector<NodeIndex> stewards;   // the leader first
  std::optional<NodeIndex> steward;  // the leader, as the submitter knows it
  std::vector<JobRefused> refusals;
  std::uint64_t receipts = 0;
  std::uint64_t bad_receipts = 0;
  std::vector<Range> fresh;  // units of the receipt under way that had not ended before
  std::optional<NodeIndex> receipt_from;  // the steward that it came from
  RangeSet verified, failed, disputed, ended;
  RangeSet ended_in_session;                 // since the submitter's process last attached
  std::map<ContentId, WantOutput> fetching;  // large outputs under way
  std::uint64_t fetched = 0;
  std::optional<Time> last_receipt;
  std::optional<Time> finished;  // every unit ended, every large output here
  std::optional<Snapshot> snapshot;
  bool cancelled = false;
  std::uint64_t control_sequence = 0;
  std::vector<JobStatus> status;  // the last StatusReady

  bool done() const { return finished.has_value(); }
};

}  // namespace shoal::sim
