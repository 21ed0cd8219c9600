#include "node/link/sockets.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "node/link/descriptor.h"
#include "node/link/endpoint.h"
#include "node/link/zap.h"
#include "node/protocol/limits.h"

namespace shoal {
namespace {

// Options that the library knows and zmq.h keeps among its drafts.
constexpr int kZeroCopyReceive = 10;  // ZMQ_ZERO_COPY_RECV, of a context
constexpr int kEnforceDomain = 93;    // ZMQ_ZAP_ENFORCE_DOMAIN, of a socket

constexpr int kHighWater = 256;  // messages
constexpr int kHandshakeMs = 5000;
constexpr int kBacklog = 1024;
// Longer than any stall of the network thread: a connection that was lost is ended by us, and must
// not come back before that, with the messages of the old one.
constexpr int kReconnectMs = 20'000;
constexpr int kMaxSockets = 64;
// For what is opened here, and then for a few connections and files.
constexpr std::size_t kDescriptorsLeast = 16 + 8;
// A frame of n bytes travels as n + 33 bytes of CURVE (RFC 26) after 2 or 9 bytes of ZMTP.
constexpr std::size_t kCurveBytes = 33;
constexpr const char* kEventsIn = "inproc://events-in";
constexpr const char* kEventsOut = "inproc://events-out";

void set(void* socket, int option, int value) {
  check(zmq_setsockopt(socket, option, &value, sizeof value) == 0, "a socket option is refused");
}

void set(void* socket, int option, ByteView value) {
  check(zmq_setsockopt(socket, option, value.data(), value.size()) == 0,
        "a socket option is refused");
}

// libzmq counts its routing ids up from rand(). A peer that claims the next one ends the process,
// so where they start must not be guessed.
void seed_routing_ids() {
  unsigned seed = 0;
  check(::getrandom(&seed, sizeof seed, 0) == sizeof seed, "the kernel gives no random bytes");
  std::srand(seed);
}

LinkError system_error(const std::string& doing) {
  const int error = zmq_errno();
  std::string what = "cannot " + doing + " (" + zmq_strerror(error) + ")";
  if (error == EMFILE) what += "; " + descriptor_advice();
  return {LinkFault::kSystem, std::move(what)};
}

void set_common(void* socket, const KeyPair& key) {
  set(socket, ZMQ_ROUTER_MANDATORY, 1);
  set(socket, ZMQ_LINGER, 0);
  set(socket, ZMQ_SNDHWM, kHighWater);
  set(socket, ZMQ_RCVHWM, kHighWater);
  set(socket, ZMQ_IMMEDIATE, 0);
  set(socket, ZMQ_HANDSHAKE_IVL, kHandshakeMs);
  set(socket, ZMQ_BACKLOG, kBacklog);
  set(socket, ZMQ_RECONNECT_IVL, kReconnectMs);
  set(socket, ZMQ_RECONNECT_IVL_MAX, 0);
  const std::int64_t bytes_max = static_cast<std::int64_t>(limits::kMessageBytes + kCurveBytes);
  check(zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &bytes_max, sizeof bytes_max) == 0,
        "a socket option is refused");
  // A host that lost its power is noticed after 20 s, at no cost to either process; ZMTP's own
  // heartbeats would wake the I/O threads of both sides. Where something is under way, and nothing
  // of it is acknowledged, the last option counts, and no keepalive is sent.
  set(socket, ZMQ_TCP_KEEPALIVE, 1);
  set(socket, ZMQ_TCP_KEEPALIVE_IDLE, 10);
  set(socket, ZMQ_TCP_KEEPALIVE_INTVL, 5);
  set(socket, ZMQ_TCP_KEEPALIVE_CNT, 2);
  set(socket, ZMQ_TCP_MAXRT, 20'000);
  set(socket, ZMQ_CURVE_SECRETKEY, key.curve_secret());
}

// What needs a descriptor comes first: a monitor to which nobody is connected waits for ever to say
// that it stops.
void* monitor(void* context, void* socket, const char* address) {
  void* pair = zmq_socket(context, ZMQ_PAIR);
  if (pair == nullptr) return nullptr;
  set(pair, ZMQ_LINGER, 0);
  set(pair, ZMQ_RCVHWM, 0);  // an event that is lost would leave a connection in our books for ever
  if (zmq_socket_monitor(socket, address, ZMQ_EVENT_ALL) == 0 && zmq_connect(pair, address) == 0) {
    return pair;
  }
  zmq_close(pair);
  return nullptr;
}

}  // namespace

std::size_t wire_bytes_of(std::size_t payload_bytes) {
  const std::size_t frame = payload_bytes + kCurveBytes;
  return frame + (frame > 255 ? 9 : 2);
}

Result<std::unique_ptr<Sockets>, LinkError> Sockets::open(const std::string& listen,
                                                          const KeyPair& key) {
  std::unique_ptr<Sockets> sockets(new Sockets());
  auto prepared = sockets->prepare(listen, key);
  if (!prepared) return tl::unexpected(std::move(prepared).error());
  return sockets;
}

Result<void, LinkError> Sockets::prepare(const std::string& listen, const KeyPair& key) {
  zmq_msg_init(&route_);
  zmq_msg_init(&payload_);
  seed_routing_ids();
  // Else libzmq would abort, or try to connect in silence, and nobody would seem to answer.
  if (!can_open_more(kDescriptorsLeast)) {
    return tl::unexpected(
        LinkError{LinkFault::kSystem, "cannot connect to others: " + descriptor_advice()});
  }
  context_ = zmq_ctx_new();
  if (context_ == nullptr) return tl::unexpected(system_error("start ZeroMQ"));
  // Exactly one I/O thread: that ACCEPTED comes before anything else of a connection rests on it.
  zmq_ctx_set(context_, ZMQ_IO_THREADS, 1);
  zmq_ctx_set(context_, ZMQ_MAX_SOCKETS, kMaxSockets);
  // Otherwise messages lie misaligned within a larger buffer, and hold all of it.
  check(zmq_ctx_set(context_, kZeroCopyReceive, 0) == 0, "zero-copy receive cannot be turned off");

  zap_ = open_zap(context_);
  if (zap_ == nullptr) return tl::unexpected(system_error("open the ZAP handler"));
  in_ = zmq_socket(context_, ZMQ_ROUTER);
  out_ = zmq_socket(context_, ZMQ_ROUTER);
  if (in_ == nullptr || out_ == nullptr) return tl::unexpected(system_error("open a socket"));
  set_common(in_, key);
  set(in_, ZMQ_CURVE_SERVER, 1);
  set(in_, ZMQ_ZAP_DOMAIN, as_bytes("shoal"));
  set(in_, kEnforceDomain, 1);
  set_common(out_, key);
  const auto curve_key = curve_key_of(key.id());
  check(curve_key.has_value(), "this node's own key is no valid point");
  set(out_, ZMQ_CURVE_PUBLICKEY, curve_key->view());

  events_in_ = monitor(context_, in_, kEventsIn);
  events_out_ = monitor(context_, out_, kEventsOut);
  if (events_in_ == nullptr || events_out_ == nullptr) {
    return tl::unexpected(system_error("watch a socket"));
  }
  for (void* socket : {in_, out_, zap_, events_in_, events_out_}) poll_.add(socket);
  return listen.empty() ? Result<void, LinkError>{} : bind(listen);
}

Result<void, LinkError> Sockets::bind(const std::string& listen) {
  set(in_, ZMQ_IPV6, listen.find('[') == std::string::npos ? 0 : 1);
  if (zmq_bind(in_, listen.c_str()) != 0) {
    const int error = zmq_errno();
    const std::string what =
        "cannot listen on " + listen + " (" + std::string(zmq_strerror(error)) + ")";
    const std::string expected =
        "; it must look like tcp://0.0.0.0:4242, with an address of this machine";
    switch (error) {
      case EADDRINUSE:
        return tl::unexpected(LinkError{
            LinkFault::kAddressInUse,
            what + "; stop the process that does, or choose another port (0: any free one)"});
      case EACCES:
      case EPERM:
        return tl::unexpected(
            LinkError{LinkFault::kNotPermitted, what + "; choose a port above 1023"});
      case EINVAL:
      case ENODEV:
      case ENOTSUP:
      case EPROTONOSUPPORT:
      case ENOCOMPATPROTO:
        return tl::unexpected(LinkError{LinkFault::kBadEndpoint, what + expected});
      case EADDRNOTAVAIL:
        // Not the caller's fault for certain: a machine that starts gets its address later.
        return tl::unexpected(LinkError{LinkFault::kSystem, what + expected});
      default: {
        const auto endpoint = parse_endpoint(listen);
        if (endpoint && is_numeric_address(endpoint->host)) {
          return tl::unexpected(LinkError{LinkFault::kSystem, what});
        }
        // As for a host's name, which is for those who dial: what the system says is of no use.
        return tl::unexpected(
            LinkError{LinkFault::kBadEndpoint, "cannot listen on " + listen + expected});
      }
    }
  }
  std::array<char, 256> bound{};
  std::size_t size = bound.size();
  check(zmq_getsockopt(in_, ZMQ_LAST_ENDPOINT, bound.data(), &size) == 0, "a bound port is hidden");
  const std::string_view text(bound.data());
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return tl::unexpected(LinkError{LinkFault::kBadEndpoint, listen + " is not a TCP endpoint"});
  }
  std::from_chars(text.data() + colon + 1, text.data() + text.size(), port_);
  return {};
}

