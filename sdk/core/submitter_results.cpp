#include <algorithm>
#include <utility>

#include "node/protocol/hash.h"
#include "node/protocol/receipt_check.h"
#include "sdk/core/submitter_impl.h"

namespace shoal {
namespace {

constexpr unsigned kHolderDials = 3;

void append_number(Bytes& to, std::uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) {
    to.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}

}  // namespace

void Submitter::Impl::on(const WantReceipts& want) {
  const auto it = jobs.find(want.job);
  if (it == jobs.end()) return;
  it->second.wanted = true;
  it->second.credit_bytes = std::max<std::uint64_t>(want.credit_bytes, 1);
  ask_receipts(want.job, it->second);
}

void Submitter::Impl::on(const TakenReceipts& taken) {
  const auto it = jobs.find(taken.job);
  if (it == jobs.end()) return;
  OpenJob& job = it->second;
  while (!job.untaken.empty() && job.untaken.front().first <= taken.sequence) {
    job.untaken_bytes -= job.untaken.front().second;
    job.untaken.pop_front();
  }
  // Credit is renewed in large steps: a message for each receipt would cost more than the receipt.
  if (job.untaken_bytes + job.asked_bytes + job.credit_bytes / 4 <= job.credit_bytes) {
    ask_receipts(taken.job, job);
  }
}

void Submitter::Impl::start_over(OpenJob& job) {
  if (!job.wanted) return;
  job.wanted = false;
  job.cursor = job.asked_bytes = job.untaken_bytes = 0;
  job.untaken.clear();
  job.had = RangeSet();
  job.ends.clear();
  job.verified = job.failed = job.disputed = 0;
  // Receipts may be on their way; only on a new link does the first one come first.
  const NodeId steward = job.steward->node;
  if (!contacts[steward].linked) return;
  out.push_back(Drop{steward, "receipts are wanted from the first again"});
  link_gone(steward, "its receipts are wanted from the first again");
}

void Submitter::Impl::ask_receipts(const JobId& id, OpenJob& job) {
  if (!job.wanted || job.stage != JobStage::kHeld || !contacts[job.steward->node].linked) return;
  if (job.untaken_bytes >= job.credit_bytes || job.had.size() == job.manifest.units) return;
  job.asked_bytes = job.credit_bytes - job.untaken_bytes;
  send(job.steward->node, ResultsRequest{id, job.cursor, job.asked_bytes});
}

void Submitter::Impl::heard(const NodeId& from, Results& results) {
  const auto it = jobs.find(results.job);
  if (it == jobs.end()) return;
  OpenJob& job = it->second;
  if (job.stage != JobStage::kHeld || job.steward->node != from) return;
  for (const Bytes& encoded : results.receipts) take_receipt(results.job, job, encoded);
  if (job.had.size() == job.manifest.units) {
    job.asked_bytes = 0;
  } else if (job.untaken.empty()) {
    on(TakenReceipts{results.job, 0});  // all of it was bad: nobody will take anything
  }
}

void Submitter::Impl::take_receipt(const JobId& id, OpenJob& job, const Bytes& encoded) {
  job.asked_bytes -= std::min<std::uint64_t>(job.asked_bytes, encoded.size());
  auto decoded = decode_receipt(encoded);
  if (!decoded) {
    out.push_back(ReceiptBad{id, "A receipt is unreadable: " + decoded.error().what + "."});
    return;
  }
  Receipt& receipt = *decoded;
  if (receipt.sequence <= job.cursor) return;  // sent twice, around a lost link
  job.cursor = receipt.sequence;
  const ReceiptFinding finding = examine_receipt(job.manifest, id, receipt, checker);
  const auto say_bad = [&](const std::string& fault) {
    out.push_back(ReceiptBad{id, "The receipt for units " + std::to_string(receipt.range.first) +
                                     " to " + std::to_string(receipt.range.last) +
                                     " does not hold: " + fault + "."});
  };
  if (!finding.fault.empty()) return say_bad(finding.fault);
  if (!job.had.intersection(receipt.range).empty()) {
    if (!job.had.contains(receipt.range)) say_bad("it covers units that had ended before");
    return;
  }
  job.had.add(receipt.range);
  job.ends.emplace(receipt.range.first, std::pair{receipt.range.last, finding.root});
  switch (receipt.end) {
    case UnitEnd::kVerified:
      job.verified += receipt.range.size();
      break;
    case UnitEnd::kDisputed:
      job.disputed += receipt.range.size();
      break;
    case UnitEnd::kFailed:
      job.failed += receipt.range.size();
      break;
  }
  job.untaken.emplace_back(receipt.sequence, encoded.size());
  job.untaken_bytes += encoded.size();
  out.push_back(ReceiptReady{id, std::move(receipt)});
}

void Submitter::Impl::on(const CloseJob& close) {
  const auto it = jobs.find(close.job);
  if (it == jobs.end()) return;
  OpenJob& job = it->second;
  if (job.had.size() != job.manifest.units) {
    tell("Job " + short_hex(close.job) + " is not closed: " +
         std::to_string(job.manifest.units - job.had.size()) + " units have not ended.");
    return;
  }
  Bytes listed;
  listed.reserve(job.ends.size() * 48);
  for (const auto& [first, end] : job.ends) {
    append_number(listed, first);
    append_number(listed, end.first);
    listed.insert(listed.end(), end.second.bytes.begin(), end.second.bytes.end());
  }
  const Snapshot snapshot{close.job, job.verified, job.failed, job.disputed, sha256(listed)};
  job.over = sign_fact(signer, Purpose::kSnapshot, encode(snapshot));
  if (job.stage == JobStage::kHeld && contacts[job.steward->node].linked) say_over(close.job);
}

void Submitter::Impl::say_over(const JobId& id) {
  const auto it = jobs.find(id);
  check(it != jobs.end() && it->second.over.has_value(), "a job is over without a snapshot");
  const NodeId steward = it->second.steward->node;
  send(steward, JobOver{*it->second.over});
  // Messages keep their order: once this is answered, the other has been read.
  ask_status(steward, id, NodeId{});
}

void Submitter::Impl::close_job(JobId id) {
  const auto it = jobs.find(id);
  check(it != jobs.end() && it->second.over.has_value(), "a job is over without a snapshot");
  auto snapshot = decode_snapshot(it->second.over->body);
  check(snapshot.has_value(), "a snapshot of ours is unreadable");
  jobs.erase(it);
  out.push_back(JobClosed{id, *snapshot});
}

void Submitter::Impl::on(const WantOutput& want) {
  WantedOutput& output = outputs[want.content];
  output.jobs.insert(want.job);
  bool all_known = true;
  for (const NodeId& holder : want.holders) {
    output.holders[holder] = 0;
    const Contact* c = contact(holder);
    all_known = all_known && c && reachable(*c);
  }
  pass(exchange.want(now, want.content, want.length, want.holders));
  if (!all_known) begin_search();
  dial_holders();
}

void Submitter::Impl::dial_holders() {
  for (auto& [content, output] : outputs) {
    for (auto& [holder, dials] : output.holders) {
      const auto it = contacts.find(holder);
      if (it == contacts.end() || it->second.linked || it->second.dial_ends) continue;
      if (dials >= kHolderDials || !reachable(it->second)) continue;
      ++dials;
      dial(holder);
    }
  }
}

void Submitter::Impl::output_arrived(const ContentArrived& arrived) {
  const auto it = outputs.find(arrived.id);
  if (it == outputs.end()) return;
  for (const JobId& job : it->second.jobs) {
    out.push_back(OutputReady{job, arrived.id, arrived.error});
  }
  outputs.erase(it);
}

bool Submitter::Impl::serves(const ContentId& content) const {
  return std::any_of(jobs.begin(), jobs.end(), [&](const auto& entry) {
    const Manifest& manifest = entry.second.manifest;
    return manifest.program == content || manifest.inputs == content;
  });
}

}  // namespace shoal
