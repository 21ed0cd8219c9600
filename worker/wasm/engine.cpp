#include "worker/wasm/engine.h"

#include <dlfcn.h>
#include <sys/random.h>
#include <time.h>

#include <future>
#include <string>
#include <thread>
#include <utility>

#include "worker/wasm/v8_module.h"

namespace shoal::wasm {

struct Engine::Impl {
  std::unique_ptr<v8::Platform> platform;
};

Engine::Engine(unsigned compiling_threads) : impl_(std::make_unique<Impl>()) {
  // One compiler: the quick one has other NaNs, and its code would be replaced in the middle of a
  // unit. No code is compiled at the first call: what compiling costs is known before units run.
  v8::V8::SetFlagsFromString(
      "--no-liftoff --no-wasm-tier-up --no-wasm-lazy-compilation --no-wasm-dynamic-tiering "
      "--single-threaded-gc --stack-size=800");
  // Or it would open /dev/urandom for every isolate.
  v8::V8::SetEntropySource([](unsigned char* buffer, std::size_t bytes) {
    return getrandom(buffer, bytes, 0) == static_cast<ssize_t>(bytes);
  });
  impl_->platform = v8::platform::NewDefaultPlatform(static_cast<int>(compiling_threads));
  v8::V8::InitializePlatform(impl_->platform.get());
  v8::V8::Initialize();
  v8::V8::EnableWebAssemblyTrapHandler(true);
  // The first isolate looks into files that later ones do not need.
  const OwnIsolate first;
}

Engine::~Engine() {
  v8::V8::Dispose();
  v8::V8::DisposePlatform();
}

CompiledModule::CompiledModule() = default;
CompiledModule::~CompiledModule() = default;

namespace {

constexpr std::chrono::milliseconds kLookEvery{20};

// Of all threads of this process.
std::chrono::nanoseconds cpu_time() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

using Compiled = Result<std::unique_ptr<v8::CompiledWasmModule>, std::string>;

Compiled compile_here(const Bytes& module) {
  const OwnIsolate own;
  v8::Isolate* isolate = own.get();
  const v8::Locker locker(isolate);
  const v8::Isolate::Scope inside(isolate);
  const v8::HandleScope handles(isolate);
  const auto context = v8::Context::New(isolate);
  const v8::Context::Scope within(context);
  v8::TryCatch caught(isolate);
  v8::Local<v8::WasmModuleObject> object;
  if (!v8::WasmModuleObject::Compile(isolate, {module.data(), module.size()}).ToLocal(&object)) {
    return tl::unexpected("the module is not valid: " + message_of(isolate, caught));
  }
  return std::make_unique<v8::CompiledWasmModule>(object->GetCompiledModule());
}

}  // namespace

Result<std::shared_ptr<const CompiledModule>, std::string> CompiledModule::compile(
    ByteView module, std::chrono::milliseconds patience) {
  auto info = check_module(module);
  if (!info) return tl::unexpected(info.error());
  std::promise<Compiled> promise;
  std::future<Compiled> future = promise.get_future();
  // Compiling cannot be interrupted, so that the thread has to be left alone where it takes too
  // long.
  std::thread([bytes = to_bytes(module), promise = std::move(promise)]() mutable {
    promise.set_value(compile_here(bytes));
  }).detach();
  const std::chrono::nanoseconds begin = cpu_time();
  while (future.wait_for(kLookEvery) != std::future_status::ready) {
    if (cpu_time() - begin < patience) continue;
    return tl::unexpected("compiling the module takes more than " +
                          std::to_string(patience.count()) + " ms of a processor");
  }
  Compiled compiled = future.get();
  if (!compiled) return tl::unexpected(compiled.error());
  std::shared_ptr<CompiledModule> made(new CompiledModule);
  made->impl_ = std::make_unique<Impl>(Impl{std::move(**compiled)});
  made->info_ = std::move(*info);
  return std::shared_ptr<const CompiledModule>(std::move(made));
}

std::string engine_version() { return v8::V8::GetVersion(); }

std::string engine_library() {
  Dl_info about{};
  const auto* here = reinterpret_cast<const void*>(&v8::V8::GetVersion);
  return dladdr(here, &about) != 0 && about.dli_fname != nullptr ? about.dli_fname : "";
}

}  // namespace shoal::wasm
