#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <thread>

#include "node/link/link.h"
#include "tests/unit/node/link/link_test_support.h"

namespace shoal {
namespace {

using namespace link_test;

void set(void* socket, int option, ByteView value) {
  check(zmq_setsockopt(socket, option, value.data(), value.size()) == 0, zmq_strerror(zmq_errno()));
}
void set(void* socket, int option, int value) {
  check(zmq_setsockopt(socket, option, &value, sizeof value) == 0, zmq_strerror(zmq_errno()));
}

// Not one of ours: speaks ZeroMQ, and says what it likes.
class RawClient {
 public:
  RawClient(const KeyPair& key, const NodeId& server, std::uint16_t port, bool with_curve = true) {
    context_ = zmq_ctx_new();
    socket_ = zmq_socket(context_, ZMQ_DEALER);
    set(socket_, ZMQ_LINGER, 0);
    set(socket_, ZMQ_SNDHWM, 0);
    set(socket_, ZMQ_RECONNECT_IVL, -1);
    if (with_curve) {
      set(socket_, ZMQ_CURVE_PUBLICKEY, curve_key_of(key.id())->view());
      set(socket_, ZMQ_CURVE_SECRETKEY, key.curve_secret());
      set(socket_, ZMQ_CURVE_SERVERKEY, curve_key_of(server)->view());
    }
    check(zmq_socket_monitor(socket_, "inproc://events", ZMQ_EVENT_ALL) == 0, "monitor");
    events_ = zmq_socket(context_, ZMQ_PAIR);
    set(events_, ZMQ_LINGER, 0);
    check(zmq_connect(events_, "inproc://events") == 0, "monitor");
    const std::string endpoint = "tcp://127.0.0.1:" + std::to_string(port);
    check(zmq_connect(socket_, endpoint.c_str()) == 0, "connect");
  }
  ~RawClient() {
    zmq_socket_monitor(socket_, nullptr, 0);
    zmq_close(events_);
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  void send(ByteView frame, bool more) {
    zmq_send(socket_, frame.data(), frame.size(), ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
  }
  void hello(const NodeId& as, PoolId pool = pool_of(1)) {
    Hello hello;
    hello.pool = pool;
    hello.node = as;
    send(encode(Message(hello)), false);
  }
  std::optional<Message> receive() {
    std::vector<std::uint8_t> buffer(limits::kMessageBytes);
    const int size = zmq_recv(socket_, buffer.data(), buffer.size(), ZMQ_DONTWAIT);
    if (size < 0) return std::nullopt;
    buffer.resize(static_cast<std::size_t>(size));
    auto message = decode(buffer);
    if (!message) return std::nullopt;
    return std::move(*message);
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

constexpr int kFailed = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                        ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

struct Refusal {
  bool seen = false;
  RefusalReason reason{};
};

// Runs `node` until the client is cut off; keeps the Refused that came before.
bool run_until_cut(Node& node, RawClient& client, Refusal& refusal) {
  return run({&node}, [&] {
    while (auto message = client.receive()) {
      if (const auto* refused = std::get_if<Refused>(&*message)) {
        refusal = {true, refused->reason};
      }
    }
    return client.saw(ZMQ_EVENT_DISCONNECTED);
  });
}

TEST(HostileClient, WithoutAKeyNobodyComesIn) {
  Node node(1);
  RawClient client(key_of(9), node.id(), node.link->port(), false);
  client.hello(key_of(9).id());
  EXPECT_TRUE(run({&node}, [&] { return client.saw(kFailed); }));
  EXPECT_TRUE(node.events.empty());
}

TEST(HostileClient, TheIdMustBeThatOfTheKey) {
  Node node(1);
  RawClient client(key_of(9), node.id(), node.link->port());
  client.hello(key_of(8).id());
  Refusal refusal;
  ASSERT_TRUE(run_until_cut(node, client, refusal));
  EXPECT_TRUE(refusal.seen);
  EXPECT_EQ(refusal.reason, RefusalReason::kWrongKey);
  EXPECT_TRUE(node.events.empty());
}

TEST(HostileClient, TheFirstMessageMustBeAHello) {
  Node node(1);
  RawClient client(key_of(9), node.id(), node.link->port());
  client.send(encode(Message(Leave{})), false);
  Refusal refusal;
  ASSERT_TRUE(run_until_cut(node, client, refusal));
  EXPECT_TRUE(refusal.seen);
  EXPECT_EQ(refusal.reason, RefusalReason::kBadMessage);
  EXPECT_TRUE(node.events.empty());
}

TEST(HostileClient, AMessageInManyPartsIsCutAndOthersGoOn) {
  Node node(1), honest(2);
  ASSERT_TRUE(connect(honest, node));
  const KeyPair key = key_of(9);
  RawClient client(key, node.id(), node.link->port());
  client.hello(key.id());
  ASSERT_TRUE(run({&node, &honest}, [&] { return node.count<LinkUp>(key.id()) == 1; }));

  const Bytes part(256, 7);
  for (int i = 0; i < 10'000; ++i) client.send(part, true);
  client.send(part, false);
  honest.send(node.id(), numbered(1));
  ASSERT_TRUE(run({&node, &honest}, [&] {
    return node.count<LinkLost>(key.id()) == 1 && client.saw(ZMQ_EVENT_DISCONNECTED);
  }));
  EXPECT_EQ(node.all<LinkLost>(key.id()).front().why, "it sent a message in more than one part");
  EXPECT_EQ(node.count<Received>(key.id()), 0U);
  honest.send(node.id(), numbered(2));
  EXPECT_TRUE(run({&node, &honest}, [&] { return node.count<Received>(honest.id()) == 2; }));
}

TEST(HostileClient, AMessageThatIsTooLargeEndsTheConnection) {
  Node node(1);
  const KeyPair key = key_of(9);
  RawClient client(key, node.id(), node.link->port());
  client.hello(key.id());
  ASSERT_TRUE(run({&node}, [&] { return node.count<LinkUp>(key.id()) == 1; }));
  client.send(Bytes(limits::kMessageBytes + 1, 7), false);
  ASSERT_TRUE(run({&node}, [&] { return node.count<LinkLost>(key.id()) == 1; }));
  EXPECT_EQ(node.count<Received>(key.id()), 0U);
}

// Carries bytes between a client and the node, and stops after a while, as if the client had begun
// a message and would never end it.
class Throttle {
 public:
  Throttle(std::uint16_t to_port, std::size_t bytes_max) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    check(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0, "bind");
    check(::listen(listener_, 1) == 0, "listen");
    check(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0, "name");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, to_port, bytes_max] { carry(to_port, bytes_max); });
  }
  ~Throttle() {
    stop_ = true;
    thread_.join();
    ::close(listener_);
  }
  std::uint16_t port() const { return port_; }
  bool was_cut() const { return cut_; }

 private:
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }
  static bool pass(int from, int to, std::size_t& left) {
    std::array<char, 65'536> buffer{};
    const ssize_t got = ::recv(from, buffer.data(), std::min(left, buffer.size()), 0);
    if (got <= 0) return false;
    left -= static_cast<std::size_t>(got);
    for (ssize_t done = 0; done < got;) {
      const ssize_t wrote =
          ::send(to, buffer.data() + done, static_cast<std::size_t>(got - done), MSG_NOSIGNAL);
      if (wrote <= 0) return false;
      done += wrote;
    }
    return true;
  }
  void carry(std::uint16_t to_port, std::size_t bytes_max) {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const int node = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(to_port);
    check(::connect(node, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "tcp");
    std::size_t back_max = bytes_max;
    while (!stop_ && !cut_) {
      std::array<pollfd, 2> fds{
          {{node, POLLIN, 0}, {client, static_cast<short>(bytes_max > 0 ? POLLIN : 0), 0}}};
      ::poll(fds.data(), fds.size(), 20);
      if (fds[0].revents != 0 && !pass(node, client, back_max)) cut_ = true;
      if ((fds[1].revents & POLLIN) != 0 && !pass(client, node, bytes_max)) cut_ = true;
    }
    ::close(client);
    ::close(node);
  }

  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<bool> cut_{false};
  std::thread thread_;
};

TEST(HostileClient, AMessageWithoutAnEndIsCutAndOthersGoOn) {
  Node node(1), honest(2);
  ASSERT_TRUE(connect(honest, node));
  const KeyPair key = key_of(9);
  Throttle throttle(node.link->port(), 16 << 20);
  RawClient client(key, node.id(), throttle.port());
  client.hello(key.id());
  ASSERT_TRUE(run({&node, &honest}, [&] { return node.count<LinkUp>(key.id()) == 1; }));
  const Bytes part(512 * 1024, 7);
  for (int i = 0; i < 64; ++i) client.send(part, true);
  client.send(part, false);  // what libzmq needs to begin; it never gets through
  ASSERT_TRUE(run({&node, &honest},
                  [&] { return node.count<LinkLost>(key.id()) == 1 && throttle.was_cut(); }));
  EXPECT_EQ(node.all<LinkLost>(key.id()).front().why, "it sent a message without an end");
  honest.send(node.id(), numbered(1));
  EXPECT_TRUE(run({&node, &honest}, [&] { return node.count<Received>(honest.id()) == 1; }));
  EXPECT_FALSE(node.lost(honest));
}

}  // namespace
}  // namespace shoal
