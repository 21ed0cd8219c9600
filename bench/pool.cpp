#include "bench/pool.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <system_error>
#include <thread>
#include <utility>

#include "bench/kernels.h"
#include "node/protocol/limits.h"
#include "node/state/free_port.h"
#include "node/state/key_file.h"

namespace shoal::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kReadyWithin{20};
constexpr std::chrono::seconds kAnswerWithin{5};
constexpr std::chrono::milliseconds kLookEvery{5};
constexpr int kPortTries = 10;
constexpr std::uint64_t kWarmUnits = 256;
constexpr std::size_t kLogBytesMax = 64 << 20;

// Its first line says that it is ready.
Measured await_ready(Process& process, const std::string& name, const fs::path& log,
                     std::string& line) {
  const auto read = process.read_line(line, std::chrono::steady_clock::now() + kReadyWithin);
  if (read == Process::Read::kLine && line.starts_with("ready ")) return {};
  const auto said = read_text_file(log);
  return tl::unexpected("the " + name + " does not get ready: " + (said ? *said : line));
}

// The last whole line of the log that is JSON, and how many there are.
std::pair<std::size_t, std::string> json_lines(const fs::path& log) {
  const auto text = read_text_file(log, kLogBytesMax);
  std::pair<std::size_t, std::string> found{0, ""};
  if (!text) return found;
  for (std::size_t start = 0, end = 0; (end = text->find('\n', start)) != std::string::npos;
       start = end + 1) {
    if (text->compare(start, 10, "{\"schema\":") != 0) continue;
    ++found.first;
    found.second = text->substr(start, end - start);
  }
  return found;
}

}  // namespace

std::size_t workers_for(const Run& run) { return std::max<std::size_t>(2, run.cores.size()); }

Result<std::unique_ptr<Pool>, std::string> Pool::start(const Run& run, const Wish& wish) {
  std::string name = (run.folder / "pool-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    return tl::unexpected("cannot make a folder in " + run.folder.string());
  }
  std::unique_ptr<Pool> pool(new Pool(name));
  if (auto started = pool->start_coordinator(run, wish); !started) {
    return tl::unexpected(started.error());
  }
  for (std::size_t i = 0; i < wish.workers; ++i) {
    if (auto started = pool->start_worker(run, wish); !started) {
      return tl::unexpected(started.error());
    }
  }
  return pool;
}

