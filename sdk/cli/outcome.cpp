#include "sdk/cli/outcome.h"

#include "sdk/src/remote_job.h"

namespace shoal::cli {
namespace {

int exit_code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUsage:
    case ErrorCode::kBadTicket:
      return kUsage;
    case ErrorCode::kCancelled:
      return kCancelled;
    case ErrorCode::kNoCoordinator:
    case ErrorCode::kNoPeers:
    case ErrorCode::kOtherPool:
      return kUnreachable;
    case ErrorCode::kState:
    case ErrorCode::kQuorumTooLarge:
    case ErrorCode::kUnknownKernel:
    case ErrorCode::kNotTrusted:
    case ErrorCode::kRefused:
    case ErrorCode::kUnknownJob:
    case ErrorCode::kOutputLost:
    case ErrorCode::kBadOutput:
      return kError;
  }
  return kError;
}

}  // namespace

Failure failure_of(const Error& error) { return {exit_code_of(error.code()), error.what()}; }

Failure failure_of(const ClientError& error) {
  if (error.kind == ClientError::Kind::kInterrupted) return {kInterrupted, error.what};
  return failure_of(to_error(error));
}

}  // namespace shoal::cli
