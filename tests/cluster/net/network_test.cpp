// The test network itself: what it promises to the stories that are told on it.

#include "tests/cluster/net/network.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/cluster/process.h"

namespace shoal::cluster {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kPort = 4300;
constexpr auto kSoon = 10s;       // for what must come
constexpr auto kSilence = 300ms;  // for what must not

sockaddr_in address_of(const std::string& ip, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, ip.c_str(), &address.sin_addr) != 1) std::abort();
  return address;
}

// A UDP socket on a machine of the network.
class Udp {
 public:
  Udp(const NetNode& node, std::uint16_t port) {
    node.space.inside([&] { fd_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); });
    const sockaddr_in address = address_of("0.0.0.0", port);
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) std::abort();
  }
  ~Udp() { ::close(fd_); }
  Udp(const Udp&) = delete;
  Udp& operator=(const Udp&) = delete;

  void send(const std::string& ip, std::uint16_t port, std::size_t bytes = 1) const {
    const sockaddr_in to = address_of(ip, port);
    const std::string text(bytes, 'x');
    ::sendto(fd_, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  }
  // Whom a packet came from, as "IP" and port.
  using Sender = std::pair<std::string, std::uint16_t>;
  std::optional<Sender> receive(std::chrono::milliseconds patience) const {
    pollfd waiting{fd_, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(patience.count())) < 1) return std::nullopt;
    std::array<char, 2048> buffer{};
    sockaddr_in from{};
    socklen_t size = sizeof from;
    ::recvfrom(fd_, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    std::array<char, INET_ADDRSTRLEN> text{};
    ::inet_ntop(AF_INET, &from.sin_addr, text.data(), text.size());
    return Sender{text.data(), ntohs(from.sin_port)};
  }

 private:
  int fd_ = -1;
};

class NetworkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!no_own_network().empty()) GTEST_SKIP() << no_own_network();
    network_.emplace(1);
  }
  // How long a packet takes there and back.
  static std::chrono::steady_clock::duration round_trip(const NetNode& here, const NetNode& there) {
    const Udp client(here, kPort), server(there, kPort);
    const auto start = std::chrono::steady_clock::now();
    client.send(there.address, kPort);
    EXPECT_TRUE(server.receive(kSoon));
    server.send(here.address, kPort);
    EXPECT_TRUE(client.receive(kSoon));
    return std::chrono::steady_clock::now() - start;
  }
  std::optional<Network> network_;
};

TEST_F(NetworkTest, APacketTakesTheDelayOfBothWiresEachWay) {
  const NetNode& near = network_->add("near", {.delay = 10ms});
  const NetNode& far = network_->add("far", {.delay = 40ms});
  EXPECT_GE(round_trip(near, far), 100ms);
  network_->set_wire("far", {.delay = 100ms});
  EXPECT_GE(round_trip(far, near), 220ms);
}

TEST_F(NetworkTest, AWireLosesItsShareOfThePacketsAndNoOther) {
  const NetNode& lossy = network_->add("lossy", {.loss = 0.25});
  const NetNode &one = network_->add("one", {}), &other = network_->add("other", {});
  constexpr int kPackets = 400;
  const Udp from_lossy(lossy, kPort), sender(one, kPort), receiver(other, kPort);
  int received = 0;
  for (int i = 0; i < kPackets; ++i) {
    from_lossy.send(other.address, kPort);
    sender.send(other.address, kPort);  // comes later than what was not lost before it
    auto first = receiver.receive(kSoon);
    ASSERT_TRUE(first) << "a packet of a wire without loss is lost";
    if (first->first == one.address) continue;
    ++received;
    ASSERT_TRUE(receiver.receive(kSoon));
  }
  // The seed is fixed, but not where stray packets of the kernel fall: hence bounds.
  EXPECT_GT(received, kPackets / 2);
  EXPECT_LT(received, kPackets * 9 / 10);
  EXPECT_GE(network_->figures().lost, static_cast<std::uint64_t>(kPackets - received));
}

TEST_F(NetworkTest, TwoThatAreCutHearEachOtherAgainOnceHealed) {
  const NetNode &a = network_->add("a", {}), &b = network_->add("b", {}),
                &c = network_->add("c", {});
  const Udp at_a(a, kPort), at_b(b, kPort), at_c(c, kPort);
  network_->cut("a", "b");
  at_a.send(b.address, kPort);
  EXPECT_FALSE(at_b.receive(kSilence));
  at_b.send(a.address, kPort);
  EXPECT_FALSE(at_a.receive(kSilence));
  at_a.send(c.address, kPort);
  EXPECT_TRUE(at_c.receive(kSoon)) << "only a and b are cut";
  network_->heal("b", "a");
  at_a.send(b.address, kPort);
  EXPECT_TRUE(at_b.receive(kSoon));
}

