#include <algorithm>
#include <chrono>
#include <utility>

#include "node/link/link_impl.h"

// Bulk beside messages that must not wait for it. What is handed to a connection at once goes
// before everything that is sent later, whether it lies in this process, in the kernel, or in the
// buffer of a router on the way. So of bulk only as much is under way as keeps the path busy, which
// the round trips tell: while they take little longer than the shortest that was seen, nothing lies
// in a queue. The window follows them, and parts are small beside it.
//
// A second connection would let small messages pass by what lies in this machine, but not by what
// lies in the router's buffer, where most of the waiting is: with the window it is not needed.
namespace shoal {
namespace {

// By which bulk may lengthen a round trip.
constexpr std::chrono::microseconds kQueueTime{15'000};
constexpr std::size_t kPartBytesMax = 64 << 10;
constexpr std::size_t kPartBytesMin = 16 << 10;
constexpr std::size_t kPartsPerWindow = 4;
constexpr std::uint64_t kWindowMin = 64 << 10;
constexpr std::uint64_t kWindowMax = 4 << 20;
constexpr double kGrowthMax = 1.5;
constexpr double kShrinkMax = 0.7;
constexpr std::chrono::milliseconds kWindowEvery{10};
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
    const auto part_max =
        std::clamp<std::size_t>(t.bulk_window / kPartsPerWindow, kPartBytesMin, kPartBytesMax);
    const ByteView bytes = left.first(std::min(left.size(), part_max));
    if (!window_is_open(t, bytes.size(), now)) return true;
    const bool whole = bytes.size() == t.bulk.front().size();
    const SendOutcome outcome =
        send_now(t, whole ? bytes : ByteView(make_part(bytes, left.size() - bytes.size())));
    if (outcome == SendOutcome::kFull) return true;
    if (outcome == SendOutcome::kGone) return false;
    t.bulk_sent += bytes.size();
    if (bytes.size() < left.size()) continue;
    t.backlog_bytes -= t.bulk.front().size();
    backlog_bytes_ -= t.bulk.front().size();
    t.bulk.pop_front();
    t.bulk_sent = 0;
  }
  return true;
}

bool Link::Impl::window_is_open(Transport& t, std::size_t bytes, SteadyTime now) {
  const auto path = path_of(t.fd, t.far_end);
  // What cannot be measured is bounded by has_room() alone.
  if (!path) return true;
  const std::uint64_t under_way =
      t.wire_out > path->acknowledged ? t.wire_out - path->acknowledged : 0;
  const bool open = under_way == 0 || under_way + bytes <= t.bulk_window;
  t.bulk_waited = t.bulk_waited || !open;
  if (now < t.bulk_window_at + std::max<SteadyTime::duration>(kWindowEvery, path->round_trip)) {
    return open;
  }
  t.bulk_window_at = now;
  const double fit = static_cast<double>((path->shortest_round_trip + kQueueTime).count()) /
                     static_cast<double>(std::max<std::int64_t>(path->round_trip.count(), 1));
  // It only grows where it was in the way.
  if (fit < 1 || std::exchange(t.bulk_waited, false)) {
    t.bulk_window = std::clamp(static_cast<std::uint64_t>(static_cast<double>(t.bulk_window) *
                                                          std::clamp(fit, kShrinkMax, kGrowthMax)),
                               kWindowMin, kWindowMax);
  }
  return open;
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
