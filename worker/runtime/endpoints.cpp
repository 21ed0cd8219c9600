#include "worker/runtime/endpoints.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "node/protocol/limits.h"

namespace shoal {

namespace {

constexpr std::string_view kScheme = "tcp://";

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

// Nodes elsewhere may well have the same addresses, so these come after the real ones.
bool is_virtual_interface(std::string_view name) {
  constexpr std::array<std::string_view, 7> kPrefixes{"docker", "br-",    "veth", "virbr",
                                                      "cni",    "podman", "lxc"};
  return std::any_of(kPrefixes.begin(), kPrefixes.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

int rank_of(const InterfaceAddress& address) {
  if (is_loopback_address(address.address)) return 2;
  return is_virtual_interface(address.interface) ? 1 : 0;
}

std::optional<std::string> text_of(const sockaddr* address, bool with_ipv6) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    if (::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size()) == nullptr) return {};
    return std::string(text.data());
  }
  if (address->sa_family == AF_INET6 && with_ipv6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr)) return {};
    if (::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size()) == nullptr) return {};
    return std::string(text.data());
  }
  return {};
}

}  // namespace

std::optional<HostPort> split_endpoint(std::string_view endpoint) {
  if (!endpoint.starts_with(kScheme)) return std::nullopt;
  endpoint.remove_prefix(kScheme.size());
  const std::size_t colon = endpoint.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const auto port = parse_port(endpoint.substr(colon + 1));
  if (!port) return std::nullopt;
  std::string_view host = endpoint.substr(0, colon);
  if (host.starts_with('[')) {
    if (!host.ends_with(']') || host.size() < 4) return std::nullopt;
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;  // an IPv6 address without brackets: where its port begins is a guess
  }
  return HostPort{std::string(host), *port};
}

std::string join_endpoint(const HostPort& at) {
  const bool ipv6 = at.host.find(':') != std::string::npos;
  return std::string(kScheme) + (ipv6 ? "[" + at.host + "]" : at.host) + ":" +
         std::to_string(at.port);
}

bool is_any_address(std::string_view host) {
  return host == "0.0.0.0" || host == "::" || host == "*";
}

bool is_loopback_address(std::string_view host) {
  return host.starts_with("127.") || host == "::1" || host == "localhost";
}

std::vector<InterfaceAddress> interface_addresses(bool with_ipv6) {
  std::vector<InterfaceAddress> addresses;
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return addresses;
  for (const ifaddrs* it = first; it != nullptr; it = it->ifa_next) {
    if (it->ifa_addr == nullptr || (it->ifa_flags & IFF_UP) == 0) continue;
    if (auto text = text_of(it->ifa_addr, with_ipv6)) {
      addresses.push_back({it->ifa_name, std::move(*text)});
    }
  }
  ::freeifaddrs(first);
  return addresses;
}

std::vector<std::string> endpoints_to_advertise(const HostPort& listen, std::string_view advertise,
                                                const std::vector<Ticket::Door>& doors,
                                                const std::vector<InterfaceAddress>& addresses) {
  if (!advertise.empty()) {
    const std::string endpoint = std::string(kScheme) + std::string(advertise);
    if (split_endpoint(endpoint)) return {endpoint};
    std::string host(advertise);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    return {join_endpoint({host, listen.port})};
  }
  if (!is_any_address(listen.host)) return {join_endpoint(listen)};
  const bool all_here =
      !doors.empty() && std::all_of(doors.begin(), doors.end(), [](const Ticket::Door& door) {
        const auto at = split_endpoint(door.endpoint);
        return at && is_loopback_address(at->host);
      });
  if (all_here) return {join_endpoint({"127.0.0.1", listen.port})};
  std::vector<InterfaceAddress> ordered = addresses;
  std::stable_sort(
      ordered.begin(), ordered.end(),
      [](const InterfaceAddress& a, const InterfaceAddress& b) { return rank_of(a) < rank_of(b); });
  std::vector<std::string> endpoints;
  for (const InterfaceAddress& address : ordered) {
    std::string endpoint = join_endpoint({address.address, listen.port});
    if (std::find(endpoints.begin(), endpoints.end(), endpoint) == endpoints.end()) {
      endpoints.push_back(std::move(endpoint));
    }
  }
  if (endpoints.size() > limits::kEndpoints) endpoints.resize(limits::kEndpoints);
  return endpoints;
}

}  // namespace shoal