TEST_F(NetworkTest, ASlowWireTakesItsTimeAndDropsWhatDoesNotFitIntoItsQueue) {
  constexpr std::size_t kBytes = 1000;
  const NetNode& slow = network_->add("slow", {.megabits_per_second = 1});
  const NetNode& fast = network_->add("fast", {});
  const Udp sender(slow, kPort), receiver(fast, kPort);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 10; ++i) sender.send(fast.address, kPort, kBytes);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(receiver.receive(kSoon));
  EXPECT_GE(std::chrono::steady_clock::now() - start, 80ms) << "10 kB at 1 Mbit/s";
  for (int i = 0; i < 100; ++i) sender.send(fast.address, kPort, kBytes);
  ASSERT_TRUE(receiver.receive(kSoon));
  EXPECT_GT(network_->figures().overflowed, 0U) << "800 ms of packets in a queue of 200 ms";
}

TEST_F(NetworkTest, TcpUsesCubic) {
  const NetNode &a = network_->add("a", {}), &b = network_->add("b", {});
  int listening = -1, dialled = -1;
  b.space.inside([&] { listening = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); });
  a.space.inside([&] { dialled = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); });
  const sockaddr_in at = address_of(b.address, kPort);
  ASSERT_EQ(::bind(listening, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
  ASSERT_EQ(::listen(listening, 1), 0);
  ASSERT_EQ(::connect(dialled, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
  const int accepted = ::accept(listening, nullptr, nullptr);
  for (const int end : {dialled, accepted}) {
    std::array<char, 16> name{};
    socklen_t size = name.size();
    ASSERT_EQ(::getsockopt(end, IPPROTO_TCP, TCP_CONGESTION, name.data(), &size), 0);
    EXPECT_STREQ(name.data(), "cubic");
  }
  for (const int fd : {listening, dialled, accepted}) ::close(fd);
}

TEST_F(NetworkTest, ProgramsRunOnTheMachineTheyAreToldTo) {
  const NetNode& node = network_->add("node", {});
  Process here({"/usr/sbin/ip", "-4", "-oneline", "address"}, {}, node.space.descriptor());
  EXPECT_EQ(here.exit_code(), 0);
  EXPECT_NE(here.out().find(node.address), std::string::npos) << here.out();
  Process outside({"/usr/sbin/ip", "-4", "-oneline", "address"}, {});
  EXPECT_EQ(outside.exit_code(), 0);
  EXPECT_EQ(outside.out(), "") << "the test's own namespace has no address at all";
}

TEST_F(NetworkTest, AProgramThatIsNotThereSaysSo) {
  Process nothing({"/nowhere/to/be/found"}, {});
  EXPECT_EQ(nothing.exit_code(), 127);
  EXPECT_NE(nothing.err().find("/nowhere"), std::string::npos);
}

TEST_F(NetworkTest, AProgramDiesWithTheOneThatStartedIt) {
  std::unique_ptr<Process> orphan;
  std::thread([&] {
    orphan = std::make_unique<Process>(std::vector<std::string>{"/usr/bin/sleep", "infinity"},
                                       Variables{});
  }).join();
  EXPECT_EQ(orphan->exit_code(), 128 + SIGKILL);
}

class NatTest : public NetworkTest {
 protected:
  // The outer ports that two others see of one inner one.
  static std::set<std::uint16_t> outer_ports(const NetNode& home, std::uint16_t inner,
                                             const NetNode& one, const NetNode& other) {
    std::set<std::uint16_t> seen;
    const Udp inside(home, inner);
    for (const NetNode* outside : {&one, &other}) {
      const Udp peer(*outside, kPort);
      inside.send(outside->address, kPort);
      const auto sender = peer.receive(kSoon);
      EXPECT_TRUE(sender) << home.name;
      if (!sender) continue;
      EXPECT_EQ(sender->first, home.public_address);
      seen.insert(sender->second);
      peer.send(sender->first, sender->second);
      EXPECT_TRUE(inside.receive(kSoon)) << "no answer comes back to " << home.name;
    }
    return seen;
  }
};

TEST_F(NatTest, APortKeepingRouterKeepsThePort) {
  const NetNode& home = network_->add("home", {}, Nat::kPortKeeping);
  const NetNode &a = network_->add("a", {}), &b = network_->add("b", {});
  for (std::uint16_t port = 5000; port < 5008; ++port) {
    EXPECT_EQ(outer_ports(home, port, a, b), std::set{port});
  }
}

TEST_F(NatTest, AFullyRandomRouterPicksAnotherPortForEachConversation) {
  const NetNode& home = network_->add("home", {}, Nat::kFullyRandom);
  const NetNode &a = network_->add("a", {}), &b = network_->add("b", {});
  std::set<std::uint16_t> seen;
  for (std::uint16_t port = 5000; port < 5008; ++port) seen.merge(outer_ports(home, port, a, b));
  // Two of sixteen may be equal by chance, and one may be its inner port.
  EXPECT_GE(seen.size(), 12U);
}

TEST_F(NatTest, NobodyComesInUnasked) {
  for (const Nat nat : {Nat::kPortKeeping, Nat::kFullyRandom}) {
    const std::string name = nat == Nat::kPortKeeping ? "keeping" : "random";
    const NetNode& home = network_->add(name, {}, nat);
    const NetNode& stranger = network_->add(name + "-stranger", {});
    const Udp inside(home, kPort), outside(stranger, kPort);
    outside.send(home.public_address, kPort);
    outside.send(home.address, kPort);
    EXPECT_FALSE(inside.receive(kSilence)) << name;
  }
}

}  // namespace
}  // namespace shoal::cluster
