#include "tests/sim/figures.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace shoal::sim {
namespace {

struct Span {
  Time first = 0;  // a job was accepted
  Time last = 0;   // the last receipt came
};

Span measure_jobs(World& world, SimReport& report, double& units) {
  Span span;
  for (const auto& job : world.jobs()) {
    units += static_cast<double>(job->manifest.units);
    report.units_verified += job->verified.size();
    report.receipts += job->receipts;
    report.bad_receipts += job->bad_receipts;
    if (job->accepted) {
      span.first = span.first == 0 ? *job->accepted : std::min(span.first, *job->accepted);
    }
    if (job->last_receipt) span.last = std::max(span.last, *job->last_receipt);
  }
  report.makespan_s = static_cast<double>(span.last - span.first) / 1e9;
  return span;
}

Time alive_within(const Node& node, Span span) {
  Time sum = 0;
  for (const Node::Life& life : node.lives) {
    const Time until = std::min(span.last, life.until.value_or(span.last));
    sum += std::max<Time>(0, until - std::max(span.first, life.from));
  }
  return sum;
}

// Of all workers, within a span.
struct Work {
  double capacity = 0;
  double finished = 0, cancelled = 0, in_hand = 0;

  double ideal() const { return capacity - in_hand; }
};

Work work_within(const World& world, Span span) {
  Work work;
  for (const auto& node : world.nodes()) {
    if (node->kind != NodeKind::kWorker) continue;
    work.capacity +=
        static_cast<double>(alive_within(*node, span)) * node->worker.speed * node->worker.threads;
    work.finished += node->executor->finished_work();
    work.cancelled += node->executor->cancelled_work();
    work.in_hand += node->executor->crashed_work();
  }
  return work;
}

double work_of(double units, const SimOptions& options) {
  return units * options.quorum * options.unit_ms * 1e6;
}

void measure_work(const World& world, Span span, double units, SimReport& report) {
  double computed = 0;
  double known = 0;
  double stolen = 0;
  for (const auto& node : world.nodes()) {
    if (node->kind != NodeKind::kWorker) continue;
    computed += static_cast<double>(node->units_computed);
    known += static_cast<double>(node->units_computed_before);
    stolen += static_cast<double>(node->units_stolen_before);
    if (!node->peer) continue;
    const WorkerStatus status = node->peer->status();
    known += static_cast<double>(status.units_computed);
    stolen += static_cast<double>(status.units_stolen);
  }
  const Work work = work_within(world, span);
  if (const double ideal = work.ideal(); ideal > 0) {
    const double useful = work_of(units, report.options);
    report.efficiency = useful / ideal;
    report.share_redundant = std::max(0.0, work.finished - useful) / ideal;
    report.share_cancelled = work.cancelled / ideal;
    report.share_idle =
        std::max(0.0, ideal - std::max(work.finished, useful) - work.cancelled) / ideal;
    report.share_in_hand = work.in_hand / work.capacity;
  }
  if (units > 0) report.redundancy = computed / units / report.options.quorum;
  if (known > 0) report.steals_share = stolen / known;
}

// What whole units come to within `span`, one after the other on each thread.
struct WholeUnits {
  double units = 0;
  double capacity = 0;  // as Work has it, without what workers that left could not have finished
};

WholeUnits whole_units_within(const World& world, Span span, double unit_ns) {
  WholeUnits all;
  for (const auto& node : world.nodes()) {
    if (node->kind != NodeKind::kWorker) continue;
    for (const Node::Life& life : node->lives) {
      const Time until = std::min(span.last, life.until.value_or(span.last));
      const Time stay = std::max<Time>(0, until - std::max(span.first, life.from));
      const double work = static_cast<double>(stay) * node->worker.speed;
      const double units = std::floor(work / unit_ns);
      const bool left = life.until && *life.until <= span.last;
      all.units += units * node->worker.threads;
      all.capacity += (left ? units * unit_ns : work) * node->worker.threads;
    }
  }
  return all;
}

void measure_best(const World& world, Span span, double units, SimReport& report) {
  const double replicas = units * report.options.quorum;
  const double unit_ns = report.options.unit_ms * 1e6;
  if (unit_ns == 0) return;  // nothing to be late with
  Span best = span;
  // The span begins when the submitter hears that its job is accepted, a moment after work may
  // begin: a job that wasted nothing is over within less than its units take.
  best.last += (span.last - span.first) / 2;
  if (whole_units_within(world, best, unit_ns).units < replicas) return;
  for (Time too_short = span.first; best.last - too_short > 1'000'000;) {
    const Time middle = too_short + (best.last - too_short) / 2;
    const bool enough = whole_units_within(world, {span.first, middle}, unit_ns).units >= replicas;
    (enough ? best.last : too_short) = middle;
  }
  report.makespan_best_s = static_cast<double>(best.last - best.first) / 1e9;
  report.efficiency_best =
      work_of(units, report.options) / whole_units_within(world, best, unit_ns).capacity;
}

void measure_membership(const World& world, Network& network, SimReport& report) {
  std::set<NodeIndex> keepers;
  for (const auto& job : world.jobs()) {
    keepers.insert(job->stewards.begin(), job->stewards.end());
  }
  std::vector<std::size_t> links;
  double messages = 0;
  double minutes = 0;
  for (const auto& node : world.nodes()) {
    if (node->kind != NodeKind::kWorker) continue;
    const double own_minutes = static_cast<double>(alive_within(*node, {0, world.now()})) / 60e9;
    const double own_messages = static_cast<double>(network.sent_by(node->index).messages +
                                                    network.received_by(node->index).messages);
    const double rate = own_messages / std::max(1.0, own_minutes);
    if (keepers.contains(node->index)) {
      report.links_keeper = std::max(report.links_keeper, network.links_most_of(node->index));
      report.messages_a_keeper_minute = std::max(report.messages_a_keeper_minute, rate);
      continue;
    }
    messages += own_messages;
    minutes += own_minutes;
    report.messages_a_node_minute_max = std::max(report.messages_a_node_minute_max, rate);
    if (node->alive) links.push_back(network.links_of(node->index));
  }
  if (minutes > 0) report.messages_a_node_minute = messages / minutes;
  report.turned_away = network.turned_away();
  if (links.empty()) return;
  std::sort(links.begin(), links.end());
  report.links_median = links[links.size() / 2];
  report.links_p99 = links[links.size() * 99 / 100];
}

}  // namespace

