#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node/protocol/bytes.h"
#include "shoal/kernel.h"
#include "worker/wasm/engine.h"
#include "worker/wasm/watchdog.h"

// Runs calls of a module, each in an instance of its own that nothing was left behind in. As many
// threads may call at once as there are: each gets an isolate, which it uses alone.
//
// The exceptions are those of a unit: UnitEnded (a trap, too little memory), UnitRefused,
// UnitFailure.
namespace shoal::wasm {

class Instances {
 public:
  // `unit_memory_bytes`: the most for one instance, rounded down to pages; 0: what the module says.
  // `dog` outlives it.
  Instances(std::shared_ptr<const CompiledModule> module, std::uint64_t unit_memory_bytes,
            Watchdog& dog);
  ~Instances();
  Instances(const Instances&) = delete;
  Instances& operator=(const Instances&) = delete;

  struct UnitArguments {
    std::string_view kernel;
    ByteView parameters;
    std::uint64_t unit = 0;
    std::optional<ByteView> input;
    const std::atomic<bool>* cancelled = nullptr;
    StateKeeper* state = nullptr;
  };
  // Appends the output.
  void run_unit(const UnitArguments& arguments, Bytes& output);
  bool equivalent(std::string_view kernel, ByteView first, ByteView second);
  // What shoal_v1_list says: the text of the section that names the kernels.
  std::string list();

 private:
  class Cell;
  class Use;

  std::shared_ptr<const CompiledModule> module_;
  std::uint32_t pages_max_ = 0;
  Watchdog& dog_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Cell>> free_;
};

}  // namespace shoal::wasm
