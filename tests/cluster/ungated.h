#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "sdk/src/client.h"
#include "tests/cluster/cluster.h"

namespace shoal::cluster {

// A submitter whose programs nobody looks at before they are with the workers: what the command
// line and Session refuse to submit is handed over below them. Its jobs have one unit, which one
// worker tries once, unless they say otherwise.
class Ungated {
 public:
  explicit Ungated(const Cluster& cluster) : cluster_(cluster) {}

  static Manifest manifest(KernelKind kind, const std::string& kernel, Bytes parameters = {});
  // The job's id, or why there is none.
  std::string submit(Manifest manifest, ByteView program);
  // What its units have come to, as `shoal job results --json` says it. The job has failed units.
  std::string ends_of(const std::string& job);

 private:
  const Cluster& cluster_;
  std::unique_ptr<Client> client_;  // while jobs are handed over
  std::uint8_t jobs_ = 0;
};

}  // namespace shoal::cluster