Pool::~Pool() {
  for (const auto& worker : workers_) worker->signal(SIGTERM);
  workers_.clear();
  coordinator_.reset();
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

Measured Pool::make_files(const Wish& wish) {
  const fs::path state = folder_ / "coordinator";
  std::error_code error;
  fs::remove_all(state, error);
  fs::create_directories(state, error);
  if (error) return tl::unexpected("cannot make " + state.string() + ": " + error.message());
  const KeyPair pool_key = new_key();
  const KeyPair door_key = new_key();
  ticket_ = Ticket{};
  ticket_.pool.bytes = pool_key.id().bytes;
  ticket_.name = "bench";
  ticket_.native_from_anyone = wish.trusts_all;
  ticket_.doors.push_back({door_key.id(), "tcp://127.0.0.1:" + std::to_string(free_port())});
  ticket_text_ = print_ticket(ticket_, pool_key);
  if (auto stored = store_key(state / "coordinator.key", door_key); !stored) {
    return tl::unexpected(stored.error().what);
  }
  if (auto wrote = write_text_file(state / "ticket", ticket_text_ + "\n"); !wrote) {
    return tl::unexpected(wrote.error().what);
  }
  return {};
}

Measured Pool::start_coordinator(const Run& run, const Wish& wish) {
  const fs::path log = folder_ / "coordinator.log";
  Measured ready = tl::unexpected(std::string("the coordinator was not started"));
  for (int attempt = 0; attempt < kPortTries && !ready; ++attempt) {
    if (auto made = make_files(wish); !made) return made;
    auto process = Process::start({run.programs / "shoal-coordinator",
                                   {"--state", (folder_ / "coordinator").string(), "--listen",
                                    ticket_.doors.front().endpoint},
                                   log,
                                   wish.coordinator_core});
    if (!process) return tl::unexpected(process.error());
    std::string line;
    ready = await_ready(**process, "coordinator", log, line);
    if (ready) coordinator_ = std::move(*process);
  }
  return ready;
}

Measured Pool::start_worker(const Run& run, const Wish& wish) {
  const std::string name = "worker-" + std::to_string(workers_.size() + 1);
  const fs::path log = folder_ / (name + ".log");
  std::vector<std::string> arguments = {
      "--ticket",   ticket_text_,
      "--state",    (folder_ / name).string(),
      "--listen",   "tcp://127.0.0.1:0",
      "--threads",  std::to_string(wish.threads),
      "--executor", (run.programs / "shoal-bench-executor").string(),
      "--quiet"};
  arguments.insert(arguments.end(), wish.worker_arguments.begin(), wish.worker_arguments.end());
  auto process =
      Process::start({run.programs / "shoal-worker", std::move(arguments), log, std::nullopt});
  if (!process) return tl::unexpected(process.error());
  workers_.push_back(std::move(*process));
  std::string line;
  if (auto ready = await_ready(*workers_.back(), name, log, line); !ready) return ready;
  // "ready NODE ENDPOINT"
  std::istringstream words(line);
  std::string word, node, endpoint;
  words >> word >> node >> endpoint;
  const auto id = id_from_hex<NodeId>(node);
  if (!id) return tl::unexpected("the " + name + " does not say who it is: " + line);
  members_.push_back({*id, endpoint, folder_ / name});
  return {};
}

Result<std::unique_ptr<Session>, std::string> Pool::join() const {
  std::unique_ptr<Session> session;
  try {
    SessionOptions options;
    options.ticket = ticket_text_;
    options.notice = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
    session = std::make_unique<Session>(std::move(options));
  } catch (const Error& error) {
    return tl::unexpected(std::string(error.what()));
  }
  // A quorum of all: done only when everybody has computed every unit.
  const auto everybody = std::min<std::size_t>(workers_.size(), limits::kQuorumMax);
  const JobWish wish{.quorum = static_cast<unsigned>(everybody)};
  auto warm = run_job(*session, noop_kernel(), Nothing{}, kWarmUnits, wish);
  if (!warm) return tl::unexpected("the pool does not get warm: " + warm.error());
  return session;
}

std::vector<pid_t> Pool::workers() const {
  std::vector<pid_t> pids;
  for (const auto& worker : workers_) pids.push_back(worker->pid());
  return pids;
}

void Pool::kill(const NodeId& worker, Killed what) {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].id != worker) continue;
    const pid_t own = workers_[i]->pid();
    const std::vector<pid_t> all =
        what == Killed::kWithExecutors ? family(own) : std::vector<pid_t>{own};
    // Itself first: a worker must not see its executors die.
    for (const pid_t pid : all) ::kill(pid, SIGKILL);
  }
}

Result<nlohmann::json, std::string> Pool::coordinator_figures() {
  const fs::path log = folder_ / "coordinator.log";
  const std::size_t before = json_lines(log).first;
  coordinator_->signal(SIGUSR1);
  const auto give_up = std::chrono::steady_clock::now() + kAnswerWithin;
  while (std::chrono::steady_clock::now() < give_up) {
    const auto [count, line] = json_lines(log);
    if (count > before) {
      auto parsed = nlohmann::json::parse(line, nullptr, false);
      if (!parsed.is_discarded()) return parsed;
    }
    std::this_thread::sleep_for(kLookEvery);
  }
  return tl::unexpected(std::string("the coordinator does not tell its figures"));
}

}  // namespace shoal::bench