void NinetyPercent::on_receipt(World& world, const JobRun&, const Receipt&) {
  if (report_.efficiency_until_90 > 0) return;
  const SimOptions& options = report_.options;
  double ended = 0;
  std::optional<Time> first;
  for (const auto& job : world.jobs()) {
    ended += static_cast<double>(job->ended.size());
    if (job->accepted) first = std::min(first.value_or(world.now()), *job->accepted);
  }
  if (!first || ended < 0.9 * static_cast<double>(options.units) * options.jobs) return;
  const Work work = work_within(world, {*first, world.now()});
  if (work.ideal() <= 0) return;
  report_.busy_until_90 = work.finished / work.ideal();
  report_.efficiency_until_90 = work_of(ended, options) / work.ideal();
}

void measure(World& world, SimReport& report) {
  double units = 0;
  const Span span = measure_jobs(world, report, units);
  measure_work(world, span, units, report);
  measure_best(world, span, units, report);
  measure_membership(world, world.network(), report);
  double coordinator_bytes = 0;
  for (const NodeIndex coordinator : world.of_kind(NodeKind::kCoordinator)) {
    coordinator_bytes += static_cast<double>(world.network().sent_by(coordinator).bytes +
                                             world.network().received_by(coordinator).bytes);
  }
  report.coordinator_bytes_a_node = coordinator_bytes / static_cast<double>(world.nodes().size());
  const Traffic traffic = world.job_traffic();
  report.virtual_s = static_cast<double>(world.now()) / 1e9;
  if (units > 0) {
    report.messages_a_unit = static_cast<double>(traffic.messages) / units;
    report.bytes_a_unit = static_cast<double>(traffic.bytes) / units;
  }
  report.events = world.events();
  report.hash = world.action_hash();
  report.violations = world.violations();
}

}  // namespace shoal::sim
