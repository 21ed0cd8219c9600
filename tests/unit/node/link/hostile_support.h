#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "node/protocol/keys.h"
#include "node/protocol/limits.h"
#include "node/protocol/messages.h"
#include "tests/unit/node/link/link_test_support.h"

// Those who attack: not one of them uses our code to speak.
namespace shoal::link_test {

inline void set(void* socket, int option, ByteView value) {
  check(zmq_setsockopt(socket, option, value.data(), value.size()) == 0, zmq_strerror(zmq_errno()));
}
inline void set(void* socket, int option, int value) {
  check(zmq_setsockopt(socket, option, &value, sizeof value) == 0, zmq_strerror(zmq_errno()));
}

inline constexpr int kFailed = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

struct RawOptions {
  bool with_curve = true;
  std::string routing_id{};  // that it claims; empty: none
  std::string source{};      // its own address; empty: any
  int receive_high_water = 1000;
};

// Speaks ZeroMQ, and says what it likes.
class RawClient {
 public:
  RawClient(const KeyPair& key, const NodeId& server, std::uint16_t port, RawOptions options = {}) {
    context_ = zmq_ctx_new();
    socket_ = zmq_socket(context_, ZMQ_DEALER);
    set(socket_, ZMQ_LINGER, 0);
    set(socket_, ZMQ_SNDHWM, 0);
    set(socket_, ZMQ_RCVHWM, options.receive_high_water);
    set(socket_, ZMQ_RECONNECT_IVL, -1);
    if (!options.routing_id.empty()) set(socket_, ZMQ_ROUTING_ID, as_bytes(options.routing_id));
    if (options.with_curve) {
      set(socket_, ZMQ_CURVE_PUBLICKEY, curve_key_of(key.id())->view());
      set(socket_, ZMQ_CURVE_SECRETKEY, key.curve_secret());
      set(socket_, ZMQ_CURVE_SERVERKEY, curve_key_of(server)->view());
    }
    check(zmq_socket_monitor(socket_, "inproc://events", ZMQ_EVENT_ALL) == 0, "monitor");
    events_ = zmq_socket(context_, ZMQ_PAIR);
    set(events_, ZMQ_LINGER, 0);
    check(zmq_connect(events_, "inproc://events") == 0, "monitor");
    const std::string source = options.source.empty() ? "" : options.source + ":0;";
    const std::string endpoint = "tcp://" + source + "127.0.0.1:" + std::to_string(port);
    check(zmq_connect(socket_, endpoint.c_str()) == 0, "connect");
  }
  ~RawClient() {
    zmq_socket_monitor(socket_, nullptr, 0);
    zmq_close(events_);
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void send(ByteView frame, bool more) {
    zmq_send(socket_, frame.data(), frame.size(), ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
  }
  // Without a copy, so that a flood costs the one who sends it nothing: `frame` outlives the
  // client.
  void send_constant(ByteView frame, bool more) {
    zmq_msg_t message;
    zmq_msg_init_data(&message, const_cast<std::uint8_t*>(frame.data()), frame.size(), nullptr,
                      nullptr);
    zmq_msg_send(&message, socket_, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
  }
  void hello(const NodeId& as, PoolId pool = pool_of(1)) {
    Hello hello;
    hello.pool = pool;
    hello.node = as;
    send(encode(Message(hello)), false);
  }
  std::optional<Bytes> receive_bytes() {
    Bytes buffer(limits::kMessageBytes);
    const int size = zmq_recv(socket_, buffer.data(), buffer.size(), ZMQ_DONTWAIT);
    if (size < 0) return std::nullopt;
    buffer.resize(static_cast<std::size_t>(size));
    return buffer;
  }
  std::optional<Message> receive() {
    const auto bytes = receive_bytes();
    if (!bytes) return std::nullopt;
    auto message = decode(*bytes);
    if (!message) return std::nullopt;
    return std::move(*message);
  }
  // Until something has come, or kPatience is over; then whether `done`.
  bool await(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::array<zmq_pollitem_t, 2> items{
          {{socket_, 0, ZMQ_POLLIN, 0}, {events_, 0, ZMQ_POLLIN, 0}}};
      zmq_poll(items.data(), static_cast<int>(items.size()), 1000);
    }
    return true;
  }
  // An event of `kinds` has come.
  bool saw(int kinds) {
    while (true) {
      std::array<std::uint8_t, 6> event{};
      if (zmq_recv(events_, event.data(), event.size(), ZMQ_DONTWAIT) < 0) break;
      std::uint16_t kind = 0;
      std::memcpy(&kind, event.data(), sizeof kind);
      seen_ |= kind;
      std::array<char, 256> endpoint{};
      zmq_recv(events_, endpoint.data(), endpoint.size(), ZMQ_DONTWAIT);
    }
    return (seen_ & kinds) != 0;
  }

 private:
  void* context_ = nullptr;
  void* socket_ = nullptr;
  void* events_ = nullptr;
  int seen_ = 0;
};

inline sockaddr_in loopback(std::uint16_t port, const std::string& address = "127.0.0.1") {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  check(::inet_pton(AF_INET, address.c_str(), &at.sin_addr) == 1, "address");
  return at;
}

// A bare connection. Speaks no ZeroMQ but what it is told to write.
class RawTcp {
 public:
  explicit RawTcp(std::uint16_t port, const std::string& source = "127.0.0.1") {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in from = loopback(0, source);
    check(::bind(fd_, reinterpret_cast<const sockaddr*>(&from), sizeof from) == 0, "bind");
    const sockaddr_in to = loopback(port);
    check(::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0, "connect");
  }
  ~RawTcp() { ::close(fd_); }
  RawTcp(RawTcp&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  RawTcp(const RawTcp&) = delete;
  RawTcp& operator=(const RawTcp&) = delete;

  // What the other side does not take is left out.
  void write(ByteView bytes) {
    ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  // The other side has ended it. Throws away what it said before.
  bool was_cut() {
    std::array<char, 4096> buffer{};
    ssize_t got = 0;
    while ((got = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0) heard_ += got;
    return got == 0 || (errno != EAGAIN && errno != EINTR);
  }
  bool await_cut() {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!was_cut()) {
      if (std::chrono::steady_clock::now() > end) return false;
      pollfd waiting{fd_, POLLIN, 0};
      ::poll(&waiting, 1, 1000);
    }
    return true;
  }
  // Bytes that it has said, as far as was_cut() has read them.
  ssize_t heard() const { return heard_; }

 private:
  int fd_ = -1;
  ssize_t heard_ = 0;
};

// Carries bytes between a client and the node. After `bytes_max` no more goes to the node, as if
// the client had begun a message and would never end it; after `back_max` nothing comes back, as if
// it did not read.
class Throttle {
 public:
  Throttle(std::uint16_t to_port, std::size_t bytes_max)
      : Throttle(to_port, bytes_max, bytes_max) {}
  Throttle(std::uint16_t to_port, std::size_t bytes_max, std::size_t back_max) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    check(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0, "bind");
    check(::listen(listener_, 1) == 0, "listen");
    check(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0, "name");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([=, this] { carry(to_port, bytes_max, back_max); });
  }
  ~Throttle() {
    stop();
    thread_.join();
    ::close(listener_);
  }
  void stop() { stop_ = true; }
  std::uint16_t port() const { return port_; }
  bool was_cut() const { return cut_; }
  // Until it was cut, or has carried more than `bytes` to the node.
  bool await(std::size_t bytes) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return cut_ || carried_ > bytes; });
  }
  bool await_cut() { return await(SIZE_MAX); }

