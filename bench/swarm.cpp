#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "bench/machines.h"
#include "bench/random_file.h"
#include "bench/run.h"
#include "bench/swarm_programs.h"

// 256 MiB from one seed to several peers, beside a server and a BitTorrent program.
namespace shoal::bench {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kFileBytes = 256 * kMiB;
// On loopback the seed is held back: else it is only seen how fast the machine hashes.
constexpr std::uint64_t kSeedRate = 50 * kMiB;
constexpr double kMegabits = 100;
constexpr std::chrono::milliseconds kRoundTrip{20};
constexpr double kFineTime = 1.1;
constexpr double kFineSent = 1.02;
// What one server sends to all in longer than this is measured with a quarter of the bytes.
constexpr double kServerSecondsMax = 100;
constexpr std::uint64_t kServerShare = 4;
constexpr int kRunsOnLoopback = 3;

struct Names {
  explicit Names(std::size_t peers, bool shaped)
      : time("content.swarm." + std::to_string(peers) + (shaped ? ".shaped" : ".loopback")) {}
  std::string time;
  std::string sent = time + ".sent";
  std::string time_http = time + ".beside_http";
  std::string time_libtorrent = time + ".beside_libtorrent";
  std::string sent_libtorrent = time + ".sent_beside_libtorrent";
  std::string cpu_http = time + ".cpu_beside_http";
  std::string cpu_libtorrent = time + ".cpu_beside_libtorrent";
};

Bound at_most(double bound, double fine) { return {Judged::kRatio, Sense::kAtMost, bound, fine}; }

double gib_fetched(const SwarmTask& task) {
  return static_cast<double>(task.bytes * task.peers) / static_cast<double>(1024 * kMiB);
}

struct Contest {
  std::vector<SwarmEnd> shoal, http, libtorrent;

  static std::vector<double> of(const std::vector<SwarmEnd>& ends, double SwarmEnd::*what,
                                double each) {
    std::vector<double> all;
    all.reserve(ends.size());
    for (const SwarmEnd& end : ends) all.push_back(end.*what / each);
    return all;
  }
};

void report(const Run& run, const SwarmTask& task, const Contest& contest, double ideal_s) {
  const Names names(task.peers, task.machines.shaped());
  const auto mib = static_cast<double>(kMiB);
  const double gib = gib_fetched(task);
  const bool shaped = task.machines.shaped();
  const auto add = [&](const std::string& name, const std::string& unit, double SwarmEnd::*what,
                       double each, std::vector<double> references, const std::string& beside,
                       std::optional<Bound> bound) {
    if (references.empty()) return;
    run.report(
        {name, unit, Contest::of(contest.shoal, what, each), std::move(references), beside, bound});
  };
  // A perfect swarm: each byte leaves the seed once, and all have it the moment that it has left.
  add(names.time, "s", &SwarmEnd::seconds, 1, {ideal_s}, "a perfect swarm",
      at_most(1.37, kFineTime));
  add(names.sent, "MiB", &SwarmEnd::seed_sent, mib, {static_cast<double>(task.bytes) / mib},
      "the file", at_most(1.17, kFineSent));
  const auto ahead = at_most(1, 0.8);
  add(names.time_http, "s", &SwarmEnd::seconds, 1, Contest::of(contest.http, &SwarmEnd::seconds, 1),
      "one HTTP server", ahead);
  add(names.time_libtorrent, "s", &SwarmEnd::seconds, 1,
      Contest::of(contest.libtorrent, &SwarmEnd::seconds, 1), "libtorrent",
      shaped ? std::optional(ahead) : std::nullopt);
  add(names.sent_libtorrent, "MiB", &SwarmEnd::seed_sent, mib,
      Contest::of(contest.libtorrent, &SwarmEnd::seed_sent, mib), "libtorrent", {});
  add(names.cpu_http, "s/GiB", &SwarmEnd::cpu_seconds, gib,
      Contest::of(contest.http, &SwarmEnd::cpu_seconds, gib), "one HTTP server", {});
  add(names.cpu_libtorrent, "s/GiB", &SwarmEnd::cpu_seconds, gib,
      Contest::of(contest.libtorrent, &SwarmEnd::cpu_seconds, gib), "libtorrent", {});
}

// What one server takes is in proportion to the bytes.
SwarmResult served_by_http(const SwarmTask& task, double ideal_s) {
  if (ideal_s * static_cast<double>(task.peers) < kServerSecondsMax) return swarm_of_http(task);
  SwarmTask less = task;
  less.bytes /= kServerShare;
  less.file = task.run.folder / "quarter";
  if (auto wrote = write_random_file(less.file, less.bytes); !wrote) {
    return tl::unexpected(wrote.error());
  }
  SwarmResult end = swarm_of_http(less);
  if (!end) return end;
  end->seconds *= kServerShare;
  end->cpu_seconds *= kServerShare;
  end->seed_sent *= kServerShare;
  return end;
}

Result<std::unique_ptr<Machines>, std::string> machines_for(std::size_t peers, bool shaped) {
  if (!shaped) return Machines::on_loopback();
  return Machines::behind_wires(peers + 1, kMegabits, kRoundTrip);
}

}  // namespace

std::vector<std::string> swarm_figures(std::size_t peers, bool shaped) {
  const Names names(peers, shaped);
  return {names.time,
          names.sent,
          names.time_http,
          names.time_libtorrent,
          names.sent_libtorrent,
          names.cpu_http,
          names.cpu_libtorrent};
}

Measured measure_swarm(const Run& run, std::size_t peers, bool shaped) {
  auto machines = machines_for(peers, shaped);
  if (!machines) return tl::unexpected(machines.error());
  const SwarmTask task{run,        **machines, run.folder / "data",
                       kFileBytes, peers,      shaped ? 0 : kSeedRate};
  if (auto wrote = write_random_file(task.file, task.bytes); !wrote) return wrote;
  const double seed_rate = shaped ? kMegabits * 1e6 / 8 : static_cast<double>(kSeedRate);
  const double ideal_s = static_cast<double>(task.bytes) / seed_rate;
  const Names names(peers, shaped);
  const bool http = run.wants(names.time_http) || run.wants(names.cpu_http);
  const bool libtorrent = run.wants(names.time_libtorrent) || run.wants(names.sent_libtorrent) ||
                          run.wants(names.cpu_libtorrent);
  Contest contest;
  // The others' programs may not be here: then what is beside them is missed, and nothing else.
  Measured all;
  const auto take = [&all](const std::string& who, SwarmResult end, std::vector<SwarmEnd>& ends) {
    if (end) ends.push_back(*end);
    if (!end && all) all = tl::unexpected(who + ": " + end.error());
  };
  for (int i = 0; i < (shaped ? 1 : kRunsOnLoopback) && all; ++i) {
    take("shoal", swarm_of_shoal(task), contest.shoal);
    if (contest.shoal.empty()) return all;
    if (http) take("http", served_by_http(task, ideal_s), contest.http);
    if (libtorrent) take("libtorrent", swarm_of_libtorrent(task), contest.libtorrent);
  }
  report(run, task, contest, ideal_s);
  return all;
}

}  // namespace shoal::bench
