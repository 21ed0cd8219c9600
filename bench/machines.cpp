#include "bench/machines.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <exception>
#include <fstream>
#include <sstream>
#include <utility>

namespace shoal::bench {
namespace {

constexpr std::uint64_t kSeed = 1;
// Of the packets on a wire, as on a network for large frames: the switch between the wires runs on
// the processors that are measured, and its work is by the packet.
constexpr const char* kPacketBytes = "9000";

struct Tcp {
  Tcp(const std::string& address, std::uint16_t port)
      : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    ::inet_pton(AF_INET, address.c_str(), &at.sin_addr);
  }
  ~Tcp() { ::close(fd); }
  Tcp(const Tcp&) = delete;
  Tcp& operator=(const Tcp&) = delete;
  sockaddr* any() { return reinterpret_cast<sockaddr*>(&at); }

  int fd;
  sockaddr_in at{};
};

}  // namespace

std::unique_ptr<Machines> Machines::on_loopback() { return std::make_unique<Machines>(); }

Result<std::unique_ptr<Machines>, std::string> Machines::behind_wires(
    std::size_t count, double megabits_per_second, std::chrono::microseconds round_trip) {
  if (const std::string& why = cluster::no_own_network(); !why.empty()) {
    return tl::unexpected("skipped: " + why);
  }
  auto machines = std::make_unique<Machines>();
  try {
    machines->network_ = std::make_unique<cluster::Network>(kSeed);
    // A packet passes two wires on its way.
    const cluster::Wire wire{round_trip / 4, 0, megabits_per_second};
    for (std::size_t i = 0; i < count; ++i) {
      cluster::NetNode& node = machines->network_->add("machine-" + std::to_string(i), wire);
      node.space.run({"/usr/sbin/ip", "link", "set", "wan", "mtu", kPacketBytes});
      machines->nodes_.push_back(&node);
    }
  } catch (const std::exception& error) {
    return tl::unexpected("no machines behind wires: " + std::string(error.what()));
  }
  return machines;
}

std::string Machines::address(std::size_t machine) const {
  return shaped() ? nodes_.at(machine)->address : "127.0.0.1";
}

std::uint16_t Machines::free_port(std::size_t machine) const {
  std::uint16_t port = 0;
  inside(machine, [&] {
    Tcp socket(address(machine), 0);
    socklen_t size = sizeof socket.at;
    if (::bind(socket.fd, socket.any(), size) == 0 &&
        ::getsockname(socket.fd, socket.any(), &size) == 0) {
      port = ntohs(socket.at.sin_port);
    }
  });
  return port;
}

bool Machines::listens(std::size_t machine, std::uint16_t port) const {
  bool answered = false;
  inside(machine, [&] {
    Tcp socket(address(machine), port);
    answered = ::connect(socket.fd, socket.any(), sizeof socket.at) == 0;
  });
  return answered;
}

Result<std::unique_ptr<Process>, std::string> Machines::start(std::size_t machine,
                                                              Process::Wish wish) const {
  if (shaped()) wish.network = nodes_.at(machine)->space.descriptor();
  return Process::start(wish);
}

void Machines::inside(std::size_t machine, const std::function<void()>& work) const {
  if (shaped()) return nodes_.at(machine)->space.inside(work);
  work();
}

std::optional<std::uint64_t> Machines::bytes_sent(std::size_t machine) const {
  if (!shaped()) return std::nullopt;
  std::optional<std::uint64_t> sent;
  // /proc/thread-self, since it is the thread that is on that machine.
  inside(machine, [&] {
    std::ifstream devices("/proc/thread-self/net/dev");
    for (std::string line; std::getline(devices, line);) {
      const std::size_t name = line.find("wan:");
      if (name == std::string::npos) continue;
      std::istringstream counts(line.substr(name + 4));
      std::uint64_t count = 0;
      constexpr int kSentBytesColumn = 9;
      for (int column = 0; column < kSentBytesColumn; ++column) counts >> count;
      sent = count;
    }
  });
  return sent;
}

}  // namespace shoal::bench
