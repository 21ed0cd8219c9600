#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/cluster/chaos_script.h"
#include "tests/cluster/cluster.h"
#include "tests/cluster/net/network.h"
#include "tests/cluster/small_disk.h"

namespace shoal::cluster {

// A pool of seven workers on a test network whose wires have delay, loss and a rate: five that can
// be dialled, one behind a router that keeps ports, and one behind a router that does not. Each
// worker has a small disk.
class ChaosPool {
 public:
  explicit ChaosPool(std::uint64_t seed);
  ~ChaosPool();
  ChaosPool(const ChaosPool&) = delete;
  ChaosPool& operator=(const ChaosPool&) = delete;

  Cluster& cluster() { return *cluster_; }
  const std::vector<std::string>& workers() const { return workers_; }
  static std::vector<std::string> others() { return {"coordinator", "submitter"}; }
  Switch::Figures figures() const { return network_.figures(); }
  std::size_t lost() const { return lost_.size(); }  // workers, for ever

  // Everything runs, and all that can be dialled answer.
  void start();
  void perform(const Step& step);
  // Fails the test for each worker that ended though nobody killed it.
  void expect_all_running();
  // Those that have no executor, and so had no unit to compute yet.
  std::vector<std::string> idle() const;

 private:
  void kill_worker(const std::string& name);
  void keep_log(const std::string& name);

  Network network_;
  std::optional<Cluster> cluster_;
  std::vector<std::string> workers_;
  std::map<std::string, std::unique_ptr<SmallDisk>> disks_;  // go before the cluster's folder
  std::set<std::string> dead_;                               // killed and not restarted
  std::set<std::string> lost_;                               // for ever
};

}  // namespace shoal::cluster
