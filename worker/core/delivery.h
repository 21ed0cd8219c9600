#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "node/protocol/range.h"
#include "worker/core/outbox.h"

namespace shoal {

// Hands the receipts of one job to those who ask, in the order of their sequence, never more than
// their credit ahead, and only what is durable: a sequence number once shown must mean the same
// receipt after a crash. What a reader has from elsewhere is left out. Keeps no more than a few MiB
// in memory; a reader that lags is served from the disk.
class Delivery {
 public:
  Delivery(JobId job, std::uint64_t last_sequence) : job_(job), last_stored_(last_sequence) {}

  void add(const Receipt& receipt, Bytes encoded);
  void stored(std::uint64_t sequence);
  // Hands out what has become durable: once for all that did so together.
  void advance(Outbox& out);
  void request(const NodeId& reader, const ResultsRequest& request, Outbox& out);
  void loaded(const NodeId& reader, std::vector<Bytes> receipts, Outbox& out);
  void reader_lost(const NodeId& reader);

 private:
  struct Recent {
    Range range;
    Bytes encoded;
  };
  struct Reader {
    std::uint64_t sent = 0;  // the last sequence that was sent or left out
    std::uint64_t credit_bytes = 0;
    std::uint64_t ahead_bytes = 0;                 // sent and not acknowledged
    std::map<std::uint64_t, std::uint64_t> ahead;  // sequence -> bytes
    bool loading = false;
    RangeSet have;                       // from elsewhere
    std::optional<std::uint64_t> until;  // of one that wants only what there was when it asked
  };
  // Receipts on their way into messages.
  struct Parcel {
    Results results;
    std::size_t bytes = 0;
  };
  void pump(const NodeId& id, Reader& reader, Outbox& out);
  void put(const NodeId& id, Reader& reader, Bytes encoded, Parcel& parcel, Outbox& out);
  bool finished(const NodeId& id, Reader& reader, Parcel& parcel, Outbox& out);
  void trim();

  JobId job_;
  std::uint64_t last_stored_ = 0;         // all up to it are durable
  std::set<std::uint64_t> stored_ahead_;  // and these beyond
  std::map<std::uint64_t, Recent> recent_;
  std::size_t recent_bytes_ = 0;
  std::map<NodeId, Reader> readers_;
  // Loads still under way for readers that have gone: their answers are not the next reader's.
  std::map<NodeId, std::uint32_t> stale_loads_;
};

}  // namespace shoal
