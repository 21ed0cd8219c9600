#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

// What the kernel knows of a connection that libzmq holds. libzmq closes its descriptors on its own
// thread, and the number may be another connection's a moment later: whoever acts on a number first
// sees that the far end is still the one that was meant.
namespace shoal {

struct FarEnd {
  std::string ip;  // "1.2.3.4" also where the socket is an IPv6 one
  std::uint16_t port = 0;
  friend bool operator==(const FarEnd&, const FarEnd&) = default;
};

// Nothing where `fd` is no connected TCP socket.
std::optional<FarEnd> far_end_of(int fd);
// Ends the connection in both directions, if `fd` still leads to `far_end`. libzmq then notices,
// reports it to its monitor, and closes the descriptor.
void shut_connection(int fd, const FarEnd& far_end);
// Bytes that came in since the connection stands and that libzmq has read from the kernel.
std::optional<std::uint64_t> bytes_read_from(int fd, const FarEnd& far_end);
// Bytes that libzmq has handed to the kernel for this connection since it stands.
std::optional<std::uint64_t> bytes_written_to(int fd, const FarEnd& far_end);
// How the connection's path is doing.
struct Path {
  std::uint64_t acknowledged = 0;  // bytes that the far end has said to have, since it stands
  std::uint64_t departed = 0;      // bytes that have left this machine, since it stands
  std::uint64_t segment_bytes = 0;
  std::chrono::microseconds round_trip{0};           // of late
  std::chrono::microseconds shortest_round_trip{0};  // of the last minutes
};
std::optional<Path> path_of(int fd, const FarEnd& far_end);
// Lets the process hold `wanted` descriptors if the hard limit allows; says how many it may hold.
std::uint64_t raise_descriptor_limit(std::uint64_t wanted);
// Whether the process can open so many more.
bool can_open_more(std::size_t count);
// For people, where it cannot: what the limit is, and what to do.
std::string descriptor_advice();

bool is_loopback(const std::string& ip);
// What one owner has many of counts as one: of an IPv6 address its network of 64 bits.
std::string host_network(const std::string& ip);

}  // namespace shoal
