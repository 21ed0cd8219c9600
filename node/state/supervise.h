#pragma once

#include <signal.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "node/protocol/time.h"
#include "node/protocol/transport.h"

// The parent that brings a node back when it dies: of a fault of ours or of a library, of a hostile
// message that we do not know yet, or because the machine ran out of memory. For machines where no
// systemd does the same (Restart=on-failure).
namespace shoal {

// What ends a node cleanly: SIGTERM, SIGINT, and SIGHUP, as of a terminal that is closed, unless
// whoever started it has it ignored, as nohup does.
sigset_t ending_signals();

// How long to wait before the program is started again: longer each time that it dies young, so
// that one that cannot live does not keep the machine busy; at once again when it has lived well.
class RestartPauses {
 public:
  static constexpr Duration kFirst = 200ms;
  static constexpr Duration kLongest = 30s;
  static constexpr Duration kLivedWell = 60s;

  // After a life of `lived`.
  Duration next(Duration lived);

 private:
  Duration pause_ = kFirst;
};

struct Supervised {
  std::filesystem::path program;
  std::vector<std::string> arguments;  // without the program's name
  // Exit codes after which another start would end the same way: a clean end, wrong usage.
  std::vector<int> final_codes;
  // One line each time that the program has died. Called on the caller's thread.
  std::function<void(LogLevel, const std::string&)> say;
};

// Starts the program, and again whenever it dies of a signal or with a code that is not final.
// Returns the exit code for the caller to end with: the program's own, or 128 and the signal.
//
// The signals that end a node are passed on; after that the program's end is the end. If this
// process dies, however it does, the program is killed too.
//
// To be called before any other thread is started: the program's life hangs on the thread that
// started it (PDEATHSIG fires at the end of a thread), and signals are awaited on this one.
int supervise(const Supervised& supervised);

// `arguments` without `flag`: what the program is started with, so that it does not supervise
// another in its turn.
std::vector<std::string> without_flag(std::vector<std::string> arguments, const std::string& flag);

}  // namespace shoal
