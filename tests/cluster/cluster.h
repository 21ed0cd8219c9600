#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/cluster/process.h"

// A pool of real processes, on loopback or on a test network, with folders and an environment of
// its own.
namespace shoal::cluster {

using Line = std::vector<std::string>;

// Where a program runs.
struct Site {
  int net_namespace = -1;  // our own
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  // that a worker listens on; 0: any
  // Of a worker: an ordinary user's, also where the tests are root's.
  bool ordinary_user = false;
  std::vector<std::string> around = {};  // a command that starts a worker there, at its own end
};

// Whose the workers of a story are that is told of both.
enum class WorkersOf { kRoot, kOrdinaryUser };

// Who that is. Does nothing where the tests are not root's.
void give_to_ordinary_user(const std::filesystem::path& path);

class Cluster {
 public:
  // Makes the pool; nothing runs yet. The coordinator's port may be 0 only on loopback.
  // `pool` is more for `shoal pool init`.
  explicit Cluster(const Site& coordinator = {}, const Line& pool = {});
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  const std::filesystem::path& folder() const { return folder_; }
  const std::string& ticket() const { return ticket_; }
  const std::string& endpoint() const { return endpoint_; }
  Variables environment() const;
  // Its state: its key, its ledger, its content.
  std::filesystem::path state_of(const std::string& worker) const { return folder_ / worker; }

  // From now on that worker, or whatever start() and the like run, is there and not on loopback.
  void place_worker(const std::string& name, const Site& site) { worker_sites_[name] = site; }
  void place_submitter(const Site& site) { submitter_site_ = site; }

  // Waits until it is ready. A name that was used before has the same state, and is the same node.
  Process& start_coordinator();
  Process& start_worker(const std::string& name, const Line& more = {});
  Process& worker(const std::string& name) const { return *workers_.at(name); }
  // Ends it as power failures do.
  void kill_worker(const std::string& name);
  Process& coordinator() { return *coordinator_; }
  std::vector<std::string> workers() const;
  // Tells all of them to end, which they do as if nothing had happened.
  void expect_workers_end_well();
  // Waits until `shoal worker list` shows so many that answer.
  void await_workers(std::size_t count);

  // `shoal ARGUMENTS...`, in this pool unless they say otherwise.
  std::unique_ptr<Process> start(const Line& arguments, const Variables& more = {}) const;
  struct Ended {
    int exit_code = -1;
    std::string out, err;
  };
  Ended run(const Line& arguments, const Variables& more = {}) const;
  // Any program, by its path.
  std::unique_ptr<Process> start_command(const Line& command, const Variables& more = {}) const;
  Ended run_command(const Line& command, const Variables& more = {}) const;
  // Of the one JSON object that it prints.
  nlohmann::json json(const Line& arguments) const;

  // The coordinator's figures, asked for by SIGUSR1.
  nlohmann::json coordinator_figures();
  // The name of the worker that leads a job.
  std::string steward();
  // How many of the workers compute a unit of the job, as each says of itself.
  std::size_t workers_at(const std::string& job) const;
  // The executors that the worker has started.
  static std::vector<pid_t> executors_of(const Process& worker);
  // What it has started, and what that has.
  static std::vector<pid_t> descendants_of(pid_t process);

 private:
  std::filesystem::path folder_;
  Site coordinator_site_, submitter_site_;
  std::map<std::string, Site> worker_sites_;
  std::string endpoint_;
  std::string ticket_;
  std::unique_ptr<Process> coordinator_;
  std::map<std::string, std::unique_ptr<Process>> workers_;
};

std::filesystem::path program(const std::string& name);
// Each line of text as JSON.
std::vector<nlohmann::json> json_lines(const std::string& text);
// Asked again and again, which must be worth as much as a pause.
bool comes_true(const std::function<bool()>& holds);
std::size_t count_lines(const std::string& text);

}  // namespace shoal::cluster
