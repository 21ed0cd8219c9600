#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "node/link/descriptor.h"

// The connections that others made to this node, by descriptor. libzmq names a connection by a
// descriptor that is used again as soon as it is closed, and tells of the connection (monitor), of
// its key (ZAP) and of its messages through three queues. What holds them together:
//  - each ACCEPTED gets an ordinal, which is never used again;
//  - a client's ZAP request comes after its ACCEPTED, and its messages after our answer. So of all
//    connections accepted until that answer the last one on a message's descriptor is the one that
//    the message came from; a later ordinal on that descriptor means that it is gone.
// Not thread-safe.
namespace shoal {

using SteadyTime = std::chrono::steady_clock::time_point;

class Accepted {
 public:
  // A transport's number; 0: nobody has spoken on the connection yet.
  using Owner = std::uint64_t;
  struct Connection {
    int fd = -1;
    std::uint64_t ordinal = 0;
    FarEnd far_end;
    Owner owner = 0;
    bool open = false;
    std::optional<std::uint64_t> bytes_read;  // of a suspect; see Link::Impl::check_floods()
  };

  // Gives back the owner of a connection whose end was missed.
  Owner opened(int fd, SteadyTime now);
  Owner closed(int fd);

  std::uint64_t newest() const { return newest_; }
  std::size_t open_count() const { return open_count_; }
  // From the same block of addresses.
  std::size_t open_from(const std::string& ip) const;
  // Open, and has an owner.
  std::size_t spoken_count() const { return spoken_count_; }

  // The first message of `owner`'s connection, which was let in when newest() was `newest_then`,
  // came from `fd`. Nothing: that connection has ended already.
  std::optional<FarEnd> claim(int fd, std::uint64_t newest_then, Owner owner);
  // The owner is gone, and will not speak again; the connection may still be open.
  void shut(int fd, Owner owner);

  // Ends one that has not spoken, for good: it is not counted among the silent any more.
  void shut_unspoken(int fd);
  // Ends the one that has had most time to speak. False: all have spoken.
  bool shut_oldest_silent();
  // Ends connections that were accepted before `limit` and have no owner; the time of the oldest
  // one that is left.
  std::optional<SteadyTime> shut_silent(SteadyTime limit);

  std::unordered_map<int, Connection>& connections() { return connections_; }

 private:
  void forget(Connection& connection);

  std::uint64_t newest_ = 0;
  std::size_t open_count_ = 0;
  std::size_t spoken_count_ = 0;
  std::unordered_map<int, Connection> connections_;
  std::unordered_map<std::string, std::size_t> by_block_;
  struct Silent {
    SteadyTime since;
    int fd = -1;
  };
  std::map<std::uint64_t, Silent> silent_;  // by ordinal, so by time
};

}  // namespace shoal
