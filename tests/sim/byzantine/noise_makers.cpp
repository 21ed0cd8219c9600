#include <algorithm>

#include "tests/sim/byzantine/kinds.h"
#include "worker/core/job_led.h"

// Those who disturb: by old messages, by silence, by noise, by changes on the way.
namespace shoal::sim {

void Replayer::keep(const Bytes& bytes) {
  old_.push_back(bytes);
  if (old_.size() > 64) old_.pop_front();
}

void Replayer::before(PeerEvent& event) {
  if (const auto* received = std::get_if<Received>(&event)) keep(received->bytes);
}

void Replayer::after(PeerActions& actions) {
  for (const PeerAction& action : actions) {
    if (const auto* send = std::get_if<Send>(&action)) keep(send->bytes);
  }
  if (old_.empty() || !rng_.chance(0.2)) return;
  const auto to = somebody();
  if (!to) return;
  const Bytes& old = old_[rng_.below(old_.size())];
  // Somebody who keeps nothing of a job says so to who asks. Said again by the leader it would be
  // the end of the job for its workers: a leader that stalls its own job is not replaced.
  const auto message = decode(old);
  const auto* revoke = message ? std::get_if<LeaseRevoke>(&*message) : nullptr;
  if (revoke != nullptr && revoke->job_over && leads(revoke->job)) return;
  actions.push_back(Send{*to, old});
}

void FreeRider::after(PeerActions& actions) {
  // In a job that it leads itself it does its part: one that its only steward stalls never ends.
  std::erase_if(actions, [this](const PeerAction& action) {
    const auto* start = std::get_if<StartCompute>(&action);
    return start != nullptr && !leads(start->job);
  });
}

void Hoarder::before(PeerEvent& event) {
  const auto* received = std::get_if<Received>(&event);
  const auto message =
      received == nullptr ? Result<Message, DecodeError>() : decode(received->bytes);
  if (received == nullptr || !message) return;
  if (const auto* grant = std::get_if<LeaseGrant>(&*message)) {
    leaders_[grant->job] = received->peer;
    asks_ = true;
  } else if (const auto* moved = std::get_if<TransferReply>(&*message)) {
    asks_ |= moved->new_lease != 0;
  }
}

// As quick and as large as no machine is, by its own word.
void Hoarder::after(PeerActions& actions) {
  const std::uint32_t threads = kThreadsMax;
  for (PeerAction& action : actions) {
    auto* send = std::get_if<Send>(&action);
    auto message = send == nullptr ? Result<Message, DecodeError>() : decode(send->bytes);
    auto* ask = send != nullptr && message ? std::get_if<WorkRequest>(&*message) : nullptr;
    if (ask == nullptr) continue;
    ask->threads = threads;
    ask->unit_ns = 1;
    send->bytes = encode(*message);
  }
  std::erase_if(actions, [this](const PeerAction& action) {
    const auto* start = std::get_if<StartCompute>(&action);
    return start != nullptr && !leads(start->job);
  });
  if (!std::exchange(asks_, false)) return;
  for (const auto& [job, leader] : leaders_) {
    if (leads(job)) continue;
    actions.push_back(
        Send{leader, encode(Message(WorkRequest{
                         .job = job, .threads = threads, .unit_ns = 1, .backlog_units = 0}))});
    for (const NodeId& victim : linked()) {
      actions.push_back(
          Send{victim, encode(Message(StealRequest{.job = job, .threads = threads}))});
    }
  }
}

void Garbage::after(PeerActions& actions) {
  // Everybody hangs up on it: a job that it led would wait for ever.
  if (!jobs_led().empty()) return;
  Bytes model;
  for (const PeerAction& action : actions) {
    if (const auto* send = std::get_if<Send>(&action)) model = send->bytes;
  }
  if (!rng_.chance(0.2)) return;
  const auto to = somebody();
  if (!to) return;
  if (model.empty() || rng_.chance(0.3)) {
    model.resize(rng_.below(400));
    for (std::uint8_t& byte : model) byte = static_cast<std::uint8_t>(rng_.next());
  } else {
    for (std::uint64_t i = 1 + rng_.below(8); i > 0; --i) {
      model[rng_.below(model.size())] = static_cast<std::uint8_t>(rng_.next());
    }
    if (rng_.chance(0.3)) model.resize(rng_.below(model.size() + 1));
  }
  actions.push_back(Send{*to, std::move(model)});
}

void Forger::after(PeerActions& actions) {
  for (PeerAction& action : actions) {
    auto* send = std::get_if<Send>(&action);
    if (send == nullptr) continue;
    auto message = decode(send->bytes);
    if (!message) continue;
    auto* results = std::get_if<Results>(&*message);
    if (results == nullptr) continue;
    for (Bytes& bytes : results->receipts) {
      auto receipt = decode_receipt(bytes);
      if (!receipt || receipt->outputs.sizes.empty()) continue;
      twist_output(receipt->outputs, 0, 0x55);
      bytes = encode(*receipt);
    }
    send->bytes = encode(*message);
  }
}

}  // namespace shoal::sim
