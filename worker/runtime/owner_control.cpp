#include "worker/runtime/owner_control.h"

#include <algorithm>

namespace shoal {

std::string OwnerControl::answer(Instant now, std::string_view question) {
  if (question == "pause") return pause(now);
  if (question == "resume") return resume();
  if (question == "finish") {
    if (keeper_.paused()) resume();
    finishing_ = true;
    lend_({Lend::What::kWhatRuns});
    return "ok\tfinishes what runs, and ends\n";
  }
  if (question == "top") return top();
  if (question == "refusals") return refusals();
  return "error\tthe worker does not know what '" + std::string(question) + "' means\n";
}

std::string OwnerControl::pause(Instant now) {
  if (keeper_.paused()) return "ok\tis paused already\n";
  keeper_.pause();
  give_back_at_ = now + kGiveBackAfter;
  // A unit that a paused worker takes waits for it, though others could compute it.
  if (!finishing_) lend_({Lend::What::kWhatIsHeld});
  return "ok\tpaused; in 5 minutes what it has in hand goes to others\n";
}

std::string OwnerControl::resume() {
  if (!keeper_.paused()) return "ok\tis not paused\n";
  keeper_.resume();
  give_back_at_.reset();
  lend_({finishing_ ? Lend::What::kWhatRuns : Lend::What::kAll});
  return "ok\tgoes on\n";
}

std::string OwnerControl::refusals() {
  const auto read = reread_refusals_();
  return read ? "ok\tacts on it from now on\n" : "error\t" + read.error() + "\n";
}

std::string OwnerControl::top() {
  std::string text = "ok\t";
  text += keeper_.paused() ? "paused" : finishing_ ? "finishing" : "running";
  text += "\n";
  for (const ExecutorView& executor : keeper_.view()) {
    const std::string about = std::to_string(executor.pid) + "\t" + name_of(executor.kind) + "\t" +
                              std::to_string(executor.memory_bytes);
    text += "executor\t" + about + "\n";
    for (const auto& unit : executor.units) {
      std::string kernel = unit.kernel;
      std::replace_if(
          kernel.begin(), kernel.end(),
          [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
      text += "unit\t" + to_hex(unit.job) + "\t" + std::to_string(unit.unit) + "\t" + kernel +
              "\t" + std::to_string(unit.running_ns / 1'000'000) + "\n";
    }
  }
  return text;
}

void OwnerControl::tick(Instant now) {
  if (!give_back_at_ || now < *give_back_at_) return;
  give_back_at_.reset();
  lend_({Lend::What::kNothing});
}

std::optional<Instant> OwnerControl::next_deadline() const {
  if (give_back_at_ && finish_until_) return std::min(*give_back_at_, *finish_until_);
  return give_back_at_ ? give_back_at_ : finish_until_;
}

bool OwnerControl::finished(Instant now, const Peer& peer) {
  if (!finishing_) return false;
  if (peer.nothing_in_hand()) return true;
  if (keeper_.busy()) {
    finish_until_.reset();
    return false;
  }
  if (!finish_until_) finish_until_ = now + kFinishPatience;
  return now >= *finish_until_;
}

}  // namespace shoal
