#include "tests/sim/figures.h"

#include <algorithm>
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

void measure_work(const World& world, Span span, double units, SimReport& report) {
  double capacity = 0;
  double finished = 0;
  double lost = 0;
  double computed = 0;
  double known = 0;
  double stolen = 0;
  for (const auto& node : world.nodes()) {
    if (node->kind != NodeKind::kWorker) continue;
    capacity +=
        static_cast<double>(alive_within(*node, span)) * node->worker.speed * node->worker.threads;
    finished += node->executor->finished_work();
    lost += node->executor->lost_work();
    computed += static_cast<double>(node->units_computed);
    known += static_cast<double>(node->units_computed_before);
    stolen += static_cast<double>(node->units_stolen_before);
    if (!node->peer) continue;
    const WorkerStatus status = node->peer->status();
    known += static_cast<double>(status.units_computed);
    stolen += static_cast<double>(status.units_stolen);
  }
  const SimOptions& options = report.options;
  if (capacity > 0) {
    const double useful = units * options.quorum * options.unit_ms * 1e6;
    report.efficiency = useful / capacity;
    report.share_redundant = std::max(0.0, finished - useful) / capacity;
    report.share_lost = lost / capacity;
    report.share_idle = std::max(0.0, capacity - std::max(finished, useful) - lost) / capacity;
  }
  if (units > 0) report.redundancy = computed / units / options.quorum;
  if (known > 0) report.steals_share = stolen / known;
}

void measure_membership(const World& world, Network& network, SimReport& report) {
  std::set<NodeIndex> keepers;
  for (const auto& job : world.jobs()) {
    if (job->steward) keepers.insert(*job->steward);
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
  const SimOptions& options = report_.options;
  if (report_.efficiency_until_90 > 0) return;
  double ended = 0;
  std::optional<Time> first;
  for (const auto& job : world.jobs()) {
    ended += static_cast<double>(job->ended.size());
    if (job->accepted) first = std::min(first.value_or(world.now()), *job->accepted);
  }
  if (!first || ended < 0.9 * static_cast<double>(options.units) * options.jobs) return;
  double capacity = 0;
  double finished = 0;
  for (const auto& node : world.nodes()) {
    if (node->kind != NodeKind::kWorker) continue;
    capacity += static_cast<double>(alive_within(*node, {*first, world.now()})) *
                node->worker.speed * node->worker.threads;
    finished += node->executor->finished_work();
  }
  if (capacity > 0) {
    report_.busy_until_90 = finished / capacity;
    report_.efficiency_until_90 = ended * options.quorum * options.unit_ms * 1e6 / capacity;
  }
}

void measure(World& world, SimReport& report) {
  double units = 0;
  const Span span = measure_jobs(world, report, units);
  measure_work(world, span, units, report);
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