 private:
  static bool pass(int from, int to, std::size_t& left) {
    std::array<char, 65'536> buffer{};
    const ssize_t got = ::recv(from, buffer.data(), std::min(left, buffer.size()), 0);
    if (got <= 0) return false;
    left -= static_cast<std::size_t>(got);
    for (ssize_t done = 0; done < got;) {
      // Who has hung up may have left no room for more: a send that waits would never be told.
      pollfd room{to, POLLOUT | POLLRDHUP, 0};
      ::poll(&room, 1, 1000);
      if ((room.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) return false;
      const ssize_t wrote = ::send(to, buffer.data() + done, static_cast<std::size_t>(got - done),
                                   MSG_NOSIGNAL | MSG_DONTWAIT);
      if (wrote < 0 && errno == EAGAIN) continue;
      if (wrote <= 0) return false;
      done += wrote;
    }
    return true;
  }
  void carry(std::uint16_t to_port, std::size_t bytes_max, std::size_t back_max) {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const int node = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(to_port);
    // The node may have died of it.
    const bool alive =
        ::connect(node, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    const auto wanted = [](std::size_t left) {
      return static_cast<short>(left > 0 ? POLLIN | POLLRDHUP : POLLRDHUP);
    };
    // One way or the other: true, there is no more to carry.
    const auto over = [](const pollfd& from, int to, std::size_t& left) {
      if (from.revents == 0) return false;
      return left == 0 || !pass(from.fd, to, left);
    };
    std::size_t left = bytes_max;
    while (alive && !stop_ && !cut_) {
      std::array<pollfd, 2> fds{{{node, wanted(back_max), 0}, {client, wanted(left), 0}}};
      ::poll(fds.data(), fds.size(), 20);
      const bool cut = over(fds[0], client, back_max) || over(fds[1], node, left);
      std::lock_guard lock(mutex_);
      cut_ = cut;
      carried_ = bytes_max - left;
      changed_.notify_all();
    }
    ::close(client);
    ::close(node);
    std::lock_guard lock(mutex_);
    cut_ = cut_ || !alive;
    changed_.notify_all();
  }

  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<bool> cut_{false};
  std::atomic<std::size_t> carried_{0};
  std::mutex mutex_;  // for whoever waits
  std::condition_variable changed_;
  std::thread thread_;
};

inline std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace shoal::link_test
