#include "tests/sim/scheduling_compare.h"

#include <algorithm>
#include <deque>
#include <set>
#include <utility>
#include <vector>

#include "tests/sim/chance.h"
#include "tests/sim/event_queue.h"

namespace shoal::sim {
namespace {

Time nanoseconds(double seconds) { return static_cast<Time>(seconds * 1e9); }

// One server that holds what nobody has, and workers. Units are counted, not named.
class Model {
 public:
  Model(Policy policy, const ComparisonOptions& options)
      : policy_(policy), options_(options), rng_(options.seed), workers_(options.workers) {
    left_ = units_ = options.units;
    for (std::uint32_t i = 0; i < options.workers; ++i) {
      workers_[i].speed = log_normal(rng_, options.speed_sigma);
      arrive(i);
    }
  }

  ComparisonResult run() {
    while (done_ < units_) {
      now_ = queue_.next_time();
      const Event event = queue_.pop();
      if (event.incarnation == workers_[event.worker].incarnation ||
          event.kind == Kind::kReturned || event.kind == Kind::kArrival) {
        handle(event);
      }
      if (ninety_ == 0 && done_ * 10 >= units_ * 9) {
        ninety_ = now_;
        efficiency_until_90_ = efficiency();
      }
    }
    ComparisonResult result;
    result.makespan_s = static_cast<double>(now_) / 1e9;
    result.efficiency = efficiency();
    result.efficiency_until_90 = efficiency_until_90_;
    result.lost = lost_ / capacity();
    result.messages_a_unit = static_cast<double>(messages_) / static_cast<double>(units_);
    return result;
  }

 private:
  enum class Kind : std::uint8_t {
    kArrival,  // it is here, with nothing
    kDeparture,
    kReturned,  // `amount` units of a worker that vanished are handed out again
    kUnitDone,
    kAtServer,  // its request is at the server
    kGrant,     // `amount` units reach it
    kAtVictim,  // its request is at `other`
    kNothing,   // the answer to that, where there was nothing
  };
  struct Event {
    Kind kind = Kind::kArrival;
    std::uint32_t worker = 0;
    std::uint32_t incarnation = 0;
    std::uint32_t other = 0;
    std::uint64_t amount = 0;
  };
  struct Worker {
    double speed = 1;
    bool up = false;
    bool running = false;
    bool asking = false;
    std::uint32_t incarnation = 0;
    std::uint64_t queued = 0;
    std::uint64_t promised = 0;  // on their way to it
    Time since = 0;              // it is up
    Time unit_begun = 0;
    Time up_before = 0;  // in earlier sessions
  };

  void schedule(double after_s, Event event) { queue_.push(now_ + nanoseconds(after_s), event); }
  Event event_of(Kind kind, std::uint32_t who) const {
    return {kind, who, workers_[who].incarnation, 0, 0};
  }

  double capacity() const {
    double sum = 0;
    for (const Worker& worker : workers_) {
      const Time time = worker.up_before + (worker.up ? now_ - worker.since : 0);
      sum += static_cast<double>(time) * worker.speed / 1e9;
    }
    return sum;
  }
  double efficiency() const {
    return static_cast<double>(done_) * options_.unit_s / (capacity() - lost_);
  }

  void handle(const Event& event) {
    switch (event.kind) {
      case Kind::kArrival:
        return arrive(event.worker);
      case Kind::kDeparture:
        return depart(event.worker);
      case Kind::kReturned:
        left_ += event.amount;
        return serve_hungry();
      case Kind::kUnitDone:
        ++done_;
        workers_[event.worker].running = false;
        return advance(event.worker);
      case Kind::kAtServer:
        return at_server(event.worker);
      case Kind::kGrant:
        workers_[event.worker].promised = 0;
        workers_[event.worker].asking = false;
        set_queued(event.worker, workers_[event.worker].queued + event.amount);
        return advance(event.worker);
      case Kind::kAtVictim:
        return at_victim(event.worker, event.other);
      case Kind::kNothing:
        hungry_.push_back(event.worker);
        return serve_hungry();
    }
  }

  void arrive(std::uint32_t who) {
    Worker& worker = workers_[who];
    worker.up = true;
    worker.since = now_;
    if (options_.session_s > 0) {
      schedule(exponential(rng_, options_.session_s), event_of(Kind::kDeparture, who));
    }
    advance(who);
  }

