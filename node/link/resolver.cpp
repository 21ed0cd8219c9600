#include "node/link/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "node/protocol/result.h"

namespace shoal {
namespace {

constexpr int kAtOnceMax = 8;

Resolver::Answer look_up(std::uint64_t id, const std::string& host) {
  Resolver::Answer answer{id, "", false};
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  int error = ::getaddrinfo(host.c_str(), nullptr, &wanted, &found);
  if (error != 0) {
    // AI_ADDRCONFIG does not count loopback: a machine that has nothing else finds nothing with it.
    wanted.ai_flags = 0;
    error = ::getaddrinfo(host.c_str(), nullptr, &wanted, &found);
  }
  if (error != 0) return answer;
  std::array<char, INET6_ADDRSTRLEN> text{};
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    const bool is_ipv6 = a->ai_family == AF_INET6;
    // A node that listens on 0.0.0.0 is not found under ::1, so IPv4 goes first.
    if (is_ipv6 && !answer.ip.empty()) continue;
    if (is_ipv6) {
      sockaddr_in6 v6{};
      std::memcpy(&v6, a->ai_addr, sizeof v6);
      ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    } else if (a->ai_family == AF_INET) {
      sockaddr_in v4{};
      std::memcpy(&v4, a->ai_addr, sizeof v4);
      ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    } else {
      continue;
    }
    answer.ip = text.data();
    answer.is_ipv6 = is_ipv6;
    if (!is_ipv6) break;
  }
  ::freeaddrinfo(found);
  return answer;
}

}  // namespace

// Lives until the last of the Resolver and its threads is done with it.
struct Resolver::Shared {
  Shared() : fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    check(fd >= 0, "no descriptor is left for an eventfd");
  }
  ~Shared() { ::close(fd); }

  const int fd;
  std::mutex mutex;
  int under_way = 0;
  std::vector<Answer> answers;
};

Resolver::Resolver() : shared_(std::make_shared<Shared>()) {}
Resolver::~Resolver() = default;

int Resolver::fd() const { return shared_->fd; }

bool Resolver::ask(std::uint64_t id, std::string host) {
  {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->under_way >= kAtOnceMax) return false;
    ++shared_->under_way;
  }
  try {
    std::thread([shared = shared_, id, host = std::move(host)] {
      Answer answer = look_up(id, host);
      const std::lock_guard lock(shared->mutex);
      --shared->under_way;
      shared->answers.push_back(std::move(answer));
      const std::uint64_t one = 1;
      // Cannot fail: the count is far from its end.
      [[maybe_unused]] const ssize_t wrote = ::write(shared->fd, &one, sizeof one);
    }).detach();
  } catch (const std::system_error&) {
    const std::lock_guard lock(shared_->mutex);
    --shared_->under_way;
    return false;
  }
  return true;
}

std::vector<Resolver::Answer> Resolver::take() {
  const std::lock_guard lock(shared_->mutex);
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(shared_->fd, &count, sizeof count);
  return std::exchange(shared_->answers, {});
}

}  // namespace shoal
