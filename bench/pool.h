#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bench/process.h"
#include "bench/run.h"
#include "node/protocol/ids.h"
#include "node/protocol/ticket.h"
#include "shoal/session.h"

namespace shoal::bench {

// A pool of real processes on loopback: one coordinator, and its workers. All of them end with this
// object.
class Pool {
 public:
  struct Wish {
    std::size_t workers = 0;
    std::optional<int> coordinator_core;  // the only one that it may use
    std::vector<std::string> worker_arguments = {};
    unsigned threads = 1;     // of each worker
    bool trusts_all = false;  // submitters, with programs of theirs
  };
  // Everybody is ready by then, though they may not all know each other yet.
  static Result<std::unique_ptr<Pool>, std::string> start(const Run& run, const Wish& wish);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  const Ticket& ticket() const { return ticket_; }
  const std::string& ticket_text() const { return ticket_text_; }
  // A session in it, and a small job done, in which every worker has taken part.
  Result<std::unique_ptr<Session>, std::string> join() const;
  std::vector<pid_t> workers() const;

  struct Member {
    NodeId id;
    std::string endpoint;
    std::filesystem::path state;
  };
  // In the order of workers().
  const std::vector<Member>& members() const { return members_; }
  enum class Killed : std::uint8_t { kAlone, kWithExecutors };
  // SIGKILL, now. It stays among workers() and members().
  void kill(const NodeId& worker, Killed what);
  // What the coordinator says of itself; asks it.
  Result<nlohmann::json, std::string> coordinator_figures();

 private:
  explicit Pool(std::filesystem::path folder) : folder_(std::move(folder)) {}
  Measured make_files(const Wish& wish);
  Measured start_coordinator(const Run& run, const Wish& wish);
  Measured start_worker(const Run& run, const Wish& wish);

  std::filesystem::path folder_;
  Ticket ticket_;
  std::string ticket_text_;
  std::unique_ptr<Process> coordinator_;
  std::vector<std::unique_ptr<Process>> workers_;
  std::vector<Member> members_;
};

// As many workers of one thread as there are cores; two at least, or nobody could verify.
std::size_t workers_for(const Run& run);

struct JobWish {
  unsigned quorum = 2;
  unsigned stewards = 3;
  // Called when the job was accepted, before its results are read: its id, and when it was begun.
  std::function<void(const JobId& job, std::chrono::steady_clock::time_point start)> accepted = {};
};

struct JobEnd {
  double seconds = 0;     // from before it was submitted to after its last result
  std::uint64_t sum = 0;  // of the outputs, modulo 2^64
};

// One job of a kernel of kernels.h. Every unit must come out, once, and verified.
template <class Params>
Result<JobEnd, std::string> run_job(Session& session,
                                    const Kernel<Params, std::uint64_t, std::uint64_t>& kernel,
                                    const Params& params, std::uint64_t units,
                                    const JobWish& wish) {
  JobOptions options;
  options.quorum = wish.quorum;
  options.stewards = wish.stewards;
  options.shipped = true;
  options.wait_for_quorum = true;
  try {
    JobEnd end;
    std::uint64_t count = 0;
    const auto start = std::chrono::steady_clock::now();
    auto job = session.map(kernel, params, IndexSpace{units}, options);
    if (wish.accepted) wish.accepted(*id_from_hex<JobId>(job.id()), start);
    for (const auto& result : job.results()) {
      if (!result.ok()) {
        return tl::unexpected("unit " + std::to_string(result.unit()) +
                              " failed: " + result.failure().message);
      }
      end.sum += result.value();
      ++count;
    }
    end.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (count != units) {
      return tl::unexpected(std::to_string(count) + " results of " + std::to_string(units) +
                            " units");
    }
    return end;
  } catch (const Error& error) {
    return tl::unexpected(std::string(error.what()));
  }
}

}  // namespace shoal::bench