Sockets::~Sockets() {
  zmq_msg_close(&route_);
  zmq_msg_close(&payload_);
  for (void* socket : {in_, out_}) {
    if (socket == nullptr) continue;
    zmq_socket_monitor(socket, nullptr, 0);
    set(socket, ZMQ_LINGER, kLastMomentMs);
  }
  for (void* socket : {events_in_, events_out_, in_, out_, zap_}) {
    if (socket != nullptr) zmq_close(socket);
  }
  if (context_ != nullptr) {
    while (zmq_ctx_term(context_) != 0 && zmq_errno() == EINTR) {
    }
  }
}

void* Sockets::use(void* socket) {
  poll_.used(socket);
  return socket;
}

bool Sockets::connect(const std::string& name, bool is_ipv6, std::string_view route,
                      const CurveKey& key) {
  set(out_, ZMQ_IPV6, is_ipv6 ? 1 : 0);
  set(out_, ZMQ_CURVE_SERVERKEY, key.view());
  set(out_, ZMQ_CONNECT_ROUTING_ID, as_bytes(route));
  return zmq_connect(use(out_), name.c_str()) == 0;
}

bool Sockets::connect_as_server(const std::string& name, bool is_ipv6) {
  set(in_, ZMQ_IPV6, is_ipv6 ? 1 : 0);  // what is bound already has taken its own
  return zmq_connect(use(in_), name.c_str()) == 0;
}

