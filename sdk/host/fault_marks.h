#pragma once

#include "node/protocol/executor_messages.h"

// Notes on the RunningPage which thread a deadly signal came from.
namespace shoal {

// For the whole process, once. The signal keeps its effect: the process dies of it.
void install_fault_marks();

// While it lives, a fault on this thread is noted in `slot`. Gives the thread an alternate signal
// stack, without which a stack overflow could not be noted. Not nested.
class FaultMark {
 public:
  explicit FaultMark(RunningSlot& slot);
  ~FaultMark();
  FaultMark(const FaultMark&) = delete;
  FaultMark& operator=(const FaultMark&) = delete;
};

}  // namespace shoal
