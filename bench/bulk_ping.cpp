#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "bench/machines.h"
#include "bench/random_file.h"
#include "bench/run.h"
#include "bench/swarm_programs.h"
#include "node/content/core/exchange.h"
#include "node/link/link.h"
#include "node/protocol/messages.h"
#include "node/state/clock.h"
#include "node/state/key_file.h"

// A node that fetches as fast as its wire lets it, and asks the same peer something small all the
// while.
namespace shoal::bench {
namespace {

constexpr double kMegabits = 50;
constexpr std::chrono::milliseconds kRoundTrip{20};
constexpr std::uint64_t kFileBytes = 64 << 20;
constexpr Duration kPingEvery = 50ms;
constexpr int kIdlePings = 20;
constexpr Duration kPatience = 60s;

double ms(Duration span) { return std::chrono::duration<double, std::milli>(span).count(); }

// Keeps nothing of what it fetches. One thread, on the machine where it is.
class Fetcher {
 public:
  Fetcher(const SeededPool& pool, std::unique_ptr<Link> link)
      : pool_(pool), link_(std::move(link)), exchange_(Rng(1)) {}

  // Idle at first, then fetching until all is here.
  Measured run() {
    link_->perform(Dial{pool_.seed, pool_.endpoint});
    const Instant give_up = boottime_now() + kPatience;
    std::vector<bool> readable;
    while (!done_ && error_.empty()) {
      const Instant now = boottime_now();
      if (now > give_up) return tl::unexpected(std::string("the fetch is not done in time"));
      Instant until = up_ && !asked_at_ ? next_ping_ : now + 1s;
      if (const auto at = exchange_.next_deadline()) until = std::min(until, *at);
      for (LinkEvent& event : link_->wait(std::max(until - now, Duration(0)), {}, readable)) {
        take(event);
      }
      tick(boottime_now());
    }
    if (error_.empty()) return {};
    return tl::unexpected(error_);
  }

  std::vector<double> idle_ms, busy_ms;
  double megabits() const {
    const double seconds = std::chrono::duration<double>(ended_ - began_).count();
    return static_cast<double>(pool_.content.length) * 8 / 1e6 / seconds;
  }

 private:
  void tick(Instant now) {
    if (!up_) return;
    if (!asked_at_ && next_ping_ <= now) {
      asked_at_ = now;
      link_->perform(Send{pool_.seed, encode(Message(WorkerStatusRequest{}))});
    }
    if (const auto at = exchange_.next_deadline(); at && *at <= now) {
      perform(exchange_.on_deadline(now));
    }
  }
  void take(LinkEvent& event) {
    const Instant now = boottime_now();
    if (std::holds_alternative<LinkUp>(event)) {
      up_ = true;
      perform(exchange_.link_up(now, pool_.seed));
    } else if (const auto* lost = std::get_if<LinkLost>(&event)) {
      error_ = "the seed was lost: " + lost->why;
    } else if (const auto* received = std::get_if<Received>(&event)) {
      auto message = decode(received->bytes);
      if (!message) {
        error_ = message.error().what;
      } else if (std::holds_alternative<WorkerStatus>(*message)) {
        answered(now);
      } else if (auto* block = std::get_if<Block>(&*message)) {
        perform(exchange_.on_block(now, pool_.seed, std::move(*block)));
      } else if (const auto* holdings = std::get_if<Holdings>(&*message)) {
        perform(exchange_.on_holdings(now, pool_.seed, *holdings));
      }
    }
  }
  void answered(Instant now) {
    auto& pings = began_ == Instant{} ? idle_ms : busy_ms;
    pings.push_back(ms(now - *asked_at_));
    next_ping_ = *asked_at_ + kPingEvery;
    asked_at_.reset();
    if (began_ != Instant{} || idle_ms.size() < kIdlePings) return;
    began_ = now;
    perform(exchange_.want(now, pool_.content.id, pool_.content.length, {pool_.seed}));
  }
  void perform(ExchangeActions actions) {
    const Instant now = boottime_now();
    for (ExchangeAction& action : actions) {
      if (auto* send = std::get_if<Send>(&action)) {
        link_->perform(std::move(*send));
      } else if (const auto* open = std::get_if<OpenContent>(&action)) {
        perform(exchange_.on_opened(now, {open->id, open->length, false, {}, open->for_reader}));
      } else if (const auto* store = std::get_if<StoreBlock>(&action)) {
        stored_ += store->bytes.size();
        const bool whole = stored_ == store->length;
        perform(exchange_.on_stored(now, {store->id, store->first_leaf, whole, {}}));
      } else if (const auto* arrived = std::get_if<ContentArrived>(&action)) {
        ended_ = now;
        done_ = arrived->error.empty();
        error_ = arrived->error;
      }
    }
  }

  const SeededPool& pool_;
  std::unique_ptr<Link> link_;
  Exchange exchange_;
  bool up_ = false;
  bool done_ = false;
  std::string error_;
  std::uint64_t stored_ = 0;
  Instant began_ = {}, ended_ = {};
  Instant next_ping_ = {};
  std::optional<Instant> asked_at_;
};

Measured fetch_and_ping(const SeededPool& pool, const Run& run) {
  const KeyPair key = new_key();
  LinkConfig config;
  config.pool = pool.ticket.pool;
  config.role = Role::kSubmitter;
  auto link = Link::open(config, key);
  if (!link) return tl::unexpected(link.error().what);
  Fetcher fetcher(pool, std::move(*link));
  if (auto fetched = fetcher.run(); !fetched) return fetched;
  const auto slowest = std::max_element(fetcher.busy_ms.begin(), fetcher.busy_ms.end());
  if (slowest == fetcher.busy_ms.end()) return tl::unexpected(std::string("it was never full"));
  run.report({"content.ping_beside_bulk",
              "ms",
              {*slowest},
              {median(fetcher.idle_ms)},
              "the same with nothing beside it",
              Bound{Judged::kValue, Sense::kAtMost, 60, 40.0}});
  run.report({"content.bulk_beside_ping",
              "Mbit/s",
              {fetcher.megabits()},
              {kMegabits},
              "the wire",
              Bound{Judged::kRatio, Sense::kAtLeast, 0.8, 0.9}});
  return {};
}

}  // namespace

Measured measure_bulk_ping(const Run& run) {
  auto machines = Machines::behind_wires(2, kMegabits, kRoundTrip);
  if (!machines) return tl::unexpected(machines.error());
  const SwarmTask task{run, **machines, run.folder / "data", kFileBytes, 1, 0};
  if (auto wrote = write_random_file(task.file, task.bytes); !wrote) return wrote;
  auto pool = start_seeded_pool(task, run.folder);
  if (!pool) return tl::unexpected(pool.error());
  Measured measured;
  // libzmq's threads are where the one that starts them is.
  (*machines)->inside(1, [&] { measured = fetch_and_ping(*pool, run); });
  return measured;
}

}  // namespace shoal::bench
