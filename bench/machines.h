#pragma once

#include <chrono>
#include <cstdint>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/process.h"
#include "node/protocol/result.h"
#include "tests/cluster/net/network.h"

namespace shoal::bench {

// Where the programs of a swarm run: all on loopback, or each on a machine of its own, which is a
// network namespace at the end of a wire. One thread; processes end before this object does.
class Machines {
 public:
  static std::unique_ptr<Machines> on_loopback();
  // So many, with wires of that rate each way. Between any two a round trip takes `round_trip` when
  // nothing is under way. The first call moves this process into namespaces of its own, for which
  // it must have one thread only; the error says why that cannot be.
  static Result<std::unique_ptr<Machines>, std::string> behind_wires(
      std::size_t count, double megabits_per_second, std::chrono::microseconds round_trip);

  bool shaped() const { return network_ != nullptr; }
  std::string address(std::size_t machine) const;
  // Nothing is bound to it on that machine at this moment.
  std::uint16_t free_port(std::size_t machine) const;
  bool listens(std::size_t machine, std::uint16_t port) const;
  Result<std::unique_ptr<Process>, std::string> start(std::size_t machine,
                                                      Process::Wish wish) const;
  // Does the work there, on a thread of its own.
  void inside(std::size_t machine, const std::function<void()>& work) const;
  // Bytes that have left the machine, headers included. Nothing on loopback.
  std::optional<std::uint64_t> bytes_sent(std::size_t machine) const;

 private:
  std::unique_ptr<cluster::Network> network_;
  std::vector<cluster::NetNode*> nodes_;
};

}  // namespace shoal::bench
