#pragma once

#include <map>
#include <vector>

#include "worker/core/outbox.h"

namespace shoal {

// Hands the receipts of one job to those who ask, in the order of their sequence, never more than
// their credit ahead, and only what is durable: a sequence number once shown must mean the same
// receipt after a crash. Keeps no more than a few MiB in memory; a reader that lags is served from
// the disk.
class Delivery {
 public:
  Delivery(JobId job, std::uint64_t last_sequence) : job_(job), last_stored_(last_sequence) {}

  void add(std::uint64_t sequence, Bytes receipt);
  void stored(std::uint64_t sequence, Outbox& out);
  void request(const NodeId& reader, const ResultsRequest& request, Outbox& out);
  void loaded(const NodeId& reader, std::vector<Bytes> receipts, Outbox& out);
  void reader_lost(const NodeId& reader);

 private:
  struct Reader {
    std::uint64_t sent = 0;  // the last sequence sent
    std::uint64_t credit_bytes = 0;
    std::uint64_t ahead_bytes = 0;                 // sent and not acknowledged
    std::map<std::uint64_t, std::uint64_t> ahead;  // sequence -> bytes
    bool loading = false;
  };
  void pump(const NodeId& id, Reader& reader, Outbox& out);
  void trim();

  JobId job_;
  std::uint64_t last_stored_ = 0;
  std::map<std::uint64_t, Bytes> recent_;
  std::size_t recent_bytes_ = 0;
  std::map<NodeId, Reader> readers_;
  // Loads still under way for readers that have gone: their answers are not the next reader's.
  std::map<NodeId, std::uint32_t> stale_loads_;
};

}  // namespace shoal
