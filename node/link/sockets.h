#pragma once

#include <zmq.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node/link/link.h"
#include "node/link/socket_poll.h"

// The ZeroMQ sockets of one node, as libzmq 4.3.4 needs them set. No policy: who may stay is
// decided above. One thread only.
namespace shoal {

// A ROUTER that both accepts and dials can be killed by a peer that holds the id of the next dial,
// so there are two.
enum class Side : std::uint8_t {
  kIn,   // bound; accepts
  kOut,  // dials
};

// One message. The views hold until the next call of receive().
struct Incoming {
  std::string_view route;  // the connection's routing id
  std::string_view user;   // kIn: what the ZAP handler answered for this connection
  ByteView payload;        // its first frame
  bool extra_frames = false;
  std::size_t wire_bytes = 0;  // that its first frame took
};

// What libzmq's I/O thread tells of a side's connections, in the order in which it happened.
struct ConnectionEvent {
  int kind = 0;          // ZMQ_EVENT_*
  int value = 0;         // a descriptor, an errno, or a ZAP status
  std::string endpoint;  // kOut: the text that was dialled; kIn: the local endpoint, or of a punch
                         // the text that was dialled
};

// A client that has proven that it holds `key`, and waits for leave to come in.
struct ZapRequest {
  std::string request_id;
  CurveKey key;
};

enum class SendOutcome : std::uint8_t { kSent, kFull, kGone };

struct Ready {
  bool in = false, out = false, zap = false, events_in = false, events_out = false;
  bool own_fd = false;       // the extra descriptor of poll()
  bool any_fd = false;       // one of the caller's
  bool interrupted = false;  // by a signal
};

// What a payload takes on the wire, CURVE and ZMTP included.
std::size_t wire_bytes_of(std::size_t payload_bytes);

class Sockets {
 public:
  // `listen` may be empty. The ZAP handler is bound before the port is, or any key would be let in.
  static Result<std::unique_ptr<Sockets>, LinkError> open(const std::string& listen,
                                                          const KeyPair& key);
  // Gives messages that are on their way a moment, never more than kLastMomentMs.
  ~Sockets();
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;

  std::uint16_t port() const { return port_; }

  // `name` is of dial_name(); `route` is 8 bytes that were never used before. What is sent to
  // `route` from now on waits until the connection stands.
  bool connect(const std::string& name, bool is_ipv6, std::string_view route, const CurveKey& key);
  // The other half of a punch. One of the two that dial each other must be the server, and only
  // the socket that accepts is one; without an id of our choice it takes what comes of this for a
  // connection that it has accepted.
  bool connect_as_server(const std::string& name, bool is_ipv6);
  void disconnect_as_server(const std::string& name);
  // Ends what connect(name) began; `linger_ms` for messages still queued.
  void disconnect(const std::string& name, int linger_ms);

  // `head`, if any, goes before the payload in the same frame.
  SendOutcome send(Side, std::string_view route, ByteView payload, ByteView head = {});
  // Nothing: no message is there now.
  std::optional<Incoming> receive(Side);
  // The descriptor that the last message came over; -1 where libzmq does not say.
  int source_fd();
  std::optional<ConnectionEvent> next_event(Side);
  // Malformed requests are answered with a refusal here.
  std::optional<ZapRequest> next_zap();
  // `user` comes back as Incoming::user of every message of that connection. Nothing: refused.
  void answer_zap(const ZapRequest&, std::optional<std::string_view> user);

  // Waits for any of the sockets, `own_fd`, or `fds`. timeout_ms below zero: for ever.
  Ready poll(long timeout_ms, int own_fd, const std::vector<int>& fds, std::vector<bool>& readable);

  static constexpr int kLastMomentMs = 300;

 private:
  Sockets() = default;
  Result<void, LinkError> prepare(const std::string& listen, const KeyPair& key);
  Result<void, LinkError> bind(const std::string& listen);
  // For anything but waiting.
  void* use(void* socket);
  void* use(Side side) { return use(side == Side::kIn ? in_ : out_); }

  void* context_ = nullptr;
  void* in_ = nullptr;
  void* out_ = nullptr;
  void* zap_ = nullptr;
  void* events_in_ = nullptr;
  void* events_out_ = nullptr;
  std::uint16_t port_ = 0;
  zmq_msg_t route_{};
  zmq_msg_t payload_{};
  SocketPoll poll_;
  std::vector<int> fds_;     // those that poll() waits for besides the sockets
  std::vector<bool> ready_;  // and what it found
};

}  // namespace shoal
