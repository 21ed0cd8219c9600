#include "node/link/endpoint.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "node/protocol/limits.h"

namespace shoal {
namespace {

bool is_host_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
         c == '-' || c == '_';
}

bool is_ipv6_address(const std::string& host) {
  std::array<unsigned char, 16> address{};
  return ::inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

}  // namespace

std::optional<Endpoint> parse_endpoint(std::string_view text) {
  constexpr std::string_view kScheme = "tcp://";
  if (text.size() > limits::kEndpointBytes || !text.starts_with(kScheme)) return std::nullopt;
  text.remove_prefix(kScheme.size());
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);

  Endpoint endpoint;
  const auto [end, error] =
      std::from_chars(port.data(), port.data() + port.size(), endpoint.port, 10);
  if (error != std::errc() || end != port.data() + port.size() || endpoint.port == 0) {
    return std::nullopt;
  }
  if (host.starts_with('[') && host.ends_with(']')) {
    endpoint.host = host.substr(1, host.size() - 2);
    endpoint.is_ipv6 = true;
    if (!is_ipv6_address(endpoint.host)) return std::nullopt;
    return endpoint;
  }
  if (!std::all_of(host.begin(), host.end(), is_host_character)) return std::nullopt;
  endpoint.host = host;
  return endpoint;
}

bool is_numeric_address(const std::string& host) {
  std::array<unsigned char, 16> address{};
  return ::inet_pton(AF_INET, host.c_str(), address.data()) == 1 || is_ipv6_address(host);
}

std::string dial_name(const Endpoint& endpoint, std::uint64_t serial, std::uint16_t from) {
  const std::string host = endpoint.is_ipv6 ? "[" + endpoint.host + "]" : endpoint.host;
  // One zero at least: the plain text is what libzmq itself makes of a resolved address.
  const std::string zeros(1 + serial % kDialNames, '0');
  const std::string any = endpoint.is_ipv6 ? "[::]:" : "0.0.0.0:";
  const std::string source = from == 0 ? "" : any + std::to_string(from) + ";";
  return "tcp://" + source + host + ":" + zeros + std::to_string(endpoint.port);
}

}  // namespace shoal
