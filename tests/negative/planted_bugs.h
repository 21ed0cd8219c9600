#pragma once

#include <set>

#include "tests/sim/pool.h"

// Nodes with a bug planted around the real state machines, one for each checker.
namespace shoal::sim {

// Believes every receipt that a steward sends.
class GullibleSubmitter final : public PlainSubmitter {
 public:
  using PlainSubmitter::PlainSubmitter;
  SubmitterActions step(Instant now, SubmitterEvent event) override {
    const auto* received = std::get_if<Received>(&event);
    if (received != nullptr) {
      const auto message = decode(received->bytes);
      const auto* results = message ? std::get_if<Results>(&*message) : nullptr;
      if (results != nullptr) return believe(*results);
    }
    return PlainSubmitter::step(now, std::move(event));
  }

 private:
  static SubmitterActions believe(const Results& results) {
    SubmitterActions actions;
    for (const Bytes& bytes : results.receipts) {
      auto receipt = decode_receipt(bytes);
      if (receipt) actions.push_back(ReceiptReady{results.job, std::move(*receipt)});
    }
    return actions;
  }
};

// Delivers each receipt, and then once more with another result.
class ForgetfulSubmitter final : public PlainSubmitter {
 public:
  using PlainSubmitter::PlainSubmitter;
  SubmitterActions step(Instant now, SubmitterEvent event) override {
    SubmitterActions actions = PlainSubmitter::step(now, std::move(event));
    SubmitterActions more;
    for (const SubmitterAction& action : actions) {
      const auto* ready = std::get_if<ReceiptReady>(&action);
      if (ready == nullptr || ready->receipt.outputs.sizes.empty()) continue;
      ReceiptReady changed = *ready;
      twist_output(changed.receipt.outputs, 0, 0x55);
      more.push_back(std::move(changed));
    }
    for (SubmitterAction& action : more) actions.push_back(std::move(action));
    return actions;
  }
};

// After a restart, delivers other results than before.
class FickleSubmitter final : public PlainSubmitter {
 public:
  using PlainSubmitter::PlainSubmitter;
  SubmitterActions step(Instant now, SubmitterEvent event) override {
    restarted_ |= std::holds_alternative<AttachJob>(event);
    SubmitterActions actions = PlainSubmitter::step(now, std::move(event));
    for (SubmitterAction& action : actions) {
      auto* ready = std::get_if<ReceiptReady>(&action);
      if (ready == nullptr || !restarted_ || ready->receipt.outputs.sizes.empty()) continue;
      twist_output(ready->receipt.outputs, 0, 0x55);
    }
    return actions;
  }

 private:
  bool restarted_ = false;
};

// Bans everybody who links to it.
class SuspiciousWorker final : public PlainWorker {
 public:
  using PlainWorker::PlainWorker;
  PeerActions step(Instant now, PeerEvent event) override {
    std::optional<NodeId> newcomer;
    if (const auto* up = std::get_if<LinkUp>(&event)) {
      if (up->role == Role::kWorker) newcomer = up->peer;
    }
    PeerActions actions = PlainWorker::step(now, std::move(event));
    if (newcomer) actions.push_back(Drop{*newcomer, "banned: for no reason"});
    return actions;
  }
};

// Sends a message that no decoder takes.
class BoundlessWorker final : public PlainWorker {
 public:
  using PlainWorker::PlainWorker;
  PeerActions step(Instant now, PeerEvent event) override {
    std::optional<NodeId> newcomer;
    if (const auto* up = std::get_if<LinkUp>(&event)) {
      if (up->role == Role::kWorker) newcomer = up->peer;
    }
    PeerActions actions = PlainWorker::step(now, std::move(event));
    if (newcomer) actions.push_back(Send{*newcomer, Bytes(limits::kMessageBytes + 1, 0)});
    return actions;
  }
};

// As a leader it believes that unit 0 is leased, and nobody ever gets it.
class CarelessLeader final : public PlainWorker {
 public:
  using PlainWorker::PlainWorker;
  PeerActions step(Instant now, PeerEvent event) override {
    PeerActions actions = PlainWorker::step(now, std::move(event));
    if (jobs_led().empty()) return actions;
    std::erase_if(actions, [](const PeerAction& action) {
      if (const auto* order = std::get_if<StartCompute>(&action)) return order->range.contains(0);
      const auto* send = std::get_if<Send>(&action);
      if (send == nullptr) return false;
      const auto message = decode(send->bytes);
      const auto* grant = message ? std::get_if<LeaseGrant>(&*message) : nullptr;
      return grant != nullptr && std::any_of(grant->ranges.begin(), grant->ranges.end(),
                                             [](const Range& range) { return range.contains(0); });
    });
    return actions;
  }
};

// Says that it keeps a copy, and does not.
class EmptyHanded final : public PlainWorker {
 public:
  explicit EmptyHanded(WorkerParts parts) : EmptyHanded(parts.signer.id(), std::move(parts)) {}
  PeerActions step(Instant now, PeerEvent event) override {
    const auto* received = std::get_if<Received>(&event);
    const auto message =
        received != nullptr ? decode(received->bytes) : tl::unexpected(DecodeError{});
    const auto* keep = message ? std::get_if<Keep>(&*message) : nullptr;
    if (keep == nullptr) return PlainWorker::step(now, std::move(event));
    Kept kept{.job = keep->job, .output = {}, .holder = self_, .held = true, .detail = {}};
    if (const auto receipt = decode_receipt(keep->receipt)) {
      kept.output = receipt->outputs.large.front();
    }
    return {Send{received->peer, encode(Message(kept))}};
  }

