#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "node/link/link_impl.h"

namespace shoal {
namespace {

constexpr std::chrono::milliseconds kFloodCheckEvery{250};
// Looking at thousands of connections takes some milliseconds: never more than a fiftieth of the
// time.
constexpr int kFloodCheckShare = 50;

std::uint64_t without(std::uint64_t all, std::uint64_t part) { return all > part ? all - part : 0; }

}  // namespace

// Frames that announce more to come pass by the high-water mark and the largest size: a peer that
// never ends its message fills our memory, and we are shown none of it. The kernel's count of bytes
// gives it away: what was read from it long ago and is no message yet, once all messages are out.
void Link::Impl::check_floods(SteadyTime now) {
  if (now < next_flood_check_) return;
  std::uint64_t all = 0;
  const auto look = [&](int fd, const FarEnd& far_end, std::uint64_t delivered) {
    const auto read = bytes_read_from(fd, far_end);
    const std::uint64_t unfinished = without(read.value_or(0), delivered);
    all += unfinished;
    suspects_ = suspects_ || unfinished > config_.unfinished_bytes_max;
    return read;
  };
  for (auto& [fd, connection] : accepted_.connections()) {
    if (!connection.open) continue;
    const auto owner = transports_.find(connection.owner);
    const std::uint64_t delivered = owner == transports_.end() ? 0 : owner->second.wire_in;
    connection.bytes_read = look(fd, connection.far_end, delivered);
  }
  for (auto& [id, t] : transports_) {
    if (t.held_bytes > 0) refresh_held(t);
    if (t.side == Side::kOut && t.fd >= 0) t.bytes_read = look(t.fd, t.far_end, t.wire_in);
  }
  suspects_ = suspects_ || all > config_.unfinished_bytes_all;
  const SteadyTime done = std::chrono::steady_clock::now();
  next_flood_check_ =
      done + std::max<SteadyTime::duration>(kFloodCheckEvery, kFloodCheckShare * (done - now));
}

std::vector<Link::Impl::Flood> Link::Impl::take_suspects() {
  std::vector<Flood> floods;
  for (auto& [fd, connection] : accepted_.connections()) {
    const auto read = std::exchange(connection.bytes_read, std::nullopt);
    if (!read || !connection.open) continue;
    const auto owner = transports_.find(connection.owner);
    const bool spoken = owner != transports_.end();
    floods.push_back({without(*read, spoken ? owner->second.wire_in : 0), spoken ? owner->first : 0,
                      fd, connection.far_end});
  }
  for (auto& [id, t] : transports_) {
    const auto read = std::exchange(t.bytes_read, std::nullopt);
    if (read) floods.push_back({without(*read, t.wire_in), id, -1, {}});
  }
  std::sort(floods.begin(), floods.end(),
            [](const Flood& a, const Flood& b) { return a.unfinished > b.unfinished; });
  return floods;
}

// After all complete messages were taken out, what is still missing is in a message without an end.
void Link::Impl::cut_floods() {
  if (!std::exchange(suspects_, false)) return;
  const std::vector<Flood> floods = take_suspects();
  std::uint64_t all = 0;
  for (const Flood& flood : floods) all += flood.unfinished;
  for (const Flood& flood : floods) {
    if (flood.unfinished <= config_.unfinished_bytes_max && all <= config_.unfinished_bytes_all) {
      break;
    }
    all -= flood.unfinished;
    ++figures_.refused;
    if (flood.fd >= 0) shut_connection(flood.fd, flood.far_end);
    if (flood.transport != 0) ended(flood.transport, "it sent a message without an end", false);
  }
}

// The high-water mark counts messages, of up to a megabyte each: a few peers that ask for much and
// read nothing would fill our memory long before they reach it. So what libzmq may hold of one peer
// is bounded in bytes, too; the rest waits in the backlog, whose end is the link's.
bool Link::Impl::has_room(Transport& t) {
  const auto within = [&] {
    return t.held_bytes < (held_bytes_ < kHeldBytesAll ? kHeldBytes : kHeldBytesFew);
  };
  if (within() || t.fd < 0) return true;
  refresh_held(t);
  return within();
}

// Counts of the kernel: the handshake's bytes are among them, so that a few hundred bytes too many
// seem to have left.
void Link::Impl::refresh_held(Transport& t) {
  const auto written = bytes_written_to(t.fd, t.far_end);
  // The connection is gone, which is told elsewhere; what libzmq held of it is gone with it.
  const std::uint64_t held = written ? without(t.wire_out, *written) : 0;
  held_bytes_ -= t.held_bytes;
  held_bytes_ += held;
  t.held_bytes = held;
}

void Link::Impl::forget_held(Transport& t) {
  held_bytes_ -= t.held_bytes;
  t.held_bytes = 0;
}

}  // namespace shoal
