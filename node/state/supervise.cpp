#include "node/state/supervise.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "node/protocol/result.h"
#include "node/state/clock.h"

namespace shoal {
namespace {

constexpr int kCannotStart = 127;  // as a shell says it
constexpr int kSignalBase = 128;

// Signals wait until await_signal() takes them, and never interrupt anything else.
class BlockedSignals {
 public:
  BlockedSignals() {
    awaited_ = ending_signals();
    sigaddset(&awaited_, SIGCHLD);
    check(sigprocmask(SIG_BLOCK, &awaited_, &before_) == 0, "signals cannot be blocked");
  }
  ~BlockedSignals() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

  const sigset_t& before() const { return before_; }

  // Nothing: `until` has come.
  std::optional<siginfo_t> await(std::optional<Instant> until) const {
    while (true) {
      siginfo_t info{};
      int number = -1;
      if (until) {
        const Duration left = std::max(*until - boottime_now(), Duration(0));
        const timespec timeout{static_cast<time_t>(left / 1s),
                               static_cast<long>((left % 1s).count())};
        number = sigtimedwait(&awaited_, &info, &timeout);
      } else {
        number = sigwaitinfo(&awaited_, &info);
      }
      if (number >= 0) return info;
      if (errno == EAGAIN) return std::nullopt;
      check(errno == EINTR, "signals cannot be awaited");
    }
  }

 private:
  sigset_t awaited_{};
  sigset_t before_{};
};

[[noreturn]] void become(const std::string& program, char* const* arguments, pid_t parent,
                         const sigset_t& signals) {
  // Also where the parent was killed: two programs would fight for one state folder.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) _exit(kCannotStart);
  if (getppid() != parent) _exit(kCannotStart);  // it has ended before we could ask for the signal
  sigprocmask(SIG_SETMASK, &signals, nullptr);
  execv(program.c_str(), arguments);
  _exit(kCannotStart);
}

std::optional<pid_t> start(const Supervised& supervised, const sigset_t& signals) {
  std::vector<std::string> texts{supervised.program.string()};
  texts.insert(texts.end(), supervised.arguments.begin(), supervised.arguments.end());
  std::vector<char*> arguments;
  arguments.reserve(texts.size() + 1);
  for (std::string& text : texts) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return std::nullopt;
  if (child == 0) become(texts.front(), arguments.data(), parent, signals);
  return child;
}

std::string describe(int status) {
  if (!WIFSIGNALED(status)) return "ended with code " + std::to_string(WEXITSTATUS(status));
  const char* name = sigabbrev_np(WTERMSIG(status));
  return name != nullptr ? std::string("died of SIG") + name
                         : "died of signal " + std::to_string(WTERMSIG(status));
}

std::string shown(Duration span) {
  return span < 1s ? std::to_string(span / 1ms) + " ms" : std::to_string(span / 1s) + " s";
}

// One program's life, and the wish of whoever runs us that it ends.
class Supervisor {
 public:
  explicit Supervisor(const Supervised& supervised) : supervised_(supervised) {}

  int run() {
    while (true) {
      const Instant started = boottime_now();
      const auto child = start(supervised_, signals_.before());
      const std::optional<int> status =
          child ? std::optional<int>(await_end(*child)) : std::nullopt;
      if (status && is_final(*status)) return code_of(*status);
      const Duration lived = boottime_now() - started;
      const Duration pause = pauses_.next(lived);
      supervised_.say(LogLevel::kError, supervised_.program.filename().string() + " " +
                                            (status ? describe(*status) : "cannot be started") +
                                            " after " + shown(lived) + "; it is started again in " +
                                            shown(pause));
      if (ended_while_waiting(pause)) return 0;
    }
  }

 private:
  // The child's wait status.
  int await_end(pid_t child) {
    while (true) {
      int status = 0;
      // SIGCHLD of a child that was stopped or goes on is no end; two may come as one.
      if (waitpid(child, &status, WNOHANG) == child) return status;
      const auto info = signals_.await(std::nullopt);
      if (info->si_signo == SIGCHLD) continue;
      asked_to_end_ = true;
      // Ctrl-C reaches the child without us: a terminal tells all of its processes. A second one
      // would make a worker end at once that is still writing.
      if (info->si_code != SI_KERNEL) ::kill(child, info->si_signo);
    }
  }

  bool is_final(int status) const {
    if (asked_to_end_) return true;
    if (!WIFEXITED(status)) return false;
    const auto& codes = supervised_.final_codes;
    return std::find(codes.begin(), codes.end(), WEXITSTATUS(status)) != codes.end();
  }

  static int code_of(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : kSignalBase + WTERMSIG(status);
  }

  bool ended_while_waiting(Duration pause) const {
    const Instant until = boottime_now() + pause;
    while (const auto info = signals_.await(until)) {
      if (info->si_signo != SIGCHLD) return true;
    }
    return false;
  }

  const Supervised& supervised_;
  BlockedSignals signals_;
  RestartPauses pauses_;
  bool asked_to_end_ = false;
};

}  // namespace

sigset_t ending_signals() {
  sigset_t ending;
  sigemptyset(&ending);
  for (int number : {SIGTERM, SIGINT}) sigaddset(&ending, number);
  struct sigaction now {};
  // One that is blocked is kept and read even where it is ignored.
  const bool ignored = ::sigaction(SIGHUP, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
  if (!ignored) sigaddset(&ending, SIGHUP);
  return ending;
}

Duration RestartPauses::next(Duration lived) {
  if (lived >= kLivedWell) pause_ = kFirst;
  return std::exchange(pause_, std::min(2 * pause_, kLongest));
}

int supervise(const Supervised& supervised) { return Supervisor(supervised).run(); }

std::vector<std::string> without_flag(std::vector<std::string> arguments, const std::string& flag) {
  std::erase_if(arguments, [&](const std::string& argument) {
    return argument == flag || argument.starts_with(flag + "=");
  });
  return arguments;
}

}  // namespace shoal
