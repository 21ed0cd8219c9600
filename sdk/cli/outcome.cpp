#include "sdk/cli/outcome.h"

#include "sdk/src/exit_code.h"
#include "sdk/src/remote_job.h"

namespace shoal::cli {
Failure failure_of(const Error& error) { return {exit_code_of(error.code()), error.what()}; }

Failure failure_of(const ClientError& error) {
  if (error.kind == ClientError::Kind::kInterrupted) return {kInterrupted, error.what};
  return failure_of(to_error(error));
}

}  // namespace shoal::cli
