#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

// What may end a command early: Ctrl-C, SIGTERM, or the time that the user has set.
namespace shoal::cli {

// One in a process, made before any other thread: those inherit that the signals are blocked. A
// second Ctrl-C ends the process at once.
class Interrupts {
 public:
  enum class Reason : std::uint8_t { kNone, kSignal, kTimeout };

  explicit Interrupts(std::optional<std::chrono::milliseconds> timeout);
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // Called once, from another thread, when it happens; at once where it has happened already.
  void on_interrupt(std::function<void()> stop);
  Reason reason() const;
  // Waits so long, or until it happens: then false.
  bool pause(std::chrono::milliseconds how_long);

 private:
  void listen(std::optional<std::chrono::milliseconds> timeout);
  void happen(Reason reason);

  int signals_ = -1;
  int ending_ = -1;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable happened_;
  std::function<void()> stop_;
  Reason reason_ = Reason::kNone;
  std::thread thread_;  // last: uses all the others
};

}  // namespace shoal::cli
