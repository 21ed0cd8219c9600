#include "node/link/advertised.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

#include "node/protocol/limits.h"

namespace shoal {

namespace {

constexpr std::string_view kScheme = "tcp://";

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

bool only_within_reach_of_neighbours(const std::vector<std::string>& endpoints,
                                     const std::vector<Ticket::Door>& doors) {
  const auto is_near = [](std::string_view endpoint) {
    const auto at = split_endpoint(endpoint);
    const AddressScope scope = at ? scope_of(at->host) : AddressScope::kNone;
    return scope == AddressScope::kLoopback || scope == AddressScope::kPrivate;
  };
  const bool near = std::all_of(endpoints.begin(), endpoints.end(), is_near);
  return near && !std::all_of(doors.begin(), doors.end(),
                              [&](const Ticket::Door& door) { return is_near(door.endpoint); });
}

}  // namespace shoal
