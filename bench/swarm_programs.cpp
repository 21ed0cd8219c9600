#include "bench/swarm_programs.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "node/content/core/content_text.h"
#include "node/content/store/content_store.h"
#include "node/protocol/ticket.h"
#include "node/state/key_file.h"

namespace shoal::bench {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Processes = std::vector<std::unique_ptr<Process>>;

constexpr std::chrono::seconds kReadyWithin{20};
constexpr std::chrono::seconds kDoneWithin{200};
constexpr std::chrono::seconds kGrace{5};  // from a program's last word to its end
constexpr std::chrono::milliseconds kLookEvery{5};
constexpr std::size_t kSeed = 0;  // its machine
constexpr const char* kPython = "/usr/bin/python3";

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Of all processes that this one has started and that have ended, and of theirs.
double cpu_of_ended() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

fs::path copy_of(const SwarmTask& task, const fs::path& folder, std::size_t peer) {
  return folder / ("peer-" + std::to_string(peer)) / task.file.filename();
}

fs::path log_of(const fs::path& folder, std::size_t peer) {
  return folder / ("peer-" + std::to_string(peer) + ".log");
}

Measured await_line(Process& process, const std::string& begin, std::chrono::seconds patience,
                    std::string* whole = nullptr) {
  std::string line;
  const auto deadline = Clock::now() + patience;
  Process::Read read = Process::Read::kLine;
  while ((read = process.read_line(line, deadline)) == Process::Read::kLine) {
    if (!line.starts_with(begin)) continue;
    if (whole != nullptr) *whole = line;
    return {};
  }
  if (read == Process::Read::kEnded) static_cast<void>(process.await_end(Clock::now() + kGrace));
  return tl::unexpected("a program does not say '" + begin + "'" +
                        (read == Process::Read::kEnded ? "" : " in time") + ": it " +
                        process.account());
}

// Programs that end when they have the file.
Measured await_ends(const Processes& peers) {
  const auto deadline = Clock::now() + kDoneWithin;
  std::size_t number = 0;
  for (const auto& peer : peers) {
    const std::string name = "peer " + std::to_string(++number);
    std::string line;
    Process::Read read = Process::Read::kLine;
    while (read == Process::Read::kLine) read = peer->read_line(line, deadline);
    if (read == Process::Read::kLate) {
      return tl::unexpected(name + " is not done: it " + peer->account());
    }
    const int status = peer->await_end(deadline);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      return tl::unexpected(name + " failed: it " + peer->account());
    }
  }
  return {};
}

Measured check_copies(const SwarmTask& task, const fs::path& folder) {
  std::vector<char> right(1 << 20), got(1 << 20);
  for (std::size_t peer = 1; peer <= task.peers; ++peer) {
    std::ifstream original(task.file, std::ios::binary);
    std::ifstream copy(copy_of(task, folder, peer), std::ios::binary);
    std::uint64_t compared = 0;
    while (compared < task.bytes) {
      const auto piece = static_cast<std::streamsize>(
          std::min<std::uint64_t>(right.size(), task.bytes - compared));
      if (!original.read(right.data(), piece) || !copy.read(got.data(), piece) || right != got) {
        return tl::unexpected(std::string("a peer has not the bytes that were sent"));
      }
      compared += static_cast<std::uint64_t>(piece);
    }
  }
  return {};
}

// One contest: an empty folder, and what it took. `go` leaves no process behind.
SwarmResult take_part(const SwarmTask& task, const std::string& name,
                      const std::function<SwarmResult(const fs::path& folder)>& go) {
  const fs::path folder = task.run.folder / name;
  std::error_code error;
  fs::remove_all(folder, error);
  for (std::size_t peer = 1; peer <= task.peers; ++peer) {
    fs::create_directories(copy_of(task, folder, peer).parent_path(), error);
    if (error) return tl::unexpected("cannot make a folder in " + folder.string());
  }
  const double cpu = cpu_of_ended();
  const auto sent = task.machines.bytes_sent(kSeed);
  SwarmResult end = go(folder);
  if (end) {
    end->cpu_seconds = cpu_of_ended() - cpu;
    if (sent) end->seed_sent = static_cast<double>(*task.machines.bytes_sent(kSeed) - *sent);
    if (auto right = check_copies(task, folder); !right) end = tl::unexpected(right.error());
  }
  fs::remove_all(folder, error);
  return end;
}

// --- Shoal ---