  void depart(std::uint32_t who) {
    Worker& worker = workers_[who];
    const std::uint64_t held = worker.queued + worker.promised + (worker.running ? 1 : 0);
    if (worker.running) {
      lost_ += static_cast<double>(now_ - worker.unit_begun) * worker.speed / 1e9;
    }
    set_queued(who, 0);
    worker.promised = 0;
    worker.up = worker.running = worker.asking = false;
    worker.up_before += now_ - worker.since;
    ++worker.incarnation;
    Event returned = event_of(Kind::kReturned, who);
    returned.amount = held;
    if (held > 0) schedule(options_.notice_s, returned);
    schedule(exponential(rng_, options_.pause_s), event_of(Kind::kArrival, who));
  }

  // Begins what can be begun, and asks when it is time to.
  void advance(std::uint32_t who) {
    Worker& worker = workers_[who];
    if (!worker.running && worker.queued > 0) {
      set_queued(who, worker.queued - 1);
      worker.running = true;
      worker.unit_begun = now_;
      schedule(options_.unit_s / worker.speed, event_of(Kind::kUnitDone, who));
    }
    const bool ahead = policy_ == Policy::kStealHalf;
    if (worker.queued > 0 || worker.asking || (worker.running && !ahead)) return;
    worker.asking = true;
    ++messages_;
    schedule(options_.latency_s, event_of(Kind::kAtServer, who));
  }

  std::uint64_t chunk_for(const Worker& worker) const {
    switch (policy_) {
      case Policy::kOneUnit:
        return 1;
      case Policy::kGuided:
        return (left_ + workers_.size() - 1) / workers_.size();
      case Policy::kStealHalf: {
        const auto lease =
            static_cast<std::uint64_t>(options_.lease_s * worker.speed / options_.unit_s);
        return std::clamp<std::uint64_t>(left_ / (2 * workers_.size()) + 1, 1,
                                         std::max<std::uint64_t>(lease, 1));
      }
    }
    return 1;
  }

  bool grant(std::uint32_t who) {
    if (left_ == 0) return false;
    Event event = event_of(Kind::kGrant, who);
    event.amount = std::min(left_, chunk_for(workers_[who]));
    left_ -= event.amount;
    workers_[who].promised = event.amount;
    ++messages_;
    schedule(options_.latency_s, event);
    return true;
  }

  void at_server(std::uint32_t who) {
    if (grant(who)) return;
    if (policy_ != Policy::kStealHalf || rich_.empty()) {
      hungry_.push_back(who);
      return;
    }
    Event event = event_of(Kind::kAtVictim, who);
    event.other = rich_.rbegin()->second;
    messages_ += 2;  // the server names whom to ask, and the thief asks
    schedule(2 * options_.latency_s, event);
  }

  void at_victim(std::uint32_t thief, std::uint32_t victim) {
    const std::uint64_t loot = (workers_[victim].queued + 1) / 2;
    // With nothing running, one unit is the victim's own to do.
    const bool spare = loot > 0 && (loot > 1 || workers_[victim].running);
    Event event = event_of(spare ? Kind::kGrant : Kind::kNothing, thief);
    ++messages_;
    if (spare) {
      event.amount = loot;
      set_queued(victim, workers_[victim].queued - loot);
      workers_[thief].promised = loot;
      messages_ += 2;  // the server is told, and confirms
    }
    schedule(options_.latency_s, event);
  }

  void serve_hungry() {
    while (!hungry_.empty() && left_ > 0) {
      const std::uint32_t who = hungry_.front();
      hungry_.pop_front();
      if (workers_[who].up && workers_[who].asking && workers_[who].promised == 0) grant(who);
    }
  }

  void set_queued(std::uint32_t who, std::uint64_t queued) {
    if (policy_ == Policy::kStealHalf) {
      rich_.erase({workers_[who].queued, who});
      if (queued > 0) rich_.insert({queued, who});
    }
    workers_[who].queued = queued;
  }

  Policy policy_;
  ComparisonOptions options_;
  Rng rng_;
  std::vector<Worker> workers_;
  EventQueue<Event> queue_;
  Time now_ = 0;
  std::uint64_t units_ = 0, left_ = 0, done_ = 0, messages_ = 0;
  std::deque<std::uint32_t> hungry_;
  std::set<std::pair<std::uint64_t, std::uint32_t>> rich_;  // by units that have not been begun
  double lost_ = 0;
  Time ninety_ = 0;
  double efficiency_until_90_ = 0;
};

}  // namespace

const char* name_of(Policy policy) {
  switch (policy) {
    case Policy::kOneUnit:
      return "one-unit-a-request";
    case Policy::kGuided:
      return "guided";
    case Policy::kStealHalf:
      return "steal-half";
  }
  return "";
}

ComparisonResult compare(Policy policy, const ComparisonOptions& options) {
  return Model(policy, options).run();
}

}  // namespace shoal::sim
