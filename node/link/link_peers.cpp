#include <algorithm>
#include <string>
#include <utility>

#include "node/link/link_impl.h"

namespace shoal {
namespace {

constexpr std::size_t kShownDetailBytes = 200;
constexpr std::uint8_t kOutRouteMark = 1;

std::string route_of(TransportId id) {
  std::string route(8, '\0');
  route[0] = static_cast<char>(kOutRouteMark);
  for (std::size_t i = 7; i > 0; --i, id >>= 8) route[i] = static_cast<char>(id & 0xff);
  return route;
}

// Another node's words, for a terminal: no control characters, and not without end.
std::string shown(std::string text) {
  if (text.size() > kShownDetailBytes) text.resize(kShownDetailBytes);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

std::string why_refused(const Refused& refused) {
  const std::string detail = refused.detail.empty() ? "" : " (" + shown(refused.detail) + ")";
  switch (refused.reason) {
    case RefusalReason::kOtherPool:
      return "it belongs to another pool" + detail;
    case RefusalReason::kOtherVersion:
      return "it speaks another version of the protocol" + detail;
    case RefusalReason::kWrongKey:
      return "it says that this node's key and id do not belong together" + detail;
    case RefusalReason::kTooBusy:
      return "it has no room for another link" + detail;
    case RefusalReason::kNotAllowed:
      return "it does not allow this node" + detail;
    case RefusalReason::kBadMessage:
      return "it could not read this node's greeting" + detail;
  }
  return "it refused" + detail;
}

}  // namespace

void Link::Impl::start_connection(Transport& t, const Endpoint& endpoint) {
  std::string name;
  do {
    name = dial_name(endpoint, dial_serial_++, t.punch_from);
  } while (names_.contains(name));
  t.route = route_of(t.id);
  const auto curve_key = curve_key_of(t.node);
  if (!curve_key || !sockets_->connect(name, endpoint.is_ipv6, t.route, *curve_key)) {
    return fail_dial(t.id, "'" + t.endpoint + "' cannot be dialled");
  }
  t.name = std::move(name);
  names_[t.name] = t.id;
  greet(t);  // waits in the socket until the connection stands
}

void Link::Impl::greet(const Transport& t) {
  if (t.probe) {
    sockets_->send(t.side, t.route, encode(Message(DialBack{*t.probe})));
    return;
  }
  Hello hello;
  hello.pool = config_.pool;
  hello.node = key_.id();
  hello.role = config_.role;
  hello.record = record_;
  hello.session = config_.session;
  const Bytes bytes = encode(Message(std::move(hello)));
  // The first message of a fresh connection is not past any mark; a connection that is gone will be
  // reported by its monitor.
  sockets_->send(t.side, t.route, bytes);
  ++figures_.messages_out;
  figures_.bytes_out += bytes.size();
}

void Link::Impl::read_greeting(Transport& t, ByteView payload) {
  const bool dialed = t.side == Side::kOut;
  if (dialed && t.fd < 0) read_events_out();  // for the address in LinkUp
  if (t.probe) return fail_dial(t.id, "");    // nobody answers a number
  const Bytes aligned = to_bytes(payload);
  const auto message = decode(aligned);
  if (message && !dialed && std::holds_alternative<DialBack>(*message)) {
    events_.emplace_back(Probed{std::get<DialBack>(*message).nonce});
    return close(t.id, false);
  }
  if (message && dialed && std::holds_alternative<Refused>(*message)) {
    return fail_dial(t.id, why_refused(std::get<Refused>(*message)));
  }
  if (!message || !std::holds_alternative<Hello>(*message)) {
    return refuse(t, RefusalReason::kBadMessage,
                  message ? "the first message is no Hello" : message.error().what);
  }
  const auto& hello = std::get<Hello>(*message);
  if (hello.version != Hello{}.version) {
    return refuse(t, RefusalReason::kOtherVersion,
                  "version " + std::to_string(Hello{}.version) + " is spoken here");
  }
  if (hello.pool != config_.pool) {
    return refuse(t, RefusalReason::kOtherPool,
                  "this node is in pool " + short_hex(config_.pool) + ", the other in " +
                      short_hex(hello.pool));
  }
  if (!is_who_it_says(t, hello)) {
    return refuse(t, RefusalReason::kWrongKey, "the id is not that of the connection's key");
  }
  if (!dialed && !peers_.contains(peer_name(hello.role, hello.node, hello.session)) &&
      peers_.size() + dialing_.size() >= config_.links_max) {
    return refuse(t, RefusalReason::kTooBusy, "");
  }
  link_up(t, hello);
}

bool Link::Impl::is_who_it_says(const Transport& t, const Hello& hello) const {
  if (hello.node == key_.id()) return false;
  if (t.side == Side::kIn) return curve_key_of(hello.node) == t.curve_key;
  const bool is_session = t.peer != t.node;
  return hello.node == t.node &&
         (!is_session || peer_name(hello.role, hello.node, hello.session) == t.peer);
}

// Whoever dials a key, and not a session of it, takes the process that answers for the only one.
void Link::Impl::link_up(Transport& t, const Hello& hello) {
  const auto now = std::chrono::steady_clock::now();
  if (t.side == Side::kIn) {
    t.node = hello.node;
    t.peer = peer_name(hello.role, hello.node, hello.session);
  }
  t.state = Transport::State::kUp;
  deadlines_.erase({t.deadline, t.id});
  if (t.side == Side::kOut) dialing_.erase(t.peer);
  if (t.side == Side::kIn) greet(t);

  const auto known = peers_.find(t.peer);
  if (known != peers_.end()) {
    const bool same_side =
        std::any_of(known->second.transports.begin(), known->second.transports.end(),
                    [&](TransportId id) { return transports_.at(id).side == t.side; });
    // Both dialled at the same moment.
    if (!same_side && now - known->second.since < limits::kHelloTimeout) {
      known->second.transports.push_back(t.id);
      return;
    }
    // No node dials where it has a link: it was restarted, and the old connection is a dead one
    // whose end did not reach us.
    lose_link(t.peer, "it came back on a new connection");
  }
  peers_[t.peer] = {{t.id}, now};
  LinkUp up{t.peer, hello.role, t.far_end.ip, hello.record,
            is_punched(t) ? LinkPath::kPunched : LinkPath::kDirect};
  if (t.peer != t.node) up.session_of = t.node;
  events_.emplace_back(std::move(up));
}

void Link::Impl::refuse(Transport& t, RefusalReason reason, const std::string& detail) {
  ++figures_.refused;
  const TransportId id = t.id;
  const Refused refused{reason, detail};
  sockets_->send(t.side, t.route, encode(Message(refused)));
  if (t.side == Side::kIn) return close(id, true);
  const NodeId peer = t.peer;
  close(id, true);
  if (!peers_.contains(peer)) tell_lost(peer, why_refused({reason, detail}));
}

void Link::Impl::lose_link(NodeId peer, const std::string& why) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  const std::vector<TransportId> transports = std::move(found->second.transports);
  peers_.erase(found);
  for (TransportId id : transports) close(id, false);
  tell_lost(peer, why);
}

void Link::Impl::fail_dial(TransportId id, const std::string& why, bool nobody_listens) {
  const NodeId peer = transports_.at(id).peer;
  const bool probe = transports_.at(id).probe.has_value();
  close(id, false);
  if (probe) return;
  // The peer may have come in by its own dial meanwhile: then this one is not missed.
  if (!peers_.contains(peer)) tell_lost(peer, why, nobody_listens);
}

void Link::Impl::close(TransportId id, bool graceful) {
  const auto found = transports_.find(id);
  if (found == transports_.end()) return;
  Transport& t = found->second;
  if (t.side == Side::kOut) {
    const std::string name = t.name;
    erase(id);
    if (!name.empty()) sockets_->disconnect(name, graceful ? kDropLingerMs : 0);
    return;
  }
  if (t.state == Transport::State::kClosing) return;
  t.state = Transport::State::kClosing;
  forget_backlog(t);
  if (graceful) {
    // libzmq cannot say when a message has left; a moment is enough for what is queued.
    t.deadline = std::chrono::steady_clock::now() + kClosingGrace;
    deadlines_.emplace(t.deadline, id);
  } else {
    accepted_.shut(t.fd, id);
  }
}

void Link::Impl::erase(TransportId id) {
  const auto found = transports_.find(id);
  if (found == transports_.end()) return;
  Transport& t = found->second;
  deadlines_.erase({t.deadline, id});
  forget_backlog(t);
  forget_held(t);
  if (t.side == Side::kOut) --outbound_;
  if (t.side == Side::kIn) release_key(t.curve_key);
  if (!t.name.empty()) names_.erase(t.name);
  if (t.probe) --probes_;
  const auto dialing = dialing_.find(t.peer);
  if (dialing != dialing_.end() && dialing->second == id) dialing_.erase(dialing);
  const auto peer = peers_.find(t.peer);
  if (peer != peers_.end()) std::erase(peer->second.transports, id);
  transports_.erase(found);
}

void Link::Impl::forget_backlog(Transport& t) {
  stalled_.erase(t.id);
  backlog_bytes_ -= t.backlog_bytes;
  t.backlog_bytes = 0;
  t.backlog.clear();
  t.bulk.clear();
  t.bulk_sent = 0;
  unfinished_parts_ -= t.parts.held_bytes();
  t.parts = {};
}

void Link::Impl::send_or_keep(Transport& t, ByteView bytes) {
  if (t.backlog.empty()) {
    const SendOutcome outcome = send_now(t, bytes);
    if (outcome == SendOutcome::kSent) return;
    if (outcome == SendOutcome::kGone) return ended(t.id, "the connection broke", false);
  }
  if (t.backlog.size() >= kBacklogMessages || t.backlog_bytes + bytes.size() > kBacklogBytes ||
      backlog_bytes_ + bytes.size() > kBacklogBytesAll) {
    return ended(t.id, "it does not take the messages that are sent to it", false);
  }
  t.backlog.push_back(to_bytes(bytes));
  t.backlog_bytes += bytes.size();
  backlog_bytes_ += bytes.size();
  stall(t);
}

void Link::Impl::stall(const Transport& t) {
  if (stalled_.empty()) {
    retry_pause_ = std::chrono::milliseconds(1);
    next_retry_ = std::chrono::steady_clock::now() + retry_pause_;
  }
  stalled_.insert(t.id);
}

SendOutcome Link::Impl::send_now(Transport& t, ByteView bytes, ByteView head) {
  if (!has_room(t)) return SendOutcome::kFull;
  const SendOutcome outcome = sockets_->send(t.side, t.route, bytes, head);
  if (outcome != SendOutcome::kSent) return outcome;
  const std::size_t size = wire_bytes_of(head.size() + bytes.size());
  t.wire_out += size;
  t.held_bytes += size;
  held_bytes_ += size;
  return outcome;
}

bool Link::Impl::take_key(const CurveKey& key) {
  std::size_t& count = connections_of_key_[key];
  if (count >= config_.links_per_key) return false;
  ++count;
  return true;
}

void Link::Impl::release_key(const CurveKey& key) {
  const auto count = connections_of_key_.find(key);
  check(count != connections_of_key_.end(), "a connection's key was never counted");
  if (--count->second == 0) connections_of_key_.erase(count);
}

// If it speaks after all, it is not heard, and runs out of time.
void Link::Impl::forget_oldest_admitted() {
  release_key(admitted_.begin()->second.key);
  admitted_.erase(admitted_.begin());
}

void Link::Impl::tell_lost(const NodeId& peer, std::string why, bool nobody_listens) {
  events_.emplace_back(LinkLost{peer, std::move(why), nobody_listens});
}

}  // namespace shoal
