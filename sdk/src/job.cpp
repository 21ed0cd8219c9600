#include "shoal/job.h"

namespace shoal::detail {

std::shared_ptr<const UnitRun> RunBuffer::next(bool in_order) {
  if (!in_order) {
    if (!arrived_.empty()) {
      auto run = std::move(arrived_.front());
      arrived_.pop_front();
      return run;
    }
    if (waiting_.empty()) return core_->next();
  } else {
    for (; !arrived_.empty(); arrived_.pop_front()) {
      waiting_.emplace(arrived_.front()->first, arrived_.front());
    }
    while (waiting_.empty() || waiting_.begin()->first > next_unit_) {
      auto run = core_->next();
      if (!run) break;
      waiting_.emplace(run->first, std::move(run));
    }
    if (waiting_.empty()) return nullptr;
  }
  auto run = std::move(waiting_.begin()->second);
  waiting_.erase(waiting_.begin());
  next_unit_ = run->first + run->count;
  return run;
}

void RunBuffer::fill() {
  while (auto run = core_->next()) arrived_.push_back(std::move(run));
}

void throw_bad_output(std::uint64_t unit, const std::string& why) {
  throw Error(ErrorCode::kBadOutput, "Unit " + std::to_string(unit) + " has no such value: " + why);
}

}  // namespace shoal::detail
