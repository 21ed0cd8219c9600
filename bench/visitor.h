#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "bench/run.h"
#include "node/link/link.h"
#include "node/protocol/ticket.h"

namespace shoal::bench {

// A node that does nothing but visit a coordinator, over a real link. One thread only.
class Visitor {
 public:
  static Result<std::unique_ptr<Visitor>, std::string> open(const Ticket& ticket);

  // So many records of this node, each newer than those before: encoded Announces.
  std::vector<Bytes> announcements(std::size_t count);

  Measured come();
  void leave();
  // Sends them all, `window` at a time on their way. Each must be answered, and its record kept.
  Measured announce(const std::vector<Bytes>& announcements, std::size_t window);
  // Comes, announces itself, asks for a sample, and leaves when both answers are there.
  Measured visit(const Bytes& announcement);

 private:
  Visitor(const Ticket& ticket, const KeyPair& key) : ticket_(ticket), key_(key) {}
  // Takes answers until `announced` and `samples` are so many more.
  Measured await(std::size_t announced, std::size_t samples);
  Measured take(const LinkEvent& event);

  Ticket ticket_;
  KeyPair key_;
  std::unique_ptr<Link> link_;
  UnixMs next_sequence_ = 0;
  bool is_up_ = false;
  std::size_t announced_ = 0;
  std::size_t samples_ = 0;
};

}  // namespace shoal::bench
