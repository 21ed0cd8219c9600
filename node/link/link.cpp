#include "node/link/link.h"

#include <algorithm>
#include <utility>

#include "node/link/link_impl.h"

namespace shoal {
namespace {

// The process needs more than its connections: files, executors, libzmq's own.
constexpr std::uint64_t kOtherDescriptors = 512;
// Connections that have not said Hello yet, beside the links; fewer where there are few links.
constexpr std::size_t kUnspokenMax = 1024;
constexpr std::size_t kUnspokenMin = 64;
constexpr std::chrono::milliseconds kRetryPauseMax{16};
constexpr std::chrono::milliseconds kBulkPauseMax{4};  // a path must not run dry meanwhile
// Time to prove a key (5 s) and then to say Hello.
constexpr std::chrono::seconds kSilence{10};
constexpr std::chrono::hours kLongest{1};
constexpr int kFullRoundsMax = 256;

long ceil_ms(std::chrono::nanoseconds span) {
  return static_cast<long>(
      std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(span).count()));
}

SteadyTime steady_now() { return std::chrono::steady_clock::now(); }

}  // namespace

Link::Link() = default;
Link::~Link() = default;

Result<std::unique_ptr<Link>, LinkError> Link::open(LinkConfig config, const KeyPair& key) {
  const auto unspoken = [](std::size_t links) {
    return std::clamp(links, kUnspokenMin, kUnspokenMax);
  };
  const std::uint64_t descriptors =
      raise_descriptor_limit(config.links_max + unspoken(config.links_max) + kOtherDescriptors);
  // Out of descriptors, nobody gets in any more, and no executor starts; a hard limit that is low
  // means fewer links.
  const std::uint64_t room =
      descriptors > 2 * kOtherDescriptors ? descriptors - kOtherDescriptors : descriptors / 2;
  config.links_max = std::min<std::size_t>(config.links_max, room - room / 4);
  const std::size_t connections_max =
      std::min<std::size_t>(config.links_max + unspoken(config.links_max), room);
  auto sockets = Sockets::open(config.listen, key);
  if (!sockets) return tl::unexpected(std::move(sockets).error());
  std::unique_ptr<Link> link(new Link());
  link->impl_ =
      std::make_unique<Impl>(std::move(config), connections_max, key, std::move(*sockets));
  return link;
}

std::uint16_t Link::port() const { return impl_->sockets_->port(); }
void Link::set_record(Signed record) { impl_->record_ = std::move(record); }
void Link::perform(const Dial& action) { impl_->dial(action); }
void Link::perform(const Probe& action) { impl_->probe(action); }
void Link::perform(Send action) { impl_->send(std::move(action)); }
void Link::perform(const Drop& action) { impl_->drop(action); }

std::vector<LinkEvent> Link::wait(std::chrono::nanoseconds timeout, const std::vector<int>& fds,
                                  std::vector<bool>& readable) {
  return impl_->wait(timeout, fds, readable);
}

Link::Figures Link::figures() const {
  Figures figures = impl_->figures_;
  figures.links = impl_->peers_.size();
  figures.probes = impl_->probes_;
  return figures;
}

Link::Impl::Impl(LinkConfig c, std::size_t connections_max, const KeyPair& k,
                 std::unique_ptr<Sockets> s)
    : config_(std::move(c)),
      connections_max_(connections_max),
      key_(k),
      name_(peer_name(config_.role, k.id(), config_.session)),
      sockets_(std::move(s)),
      rates_(config_.connects_per_address_burst, config_.connects_per_address_per_s) {}

// Greetings that nobody has answered yet are not waited for at the end.
Link::Impl::~Impl() {
  for (const auto& [id, t] : transports_) {
    const bool greeting = t.side == Side::kOut && t.state == Transport::State::kGreeting;
    if (greeting && !t.name.empty()) sockets_->disconnect(t.name, 0);
  }
}

