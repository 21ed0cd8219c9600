#pragma once

#include <string>

#include "node/protocol/result.h"
#include "sdk/src/client.h"
#include "shoal/error.h"

// How a command of `shoal` ends.
namespace shoal::cli {

inline constexpr int kSuccess = 0;  // of a job: every unit was verified
inline constexpr int kError = 1;    // of a job: some units failed or are disputed
inline constexpr int kUsage = 2;
inline constexpr int kCancelled = 3;
inline constexpr int kUnreachable = 4;
inline constexpr int kTimedOut = 124;
inline constexpr int kInterrupted = 130;

struct Failure {
  int exit_code = kError;
  std::string what;  // what happened, why, and what to do next
};
// The exit code, or what is said on stderr before ending.
using Outcome = Result<int, Failure>;

inline tl::unexpected<Failure> fail(int exit_code, std::string what) {
  return tl::unexpected(Failure{exit_code, std::move(what)});
}

// A wait that was interrupted counts as interrupted by Ctrl-C; see Interrupts for what else it may
// have been.
Failure failure_of(const ClientError& error);
Failure failure_of(const Error& error);

}  // namespace shoal::cli
