#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "node/protocol/bytes.h"
#include "node/protocol/result.h"
#include "node/wasm/module.h"

// V8, as far as kernels need it: no script ever runs in it. Nothing of V8 is seen outside of the
// .cpp files of this folder.
namespace shoal::wasm {

// The engine itself. One for a process, once: V8 cannot be started twice. Its threads are those
// that compile.
class Engine {
 public:
  // Opens no file later. Handles SIGSEGV from here on, which is how accesses outside of a module's
  // memory are caught; what is no such access goes on to the handler that was there before.
  explicit Engine(unsigned compiling_threads);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A module, compiled, for many threads. Outlived by the engine.
class CompiledModule {
 public:
  // Checks it (node/wasm), and compiles it in at most `patience` of this process's CPU time: an
  // executor runs at idle priority, and may have to wait for long. Where that is over, the engine's
  // threads go on: the process should not live for long. The error is a sentence. Blocks.
  static Result<std::shared_ptr<const CompiledModule>, std::string> compile(
      ByteView module, std::chrono::milliseconds patience);
  ~CompiledModule();

  struct Impl;
  const Impl& impl() const { return *impl_; }
  const ModuleInfo& info() const { return info_; }

 private:
  CompiledModule();
  std::unique_ptr<Impl> impl_;
  ModuleInfo info_;
};

// "10.2.154.26".
std::string engine_version();
// Where its library lies.
std::string engine_library();

}  // namespace shoal::wasm
