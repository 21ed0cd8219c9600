#include "worker/core/delivery.h"

#include <algorithm>

namespace shoal {
namespace {

constexpr std::size_t kRecentBytes = 8 << 20;
constexpr std::size_t kReadersMax = 16;
// Leaves room for the envelope and the list of a full message.
constexpr std::size_t kMessageReceiptBytes = limits::kMessageBytes - 4096;

}  // namespace

void Delivery::add(const Receipt& receipt, Bytes encoded) {
  recent_bytes_ += encoded.size();
  recent_.emplace(receipt.sequence, Recent{receipt.range, std::move(encoded)});
}

// A group that could not be stored is tried again later, and others may be durable before it.
void Delivery::stored(std::uint64_t sequence) {
  stored_ahead_.insert(sequence);
  while (!stored_ahead_.empty() && *stored_ahead_.begin() <= last_stored_ + 1) {
    last_stored_ = std::max(last_stored_, *stored_ahead_.begin());
    stored_ahead_.erase(stored_ahead_.begin());
  }
}

void Delivery::advance(Outbox& out) {
  std::vector<NodeId> ids;  // pump() may end a reading
  for (const auto& [id, _] : readers_) ids.push_back(id);
  for (const NodeId& id : ids) pump(id, readers_.at(id), out);
  trim();
}

void Delivery::trim() {
  while (recent_bytes_ > kRecentBytes && !recent_.empty() &&
         recent_.begin()->first <= last_stored_) {
    recent_bytes_ -= recent_.begin()->second.encoded.size();
    recent_.erase(recent_.begin());
  }
}

void Delivery::request(const NodeId& id, const ResultsRequest& request, Outbox& out) {
  const bool begins_anew = !request.have.empty() || request.once;
  if (begins_anew) reader_lost(id);
  auto it = readers_.find(id);
  if (it == readers_.end()) {
    if (readers_.size() >= kReadersMax) return;
    it = readers_.emplace(id, Reader{}).first;
    it->second.sent = request.cursor;
    it->second.have = RangeSet(request.have);
    if (request.once) it->second.until = last_stored_;
  }
  Reader& reader = it->second;
  // A reader may go back, unless it cannot know how far it is: what was left out has no cursor.
  const bool may_go_back = reader.have.empty() && !reader.until;
  // What is being loaded follows `sent`: until it is here, that stays.
  if (!reader.loading && (request.cursor > reader.sent ||
                          (may_go_back && request.credit_bytes > 0 && reader.ahead.empty()))) {
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

// The receipt goes into the parcel, and a full parcel goes out.
void Delivery::put(const NodeId& id, Reader& reader, Bytes encoded, Parcel& parcel, Outbox& out) {
  if (parcel.bytes + encoded.size() + 16 > kMessageReceiptBytes ||
      parcel.results.receipts.size() == limits::kReceiptsPerMessage) {
    parcel.results.job = job_;
    out.send(id, std::exchange(parcel.results, {}));
    parcel.bytes = 0;
  }
  parcel.bytes += encoded.size() + 16;
  reader.ahead.emplace(reader.sent, encoded.size());
  reader.ahead_bytes += encoded.size();
  parcel.results.receipts.push_back(std::move(encoded));
}

// Sends what is in the parcel. True: the reader has all that it asked for, and is gone.
bool Delivery::finished(const NodeId& id, Reader& reader, Parcel& parcel, Outbox& out) {
  const bool end = reader.until && reader.sent >= *reader.until && !reader.loading;
  if (end || !parcel.results.receipts.empty()) {
    parcel.results.job = job_;
    parcel.results.end = end;
    out.send(id, std::move(parcel.results));
  }
  if (end) readers_.erase(id);
  return end;
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
  Parcel parcel;
  const std::uint64_t before = reader.sent;
  for (Bytes& encoded : receipts) {
    // Decoded for its number: what a crash came before is missing between those on the disk.
    const auto receipt = decode_receipt(encoded);
    if (!receipt || receipt->sequence > last_stored_) break;
    reader.sent = receipt->sequence;
    if (!reader.have.contains(receipt->range)) put(id, reader, std::move(encoded), parcel, out);
  }
  // Nothing where there should be something: the disk cannot be read. Asked again, it may.
  if (reader.sent == before) return;
  if (!finished(id, reader, parcel, out)) pump(id, reader, out);
}

void Delivery::pump(const NodeId& id, Reader& reader, Outbox& out) {
  if (reader.loading) return;
  Parcel parcel;
  const std::uint64_t last = std::min(last_stored_, reader.until.value_or(last_stored_));
  while (reader.sent < last && reader.ahead_bytes < reader.credit_bytes) {
    auto it = recent_.find(reader.sent + 1);
    if (it == recent_.end()) {
      reader.loading = true;
      break;
    }
    reader.sent += 1;
    if (!reader.have.contains(it->second.range)) {
      put(id, reader, it->second.encoded, parcel, out);
    }
  }
  if (finished(id, reader, parcel, out)) return;
  if (reader.loading) {
    out.act(LoadReceipts{.job = job_,
                         .reader = id,
                         .after = reader.sent,
                         .bytes_max = std::min<std::size_t>(reader.credit_bytes, 4 << 20)});
  }
}

}  // namespace shoal
