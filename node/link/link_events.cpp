#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "node/link/link_impl.h"

namespace shoal {
namespace {

constexpr std::size_t kAdmittedPerConnection = 4;
constexpr std::size_t kOutRouteBytes = 8;
// What libzmq gives a peer that names no routing id of its own: a zero, then four bytes.
constexpr std::size_t kInRouteBytes = 5;

bool is_given_route(std::string_view route) {
  return route.size() == kInRouteBytes && route.front() == '\0';
}

TransportId id_of_user(std::string_view user) {
  TransportId id = 0;
  const auto [end, error] = std::from_chars(user.data(), user.data() + user.size(), id, 10);
  return error == std::errc() && end == user.data() + user.size() ? id : 0;
}

TransportId id_of_route(std::string_view route) {
  if (route.size() != kOutRouteBytes) return 0;
  TransportId id = 0;
  // The first byte is a mark, not part of the number.
  for (char c : route.substr(1)) id = id << 8 | static_cast<std::uint8_t>(c);
  return id;
}

// Before there was a connection.
bool is_refusal(int event) {
  return event == ZMQ_EVENT_CLOSED || event == ZMQ_EVENT_CONNECT_RETRIED;
}

std::string why_ended(const ConnectionEvent& event, const std::string& endpoint, bool was_up) {
  switch (event.kind) {
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      return "it has no room for another connection";
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
      return "what answers at " + endpoint +
             " is not that node: another one has the port now, or it is none of ours";
    case ZMQ_EVENT_DISCONNECTED:
      return was_up ? "the connection was closed" : "the connection was closed at once";
    default:
      return "nobody listens at " + endpoint;
  }
}

constexpr const char* kClosed = "the connection was closed";

}  // namespace

void Link::Impl::ended(TransportId id, std::string why, bool is_closed, bool nobody_listens) {
  ended_.push_back({id, std::move(why), is_closed, nobody_listens});
}

// Before any handshake, which costs this node more than the other side.
void Link::Impl::accept(int fd, SteadyTime now) {
  if (TransportId before = accepted_.opened(fd, now)) ended(before, kClosed, true);
  const std::string& ip = accepted_.connections().at(fd).far_end.ip;
  const bool limited = !config_.loopback_is_exempt || !is_loopback(ip);
  if (limited && (accepted_.open_from(ip) > config_.links_per_address ||
                  !rates_.take(host_network(ip), now))) {
    ++figures_.refused;
    accepted_.shut_unspoken(fd);
  } else if (accepted_.open_count() + outbound_ > connections_max_) {
    // Not this one: an honest client speaks at once, and whoever opens connections only to hold
    // them has the oldest.
    ++figures_.refused;
    accepted_.shut_oldest_silent();
  }
}

void Link::Impl::read_events_in() {
  while (const auto event = sockets_->next_event(Side::kIn)) {
    if (event->kind == ZMQ_EVENT_ACCEPTED || event->kind == ZMQ_EVENT_CONNECTED) {
      accept(event->value, std::chrono::steady_clock::now());
    } else if (event->kind == ZMQ_EVENT_DISCONNECTED) {
      if (TransportId owner = accepted_.closed(event->value)) ended(owner, kClosed, true);
    }
    punch_event(*event);
  }
}

void Link::Impl::read_events_out() {
  while (const auto event = sockets_->next_event(Side::kOut)) {
    const auto name = names_.find(event->endpoint);
    if (name == names_.end()) continue;  // of a connection that we have ended ourselves
    Transport& t = transports_.at(name->second);
    switch (event->kind) {
      case ZMQ_EVENT_CONNECTED:
        if (auto far_end = far_end_of(event->value)) {
          t.fd = event->value;
          t.far_end = std::move(*far_end);
        }
        break;
      case ZMQ_EVENT_CLOSED:
      case ZMQ_EVENT_CONNECT_RETRIED:
      case ZMQ_EVENT_DISCONNECTED:
      case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        t.fd = -1;
        ended(t.id, why_ended(*event, t.endpoint, t.state == Transport::State::kUp), true,
              is_refusal(event->kind));
        break;
    }
  }
}

void Link::Impl::read_zap() {
  while (const auto request = sockets_->next_zap()) {
    // Accepted::claim() rests on this order: request, events, answer.
    read_events_in();
    // Silent ones are no reason to turn somebody away: they give way by themselves.
    if (accepted_.spoken_count() > config_.links_max || !take_key(request->key)) {
      ++figures_.refused;
      sockets_->answer_zap(*request, std::nullopt);
      continue;
    }
    // Clients that leave without a word are not told from those that are still to speak.
    if (admitted_.size() >= kAdmittedPerConnection * connections_max_) forget_oldest_admitted();
    const TransportId id = next_id_++;
    admitted_[id] = {request->key, accepted_.newest(), std::chrono::steady_clock::now()};
    sockets_->answer_zap(*request, std::to_string(id));
  }
}

void Link::Impl::read_names() {
  for (const Resolver::Answer& answer : resolver_.take()) {
    const auto found = transports_.find(answer.id);
    if (found == transports_.end()) continue;
    Transport& t = found->second;
    auto endpoint = parse_endpoint(t.endpoint);
    if (answer.ip.empty() || !endpoint) {
      fail_dial(t.id, "no address is known for the host of " + t.endpoint);
      continue;
    }
    endpoint->host = answer.ip;
    endpoint->is_ipv6 = answer.is_ipv6;
    start_connection(t, *endpoint);
  }
}

bool Link::Impl::read_messages(Side side) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < kMessagesPerWait && bytes < kBytesPerWait; ++i) {
    const auto message = sockets_->receive(side);
    if (!message) return true;
    bytes += message->wire_bytes;
    read_message(side, *message);
  }
  return false;
}

