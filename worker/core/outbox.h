#pragma once

#include <deque>
#include <utility>

#include "worker/core/peer.h"

namespace shoal {

// What a part of a peer wants to have, and who may have it.
struct ContentNeed {
  ContentId id;
  std::uint64_t length = 0;
  std::vector<NodeId> sources;
};

// Gathers the actions of one step. Parts of a peer speak to each other as peers do, by message;
// what a node sends to itself never leaves it.
class Outbox {
 public:
  explicit Outbox(NodeId self) : self_(self) {}

  const NodeId& self() const { return self_; }
  void send(const NodeId& to, Message message) {
    if (to == self_) {
      to_self_.push_back(std::move(message));
    } else {
      actions_.emplace_back(Send{to, encode(message)});
    }
  }
  void act(PeerAction action) { actions_.push_back(std::move(action)); }
  void tell(LogLevel level, std::string text) { act(Tell{level, std::move(text)}); }
  // To be made durable; all facts of one step are one group.
  void store(StoredFact fact) {
    facts_.push_back(std::move(fact));
    hurry();
  }
  // May wait a moment, and go along with what comes next.
  void store_soon(StoredFact fact) { facts_.push_back(std::move(fact)); }
  // Somebody waits for what is to be stored.
  void hurry() { hurried_ = true; }
  bool stores() const { return !facts_.empty(); }
  bool hurried() const { return hurried_; }
  // What is to be stored of it in this step as well.
  void erase(Erase what) {
    std::erase_if(facts_, [&](const StoredFact& fact) { return covers(what, fact); });
    act(std::move(what));
  }
  std::vector<StoredFact> take_facts() {
    hurried_ = false;
    return std::exchange(facts_, {});
  }

  bool has_own_message() const { return !to_self_.empty(); }
  Message next_own_message() {
    Message message = std::move(to_self_.front());
    to_self_.pop_front();
    return message;
  }
  PeerActions take() { return std::exchange(actions_, {}); }

 private:
  NodeId self_;
  PeerActions actions_;
  std::vector<StoredFact> facts_;
  bool hurried_ = false;
  std::deque<Message> to_self_;
};

}  // namespace shoal
