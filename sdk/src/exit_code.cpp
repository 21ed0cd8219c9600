#include "sdk/src/exit_code.h"

namespace shoal {

int exit_code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUsage:
    case ErrorCode::kBadTicket:
      return 2;
    case ErrorCode::kCancelled:
      return 3;
    case ErrorCode::kNoCoordinator:
    case ErrorCode::kNoPeers:
    case ErrorCode::kOtherPool:
      return 4;
    case ErrorCode::kState:
    case ErrorCode::kQuorumTooLarge:
    case ErrorCode::kUnknownKernel:
    case ErrorCode::kNotTrusted:
    case ErrorCode::kRefused:
    case ErrorCode::kUnknownJob:
    case ErrorCode::kOutputLost:
    case ErrorCode::kBadOutput:
      return 1;
  }
  return 1;
}

}  // namespace shoal