Measured start_coordinator(const SwarmTask& task, const fs::path& folder, SeededPool& pool) {
  const KeyPair pool_key = new_key();
  const KeyPair door_key = new_key();
  pool.ticket.pool.bytes = pool_key.id().bytes;
  pool.ticket.name = "bench";
  pool.ticket.doors.push_back({door_key.id(), "tcp://" + task.machines.address(kSeed) + ":" +
                                                  std::to_string(task.machines.free_port(kSeed))});
  pool.ticket_text = print_ticket(pool.ticket, pool_key);
  const fs::path state = folder / "coordinator";
  std::error_code ignored;
  fs::create_directories(state, ignored);
  if (auto stored = store_key(state / "coordinator.key", door_key); !stored) {
    return tl::unexpected(stored.error().what);
  }
  if (auto wrote = write_text_file(state / "ticket", pool.ticket_text + "\n"); !wrote) {
    return tl::unexpected(wrote.error().what);
  }
  auto started = task.machines.start(
      kSeed, {task.run.programs / "shoal-coordinator",
              {"--state", state.string(), "--listen", pool.ticket.doors.front().endpoint},
              folder / "coordinator.log",
              {}});
  if (!started) return tl::unexpected(started.error());
  pool.processes.push_back(std::move(*started));
  return await_line(*pool.processes.back(), "ready", kReadyWithin);
}

Measured start_seed(const SwarmTask& task, const fs::path& folder, SeededPool& pool) {
  std::vector<std::string> arguments{
      "--ticket",   pool.ticket_text,
      "--state",    pool.state.string(),
      "--listen",   "tcp://" + task.machines.address(kSeed) + ":0",
      "--threads",  "1",
      "--pin",      to_text(ContentText{pool.content, false}),
      "--executor", (task.run.programs / "shoal-bench-executor").string()};
  if (task.seed_rate > 0) {
    arguments.insert(arguments.end(), {"--upload-rate", std::to_string(task.seed_rate)});
  }
  auto started = task.machines.start(
      kSeed, {task.run.programs / "shoal-worker", arguments, folder / "seed.log", {}});
  if (!started) return tl::unexpected(started.error());
  pool.processes.push_back(std::move(*started));
  std::string line;
  if (auto ready = await_line(*pool.processes.back(), "ready ", kReadyWithin, &line); !ready) {
    return ready;
  }
  // "ready NODE ENDPOINT"
  std::istringstream words(line);
  std::string word, node;
  words >> word >> node >> pool.endpoint;
  const auto id = id_from_hex<NodeId>(node);
  if (!id) return tl::unexpected("the seed does not say who it is: " + line);
  pool.seed = *id;
  return {};
}

SwarmResult run_shoal(const SwarmTask& task, const fs::path& folder) {
  auto pool = start_seeded_pool(task, folder);
  if (!pool) return tl::unexpected(pool.error());
  const std::string content = to_text(ContentText{pool->content, false});
  const auto start = Clock::now();
  Processes peers;
  for (std::size_t peer = 1; peer <= task.peers; ++peer) {
    const fs::path copy = copy_of(task, folder, peer);
    auto started = task.machines.start(
        peer, {task.run.programs / "shoal",
               {"get", content, "-o", copy.string(), "--ticket", pool->ticket_text},
               log_of(folder, peer),
               {},
               {},
               {{"XDG_STATE_HOME", copy.parent_path().string()}}});
    if (!started) return tl::unexpected(started.error());
    peers.push_back(std::move(*started));
  }
  if (auto done = await_ends(peers); !done) {
    return tl::unexpected(done.error() + "\nthe seed " + pool->processes.back()->account());
  }
  return SwarmEnd{seconds_since(start), 0, 0};
}

// What a worker notes of what its contents have cost its owner; its seed has done nothing else.
Result<double, std::string> sent_by_worker(const fs::path& state) {
  std::ifstream file(state / "traffic");
  std::string month;
  double sent = 0;
  if (!(file >> month >> sent)) {
    return tl::unexpected("the seed does not say what it sent in " + state.string());
  }
  return sent;
}

// --- HTTP ---

constexpr const char* kBusybox = "/usr/bin/busybox";
constexpr const char* kCurl = "/usr/bin/curl";

SwarmResult run_http(const SwarmTask& task, const fs::path& folder) {
  const std::uint16_t port = task.machines.free_port(kSeed);
  const std::string at = task.machines.address(kSeed) + ":" + std::to_string(port);
  auto server =
      task.machines.start(kSeed, {kBusybox,
                                  {"httpd", "-f", "-p", at, "-h", task.file.parent_path().string()},
                                  folder / "httpd.log",
                                  {}});
  if (!server) return tl::unexpected(server.error() + " (Debian's busybox)");
  const auto give_up = Clock::now() + kReadyWithin;
  while (!task.machines.listens(kSeed, port)) {
    if (Clock::now() > give_up) return tl::unexpected(std::string("httpd does not get ready"));
    std::this_thread::sleep_for(kLookEvery);
  }
  std::vector<std::string> arguments{"--silent", "--show-error", "--fail"};
  // The server has no limit of its own; the peers share what the seed may send.
  if (task.seed_rate > 0) {
    arguments.insert(arguments.end(),
                     {"--limit-rate", std::to_string(task.seed_rate / task.peers)});
  }
  arguments.insert(arguments.end(),
                   {"http://" + at + "/" + task.file.filename().string(), "--output"});
  const auto start = Clock::now();
  Processes peers;
  for (std::size_t peer = 1; peer <= task.peers; ++peer) {
    std::vector<std::string> fetch = arguments;
    fetch.push_back(copy_of(task, folder, peer).string());
    auto started = task.machines.start(peer, {kCurl, fetch, log_of(folder, peer), {}});
    if (!started) return tl::unexpected(started.error());
    peers.push_back(std::move(*started));
  }
  if (auto done = await_ends(peers); !done) return tl::unexpected(done.error());
  const auto sent = static_cast<double>(task.bytes * task.peers);
  return SwarmEnd{seconds_since(start), 0, sent};
}

