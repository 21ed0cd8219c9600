#pragma once

#include <stdexcept>
#include <string>

namespace shoal {

enum class ErrorCode {
  kUsage,           // a call or a command line that cannot be meant so
  kBadTicket,       // the ticket of the pool cannot be read
  kState,           // a folder or file of yours cannot be used: permissions, a full disk
  kNoCoordinator,   // no coordinator of the pool can be reached
  kNoPeers,         // no worker of the pool can be reached
  kOtherPool,       // the coordinator belongs to another pool than the ticket
  kQuorumTooLarge,  // more agreeing workers demanded than the pool has
  kUnknownKernel,   // no worker of the pool knows the kernel
  kNotTrusted,      // no worker runs programs of yours
  kRefused,         // the pool does not take the job, for the reason given
  kUnknownJob,      // nobody who can be reached knows the job
  kCancelled,       // the job was cancelled, here or elsewhere
  kOutputLost,      // a verified output cannot be fetched from those who hold it
  kBadOutput,       // an output is not of the kernel's output type
};

// What the calls of shoal::Session and shoal::Job throw where the pool, the machine or the call is
// at fault. `what()` is a sentence for people: what happened, and what to do. A unit that failed is
// never an Error: it is a UnitResult that is not ok.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& what) : std::runtime_error(what), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace shoal
