#include "node/link/accepted.h"

#include <utility>

namespace shoal {

Accepted::Owner Accepted::opened(int fd, SteadyTime now) {
  const Owner before = closed(fd);
  Connection& connection = connections_[fd];
  connection = {fd, ++newest_, {}, 0, true, std::nullopt};
  if (auto far_end = far_end_of(fd)) connection.far_end = std::move(*far_end);
  ++open_count_;
  ++by_block_[host_network(connection.far_end.ip)];
  silent_.emplace(connection.ordinal, Silent{now, fd});
  return before;
}

Accepted::Owner Accepted::closed(int fd) {
  const auto found = connections_.find(fd);
  if (found == connections_.end() || !found->second.open) return 0;
  const Owner owner = std::exchange(found->second.owner, 0);
  if (owner != 0) --spoken_count_;
  forget(found->second);
  return owner;
}

void Accepted::forget(Connection& connection) {
  connection.open = false;
  connection.bytes_read.reset();
  --open_count_;
  silent_.erase(connection.ordinal);
  const auto count = by_block_.find(host_network(connection.far_end.ip));
  if (count != by_block_.end() && --count->second == 0) by_block_.erase(count);
}

std::size_t Accepted::open_from(const std::string& ip) const {
  const auto found = by_block_.find(host_network(ip));
  return found == by_block_.end() ? 0 : found->second;
}

std::optional<FarEnd> Accepted::claim(int fd, std::uint64_t newest_then, Owner owner) {
  const auto found = connections_.find(fd);
  if (found == connections_.end()) return std::nullopt;
  Connection& connection = found->second;
  if (!connection.open || connection.ordinal > newest_then) return std::nullopt;
  if (connection.owner != 0) return std::nullopt;
  connection.owner = owner;
  ++spoken_count_;
  silent_.erase(connection.ordinal);
  return connection.far_end;
}

void Accepted::shut(int fd, Owner owner) {
  const auto found = connections_.find(fd);
  if (found == connections_.end() || !found->second.open || found->second.owner != owner) return;
  shut_connection(fd, found->second.far_end);
}

void Accepted::shut_unspoken(int fd) {
  const Connection& connection = connections_.at(fd);
  shut_connection(fd, connection.far_end);
  silent_.erase(connection.ordinal);
}

bool Accepted::shut_oldest_silent() {
  if (silent_.empty()) return false;
  shut_unspoken(silent_.begin()->second.fd);
  return true;
}

std::optional<SteadyTime> Accepted::shut_silent(SteadyTime limit) {
  while (!silent_.empty() && silent_.begin()->second.since <= limit) {
    // Its DISCONNECTED follows and takes it out of the books.
    shut_oldest_silent();
  }
  if (silent_.empty()) return std::nullopt;
  return silent_.begin()->second.since;
}

}  // namespace shoal
