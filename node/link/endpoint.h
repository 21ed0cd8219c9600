#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shoal {

// "tcp://host:port" taken apart. Endpoints come from other nodes' records, so only this one form is
// dialled: no wildcard, no interface, no source address, nothing that would open a port here.
struct Endpoint {
  std::string host;  // a name, or an address; IPv6 without its brackets
  std::uint16_t port = 0;
  bool is_ipv6 = false;
};
std::optional<Endpoint> parse_endpoint(std::string_view text);

bool is_numeric_address(const std::string& host);

// The same endpoint under a name of its own: a port may be written with any number of leading
// zeros. libzmq knows a connection by the text that it was dialled with, both when it tells of it
// and when it is to end it; two dials to one endpoint, or one after another, must not be mistaken.
// `serial` chooses one of kDialNames names. `from`: the local port, for a punch; 0: any.
inline constexpr std::uint64_t kDialNames = 64;
std::string dial_name(const Endpoint& endpoint, std::uint64_t serial, std::uint16_t from = 0);

}  // namespace shoal
