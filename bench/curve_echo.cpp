#include "bench/curve_echo.h"

#include <zmq.h>

#include <algorithm>
#include <array>
#include <thread>
#include <utility>

#include "bench/process.h"

namespace shoal::bench {
namespace {

constexpr std::size_t kMessageBytes = 64;
constexpr std::size_t kFrameBytesMax = 256;
constexpr std::chrono::milliseconds kPause{2};
constexpr int kPatienceMs = 10'000;
constexpr char kEnd = 'e';

struct CurvePair {
  std::array<char, 41> open{};  // Z85
  std::array<char, 41> secret{};
};

CurvePair new_curve_pair() {
  CurvePair pair;
  check(zmq_curve_keypair(pair.open.data(), pair.secret.data()) == 0, "libzmq has no CURVE");
  return pair;
}

void set(void* socket, int option, int value) {
  check(zmq_setsockopt(socket, option, &value, sizeof value) == 0, "a socket option is refused");
}
void set(void* socket, int option, const std::array<char, 41>& key) {
  check(zmq_setsockopt(socket, option, key.data(), key.size()) == 0, "a CURVE key is refused");
}

// Sends back what comes, until a message says that it is enough.
void echo(void* router) {
  std::array<char, kFrameBytesMax> route{};
  std::array<char, kFrameBytesMax> payload{};
  for (;;) {
    const int route_size = zmq_recv(router, route.data(), route.size(), 0);
    const int size = zmq_recv(router, payload.data(), payload.size(), 0);
    if (route_size < 0 || size < 0) return;
    if (size == 1 && payload[0] == kEnd) return;
    zmq_send(router, route.data(), static_cast<std::size_t>(route_size), ZMQ_SNDMORE);
    zmq_send(router, payload.data(), static_cast<std::size_t>(size), 0);
  }
}

}  // namespace

struct CurveEcho::Impl {
  void* server_context = nullptr;
  void* router = nullptr;
  void* client_context = nullptr;
  void* dealer = nullptr;
  CurvePair server_keys = new_curve_pair();
  CurvePair client_keys = new_curve_pair();
  std::string endpoint;
  std::thread server;

  Result<void, std::string> open(std::optional<int> server_core);
  Result<void, std::string> open_server();
  void* connect();
  void send(void* socket) {
    const std::array<char, kMessageBytes> payload{};
    check(zmq_send(socket, payload.data(), payload.size(), 0) >= 0, "a request cannot be sent");
  }
  void receive(void* socket) {
    std::array<char, kFrameBytesMax> payload{};
    check(zmq_recv(socket, payload.data(), payload.size(), 0) == kMessageBytes,
          "a request was not answered");
  }
};

Result<void, std::string> CurveEcho::Impl::open(std::optional<int> server_core) {
  client_context = zmq_ctx_new();
  // Threads start with the cores of the thread that starts them, and a context's with its first
  // socket.
  const std::vector<int> cores = usable_cores();
  if (server_core) use_cores({*server_core});
  auto opened = open_server();
  if (server_core) use_cores(cores);
  if (!opened) return opened;
  dealer = connect();
  // The handshake is done once this has come back.
  send(dealer);
  receive(dealer);
  return {};
}

Result<void, std::string> CurveEcho::Impl::open_server() {
  server_context = zmq_ctx_new();
  router = zmq_socket(server_context, ZMQ_ROUTER);
  set(router, ZMQ_LINGER, 0);
  set(router, ZMQ_CURVE_SERVER, 1);
  set(router, ZMQ_CURVE_SECRETKEY, server_keys.secret);
  std::array<char, 256> bound{};
  std::size_t size = bound.size();
  if (zmq_bind(router, "tcp://127.0.0.1:*") != 0 ||
      zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, bound.data(), &size) != 0) {
    return tl::unexpected(std::string("cannot listen on loopback: ") + zmq_strerror(zmq_errno()));
  }
  endpoint = bound.data();
  server = std::thread([socket = router] { echo(socket); });
  return {};
}

void* CurveEcho::Impl::connect() {
  void* socket = zmq_socket(client_context, ZMQ_DEALER);
  set(socket, ZMQ_LINGER, 0);
  set(socket, ZMQ_RCVTIMEO, kPatienceMs);
  set(socket, ZMQ_CURVE_SERVERKEY, server_keys.open);
  set(socket, ZMQ_CURVE_PUBLICKEY, client_keys.open);
  set(socket, ZMQ_CURVE_SECRETKEY, client_keys.secret);
  check(zmq_connect(socket, endpoint.c_str()) == 0, "an endpoint just bound is refused");
  return socket;
}

Result<std::unique_ptr<CurveEcho>, std::string> CurveEcho::start(std::optional<int> server_core) {
  std::unique_ptr<CurveEcho> echo(new CurveEcho());
  echo->impl_ = std::make_unique<Impl>();
  if (auto opened = echo->impl_->open(server_core); !opened) return tl::unexpected(opened.error());
  return echo;
}

CurveEcho::~CurveEcho() {
  if (impl_->server.joinable()) {
    zmq_send(impl_->dealer, &kEnd, 1, 0);
    impl_->server.join();
  }
  for (void* socket : {impl_->dealer, impl_->router}) {
    if (socket != nullptr) zmq_close(socket);
  }
  for (void* context : {impl_->client_context, impl_->server_context}) zmq_ctx_term(context);
}

double CurveEcho::requests_per_second(std::uint64_t requests, std::uint64_t window) {
  const auto start = std::chrono::steady_clock::now();
  std::uint64_t sent = 0;
  for (; sent < std::min(window, requests); ++sent) impl_->send(impl_->dealer);
  for (std::uint64_t answered = 0; answered < requests; ++answered) {
    impl_->receive(impl_->dealer);
    if (sent == requests) continue;
    impl_->send(impl_->dealer);
    ++sent;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  return static_cast<double>(requests) / took.count();
}

std::chrono::nanoseconds CurveEcho::idle_round_trip() {
  std::this_thread::sleep_for(kPause);
  const auto start = std::chrono::steady_clock::now();
  impl_->send(impl_->dealer);
  impl_->receive(impl_->dealer);
  return std::chrono::steady_clock::now() - start;
}

double CurveEcho::visits_per_second(std::uint64_t at_once, std::uint64_t visits) {
  const auto come_and_go = [&] {
    for (std::uint64_t i = 0; i < visits; ++i) {
      void* socket = impl_->connect();
      impl_->send(socket);
      impl_->receive(socket);
      zmq_close(socket);
    }
  };
  std::vector<std::thread> clients;
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < at_once; ++i) clients.emplace_back(come_and_go);
  for (std::thread& client : clients) client.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  return static_cast<double>(at_once * visits) / took.count();
}

}  // namespace shoal::bench
