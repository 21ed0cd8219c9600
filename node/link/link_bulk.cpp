#include <algorithm>
#include <chrono>
#include <utility>

#include "node/link/link_impl.h"

// Bulk beside messages that must not wait for it: no more of it is under way than bulk_window.h
// lets through, and it goes in parts that are small beside that.
//
// A second connection would let small messages pass by what lies in this machine, but not by what
// lies in the router's buffer, where most of the waiting is: with the window it is not needed.
namespace shoal {
namespace {

// Of the parts of messages that are still to be put together, of all peers.
constexpr std::size_t kUnfinishedPartsAll = 256 << 20;

}  // namespace

void Link::Impl::send_bulk(Transport& t, Bytes bytes) {
  if (t.backlog_bytes + bytes.size() > kBacklogBytes ||
      backlog_bytes_ + bytes.size() > kBacklogBytesAll) {
    return ended(t.id, "it does not take the messages that are sent to it", false);
  }
  t.backlog_bytes += bytes.size();
  backlog_bytes_ += bytes.size();
  t.bulk.push_back(std::move(bytes));
  if (t.bulk.size() == 1) pump_bulk(t, std::chrono::steady_clock::now());
  if (!t.bulk.empty()) stall(t);
}

// As much as the window lets through. False: the connection is gone.
bool Link::Impl::pump_bulk(Transport& t, SteadyTime now) {
  while (!t.bulk.empty() && t.backlog.empty()) {
    const ByteView left = ByteView(t.bulk.front()).subspan(t.bulk_sent);
    const ByteView bytes = left.first(std::min(left.size(), t.bulk_window.part_bytes()));
    // What cannot be measured is bounded by has_room() alone.
    const auto path = path_of(t.fd, t.far_end);
    if (path && !t.bulk_window.is_open_for(bytes.size(), t.wire_out, *path, now)) return true;
    const bool whole = bytes.size() == t.bulk.front().size();
    const PartHead head = part_head(left.size() - bytes.size());
    const SendOutcome outcome = send_now(t, bytes, whole ? ByteView{} : ByteView(head));
    if (outcome == SendOutcome::kFull) return true;
    if (outcome == SendOutcome::kGone) return false;
    t.bulk_sent += bytes.size();
    if (bytes.size() < left.size()) continue;
    t.backlog_bytes -= t.bulk.front().size();
    backlog_bytes_ -= t.bulk.front().size();
    t.bulk.pop_front();
    t.bulk_sent = 0;
    events_.emplace_back(BulkSent{t.peer});
  }
  if (t.bulk.empty()) t.bulk_window.ran_dry();
  return true;
}

void Link::Impl::read_part(Transport& t, ByteView frame) {
  unfinished_parts_ -= t.parts.held_bytes();
  const bool sound = t.parts.take(frame, limits::kMessageBytes);
  unfinished_parts_ += t.parts.held_bytes();
  if (!sound || unfinished_parts_ > kUnfinishedPartsAll) {
    ++figures_.refused;
    return lose_link(t.peer, sound ? "too many messages come in parts at once"
                                   : "it sent a part that belongs to no message");
  }
  const std::size_t held = t.parts.held_bytes();
  if (auto message = t.parts.take_message()) {
    unfinished_parts_ -= held;
    events_.emplace_back(Received{t.peer, std::move(*message)});
  }
}

}  // namespace shoal
