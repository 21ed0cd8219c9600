#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "node/link/link.h"
#include "node/protocol/facts.h"
#include "node/protocol/keys.h"
#include "node/protocol/messages.h"

namespace shoal::cluster {

// A node of a pool for which the test speaks: it joins as a worker does, says to everybody that it
// holds all of one content, and sends of it what the test wants. It runs in a thread of its own
// until it is destroyed, or leaves.
class Holder {
 public:
  // What is sent in place of a block of the content; nothing: no answer. On the holder's thread.
  using Answer = std::function<std::optional<Block>(Block honest)>;

  Holder(const std::string& ticket, Bytes content, Answer answer);
  ~Holder();
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

  ContentName content() const { return name_; }
  // Its links break, as if its process had been killed. From any thread, also from `answer`.
  void leave() { leaving_ = true; }
  bool gone() const { return gone_; }
  std::uint64_t linked() const { return linked_; }  // links that came up
  std::uint64_t asked() const { return asked_; }    // for blocks
  std::uint64_t sent() const { return sent_blocks_; }
  // Blocks that were sent to one node more than once.
  std::uint64_t sent_again() const { return sent_again_; }
  // False: it did not come to that within kPatience.
  bool await(const std::function<bool()>& holds);

 private:
  void run();
  void hear(const NodeId& from, const Message& message);
  Block honest_block(std::uint64_t first_leaf) const;

  KeyPair key_;
  Bytes bytes_;
  std::vector<Hash256> leaves_;
  ContentName name_;
  Answer answer_;
  Signed record_;
  std::unique_ptr<Link> link_;
  std::vector<std::pair<NodeId, std::string>> doors_;
  using Place = std::pair<NodeId, std::uint64_t>;  // who, and which first leaf
  std::set<Place> sent_;
  std::atomic<bool> leaving_{false};
  std::atomic<bool> gone_{false};
  std::atomic<std::uint64_t> asked_{0};
  std::atomic<std::uint64_t> sent_again_{0}, linked_{0}, sent_blocks_{0};
  std::mutex mutex_;
  std::condition_variable changed_;  // of the numbers above
  std::thread thread_;
};

}  // namespace shoal::cluster
