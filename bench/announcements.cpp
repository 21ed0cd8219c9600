#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "bench/curve_echo.h"
#include "bench/pool.h"
#include "bench/run.h"
#include "bench/visitor.h"
#include "node/state/key_file.h"

namespace shoal::bench {
namespace {

constexpr int kRuns = 3;
constexpr std::size_t kVisitors = 4;
constexpr std::size_t kAnnouncements = 5'000;  // of each visitor, in a run
constexpr std::size_t kWindow = 32;            // of each visitor
constexpr std::size_t kVisits = 150;           // of each visitor, in a run
constexpr int kVerifies = 10'000;
// Of a record, about.
constexpr std::size_t kVerifiedBytes = 320;

using Visitors = std::vector<std::unique_ptr<Visitor>>;

double verifies_per_second() {
  const KeyPair key = new_key();
  const Bytes body(kVerifiedBytes, 7);
  const Signature signature = key.sign(Purpose::kRecord, body);
  const Ed25519Checker checker;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kVerifies; ++i) {
    check(checker.holds(key.id(), Purpose::kRecord, body, signature), "a signature does not hold");
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  return kVerifies / took.count();
}

// All visitors at once, each on a thread of its own: the seconds until the last is done.
Result<double, std::string> all_at_once(const Visitors& visitors,
                                        const std::function<Measured(std::size_t number)>& work) {
  std::vector<Measured> ends(visitors.size());
  std::vector<std::thread> threads;
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < visitors.size(); ++i) {
    threads.emplace_back([&ends, &work, i] { ends[i] = work(i); });
  }
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  for (const Measured& end : ends) {
    if (!end) return tl::unexpected(end.error());
  }
  return took.count();
}

std::vector<std::vector<Bytes>> sign_all(const Visitors& visitors, std::size_t count) {
  std::vector<std::vector<Bytes>> all;
  for (const auto& visitor : visitors) all.push_back(visitor->announcements(count));
  return all;
}

Measured announce_once(const Visitors& visitors, Figure& figure) {
  figure.references.push_back(verifies_per_second());
  const auto signed_before = sign_all(visitors, kAnnouncements);
  for (const auto& visitor : visitors) {
    if (auto came = visitor->come(); !came) return came;
  }
  const auto seconds = all_at_once(
      visitors, [&](std::size_t i) { return visitors[i]->announce(signed_before[i], kWindow); });
  if (!seconds) return tl::unexpected(seconds.error());
  figure.values.push_back(static_cast<double>(kAnnouncements * visitors.size()) / *seconds);
  for (const auto& visitor : visitors) visitor->leave();
  return {};
}

double wire_bytes(const nlohmann::json& told) {
  return told.value("link_bytes_in", 0.0) + told.value("link_bytes_out", 0.0);
}

Measured visit_once(Pool& pool, const Visitors& visitors, CurveEcho& echo, Figure& figure,
                    Figure& bytes) {
  figure.references.push_back(echo.visits_per_second(visitors.size(), kVisits));
  const auto signed_before = sign_all(visitors, kVisits);
  const auto before = pool.coordinator_figures();
  if (!before) return tl::unexpected(before.error());
  const auto seconds = all_at_once(visitors, [&](std::size_t i) -> Measured {
    for (const Bytes& announcement : signed_before[i]) {
      if (auto visited = visitors[i]->visit(announcement); !visited) return visited;
    }
    return {};
  });
  if (!seconds) return tl::unexpected(seconds.error());
  const auto after = pool.coordinator_figures();
  if (!after) return tl::unexpected(after.error());
  const auto visits = static_cast<double>(kVisits * visitors.size());
  figure.values.push_back(visits / *seconds);
  bytes.values.push_back((wire_bytes(*after) - wire_bytes(*before)) / visits);
  return {};
}

}  // namespace

Measured measure_announcements(const Run& run) {
  Figure announcements{
      "coordinator.announcements", "1/s", {}, {}, "raw Ed25519 verifications on one core", {}};
  Figure visits{"coordinator.visits",
                "1/s",
                {},
                {},
                "raw ZeroMQ over CURVE: connect, one request, leave",
                {}};
  Figure bytes{"coordinator.visit_bytes", "B", {}, {}, "", {}};
  Pool::Wish wish;
  // The coordinator has one core to itself, and its visitors, I/O threads and all, the others.
  if (run.cores.size() > 1) {
    wish.coordinator_core = run.cores.back();
    use_cores({run.cores.begin(), run.cores.end() - 1});
  }
  auto pool = Pool::start(run, wish);
  if (!pool) return tl::unexpected(pool.error());
  auto echo = CurveEcho::start(wish.coordinator_core);
  if (!echo) return tl::unexpected(echo.error());
  Visitors visitors;
  for (std::size_t i = 0; i < kVisitors; ++i) {
    auto visitor = Visitor::open((*pool)->ticket());
    if (!visitor) return tl::unexpected(visitor.error());
    visitors.push_back(std::move(*visitor));
  }
  for (int i = 0; i < kRuns; ++i) {
    if (run.wants(announcements.name)) {
      if (auto done = announce_once(visitors, announcements); !done) return done;
    }
    if (run.wants(visits.name) || run.wants(bytes.name)) {
      if (auto done = visit_once(**pool, visitors, **echo, visits, bytes); !done) return done;
    }
  }
  for (const Figure* figure : {&announcements, &visits, &bytes}) run.report(*figure);
  return {};
}

}  // namespace shoal::bench
