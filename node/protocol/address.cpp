#include "node/protocol/address.h"

#include <array>
#include <charconv>

namespace shoal {
namespace {

constexpr std::string_view kScheme = "tcp://";

template <class Number>
std::optional<Number> parse(std::string_view text, int base) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

std::optional<std::array<std::uint8_t, 4>> parse_ipv4(std::string_view text) {
  std::array<std::uint8_t, 4> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t dot = i + 1 < bytes.size() ? text.find('.') : text.size();
    if (dot == std::string_view::npos) return std::nullopt;
    const auto byte = parse<std::uint8_t>(text.substr(0, dot), 10);
    if (!byte) return std::nullopt;
    bytes[i] = *byte;
    if (i + 1 < bytes.size()) text.remove_prefix(dot + 1);
  }
  return bytes;
}

AddressScope scope_of_ipv4(const std::array<std::uint8_t, 4>& a) {
  if (a[0] == 127) return AddressScope::kLoopback;
  if (a[0] == 0 || a[0] >= 224) return AddressScope::kNone;
  const bool is_private = a[0] == 10 || (a[0] == 172 && (a[1] & 0xf0) == 16) ||
                          (a[0] == 192 && a[1] == 168) || (a[0] == 169 && a[1] == 254) ||
                          (a[0] == 100 && (a[1] & 0xc0) == 64);
  return is_private ? AddressScope::kPrivate : AddressScope::kPublic;
}

// The first group says it; the kernel writes addresses in their shortest form.
AddressScope scope_of_ipv6(std::string_view text) {
  constexpr std::string_view kMapped = "::ffff:";
  if (text.starts_with(kMapped)) {
    const auto inner = parse_ipv4(text.substr(kMapped.size()));
    return inner ? scope_of_ipv4(*inner) : AddressScope::kNone;
  }
  if (text == "::1") return AddressScope::kLoopback;
  if (text.starts_with("::")) return AddressScope::kNone;
  const auto first = parse<std::uint16_t>(text.substr(0, text.find(':')), 16);
  if (!first || (*first & 0xff00) == 0xff00) return AddressScope::kNone;
  const bool is_private = (*first & 0xfe00) == 0xfc00 || (*first & 0xffc0) == 0xfe80;
  return is_private ? AddressScope::kPrivate : AddressScope::kPublic;
}

}  // namespace

std::optional<HostPort> split_endpoint(std::string_view endpoint) {
  if (!endpoint.starts_with(kScheme)) return std::nullopt;
  endpoint.remove_prefix(kScheme.size());
  const std::size_t colon = endpoint.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const auto port = parse<std::uint16_t>(endpoint.substr(colon + 1), 10);
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

AddressScope scope_of(std::string_view address) {
  if (address.find(':') != std::string_view::npos) return scope_of_ipv6(address);
  const auto ipv4 = parse_ipv4(address);
  return ipv4 ? scope_of_ipv4(*ipv4) : AddressScope::kNone;
}

std::string address_block(const std::string& address) {
  const bool v6 = address.find(':') != std::string::npos;
  std::size_t end = 0;
  for (int part = 0; part < 3 && end != std::string::npos; ++part) {
    end = address.find(v6 ? ':' : '.', part == 0 ? 0 : end + 1);
  }
  return address.substr(0, end);
}

}  // namespace shoal
