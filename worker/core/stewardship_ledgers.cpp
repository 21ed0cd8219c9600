#include <algorithm>

#include "node/protocol/receipt_check.h"
#include "worker/core/stewardship.h"

// What stewards read of each other's ledgers.
namespace shoal {
namespace {

constexpr std::uint64_t kReadAhead = 4 << 20;  // bytes of receipts

// What is known, for one request: the largest runs where there are too many.
std::vector<Range> told(const RangeSet& known) {
  std::vector<Range> runs = known.runs();
  if (runs.size() <= limits::kHaveRanges) return runs;
  std::nth_element(runs.begin(), runs.begin() + limits::kHaveRanges, runs.end(),
                   [](Range a, Range b) { return a.size() > b.size(); });
  runs.resize(limits::kHaveRanges);
  std::sort(runs.begin(), runs.end());
  return runs;
}

}  // namespace

bool Stewardship::may_read(const JobId& id, const NodeId& reader) const {
  const Entry* found = entry(id);
  if (found == nullptr || !found->durable) return false;
  const NodeId& node = membership_.node_of(reader);
  return node == found->job->signed_manifest().signer || fellow(*found, reader);
}

void Stewardship::read_from(Entry& entry, const NodeId& keeper, Outbox& out) {
  Reading& reading = entry.readings[keeper];
  reading = Reading{.cursor = 0, .once = entry.job->leading()};
  out.send(keeper, ResultsRequest{.job = entry.job->id(),
                                  .cursor = 0,
                                  .credit_bytes = kReadAhead,
                                  .have = told(entry.job->ended()),
                                  .once = reading.once});
}

void Stewardship::on_results(Instant now, const NodeId& from, const Results& results, Outbox& out) {
  Entry* found = entry(results.job);
  if (found == nullptr) return;
  auto reading = found->readings.find(from);
  if (reading == found->readings.end()) return;
  on_heartbeat(now, from);
  JobLed& job = *found->job;
  for (const Bytes& bytes : results.receipts) {
    auto receipt = decode_receipt(bytes);
    if (!receipt) continue;
    reading->second.bytes += bytes.size();
    reading->second.cursor = std::max(reading->second.cursor, receipt->sequence);
    if (job.ended().contains(receipt->range)) continue;
    const std::string fault = receipt_fault(job.manifest(), job.id(), *receipt, checker_);
    if (!fault.empty()) {
      out.tell(LogLevel::kWarning, "a receipt of job " + short_hex(job.id()) + " from steward " +
                                       short_hex(from) + " does not hold: " + fault);
      continue;
    }
    job.merge(std::move(*receipt), out);
  }
  if (results.end) {
    found->readings.erase(reading);
  } else if (reading->second.bytes >= kReadAhead / 4) {
    reading->second.bytes = 0;
    out.send(from,
             ResultsRequest{
                 .job = job.id(), .cursor = reading->second.cursor, .credit_bytes = kReadAhead});
  }
}

}  // namespace shoal