void Link::Impl::dial(const Dial& action) {
  // The answer to this dial is then the LinkUp that was told already, or the one to come.
  if (peers_.contains(action.peer) || dialing_.contains(action.peer)) return;
  const auto endpoint = parse_endpoint(action.endpoint);
  if (!endpoint) {
    return tell_lost(action.peer, "'" + action.endpoint.substr(0, 64) +
                                      "' is no endpoint; it must look like tcp://host:4242");
  }
  const NodeId node = action.session_of.value_or(action.peer);
  if (node == key_.id()) return tell_lost(action.peer, "that is this node itself");
  if (!curve_key_of(node)) return tell_lost(action.peer, "its id is no valid key");
  if (peers_.size() + dialing_.size() >= config_.links_max) {
    return tell_lost(action.peer, "this node has as many links as it may have");
  }
  if (action.punch_from != 0 && !is_numeric_address(endpoint->host)) {
    return tell_lost(action.peer, "a punch needs an address");
  }
  if (action.punch_from != 0 && action.peer < name_) return await_punch(action, *endpoint);
  const TransportId id = next_id_++;
  Transport& t = transports_[id];
  t.id = id;
  t.side = Side::kOut;
  t.punch_from = action.punch_from;
  ++outbound_;
  t.peer = action.peer;
  t.node = node;
  t.endpoint = action.endpoint;
  t.deadline = steady_now() + limits::kHelloTimeout;
  deadlines_.emplace(t.deadline, id);
  dialing_[action.peer] = id;
  if (is_numeric_address(endpoint->host)) {
    start_connection(t, *endpoint);
  } else if (!resolver_.ask(id, endpoint->host)) {
    fail_dial(id, "too many names are being looked up at once");
  }
}

// A second connection to a peer that has a link, perhaps: it is no link and touches none.
void Link::Impl::probe(const Probe& action) {
  const auto endpoint = parse_endpoint(action.endpoint);
  if (!endpoint || !is_numeric_address(endpoint->host) || probes_ >= kProbesMax) return;
  if (action.peer == key_.id() || !curve_key_of(action.peer)) return;
  const TransportId id = next_id_++;
  Transport& t = transports_[id];
  t.id = id;
  t.side = Side::kOut;
  ++outbound_;
  t.peer = t.node = action.peer;
  t.endpoint = action.endpoint;
  t.probe = action.nonce;
  t.deadline = steady_now() + limits::kHelloTimeout;
  deadlines_.emplace(t.deadline, id);
  ++probes_;
  start_connection(t, *endpoint);
}

void Link::Impl::send(Send action) {
  check(action.bytes.size() <= limits::kMessageBytes, "a message larger than any may be");
  const auto peer = peers_.find(action.peer);
  if (peer == peers_.end()) return;
  Transport& t = transports_.at(peer->second.transports.front());
  ++figures_.messages_out;
  figures_.bytes_out += action.bytes.size();
  if (action.bulk) return send_bulk(t, std::move(action.bytes));
  send_or_keep(t, action.bytes);
}

void Link::Impl::drop(const Drop& action) {
  const auto dialing = dialing_.find(action.peer);
  const bool dialed = dialing != dialing_.end();
  if (dialed) close(dialing->second, false);
  const auto peer = peers_.find(action.peer);
  if (peer == peers_.end() && !dialed) return drop_punch(action);
  if (peer == peers_.end()) {
    if (dialed) tell_lost(action.peer, action.why);
    return;
  }
  const std::vector<TransportId> transports = std::move(peer->second.transports);
  peers_.erase(peer);
  for (TransportId id : transports) close(id, true);
  tell_lost(action.peer, action.why);
}

std::vector<LinkEvent> Link::Impl::wait(std::chrono::nanoseconds timeout,
                                        const std::vector<int>& fds, std::vector<bool>& readable) {
  readable.assign(fds.size(), false);
  const auto longest = std::chrono::nanoseconds(kLongest);
  const SteadyTime end = steady_now() + std::clamp(timeout, std::chrono::nanoseconds(0), longest);
  while (true) {
    SteadyTime now = steady_now();
    run_timers(now);
    const bool idle = events_.empty() && ended_.empty() && !suspects_;
    const SteadyTime until = idle ? next_timer(end) : now;
    const Ready ready = sockets_->poll(ceil_ms(until - now), resolver_.fd(), fds, readable);
    if (ready.own_fd) read_names();
    if (ready.events_in) read_events_in();
    if (ready.events_out) read_events_out();
    if (ready.zap) read_zap();
    // Messages that came before a connection's end are told before it.
    const bool all_in =
        (ready.in || !ended_.empty() || suspects_) ? read_messages(Side::kIn) : true;
    const bool all_out =
        (ready.out || !ended_.empty() || suspects_) ? read_messages(Side::kOut) : true;
    // Under a load that never lets the sockets run empty, fair queueing has emptied any one
    // connection after so many rounds.
    if ((all_in && all_out) || ++full_rounds_ >= kFullRoundsMax) {
      full_rounds_ = 0;
      finish_ended();
      cut_floods();
    }
    if (!events_.empty() || ready.any_fd || ready.interrupted || steady_now() >= end) {
      return std::exchange(events_, {});
    }
  }
}

