#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "node/protocol/result.h"
#include "node/protocol/time.h"
#include "worker/core/peer.h"
#include "worker/runtime/executor_keeper.h"

namespace shoal {

// What the owner of the machine says to the running worker: pause, resume, finish, top, refusals.
// One thread; the time is an argument.
class OwnerControl {
 public:
  // A pause is a pause; when it lasts, others should have the work.
  static constexpr Duration kGiveBackAfter = std::chrono::minutes(5);
  // That leaders get to ask for what was committed, after the last unit.
  static constexpr Duration kFinishPatience = std::chrono::minutes(2);

  // `reread_refusals` has what the owner refuses read again; the error is a sentence.
  OwnerControl(ExecutorKeeper& keeper, std::function<void(Lend)> lend,
               std::function<Result<void, std::string>()> reread_refusals)
      : keeper_(keeper), lend_(std::move(lend)), reread_refusals_(std::move(reread_refusals)) {}

  // Lines of fields with tabs between; the first is "ok" or "error" and a sentence.
  std::string answer(Instant now, std::string_view question);
  // What is due: gives leases back.
  void tick(Instant now);
  std::optional<Instant> next_deadline() const;
  // It was told to finish, and has.
  bool finished(Instant now, const Peer& peer);

 private:
  std::string pause(Instant now);
  std::string resume();
  std::string top();
  std::string refusals();

  ExecutorKeeper& keeper_;
  std::function<void(Lend)> lend_;
  std::function<Result<void, std::string>()> reread_refusals_;
  std::optional<Instant> give_back_at_;
  std::optional<Instant> finish_until_;
  bool finishing_ = false;
};

}  // namespace shoal