 private:
  EmptyHanded(const NodeId& self, WorkerParts parts) : PlainWorker(std::move(parts)), self_(self) {}

  NodeId self_;
};

// Dials coordinators alone, and hangs up on every worker.
class Hermit final : public PlainWorker {
 public:
  explicit Hermit(WorkerParts parts) : Hermit(doors_of(parts.config), std::move(parts)) {}
  PeerActions step(Instant now, PeerEvent event) override {
    std::optional<NodeId> visitor;
    if (const auto* up = std::get_if<LinkUp>(&event)) {
      if (up->role == Role::kWorker) visitor = up->peer;
    }
    PeerActions actions = PlainWorker::step(now, std::move(event));
    std::erase_if(actions, [&](const PeerAction& action) {
      const auto* dial = std::get_if<Dial>(&action);
      return dial != nullptr && !doors_.contains(dial->peer);
    });
    if (visitor) actions.push_back(Drop{*visitor, "likes to be alone"});
    return actions;
  }

 private:
  Hermit(std::set<NodeId> doors, WorkerParts&& parts)
      : PlainWorker(std::move(parts)), doors_(std::move(doors)) {}
  static std::set<NodeId> doors_of(const PeerConfig& config) {
    std::set<NodeId> doors;
    for (const Ticket::Door& door : config.doors) doors.insert(door.node);
    return doors;
  }
  std::set<NodeId> doors_;
};

// Asks coordinators for work.
class ConfusedWorker final : public PlainWorker {
 public:
  using PlainWorker::PlainWorker;
  PeerActions step(Instant now, PeerEvent event) override {
    std::optional<NodeId> coordinator;
    if (const auto* up = std::get_if<LinkUp>(&event)) {
      if (up->role == Role::kCoordinator) coordinator = up->peer;
    }
    PeerActions actions = PlainWorker::step(now, std::move(event));
    if (coordinator) actions.push_back(Send{*coordinator, encode(Message(WorkRequest{}))});
    return actions;
  }
};

// Asks a neighbour how it is, four times a second for ever: too little for a pool's budget to
// notice, and far too much for a worker's.
class RestlessWorker final : public PlainWorker {
 public:
  using PlainWorker::PlainWorker;
  PeerActions step(Instant now, PeerEvent event) override {
    if (const auto* up = std::get_if<LinkUp>(&event)) {
      if (up->role == Role::kWorker) linked_.insert(up->peer);
    } else if (const auto* lost = std::get_if<LinkLost>(&event)) {
      linked_.erase(lost->peer);
    }
    PeerActions actions = PlainWorker::step(now, std::move(event));
    if (!next_) next_ = now;
    if (*next_ > now) return actions;
    next_ = now + 250ms;
    if (linked_.empty()) return actions;
    actions.push_back(Send{*linked_.begin(), encode(Message(WorkerStatusRequest{}))});
    return actions;
  }
  std::optional<Instant> next_deadline() const override {
    const auto own = PlainWorker::next_deadline();
    return own && (!next_ || *own < *next_) ? own : next_;
  }

 private:
  std::set<NodeId> linked_;
  std::optional<Instant> next_;
};

// Asks the others how they are, five thousand times whenever it wakes: the whole pool is heard for
// it.
class ChattyWorker final : public PlainWorker {
 public:
  using PlainWorker::PlainWorker;
  PeerActions step(Instant now, PeerEvent event) override {
    if (const auto* up = std::get_if<LinkUp>(&event)) {
      if (up->role == Role::kWorker) linked_.insert(up->peer);
    } else if (const auto* lost = std::get_if<LinkLost>(&event)) {
      linked_.erase(lost->peer);
    }
    const bool worked = std::holds_alternative<ComputeDone>(event);
    PeerActions actions = PlainWorker::step(now, std::move(event));
    if (!worked || linked_.empty()) return actions;
    for (int i = 0; i < 5000; ++i) {
      actions.push_back(Send{*linked_.begin(), encode(Message(WorkerStatusRequest{}))});
    }
    return actions;
  }

 private:
  std::set<NodeId> linked_;
};

}  // namespace shoal::sim
