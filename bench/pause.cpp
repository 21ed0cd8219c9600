#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/kernels.h"
#include "bench/pool.h"
#include "bench/process.h"
#include "bench/run.h"
#include "bench/task_module.h"
#include "node/state/control_socket.h"
#if defined(SHOAL_WASM)
#include "tasks/lucas_lehmer/kernel.h"
#endif

namespace shoal::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Times = std::map<pid_t, std::chrono::nanoseconds>;

constexpr int kRuns = 9;
constexpr std::chrono::seconds kBusyWithin{60};
constexpr std::chrono::seconds kAnswerWithin{10};
constexpr std::chrono::microseconds kLookEvery{200};
// Without growth for so long: it stands still. What is kept from computing for less does not count.
constexpr std::chrono::milliseconds kStill{300};
// Of a process that computes, in kBusyWindow.
constexpr std::chrono::milliseconds kBusyWindow{500};
constexpr std::chrono::milliseconds kBusyTime{5};

constexpr double kUnitMs = 3'600'000;  // longer than there is time for
constexpr std::uint32_t kLongExponent = 999'983;

// What a worker has started, and which of it computes.
class Busy {
 public:
  // So many processes that compute; waits for them.
  static Result<Busy, std::string> find(pid_t worker, std::size_t count) {
    const auto end = Clock::now() + kBusyWithin;
    while (Clock::now() < end) {
      Times before;
      for (const pid_t pid : family(worker)) {
        if (pid != worker) before[pid] = cpu_time(pid);
      }
      std::this_thread::sleep_for(kBusyWindow);
      std::vector<pid_t> found;
      for (const auto& [pid, time] : before) {
        if (cpu_time(pid) - time >= kBusyTime) found.push_back(pid);
      }
      if (found.size() >= count) return Busy(std::move(found));
    }
    return tl::unexpected("not all of " + std::to_string(count) + " executors get on");
  }

  // From `begin` until none of them has computed any more.
  Result<double, std::string> stops_ms(Clock::time_point begin) const {
    auto last = begin;
    Times times = now();
    const auto end = begin + kAnswerWithin;
    while (Clock::now() < end) {
      std::this_thread::sleep_for(kLookEvery);
      Times later = now();
      const auto at = Clock::now();
      if (later != times) last = at;
      times = std::move(later);
      if (at - last > kStill) return ms_between(begin, last);
    }
    return tl::unexpected(std::string("what runs does not stand still"));
  }
  // From `begin` until each of them has computed again.
  Result<double, std::string> goes_on_ms(Clock::time_point begin, const Times& before) const {
    const auto end = begin + kAnswerWithin;
    while (Clock::now() < end) {
      const Times later = now();
      const bool all = std::all_of(pids_.begin(), pids_.end(),
                                   [&](pid_t pid) { return later.at(pid) > before.at(pid); });
      if (all) return ms_between(begin, Clock::now());
      std::this_thread::sleep_for(kLookEvery);
    }
    return tl::unexpected(std::string("what stood still does not go on"));
  }

  Times now() const {
    Times times;
    for (const pid_t pid : pids_) times[pid] = cpu_time(pid);
    return times;
  }

 private:
  explicit Busy(std::vector<pid_t> pids) : pids_(std::move(pids)) {}
  static double ms_between(Clock::time_point begin, Clock::time_point end) {
    return std::chrono::duration<double, std::milli>(end - begin).count();
  }

  std::vector<pid_t> pids_;
};

// From the program's command line: `shoal submit` knows what no kernel of ours is.
Measured submit_program(const Run& run, const Pool& pool) {
  auto process = Process::start(
      {run.programs / "shoal",
       {"submit", "--detach", "--quorum", "1", "--", "sh", "-c", "while :; do :; done"},
       run.folder / "submit.log",
       {},
       {},
       {{"SHOAL_TICKET", pool.ticket_text()}}});
  if (!process) return tl::unexpected(process.error());
  if ((*process)->await_end(Clock::now() + kBusyWithin) == 0) return {};
  return tl::unexpected("shoal submit " + (*process)->account());
}

