#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Addresses and endpoints as text: what a state machine may ask of them. Nothing is looked up.
namespace shoal {

struct HostPort {
  std::string host;  // an IPv6 address without its brackets
  std::uint16_t port = 0;
  friend bool operator==(const HostPort&, const HostPort&) = default;
};
// "tcp://HOST:PORT" or "tcp://[HOST]:PORT".
std::optional<HostPort> split_endpoint(std::string_view endpoint);
std::string join_endpoint(const HostPort&);

// From where an address can be dialled, each class from less far than the next.
enum class AddressScope : std::uint8_t {
  kNone,      // no address, or one that is nobody's: any, multicast, broadcast
  kLoopback,  // this machine
  kPrivate,   // this network (RFC 1918, 3927, 4193, 6598): another one may have the same addresses
  kPublic,
};
// Of a numeric address; a name is kNone.
AddressScope scope_of(std::string_view address);

// The part of an address that one operator usually owns: /24 of IPv4, /48 of IPv6.
std::string address_block(const std::string& address);

}  // namespace shoal
