#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "bench/curve_echo.h"
#include "bench/kernels.h"
#include "bench/pool.h"
#include "bench/run.h"

namespace shoal::bench {
namespace {

constexpr int kRuns = 3;
// Then no further run is begun.
constexpr std::chrono::seconds kBudget{100};
constexpr std::uint64_t kSome = 100'000;
constexpr std::uint64_t kMany = 1'000'000;
constexpr unsigned kQuorum = 2;
constexpr std::uint64_t kRequests = 300'000;
constexpr std::uint64_t kWindow = 64;
constexpr double kMiB = 1024.0 * 1024.0;

struct Figures {
  Figure some{"noop.q2.1e5",
              "units/s",
              {},
              {},
              "raw ZeroMQ requests/s over CURVE, window 64",
              Bound{Judged::kRatio, Sense::kAtLeast, 1.0, 1.5}};
  Figure many{"noop.q2.1e6",
              "units/s",
              {},
              {},
              "raw ZeroMQ requests/s over CURVE, window 64",
              Bound{Judged::kRatio, Sense::kAtLeast, 1.0, 1.5}};
  Figure flatness{"flatness", "units/s",     {},
                  {},         "noop.q2.1e5", Bound{Judged::kRatio, Sense::kAtLeast, 0.9, 1.0}};
  Figure memory{
      "steward.memory", "MiB", {}, {}, "", Bound{Judged::kValue, Sense::kAtMost, 128, 48}};
  Figure job_bytes{
      "coordinator.job_bytes", "B", {}, {}, "", Bound{Judged::kValue, Sense::kAtMost, 0, {}}};
};

Result<double, std::string> rate_of(Session& session, std::uint64_t units) {
  const auto end = run_job(session, noop_kernel(), Nothing{}, units, {.quorum = kQuorum});
  if (!end) return tl::unexpected(end.error());
  if (end->sum != units * (units - 1) / 2) {
    return tl::unexpected(std::string("the sum of all outputs is wrong"));
  }
  return static_cast<double>(units) / end->seconds;
}

std::vector<std::uint64_t> memory_of(const Pool& pool, const std::string& field) {
  std::vector<std::uint64_t> bytes;
  for (const pid_t pid : pool.workers()) bytes.push_back(memory_field(pid, field));
  return bytes;
}

// Of the worker that took most. One of them leads the job, so the leader took no more than that.
double most_added_mib(const std::vector<std::uint64_t>& before,
                      const std::vector<std::uint64_t>& peak) {
  double most = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    most = std::max(most, (static_cast<double>(peak[i]) - static_cast<double>(before[i])) / kMiB);
  }
  return most;
}

// In a pool of its own: a heap that has seen a million units would hide what the next million
// takes.
Measured run_once(const Run& run, CurveEcho& echo, Figures& figures) {
  auto pool = Pool::start(run, {workers_for(run), std::nullopt});
  if (!pool) return tl::unexpected(pool.error());
  auto session = (*pool)->join();
  if (!session) return tl::unexpected(session.error());

  const double requests = echo.requests_per_second(kRequests, kWindow);
  if (run.wants(figures.some.name) || run.wants(figures.flatness.name)) {
    const auto rate = rate_of(**session, kSome);
    if (!rate) return tl::unexpected(rate.error());
    figures.some.values.push_back(*rate);
    figures.some.references.push_back(requests);
    figures.flatness.references.push_back(*rate);
  }
  const bool wants_many = run.wants(figures.many.name) || run.wants(figures.flatness.name) ||
                          run.wants(figures.memory.name) || run.wants(figures.job_bytes.name);
  if (!wants_many) return {};
  const auto before = memory_of(**pool, "VmRSS");
  const auto rate = rate_of(**session, kMany);
  if (!rate) return tl::unexpected(rate.error());
  figures.memory.values.push_back(most_added_mib(before, memory_of(**pool, "VmHWM")));
  figures.many.values.push_back(*rate);
  figures.many.references.push_back(requests);
  figures.flatness.values.push_back(*rate);
  const auto told = (*pool)->coordinator_figures();
  if (!told) return tl::unexpected(told.error());
  if (!told->contains("job_bytes")) {
    return tl::unexpected(std::string("the coordinator does not count the bytes of jobs"));
  }
  figures.job_bytes.values.push_back((*told)["job_bytes"].get<double>());
  return {};
}

}  // namespace

Measured measure_noop(const Run& run) {
  auto echo = CurveEcho::start();
  if (!echo) return tl::unexpected(echo.error());
  Figures figures;
  const auto end = std::chrono::steady_clock::now() + kBudget;
  for (int i = 0; i < kRuns && (i == 0 || std::chrono::steady_clock::now() < end); ++i) {
    if (auto done = run_once(run, **echo, figures); !done) return done;
  }
  for (const Figure* figure :
       {&figures.some, &figures.many, &figures.flatness, &figures.memory, &figures.job_bytes}) {
    run.report(*figure);
  }
  return {};
}

}  // namespace shoal::bench