void Link::Impl::read_message(Side side, const Incoming& message) {
  Transport* t = transport_of(side, message);
  if (t == nullptr || t->state == Transport::State::kClosing) return;
  t->wire_in += message.wire_bytes;
  ++figures_.messages_in;
  figures_.bytes_in += message.payload.size();
  if (message.extra_frames || message.payload.size() > limits::kMessageBytes) {
    ++figures_.refused;
    const std::string why = "it sent a message in more than one part";
    if (t->state == Transport::State::kUp) {
      lose_link(t->peer, why);
    } else if (t->side == Side::kOut) {
      fail_dial(t->id, why);
    } else {
      close(t->id, false);
    }
    return;
  }
  if (t->state == Transport::State::kGreeting) return read_greeting(*t, message.payload);
  if (PartReader::is_part(message.payload)) return read_part(*t, message.payload);
  events_.emplace_back(Received{t->peer, to_bytes(message.payload)});
}

Transport* Link::Impl::transport_of(Side side, const Incoming& message) {
  // The number that ZAP gave this very connection: neither a descriptor nor a routing id, which
  // both come again, can pass off one peer's message as another's.
  const TransportId id = side == Side::kOut ? id_of_route(message.route) : id_of_user(message.user);
  const auto found = transports_.find(id);
  if (found != transports_.end()) return found->second.side == side ? &found->second : nullptr;
  return side == Side::kIn && id != 0 ? first_message(id, message) : nullptr;
}

Transport* Link::Impl::first_message(TransportId id, const Incoming& message) {
  const auto admitted = admitted_.find(id);
  if (admitted == admitted_.end()) return nullptr;
  const Admitted client = admitted->second;
  admitted_.erase(admitted);
  read_events_in();
  const int fd = sockets_->source_fd();
  const auto far_end = accepted_.claim(fd, client.newest_accepted, id);
  if (!far_end) {
    release_key(client.key);
    return nullptr;
  }
  Transport& t = transports_[id];
  t.id = id;
  t.side = Side::kIn;
  t.route = message.route;
  t.curve_key = client.key;
  t.fd = fd;
  t.far_end = *far_end;
  if (is_given_route(message.route)) return &t;
  // Only a hostile client chooses its routing id: to guess at another's, or at the next one.
  ++figures_.refused;
  close(id, false);
  return nullptr;
}

}  // namespace shoal