void Link::Impl::run_timers(SteadyTime now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const TransportId id = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    Transport& t = transports_.at(id);
    if (t.state == Transport::State::kClosing) {
      accepted_.shut(t.fd, id);
    } else if (t.state == Transport::State::kGreeting) {
      fail_dial(id, "nobody answered at " + t.endpoint + " within " +
                        std::to_string(limits::kHelloTimeout / 1s) + " s");
    }
  }
  end_late_punches(now);
  accepted_.shut_silent(now - kSilence);
  while (!admitted_.empty() && admitted_.begin()->second.since <= now - kSilence) {
    forget_oldest_admitted();
  }
  retry_backlogs(now);
  check_floods(now);
}

SteadyTime Link::Impl::next_timer(SteadyTime latest) const {
  SteadyTime next = latest;
  if (!deadlines_.empty()) next = std::min(next, deadlines_.begin()->first);
  for (const auto& [name, punch] : punches_) next = std::min(next, punch.deadline);
  if (!stalled_.empty()) next = std::min(next, next_retry_);
  if (accepted_.open_count() > 0 || !transports_.empty()) next = std::min(next, next_flood_check_);
  return next;
}

void Link::Impl::finish_ended() {
  for (Ended& e : std::exchange(ended_, {})) {
    const auto found = transports_.find(e.id);
    if (found == transports_.end()) continue;
    const Transport& t = found->second;
    const NodeId peer = t.peer;
    const bool was_up = t.state == Transport::State::kUp;
    if (t.side == Side::kOut && !was_up) {
      fail_dial(e.id, e.why, e.nobody_listens);
      continue;
    }
    if (t.side == Side::kIn && e.is_closed) {
      erase(e.id);
    } else if (!was_up) {
      close(e.id, false);
    }
    if (was_up) lose_link(peer, e.why);
  }
}

void Link::Impl::retry_backlogs(SteadyTime now) {
  if (stalled_.empty() || now < next_retry_) return;
  bool moved = false;
  bool bulk_waits = false;
  for (auto it = stalled_.begin(); it != stalled_.end();) {
    Transport& t = transports_.at(*it);
    SendOutcome outcome = SendOutcome::kSent;
    while (!t.backlog.empty()) {
      outcome = send_now(t, t.backlog.front());
      if (outcome != SendOutcome::kSent) break;
      moved = true;
      const std::size_t size = t.backlog.front().size();
      t.backlog.pop_front();
      t.backlog_bytes -= size;
      backlog_bytes_ -= size;
    }
    const std::size_t bulk = t.bulk.size();
    const std::size_t bulk_sent = t.bulk_sent;
    if (outcome == SendOutcome::kSent && !pump_bulk(t, now)) outcome = SendOutcome::kGone;
    moved = moved || t.bulk.size() != bulk || t.bulk_sent != bulk_sent;
    bulk_waits = bulk_waits || !t.bulk.empty();
    if (outcome == SendOutcome::kGone) ended(t.id, "the connection broke", false);
    const bool done = outcome == SendOutcome::kGone || (t.backlog.empty() && t.bulk.empty());
    it = done ? stalled_.erase(it) : std::next(it);
  }
  const auto longest = bulk_waits ? kBulkPauseMax : kRetryPauseMax;
  retry_pause_ = moved ? std::chrono::milliseconds(1) : std::min(2 * retry_pause_, longest);
  next_retry_ = now + retry_pause_;
}

}  // namespace shoal
