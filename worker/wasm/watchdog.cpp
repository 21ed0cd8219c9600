#include "worker/wasm/watchdog.h"

#include <chrono>
#include <utility>

namespace shoal::wasm {
namespace {

constexpr std::chrono::milliseconds kEvery{20};

}  // namespace

Watchdog::Watchdog() : thread_([this] { run(); }) {}

Watchdog::~Watchdog() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Watchdog::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ending_ || !watches_.empty(); });
    if (ending_) return;
    for (const Watch* watch : watches_) {
      const bool unwanted =
          watch->cancelled_ != nullptr && watch->cancelled_->load(std::memory_order_relaxed);
      if (unwanted) watch->stop_();
    }
    changed_.wait_for(lock, kEvery, [this] { return ending_; });
  }
}

Watchdog::Watch::Watch(Watchdog& dog, const std::atomic<bool>* cancelled,
                       std::function<void()> stop)
    : dog_(dog), cancelled_(cancelled), stop_(std::move(stop)) {
  std::lock_guard lock(dog_.mutex_);
  place_ = dog_.watches_.insert(dog_.watches_.end(), this);
  if (dog_.watches_.size() == 1) dog_.changed_.notify_one();
}

Watchdog::Watch::~Watch() {
  std::lock_guard lock(dog_.mutex_);
  dog_.watches_.erase(place_);
}

}  // namespace shoal::wasm