Measured ask(const Pool& pool, const std::string& question) {
  const auto answer = ask_node(pool.members().front().state, question, kAnswerWithin);
  if (!answer) return tl::unexpected(answer.error().what);
  if (!answer->starts_with("ok\t")) return tl::unexpected(*answer);
  return {};
}

// Waits until so many units run, each in an executor of its own kind.
Measured await_units(const Pool& pool, std::size_t count) {
  const auto end = Clock::now() + kBusyWithin;
  std::size_t running = 0;
  while (Clock::now() < end) {
    const auto answer = ask_node(pool.members().front().state, "top", kAnswerWithin);
    if (!answer) return tl::unexpected(answer.error().what);
    running = 0;
    for (std::size_t at = 0; (at = answer->find("\nunit\t", at)) != std::string::npos; ++at) {
      ++running;
    }
    if (running >= count) return {};
    std::this_thread::sleep_for(kBusyWindow);
  }
  return tl::unexpected(std::to_string(running) + " units run, and not " + std::to_string(count));
}

// Pauses it, and lets it go on, again and again.
Measured take_turns(const Pool& pool, const Busy& busy, Figure& pause, Figure& resume) {
  for (int i = 0; i < kRuns; ++i) {
    auto begin = Clock::now();
    if (auto asked = ask(pool, "pause"); !asked) return asked;
    const auto stopped = busy.stops_ms(begin);
    if (!stopped) return tl::unexpected(stopped.error());
    pause.values.push_back(*stopped);
    const Times before = busy.now();
    begin = Clock::now();
    if (auto asked = ask(pool, "resume"); !asked) return asked;
    const auto went_on = busy.goes_on_ms(begin, before);
    if (!went_on) return tl::unexpected(went_on.error());
    resume.values.push_back(*went_on);
  }
  return {};
}

}  // namespace

Measured measure_pause(const Run& run) {
  const Bound bound{Judged::kValue, Sense::kAtMost, 100, 20};
  Figure pause{"worker.pause", "ms", {}, {}, "", bound};
  Figure resume{"worker.resume", "ms", {}, {}, "", bound};
  std::size_t kinds = 2;
#if defined(SHOAL_WASM)
  ++kinds;
  const auto module = build_task_module(run);
  if (!module) return tl::unexpected(module.error());
#endif
  Pool::Wish wish{1, std::nullopt};
  wish.threads = 3;
  wish.trusts_all = true;
  auto pool = Pool::start(run, wish);
  if (!pool) return tl::unexpected(pool.error());
  // Before there are threads of a session.
  if (auto submitted = submit_program(run, **pool); !submitted) return submitted;
  auto session = (*pool)->join();
  if (!session) return tl::unexpected(session.error());
  JobOptions options;
  options.quorum = 1;
  try {
#if defined(SHOAL_WASM)
    options.module = module->string();
    auto in_wasm = (*session)->map(lucas_lehmer::kernel(), lucas_lehmer::Params{},
                                   std::vector<std::uint32_t>{kLongExponent}, options);
    options.module.clear();
#endif
    options.shipped = true;
    auto native = (*session)->map(spin_kernel(), spin_for(kUnitMs), IndexSpace{1}, options);
    if (auto running = await_units(**pool, kinds); !running) return running;
    auto busy = Busy::find((*pool)->workers().front(), kinds);
    if (!busy) return tl::unexpected(busy.error());
    if (auto taken = take_turns(**pool, *busy, pause, resume); !taken) return taken;
    native.cancel();
#if defined(SHOAL_WASM)
    in_wasm.cancel();
#endif
  } catch (const Error& error) {
    return tl::unexpected(std::string(error.what()));
  }
  run.report(pause);
  run.report(resume);
  return {};
}

}  // namespace shoal::bench
