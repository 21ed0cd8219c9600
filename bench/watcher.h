#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bench/pool.h"
#include "node/link/link.h"
#include "node/protocol/keys.h"
#include "node/state/key_file.h"

namespace shoal::bench {

// Looks at a pool's workers from outside: a node of its own, which asks them what they say of a
// job. One thread uses it. The pool must outlive it.
class Watcher {
 public:
  static Result<std::unique_ptr<Watcher>, std::string> open(const Pool& pool);

  // Nothing where the worker keeps no such job. Dials it where there is no link yet.
  Result<std::optional<JobStatus>, std::string> ask(const NodeId& worker, const JobId& job);
  // Who keeps the job, the leader first.
  Result<std::vector<NodeId>, std::string> stewards(const JobId& job);

 private:
  explicit Watcher(const Pool& pool) : pool_(pool), key_(new_key()) {}
  Measured take(const NodeId& worker, const LinkEvent& event,
                std::optional<JobStatusReply>& answer);

  const Pool& pool_;
  KeyPair key_;
  std::unique_ptr<Link> link_;
  std::set<NodeId> linked_;
};

}  // namespace shoal::bench
