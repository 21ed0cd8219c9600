#include <algorithm>
#include <utility>

#include "node/protocol/hash.h"
#include "node/protocol/receipt_check.h"
#include "sdk/core/submitter_impl.h"

namespace shoal {
namespace {

constexpr unsigned kHolderDials = 3;
// An output that nobody sends: who holds it is asked again, since others may have made copies.
constexpr Duration kSeekAgain = 2s;
// Where its holders are there and cannot be dialled, and neither can this node: a copy is made
// where both reach it, one after the other if many are wanted.
constexpr Duration kCopyPatience = 120s;
constexpr Duration kLookFirst = 5s;  // without a receipt, before the other stewards are asked

void append_number(Bytes& to, std::uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) {
    to.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}

}  // namespace

void Submitter::Impl::on(const WantReceipts& want) {
  const auto it = jobs.find(want.job);
  if (it == jobs.end()) return;
  OpenJob& job = it->second;
  job.wanted = true;
  job.credit_bytes = std::max<std::uint64_t>(want.credit_bytes, 1);
  if (job.reader) {
    ask_receipts(want.job, job);
  } else {
    read_on(want.job, job);
  }
}

void Submitter::Impl::on(const TakenReceipts& taken) {
  const auto it = jobs.find(taken.job);
  if (it == jobs.end()) return;
  OpenJob& job = it->second;
  while (!job.untaken.empty() && job.untaken.front().first <= taken.number) {
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
  job.asked_bytes = job.untaken_bytes = 0;
  job.untaken.clear();
  job.had = RangeSet();
  job.ends.clear();
  job.verified = job.failed = job.disputed = 0;
  // Receipts may be on their way; only on a new link does the first one come first.
  std::vector<NodeId> asked;
  for (const auto& [node, keeper] : job.keepers) {
    if (keeper.asked && contacts[node].linked) asked.push_back(node);
  }
  letting_go = true;
  for (const NodeId& node : asked) {
    out.push_back(Drop{node, "receipts are wanted from the first again"});
    link_gone(node, "its receipts are wanted from the first again");
  }
  letting_go = false;
}

void Submitter::Impl::ask_receipts(const JobId& id, OpenJob& job) {
  if (!job.wanted || !job.reader || !contacts[*job.reader].linked) return;
  if (job.untaken_bytes >= job.credit_bytes || job.had.size() == job.manifest.units) return;
  job.asked_bytes = job.credit_bytes - job.untaken_bytes;
  if (!job.look) {
    job.look_wait = kLookFirst;
    job.last_receipt = now;
    job.look = now + jittered(job.look_wait);
  }
  ask_receipts_of(id, job, *job.reader, false);
}

void Submitter::Impl::ask_receipts_of(const JobId& id, OpenJob& job, const NodeId& node,
                                      bool once) {
  Keeper& keeper = job.keepers[node];
  ResultsRequest request{id, keeper.cursor, job.credit_bytes, {}, once};
  if (!once) request.credit_bytes = job.asked_bytes;
  if (!std::exchange(keeper.asked, true)) {
    request.have = job.had.runs();
    if (request.have.size() > limits::kHaveRanges) {
      // What is left out comes again, and is left out here: the longest runs save the most.
      std::nth_element(request.have.begin(), request.have.begin() + limits::kHaveRanges,
                       request.have.end(),
                       [](const Range& a, const Range& b) { return a.size() > b.size(); });
      request.have.resize(limits::kHaveRanges);
      std::sort(request.have.begin(), request.have.end());
    }
  }
  send(node, request);
}

void Submitter::Impl::heard(const NodeId& from, Results& results) {
  const auto it = jobs.find(results.job);
  if (it == jobs.end()) return;
  OpenJob& job = it->second;
  const auto keeper = job.keepers.find(from);
  if (keeper == job.keepers.end() || !keeper->second.asked) return;
  for (const Bytes& encoded : results.receipts) take_receipt(results.job, job, from, encoded);
  if (job.had.size() == job.manifest.units) {
    job.asked_bytes = 0;
    return;
  }
  if (keeper->second.lied) read_on(results.job, job);
  // All of it was bad, or known: nobody will take anything.
  if (job.untaken.empty()) on(TakenReceipts{results.job, 0});
}

void Submitter::Impl::take_receipt(const JobId& id, OpenJob& job, const NodeId& from,
                                   const Bytes& encoded) {
  if (job.reader == from) {
    job.asked_bytes -= std::min<std::uint64_t>(job.asked_bytes, encoded.size());
  }
  Keeper& keeper = job.keepers[from];
  auto decoded = decode_receipt(encoded);
  if (!decoded) {
    keeper.lied = true;
    out.push_back(ReceiptBad{id, "A receipt is unreadable: " + decoded.error().what + "."});
    return;
  }
  if (decoded->sequence <= keeper.cursor) return;  // sent twice
  keeper.cursor = decoded->sequence;
  if (job.had.contains(decoded->range)) return;  // from another steward, before
  const ReceiptFinding finding = examine_receipt(job.manifest, id, *decoded, checker);
  if (!finding.fault.empty()) {
    keeper.lied = true;
    out.push_back(ReceiptBad{id, "The receipt for units " + std::to_string(decoded->range.first) +
                                     " to " + std::to_string(decoded->range.last) +
                                     " does not hold: " + finding.fault + "."});
    return;
  }
  deliver(id, job, from, std::move(*decoded), finding.root, encoded.size());
}

void Submitter::Impl::deliver(const JobId& id, OpenJob& job, const NodeId& from, Receipt receipt,
                              const Hash256& root, std::uint64_t bytes) {
  // Two leaders at once end units in runs of their own. What came first stands.
  RangeSet fresh(receipt.range);
  fresh.remove(job.had);
  for (const Range& run : fresh.runs()) {
    Hash256 run_root = root;
    if (run != receipt.range && receipt.end == UnitEnd::kVerified) {
      const auto digests = digests_of(
          slice(receipt.outputs, run.first - receipt.range.first, run.last - receipt.range.first));
      check(digests.has_value(), "a receipt that holds has outputs without digests");
      run_root = merkle_root(*digests);
    }
    job.ends.emplace(run.first, std::pair{run.last, run_root});
  }
  job.had.add(fresh);
  switch (receipt.end) {
    case UnitEnd::kVerified:
      job.verified += fresh.size();
      break;
    case UnitEnd::kDisputed:
      job.disputed += fresh.size();
      break;
    case UnitEnd::kFailed:
      job.failed += fresh.size();
      break;
  }
  job.last_receipt = now;
  job.look_wait = kLookFirst;
  job.untaken.emplace_back(++job.delivered, bytes);
  job.untaken_bytes += bytes;
  out.push_back(ReceiptReady{id, std::move(receipt), fresh.runs(), from, job.delivered});
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
  if (job.stage == JobStage::kHeld && best_linked(job)) say_over(close.job);
}

void Submitter::Impl::say_over(const JobId& id) {
  const auto it = jobs.find(id);
  check(it != jobs.end() && it->second.over.has_value(), "a job is over without a snapshot");
  const auto steward = best_linked(it->second);
  check(steward.has_value(), "a job is over, and nobody is there to be told so");
  send(*steward, JobOver{*it->second.over});
  // Messages keep their order: once this is answered, the other has been read.
  ask_status(*steward, id, NodeId{}, true);
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
  output.length = want.length;
  output.wanted_at = now;
  output.look_at = now + kSeekAgain;
  bool all_known = true;
  bool all_linked = true;
  for (const NodeId& holder : want.holders) {
    output.holders[holder] = 0;
    const Contact* c = contact(holder);
    all_known = all_known && c && reachable(*c);
    all_linked = all_linked && c && exchanges(*c);
  }
  pass(exchange.want(now, want.content, want.length, want.holders));
  // Those who computed it may be gone, and others hold copies: a steward knows.
  const auto job = jobs.find(want.job);
  const auto steward = job == jobs.end() ? std::nullopt : best_linked(job->second);
  if (!all_linked && steward) send(*steward, HoldersRequest{want.content, want.length});
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

void Submitter::Impl::outputs_deadline() {
  for (auto& [content, output] : outputs) {
    if (output.look_at > now) continue;
    output.look_at = now + kSeekAgain;
    seek_output(content, output);
  }
}

void Submitter::Impl::seek_output(const ContentId& content, WantedOutput& output) {
  const std::vector<NodeId> sources = exchange.sources_of(content);
  const bool supplied = std::any_of(sources.begin(), sources.end(), [&](const NodeId& source) {
    const auto it = contacts.find(source);
    return it != contacts.end() && exchanges(it->second) && exchange.is_useful(content, source);
  });
  if (supplied) return;
  bool steward_here = false;
  for (const JobId& id : output.jobs) {
    const auto job = jobs.find(id);
    const auto steward = job == jobs.end() ? std::nullopt : best_linked(job->second);
    if (!steward) continue;
    steward_here = true;
    send(*steward, HoldersRequest{content, output.length});
  }
  const bool hidden =
      std::any_of(output.holders.begin(), output.holders.end(), [this](const auto& holder) {
        const auto it = contacts.find(holder.first);
        if (it == contacts.end()) return false;
        const Contact& c = it->second;
        return c.linked ? c.path == LinkPath::kRelayed : c.record && !c.record->via.empty();
      });
  if (steward_here && hidden && now < std::max(output.wanted_at, output_came) + kCopyPatience) {
    exchange.hope(now, content);
  }
}

void Submitter::Impl::output_arrived(const ContentArrived& arrived) {
  const auto it = outputs.find(arrived.id);
  if (it == outputs.end()) return;
  if (arrived.error.empty()) output_came = now;
  for (const JobId& job : it->second.jobs) {
    out.push_back(OutputReady{job, arrived.id, arrived.error});
  }
  outputs.erase(it);
}

bool Submitter::Impl::serves(const ContentId& content) const {
  if (loose.contains(content) || outputs.contains(content)) return true;
  return std::any_of(jobs.begin(), jobs.end(), [&](const auto& entry) {
    const std::vector<ContentName> needed = contents_of(entry.second.manifest);
    return std::any_of(needed.begin(), needed.end(),
                       [&](const ContentName& name) { return name.id == content; });
  });
}

}  // namespace shoal