// --- libtorrent ---

Process::Wish python(const std::vector<std::string>& arguments, const fs::path& log) {
  Process::Wish wish{kPython, {SHOAL_SOURCE_DIR "/bench/libtorrent_peer.py"}, log, {}};
  wish.arguments.insert(wish.arguments.end(), arguments.begin(), arguments.end());
  return wish;
}

SwarmResult run_libtorrent(const SwarmTask& task, const fs::path& folder,
                           const std::string& torrent) {
  const fs::path log = folder / "libtorrent.log";
  std::vector<std::string> endpoints;
  for (std::size_t machine = 0; machine <= task.peers; ++machine) {
    endpoints.push_back(task.machines.address(machine) + ":" +
                        std::to_string(task.machines.free_port(machine)));
  }
  auto seed = task.machines.start(kSeed, python({"seed", task.file.string(), torrent,
                                                 endpoints[kSeed], std::to_string(task.seed_rate)},
                                                log));
  if (!seed) return tl::unexpected(seed.error());
  if (auto ready = await_line(**seed, "ready", kReadyWithin); !ready) {
    return tl::unexpected(ready.error() + " (Debian's python3-libtorrent)");
  }
  const auto start = Clock::now();
  Processes peers;
  for (std::size_t peer = 1; peer <= task.peers; ++peer) {
    std::vector<std::string> arguments{"fetch", copy_of(task, folder, peer).string(), torrent,
                                       endpoints[peer]};
    arguments.insert(arguments.end(), endpoints.begin(), endpoints.begin() + peer);
    auto started = task.machines.start(peer, python(arguments, log_of(folder, peer)));
    if (!started) return tl::unexpected(started.error());
    peers.push_back(std::move(*started));
  }
  for (const auto& peer : peers) {
    if (auto done = await_line(*peer, "done", kDoneWithin); !done) {
      return tl::unexpected(done.error());
    }
  }
  SwarmEnd end{seconds_since(start), 0, 0};
  (*seed)->signal(SIGTERM);
  std::string line;
  if (auto told = await_line(**seed, "sent ", kReadyWithin, &line); !told) {
    return tl::unexpected(told.error());
  }
  end.seed_sent = std::stod(line.substr(std::string("sent ").size()));
  return end;
}

}  // namespace

Result<SeededPool, std::string> start_seeded_pool(const SwarmTask& task, const fs::path& folder) {
  SeededPool pool;
  pool.state = folder / "seed";
  {
    auto store = ContentStore::open(pool.state / "content");
    if (!store) return tl::unexpected(store.error().what);
    const auto named = (*store)->put_file(task.file);
    if (!named) return tl::unexpected(named.error().what);
    pool.content = {named->id, named->length};
  }
  if (auto done = start_coordinator(task, folder, pool); !done) {
    return tl::unexpected(done.error());
  }
  if (auto done = start_seed(task, folder, pool); !done) return tl::unexpected(done.error());
  return pool;
}

SwarmResult swarm_of_shoal(const SwarmTask& task) {
  return take_part(task, "shoal", [&](const fs::path& folder) -> SwarmResult {
    SwarmResult end = run_shoal(task, folder);
    if (!end) return end;
    // It is written again when the worker ends.
    const auto sent = sent_by_worker(folder / "seed");
    if (!sent) return tl::unexpected(sent.error());
    end->seed_sent = *sent;
    return end;
  });
}

SwarmResult swarm_of_http(const SwarmTask& task) {
  return take_part(task, "http", [&](const fs::path& folder) { return run_http(task, folder); });
}

SwarmResult swarm_of_libtorrent(const SwarmTask& task) {
  // Beforehand, as Shoal's content is named before its contest.
  const fs::path torrent = task.run.folder / "swarm.torrent";
  std::error_code ignored;
  fs::remove(torrent, ignored);
  auto made = Process::start(
      python({"make", task.file.string(), torrent.string()}, task.run.folder / "torrent.log"));
  if (!made) return tl::unexpected(made.error());
  std::string line;
  while ((*made)->read_line(line, Clock::now() + kReadyWithin) == Process::Read::kLine) {
  }
  (*made)->end();
  if (!fs::exists(torrent)) {
    return tl::unexpected(std::string("no torrent was made; is Debian's python3-libtorrent here?"));
  }
  return take_part(task, "libtorrent", [&](const fs::path& folder) {
    return run_libtorrent(task, folder, torrent.string());
  });
}

}  // namespace shoal::bench
