#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "node/protocol/bytes.h"
#include "shoal/kernel.h"
#include "worker/wasm/v8_module.h"
#include "worker/wasm/watchdog.h"

namespace shoal::wasm {

// One isolate with the module in it, for one thread at a time. Each call gets an instance of its
// own. The memory is used again, emptied, as long as it has its first size: making one costs more
// than all the rest, and a memory that has grown cannot shrink.
class Cell {
 public:
  Cell(const CompiledModule& module, std::uint32_t pages_max);
  ~Cell();
  Cell(const Cell&) = delete;
  Cell& operator=(const Cell&) = delete;

  // Calls the exported `function` on a copy of `request` in the instance's memory, or without
  // arguments where that is empty. `take` gets what it returns; pointers into the instance's memory
  // are read with at(). `state` keeps what the function saves; where there is none, it is never
  // due. Throws what a unit throws.
  void call(const char* function, ByteView request, const std::function<void(std::uint32_t)>& take,
            StateKeeper* state = nullptr);
  // Only from `take`. A view of the instance's memory; throws UnitEnded where it is outside of it.
  ByteView at(std::uint32_t address, std::uint64_t bytes) const;
  // An Answer of the module (docs/wasm.md): address and size of its bytes.
  ByteView answer_at(std::uint32_t address) const;

  // From any thread.
  void stop() { own_.get()->TerminateExecution(); }

 private:
  struct Failure {
    std::uint32_t reason = 0;
    std::string text;
  };

  void make_memory();
  void empty_memory();
  v8::Local<v8::Object> instantiate(v8::Local<v8::Context> context);
  std::uint32_t call_export(v8::Local<v8::Context> context, v8::Local<v8::Object> exports,
                            const char* name, std::initializer_list<std::uint32_t> arguments);
  [[noreturn]] void throw_what_happened(const v8::TryCatch& caught);
  std::string text_at(const v8::FunctionCallbackInfo<v8::Value>& info, int first) const;
  v8::Local<v8::String> name(const char* text) const;
  static void on_fail(const v8::FunctionCallbackInfo<v8::Value>& info);
  static void on_log(const v8::FunctionCallbackInfo<v8::Value>& info);
  static void on_due(const v8::FunctionCallbackInfo<v8::Value>& info);
  static void on_save(const v8::FunctionCallbackInfo<v8::Value>& info);
  static void on_saved_bytes(const v8::FunctionCallbackInfo<v8::Value>& info);
  static void on_saved(const v8::FunctionCallbackInfo<v8::Value>& info);
  template <class Do>
  static void without_throwing(const v8::FunctionCallbackInfo<v8::Value>& info, Do do_it);

  const CompiledModule& module_;
  std::uint32_t pages_max_;
  OwnIsolate own_;
  v8::Global<v8::Context> context_;
  v8::Global<v8::WasmModuleObject> object_;
  v8::Global<v8::Function> instance_constructor_;
  v8::Global<v8::Object> imports_;
  v8::Global<v8::WasmMemoryObject> memory_;
  bool needs_memory_ = true;
  StateKeeper* state_ = nullptr;  // of the call that runs
  std::optional<Failure> failure_;
  std::exception_ptr thrown_;  // by ourselves, in the midst of the module's frames
  std::size_t logged_ = 0;     // bytes, by the call that runs
};

}  // namespace shoal::wasm
