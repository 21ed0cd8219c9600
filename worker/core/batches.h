#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "node/protocol/messages.h"
#include "node/protocol/time.h"

namespace shoal {

// One worker's commitment to a run of units, and what it has shown of it so far.
struct Batch {
  NodeId worker;
  Range range;
  Signed commitment;
  Hash256 sealed;
  bool unblinded = false;

  std::optional<RevealDetail> asked;  // the most that was asked
  Instant asked_at;
  bool opened = false;  // salt and root fit the seal
  Hash256 salt;
  Hash256 root;
  std::vector<Hash256> digests;          // of the whole range, once shown
  std::optional<PackedOutputs> outputs;  // likewise

  std::uint64_t open_units = 0;  // that have not ended: the batch is kept until none is left
};

// Every batch of a job that has units which have not ended.
class Batches {
 public:
  std::uint64_t add(Batch batch);
  Batch* find(std::uint64_t id);
  const Batch* find(std::uint64_t id) const;
  Batch* find(const NodeId& worker, Range range, std::uint64_t* id = nullptr);
  // `units` of the batch have ended or are no longer its business.
  void settle(std::uint64_t id, std::uint64_t units);
  void remove(std::uint64_t id);
  void mark_asked(std::uint64_t id, RevealDetail detail, Instant now);
  void mark_answered(std::uint64_t id);
  // Batches that were asked before `moment` and have not answered.
  std::vector<std::uint64_t> unanswered_since(Instant moment) const;
  std::vector<std::uint64_t> unanswered_by(const NodeId& worker) const;
  std::optional<Instant> oldest_unanswered() const;
  std::size_t unanswered_count(const NodeId& worker) const;
  std::size_t size() const { return batches_.size(); }

 private:
  void wait_no_more(std::uint64_t id, const Batch&);

  std::map<std::uint64_t, Batch> batches_;
  std::map<std::pair<NodeId, UnitIndex>, std::uint64_t> by_worker_;
  std::set<std::pair<Instant, std::uint64_t>> waiting_;
  std::map<NodeId, std::size_t> unanswered_;  // of `waiting_`, by worker
  std::uint64_t next_ = 1;
};

// Takes in what a worker shows of its batch; an output may have so many bytes. Empty: it holds, and
// `batch` has it; else what is wrong.
std::string open_batch(Batch& batch, const JobId& job, std::uint64_t output_bytes_max,
                       Reveal reveal);

// The evidence of `batch` for `range` within it, for a receipt. `digests_shown`: the digests of the
// whole batch, where the batch itself does not hold them because they equal another's.
Support support_of(const Batch& batch, Range range, const std::vector<Hash256>& digests_shown);

}  // namespace shoal