// Or libzmq would dial again by itself.
void Sockets::disconnect_as_server(const std::string& name) {
  zmq_disconnect(use(in_), name.c_str());
}

void Sockets::disconnect(const std::string& name, int linger_ms) {
  set(out_, ZMQ_LINGER, linger_ms);
  // Fails only where libzmq has given up the connection by itself.
  zmq_disconnect(use(out_), name.c_str());
  set(out_, ZMQ_LINGER, 0);
}

SendOutcome Sockets::send(Side side, std::string_view route, ByteView payload, ByteView head) {
  void* router = use(side);
  int rc = -1;
  do {
    rc = zmq_send(router, route.data(), route.size(), ZMQ_SNDMORE | ZMQ_DONTWAIT);
  } while (rc < 0 && zmq_errno() == EINTR);
  if (rc < 0) return zmq_errno() == EAGAIN ? SendOutcome::kFull : SendOutcome::kGone;
  zmq_msg_t message;
  check(zmq_msg_init_size(&message, head.size() + payload.size()) == 0, "out of memory");
  auto* data = static_cast<std::uint8_t*>(zmq_msg_data(&message));
  std::copy(payload.begin(), payload.end(), std::copy(head.begin(), head.end(), data));
  // The router has found the pipe and room in it: the payload cannot be refused any more.
  do {
    rc = zmq_msg_send(&message, router, ZMQ_DONTWAIT);
  } while (rc < 0 && (zmq_errno() == EINTR || zmq_errno() == EAGAIN));
  if (rc < 0) zmq_msg_close(&message);
  return rc < 0 ? SendOutcome::kGone : SendOutcome::kSent;
}

