#include "worker/core/delivery.h"

#include <algorithm>

namespace shoal {
namespace {

constexpr std::size_t kRecentBytes = 8 << 20;
constexpr std::size_t kReadersMax = 16;
// Leaves room for the envelope and the list of a full message.
constexpr std::size_t kMessageReceiptBytes = limits::kMessageBytes - 4096;

}  // namespace

void Delivery::add(std::uint64_t sequence, Bytes receipt) {
  recent_bytes_ += receipt.size();
  recent_.emplace(sequence, std::move(receipt));
}

void Delivery::stored(std::uint64_t sequence, Outbox& out) {
  last_stored_ = std::max(last_stored_, sequence);
  for (auto& [id, reader] : readers_) pump(id, reader, out);
  trim();
}

void Delivery::trim() {
  while (recent_bytes_ > kRecentBytes && !recent_.empty() &&
         recent_.begin()->first <= last_stored_) {
    recent_bytes_ -= recent_.begin()->second.size();
    recent_.erase(recent_.begin());
  }
}

void Delivery::request(const NodeId& id, const ResultsRequest& request, Outbox& out) {
  auto it = readers_.find(id);
  if (it == readers_.end()) {
    if (readers_.size() >= kReadersMax) return;
    it = readers_.emplace(id, Reader{}).first;
    it->second.sent = request.cursor;
  }
  Reader& reader = it->second;
  // What is being loaded follows `sent`: until it is here, that stays.
  if (!reader.loading &&
      (request.cursor > reader.sent || (request.credit_bytes > 0 && reader.ahead.empty()))) {
    reader.sent = request.cursor;
  }
  reader.credit_bytes = request.credit_bytes;
  while (!reader.ahead.empty() && reader.ahead.begin()->first <= request.cursor) {
    reader.ahead_bytes -= reader.ahead.begin()->second;
    reader.ahead.erase(reader.ahead.begin());
  }
  pump(id, reader, out);
}

void Delivery::reader_lost(const NodeId& id) {
  auto it = readers_.find(id);
  if (it == readers_.end()) return;
  if (it->second.loading) stale_loads_[id] += 1;
  readers_.erase(it);
}

void Delivery::loaded(const NodeId& id, std::vector<Bytes> receipts, Outbox& out) {
  if (auto stale = stale_loads_.find(id); stale != stale_loads_.end()) {
    if (--stale->second == 0) stale_loads_.erase(stale);
    return;
  }
  auto it = readers_.find(id);
  if (it == readers_.end()) return;
  Reader& reader = it->second;
  reader.loading = false;
  Results results{.job = job_, .receipts = {}};
  std::size_t bytes = 0;
  auto flush = [&] {
    if (results.receipts.empty()) return;
    out.send(id, std::exchange(results, Results{.job = job_, .receipts = {}}));
    bytes = 0;
  };
  for (Bytes& receipt : receipts) {
    if (bytes + receipt.size() + 16 > kMessageReceiptBytes ||
        results.receipts.size() == limits::kReceiptsPerMessage) {
      flush();
    }
    bytes += receipt.size() + 16;
    reader.sent += 1;
    reader.ahead.emplace(reader.sent, receipt.size());
    reader.ahead_bytes += receipt.size();
    results.receipts.push_back(std::move(receipt));
  }
  flush();
  if (!receipts.empty()) pump(id, reader, out);
}

void Delivery::pump(const NodeId& id, Reader& reader, Outbox& out) {
  if (reader.loading) return;
  Results results{.job = job_, .receipts = {}};
  std::size_t bytes = 0;
  while (reader.sent < last_stored_ && reader.ahead_bytes < reader.credit_bytes) {
    auto it = recent_.find(reader.sent + 1);
    if (it == recent_.end()) {
      reader.loading = true;
      break;
    }
    const Bytes& receipt = it->second;
    if (bytes + receipt.size() + 16 > kMessageReceiptBytes ||
        results.receipts.size() == limits::kReceiptsPerMessage) {
      out.send(id, std::exchange(results, Results{.job = job_, .receipts = {}}));
      bytes = 0;
    }
    bytes += receipt.size() + 16;
    reader.sent += 1;
    reader.ahead.emplace(reader.sent, receipt.size());
    reader.ahead_bytes += receipt.size();
    results.receipts.push_back(receipt);
  }
  if (!results.receipts.empty()) out.send(id, std::move(results));
  if (reader.loading) {
    out.act(LoadReceipts{.job = job_,
                         .reader = id,
                         .after = reader.sent,
                         .bytes_max = std::min<std::size_t>(reader.credit_bytes, 4 << 20)});
  }
}

}  // namespace shoal
