#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>

#include "bench/run.h"
#include "node/protocol/executor_messages.h"
#include "worker/runtime/executor_process.h"

namespace shoal::bench {

// An executor as a worker has it, in its sandbox and over its socket, with this program in the
// place of the worker. One thread.
class LoneExecutor {
 public:
  // It has greeted by then. Of one thread, and with one kernel for all its units.
  struct Wish {
    SandboxKind kind = SandboxKind::kShipped;
    std::string program;                      // its name
    std::vector<std::string> arguments = {};  // of the program
    std::vector<std::filesystem::path> readable = {};
    std::filesystem::path library_folder = {};  // where its libraries are, beside the system's
    SandboxLevel level = SandboxLevel::kFull;
  };
  static Result<std::unique_ptr<LoneExecutor>, std::string> start(const Run& run, const Wish& wish);

  // Of all units that follow.
  void use(const std::string& kernel, Bytes parameters);
  // Computes units 0 to `units` - 1, handed over as a worker does it, to the last one's end. `take`
  // sees what comes; all of it is valid until it returns. A unit that fails is an error.
  using Take = std::function<void(const ChunkPart& part)>;
  Measured compute(std::uint64_t units, const Take& take);

  pid_t pid() const { return process_->pid(); }  // of the sandbox around it

 private:
  explicit LoneExecutor(std::unique_ptr<ExecutorProcess> process) : process_(std::move(process)) {}
  Measured turn(const std::function<std::string(ByteView body)>& take);

  std::unique_ptr<ExecutorProcess> process_;
  std::uint64_t last_number_ = 0;
};

}  // namespace shoal::bench