std::optional<Incoming> Sockets::receive(Side side) {
  void* router = use(side);
  if (zmq_msg_recv(&route_, router, ZMQ_DONTWAIT) < 0) return std::nullopt;
  Incoming message;
  message.route = {static_cast<const char*>(zmq_msg_data(&route_)), zmq_msg_size(&route_)};
  if (zmq_msg_more(&route_) == 0 || zmq_msg_recv(&payload_, router, ZMQ_DONTWAIT) < 0) {
    message.extra_frames = true;  // no payload at all is as wrong as too much of it
    return message;
  }
  const std::size_t size = zmq_msg_size(&payload_);
  message.payload = {static_cast<const std::uint8_t*>(zmq_msg_data(&payload_)), size};
  message.wire_bytes = wire_bytes_of(size);
  // On the routing id's frame this property is missing after a poll.
  const char* user = side == Side::kIn ? zmq_msg_gets(&payload_, "User-Id") : nullptr;
  if (user != nullptr) message.user = user;
  if (zmq_msg_more(&payload_) == 0) return message;
  message.extra_frames = true;
  zmq_msg_t rest;
  zmq_msg_init(&rest);
  while (zmq_msg_recv(&rest, router, ZMQ_DONTWAIT) >= 0 && zmq_msg_more(&rest) != 0) {
  }
  zmq_msg_close(&rest);
  return message;
}

int Sockets::source_fd() { return zmq_msg_get(&payload_, ZMQ_SRCFD); }

std::optional<ConnectionEvent> Sockets::next_event(Side side) {
  void* pair = use(side == Side::kIn ? events_in_ : events_out_);
  zmq_msg_t frame;
  zmq_msg_init(&frame);
  if (zmq_msg_recv(&frame, pair, ZMQ_DONTWAIT) < 0) {
    zmq_msg_close(&frame);
    return std::nullopt;
  }
  ConnectionEvent event;
  std::uint16_t kind = 0;
  std::int32_t value = 0;
  check(zmq_msg_size(&frame) == sizeof kind + sizeof value, "libzmq tells events in a new form");
  const char* data = static_cast<const char*>(zmq_msg_data(&frame));
  std::memcpy(&kind, data, sizeof kind);
  std::memcpy(&value, data + sizeof kind, sizeof value);
  event.kind = kind;
  event.value = value;
  if (zmq_msg_more(&frame) != 0 && zmq_msg_recv(&frame, pair, ZMQ_DONTWAIT) >= 0) {
    event.endpoint.assign(static_cast<const char*>(zmq_msg_data(&frame)), zmq_msg_size(&frame));
  }
  zmq_msg_close(&frame);
  return event;
}

std::optional<ZapRequest> Sockets::next_zap() { return receive_zap(use(zap_)); }

void Sockets::answer_zap(const ZapRequest& request, std::optional<std::string_view> user) {
  shoal::answer_zap(use(zap_), request, user);
}

Ready Sockets::poll(long timeout_ms, int own_fd, const std::vector<int>& fds,
                    std::vector<bool>& readable) {
  fds_.assign(1, own_fd);
  fds_.insert(fds_.end(), fds.begin(), fds.end());
  Ready ready;
  if (!poll_.wait(timeout_ms, fds_, ready_)) {
    ready.interrupted = true;
    return ready;
  }
  ready.in = ready_[0];
  ready.out = ready_[1];
  ready.zap = ready_[2];
  ready.events_in = ready_[3];
  ready.events_out = ready_[4];
  ready.own_fd = ready_[5];
  for (std::size_t i = 0; i < fds.size(); ++i) {
    if (!ready_[6 + i]) continue;
    readable[i] = true;
    ready.any_fd = true;
  }
  return ready;
}

}  // namespace shoal
