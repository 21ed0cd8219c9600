#include "sdk/host/fault_marks.h"

#include <signal.h>

#include <memory>

namespace shoal {
namespace {

constexpr std::size_t kStackBytes = 64 * 1024;

// Initial-exec: the first touch of other kinds of thread-local storage may allocate, which a signal
// handler must not.
__attribute__((tls_model("initial-exec"))) thread_local RunningSlot* current_slot = nullptr;

class AlternateStack {
 public:
  AlternateStack() : memory_(new char[kStackBytes]) {
    stack_t stack{};
    stack.ss_sp = memory_.get();
    stack.ss_size = kStackBytes;
    sigaltstack(&stack, nullptr);
  }
  ~AlternateStack() {
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
  }

 private:
  std::unique_ptr<char[]> memory_;
};

// SA_RESETHAND has restored the default effect by now, and SA_NODEFER lets the signal in: raise()
// ends the process.
void on_fault(int signal_number) {
  if (current_slot != nullptr) {
    current_slot->signal.store(static_cast<std::uint32_t>(signal_number),
                               std::memory_order_release);
  }
  raise(signal_number);
}

}  // namespace

void install_fault_marks() {
  struct sigaction action {};
  action.sa_handler = on_fault;
  action.sa_flags = static_cast<int>(SA_ONSTACK | SA_RESETHAND | SA_NODEFER);
  for (int signal_number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    sigaction(signal_number, &action, nullptr);
  }
}

FaultMark::FaultMark(RunningSlot& slot) {
  thread_local AlternateStack stack;
  current_slot = &slot;
}

FaultMark::~FaultMark() { current_slot = nullptr; }

}  // namespace shoal
