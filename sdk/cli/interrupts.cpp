#include "sdk/cli/interrupts.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "node/protocol/result.h"
#include "sdk/cli/outcome.h"

namespace shoal::cli {
namespace {

sigset_t wanted_signals() {
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGINT);
  sigaddset(&wanted, SIGTERM);
  return wanted;
}

}  // namespace

Interrupts::Interrupts(std::optional<std::chrono::milliseconds> timeout) {
  const sigset_t wanted = wanted_signals();
  check(::pthread_sigmask(SIG_BLOCK, &wanted, nullptr) == 0, "signals cannot be blocked");
  signals_ = ::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC);
  ending_ = ::eventfd(0, EFD_CLOEXEC);
  check(signals_ >= 0 && ending_ >= 0, "signals cannot be read");
  thread_ = std::thread([this, timeout] { listen(timeout); });
}

Interrupts::~Interrupts() {
  const std::uint64_t one = 1;
  check(::write(ending_, &one, sizeof one) == sizeof one, "an eventfd takes no more");
  thread_.join();
  ::close(signals_);
  ::close(ending_);
  const sigset_t wanted = wanted_signals();
  ::pthread_sigmask(SIG_UNBLOCK, &wanted, nullptr);
}

void Interrupts::on_interrupt(std::function<void()> stop) {
  std::unique_lock lock(mutex_);
  if (reason_ == Reason::kNone) {
    stop_ = std::move(stop);
    return;
  }
  lock.unlock();
  stop();
}

Interrupts::Reason Interrupts::reason() const {
  std::lock_guard lock(mutex_);
  return reason_;
}

bool Interrupts::pause(std::chrono::milliseconds how_long) {
  std::unique_lock lock(mutex_);
  return !happened_.wait_for(lock, how_long, [this] { return reason_ != Reason::kNone; });
}

void Interrupts::happen(Reason reason) {
  std::function<void()> stop;
  {
    std::lock_guard lock(mutex_);
    if (reason_ != Reason::kNone) return;
    reason_ = reason;
    stop = std::exchange(stop_, nullptr);
  }
  happened_.notify_all();
  if (stop) stop();
}

void Interrupts::listen(std::optional<std::chrono::milliseconds> timeout) {
  using Clock = std::chrono::steady_clock;
  std::optional<Clock::time_point> deadline;
  if (timeout) deadline = Clock::now() + *timeout;
  bool signalled = false;
  for (;;) {
    int wait_ms = -1;
    if (deadline) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
      wait_ms =
          static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max()));
    }
    std::array<pollfd, 2> waiting{{{signals_, POLLIN, 0}, {ending_, POLLIN, 0}}};
    ::poll(waiting.data(), waiting.size(), wait_ms);
    if (waiting[1].revents != 0) return;
    signalfd_siginfo info{};
    if (waiting[0].revents != 0 && ::read(signals_, &info, sizeof info) == sizeof info) {
      if (signalled) ::_exit(kInterrupted);
      signalled = true;
      happen(Reason::kSignal);
    }
    if (deadline && Clock::now() >= *deadline) {
      deadline.reset();
      happen(Reason::kTimeout);
    }
  }
}

}  // namespace shoal::cli
