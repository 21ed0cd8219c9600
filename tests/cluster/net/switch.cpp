#include "tests/cluster/net/switch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>

namespace shoal::cluster {
namespace {

constexpr std::size_t kPacketBytesMax = 65536;
constexpr std::size_t kIpHeaderBytes = 20;
constexpr std::size_t kDestinationAt = 16;
// Packets of one port before the others have their turn.
constexpr int kPacketsInTurn = 64;
constexpr std::uint32_t kBlockMask = 0xFFFFFF00;

// The block of addresses that an IPv4 packet goes to; IPv6 and the like has none.
std::optional<std::uint32_t> block_of(const std::vector<std::uint8_t>& packet) {
  if (packet.size() < kIpHeaderBytes || packet[0] >> 4 != 4) return std::nullopt;
  std::uint32_t address = 0;
  for (std::size_t i = 0; i < 4; ++i) address = address << 8 | packet[kDestinationAt + i];
  return address & kBlockMask;
}

}  // namespace

Switch::Switch(std::uint64_t seed)
    : wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), rng_(seed) {
  if (wake_fd_ < 0) std::abort();
  thread_ = std::thread([this] { forward(); });
}

Switch::~Switch() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake();
  thread_.join();
  for (const PortState& port : ports_) ::close(port.tun);
  ::close(wake_fd_);
}

Switch::Port Switch::plug(int tun, std::uint32_t block, const Wire& wire) {
  Port port = 0;
  {
    const std::lock_guard lock(mutex_);
    port = static_cast<Port>(ports_.size());
    ports_.push_back({tun, wire});
    blocks_[block & kBlockMask] = port;
  }
  wake();
  return port;
}

void Switch::set_wire(Port port, const Wire& wire) {
  const std::lock_guard lock(mutex_);
  ports_.at(static_cast<std::size_t>(port)).wire = wire;
}

void Switch::cut(Port one, Port other) {
  const std::lock_guard lock(mutex_);
  cuts_.insert(std::minmax(one, other));
}

void Switch::heal(Port one, Port other) {
  const std::lock_guard lock(mutex_);
  cuts_.erase(std::minmax(one, other));
}

Switch::Figures Switch::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

void Switch::wake() {
  const std::uint64_t one = 1;
  // Fails only when the count is at its end: then the descriptor is readable anyway.
  [[maybe_unused]] const ssize_t wrote = ::write(wake_fd_, &one, sizeof one);
}

void Switch::forward() {
  for (;;) {
    wait_for_packets();
    const std::lock_guard lock(mutex_);
    if (ending_) return;
    const Moment now = Clock::now();
    for (std::size_t port = 0; port < ports_.size(); ++port) {
      read_from(static_cast<Port>(port), now);
    }
    deliver_due(Clock::now());
  }
}

void Switch::wait_for_packets() {
  std::vector<pollfd> waiting{{wake_fd_, POLLIN, 0}};
  std::optional<Moment> due;
  {
    const std::lock_guard lock(mutex_);
    for (const PortState& port : ports_) waiting.push_back({port.tun, POLLIN, 0});
    if (!under_way_.empty()) due = under_way_.top().due;
  }
  timespec patience{};
  if (due) {
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(*due - Clock::now());
    const auto count = std::max<std::int64_t>(left.count(), 0);
    patience = {count / 1'000'000'000, count % 1'000'000'000};
  }
  ::ppoll(waiting.data(), waiting.size(), due ? &patience : nullptr, nullptr);
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(wake_fd_, &count, sizeof count);
}

void Switch::read_from(Port from, Moment now) {
  const int tun = ports_[static_cast<std::size_t>(from)].tun;
  std::array<std::uint8_t, kPacketBytesMax> buffer;
  for (int i = 0; i < kPacketsInTurn; ++i) {
    const ssize_t got = ::read(tun, buffer.data(), buffer.size());
    if (got <= 0) return;
    take(from, {buffer.begin(), buffer.begin() + got}, now);
  }
}

void Switch::take(Port from, std::vector<std::uint8_t> bytes, Moment now) {
  const auto block = block_of(bytes);
  const auto found = block ? blocks_.find(*block) : blocks_.end();
  if (found == blocks_.end()) {
    ++figures_.stray;
    return;
  }
  const Port to = found->second;
  if (cuts_.contains(std::minmax(from, to))) {
    ++figures_.cut;
    return;
  }
  PortState& near = ports_[static_cast<std::size_t>(from)];
  const Wire& far = ports_[static_cast<std::size_t>(to)].wire;
  if (rng_.chance(near.wire.loss) || rng_.chance(far.loss)) {
    ++figures_.lost;
    return;
  }
  Moment sent = now;
  if (!transmit(near.wire, near.up_free, bytes.size(), sent)) return;
  enqueue({sent + near.wire.delay + far.delay, 0, Leg::kArriving, to, std::move(bytes)});
}

void Switch::deliver_due(Moment now) {
  while (!under_way_.empty() && under_way_.top().due <= now) {
    Packet packet = under_way_.top();
    under_way_.pop();
    PortState& to = ports_[static_cast<std::size_t>(packet.to)];
    if (packet.leg == Leg::kArriving) {
      if (!transmit(to.wire, to.down_free, packet.bytes.size(), packet.due)) continue;
      packet.leg = Leg::kDelivering;
      enqueue(std::move(packet));
      continue;
    }
    // Refused only where the namespace is being taken down.
    [[maybe_unused]] const ssize_t wrote =
        ::write(to.tun, packet.bytes.data(), packet.bytes.size());
    ++figures_.delivered;
  }
}

bool Switch::transmit(const Wire& wire, Moment& free, std::size_t bytes, Moment& when) {
  if (wire.megabits_per_second <= 0) return true;
  const Moment starts = std::max(when, free);
  if (starts - when > kQueueMax) {
    ++figures_.overflowed;
    return false;
  }
  const double microseconds = static_cast<double>(bytes) * 8 / wire.megabits_per_second;
  free = starts + std::chrono::nanoseconds(static_cast<std::int64_t>(microseconds * 1000));
  when = free;
  return true;
}

void Switch::enqueue(Packet packet) {
  packet.sequence = sequence_++;
  under_way_.push(std::move(packet));
}

}  // namespace shoal::cluster
