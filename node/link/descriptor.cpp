#include "node/link/descriptor.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <vector>

namespace shoal {

std::optional<FarEnd> far_end_of(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return std::nullopt;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &storage, sizeof v4);
    ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return FarEnd{text.data(), ntohs(v4.sin_port)};
  }
  if (storage.ss_family != AF_INET6) return std::nullopt;
  sockaddr_in6 v6{};
  std::memcpy(&v6, &storage, sizeof v6);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    ::inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text.data(), text.size());
  } else {
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  }
  return FarEnd{text.data(), ntohs(v6.sin6_port)};
}

namespace {

std::optional<tcp_info> tcp_info_of(int fd, std::size_t bytes_needed) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  // An old kernel fills a shorter structure, without the later counts.
  if (size < bytes_needed) return std::nullopt;
  return info;
}

}  // namespace

void shut_connection(int fd, const FarEnd& far_end) {
  if (far_end_of(fd) == far_end) ::shutdown(fd, SHUT_RDWR);
}

std::optional<std::uint64_t> bytes_read_from(int fd, const FarEnd& far_end) {
  if (far_end_of(fd) != far_end) return std::nullopt;
  const auto info = tcp_info_of(
      fd, offsetof(tcp_info, tcpi_bytes_received) + sizeof(tcp_info{}.tcpi_bytes_received));
  int unread = 0;
  if (!info || ::ioctl(fd, FIONREAD, &unread) != 0) return std::nullopt;
  const std::uint64_t received = info->tcpi_bytes_received;
  return received - std::min<std::uint64_t>(received, static_cast<std::uint64_t>(unread));
}

std::optional<std::uint64_t> bytes_written_to(int fd, const FarEnd& far_end) {
  if (far_end_of(fd) != far_end) return std::nullopt;
  const auto info =
      tcp_info_of(fd, offsetof(tcp_info, tcpi_bytes_acked) + sizeof(tcp_info{}.tcpi_bytes_acked));
  int unacknowledged = 0;
  if (!info || ::ioctl(fd, SIOCOUTQ, &unacknowledged) != 0) return std::nullopt;
  return info->tcpi_bytes_acked + static_cast<std::uint64_t>(std::max(unacknowledged, 0));
}

std::optional<Path> path_of(int fd, const FarEnd& far_end) {
  if (fd < 0 || far_end_of(fd) != far_end) return std::nullopt;
  const auto info = tcp_info_of(
      fd, offsetof(tcp_info, tcpi_bytes_retrans) + sizeof(tcp_info{}.tcpi_bytes_retrans));
  if (!info) return std::nullopt;
  return Path{info->tcpi_bytes_acked, info->tcpi_bytes_sent - info->tcpi_bytes_retrans,
              info->tcpi_snd_mss, std::chrono::microseconds(info->tcpi_rtt),
              std::chrono::microseconds(std::min(info->tcpi_min_rtt, info->tcpi_rtt))};
}

std::uint64_t raise_descriptor_limit(std::uint64_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur >= wanted) return limit.rlim_cur;
  limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

bool can_open_more(std::size_t count) {
  std::vector<int> opened;
  while (opened.size() < count) {
    const int fd = ::eventfd(0, EFD_CLOEXEC);
    if (fd < 0) break;
    opened.push_back(fd);
  }
  for (const int fd : opened) ::close(fd);
  return opened.size() == count;
}

std::string descriptor_advice() {
  rlimit limit{};
  const bool known = ::getrlimit(RLIMIT_NOFILE, &limit) == 0;
  return "a process may have " + (known ? std::to_string(limit.rlim_cur) : "too few") +
         " files and sockets open here: raise that limit ('ulimit -n', or LimitNOFILE= of systemd)";
}

std::string host_network(const std::string& ip) {
  constexpr std::size_t kNetworkBytes = 8;
  in6_addr address{};
  if (::inet_pton(AF_INET6, ip.c_str(), &address) != 1) return ip;
  std::fill(std::begin(address.s6_addr) + kNetworkBytes, std::end(address.s6_addr), 0);
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET6, &address, text.data(), text.size());
  return std::string(text.data()) + "/64";
}

bool is_loopback(const std::string& ip) { return ip.starts_with("127.") || ip == "::1"; }

}  // namespace shoal
