#include "bench/visitor.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "node/state/clock.h"
#include "node/state/key_file.h"

namespace shoal::bench {
namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr std::uint32_t kTtlS = 600;
constexpr UnixMs kBackdatedMs = 60'000;
constexpr std::uint32_t kSampleCount = 16;

}  // namespace

Result<std::unique_ptr<Visitor>, std::string> Visitor::open(const Ticket& ticket) {
  std::unique_ptr<Visitor> visitor(new Visitor(ticket, new_key()));
  LinkConfig config;
  config.pool = ticket.pool;
  auto link = Link::open(config, visitor->key_);
  if (!link) return tl::unexpected(link.error().what);
  visitor->link_ = std::move(*link);
  // A record's number is its time, a millisecond each: from the past on, so that none of them is
  // from the future.
  visitor->next_sequence_ = unix_ms_now() - kBackdatedMs;
  return visitor;
}

std::vector<Bytes> Visitor::announcements(std::size_t count) {
  NodeRecord record;
  record.node = key_.id();
  record.pool = ticket_.pool;
  record.endpoints = {"tcp://127.0.0.1:9"};
  record.threads = 8;
  record.memory_bytes = 16ULL << 30;
  record.kernels = {"align", "ising", "lucas_lehmer", "mandelbrot"};
  record.agent = "shoal/" SHOAL_VERSION;
  record.ttl_s = kTtlS;
  std::vector<Bytes> all;
  all.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    record.sequence = next_sequence_++;
    all.push_back(encode(Message(Announce{sign_fact(key_, Purpose::kRecord, encode(record))})));
  }
  return all;
}

Measured Visitor::take(const LinkEvent& event) {
  if (std::holds_alternative<LinkUp>(event)) {
    is_up_ = true;
    return {};
  }
  if (const auto* lost = std::get_if<LinkLost>(&event)) {
    return tl::unexpected("the coordinator was lost: " + lost->why);
  }
  const auto* received = std::get_if<Received>(&event);
  if (received == nullptr) return tl::unexpected(std::string("somebody dials the visitor"));
  const auto message = decode(received->bytes);
  if (!message) return tl::unexpected("an answer cannot be read: " + message.error().what);
  if (const auto* announced = std::get_if<Announced>(&*message)) {
    if (announced->ttl_s == 0) return tl::unexpected(std::string("a record was not kept"));
    ++announced_;
  } else if (std::holds_alternative<Sample>(*message)) {
    ++samples_;
  } else if (!std::holds_alternative<SampleRequest>(*message)) {
    // One that was just started asks its first visitors whom they know: this one knows nobody.
    return tl::unexpected("a coordinator answers with " + std::string(name_of(*message)));
  }
  return {};
}

Measured Visitor::await(std::size_t announced, std::size_t samples) {
  std::vector<bool> readable;
  const auto give_up = std::chrono::steady_clock::now() + kPatience;
  while (!is_up_ || announced_ < announced || samples_ < samples) {
    const auto left = give_up - std::chrono::steady_clock::now();
    if (left.count() <= 0) return tl::unexpected(std::string("the coordinator does not answer"));
    for (const LinkEvent& event : link_->wait(left, {}, readable)) {
      if (auto taken = take(event); !taken) return taken;
    }
  }
  return {};
}

Measured Visitor::come() {
  const Ticket::Door& door = ticket_.doors.front();
  link_->perform(Dial{door.node, door.endpoint});
  return await(announced_, samples_);
}

void Visitor::leave() {
  link_->perform(Drop{ticket_.doors.front().node, "the visit is over"});
  is_up_ = false;
  // The loss that was asked for is told at the next wait; nothing else can be there by then.
  std::vector<bool> readable;
  static_cast<void>(link_->wait(std::chrono::nanoseconds(0), {}, readable));
}

Measured Visitor::announce(const std::vector<Bytes>& announcements, std::size_t window) {
  const NodeId& coordinator = ticket_.doors.front().node;
  const std::size_t before = announced_;
  std::size_t sent = 0;
  while (announced_ - before < announcements.size()) {
    for (; sent < announcements.size() && sent < announced_ - before + window; ++sent) {
      link_->perform(Send{coordinator, announcements[sent]});
    }
    if (auto awaited = await(announced_ + 1, samples_); !awaited) return awaited;
  }
  return {};
}

Measured Visitor::visit(const Bytes& announcement) {
  if (auto came = come(); !came) return came;
  const NodeId& coordinator = ticket_.doors.front().node;
  link_->perform(Send{coordinator, announcement});
  link_->perform(Send{coordinator, encode(Message(SampleRequest{kSampleCount, 0}))});
  if (auto awaited = await(announced_ + 1, samples_ + 1); !awaited) return awaited;
  leave();
  return {};
}

}  // namespace shoal::bench
