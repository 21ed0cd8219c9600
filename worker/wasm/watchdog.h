#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

namespace shoal::wasm {

// Stops units that nobody wants any more: a module cannot be asked to look at a flag. While any
// unit runs, its thread looks at all their flags every 20 ms; else it sleeps. Safe from all
// threads.
class Watchdog {
 public:
  Watchdog();
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // For as long as a unit runs: `stop` is called, perhaps several times, once `cancelled` is set,
  // and never after the destructor.
  class Watch {
   public:
    Watch(Watchdog& dog, const std::atomic<bool>* cancelled, std::function<void()> stop);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    friend class Watchdog;
    Watchdog& dog_;
    const std::atomic<bool>* cancelled_;  // may be none: then nothing stops it
    std::function<void()> stop_;
    std::list<Watch*>::iterator place_;
  };

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Watch*> watches_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace shoal::wasm
