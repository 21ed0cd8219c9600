#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "node/protocol/limits.h"
#include "sdk/host/fault_marks.h"
#include "sdk/host/host.h"
#include "worker/sandbox/seal.h"
#include "worker/wasm/kernels.h"

// shoal-wasm-executor: runs the units of one WebAssembly module for shoal-worker, which starts it.
// It opens the module and sets up its engine first, then gives away all that it could reach, and
// only then looks at what a stranger has written.
namespace {

using namespace shoal;

constexpr std::chrono::seconds kCompilePatience{20};  // of CPU time
constexpr unsigned kCompilingThreadsMax = 8;
constexpr char kUsage[] =
    "shoal-wasm-executor MODULE [MEMORY] runs units for shoal-worker, which starts it; there is "
    "nothing to start by hand.\n"
    "shoal-wasm-executor --list MODULE prints the names of the module's kernels.\n"
    "shoal-wasm-executor --engine prints the engine's version and library.\n";

struct Wish {
  std::string module;
  std::uint64_t unit_memory_bytes = 0;
  bool list = false;
};

std::optional<Wish> wish_of(const std::vector<std::string>& arguments) {
  Wish wish;
  if (arguments.size() == 2 && arguments[0] == "--list") {
    wish.list = true;
    wish.module = arguments[1];
  } else if (arguments.size() == 1 || arguments.size() == 2) {
    wish.module = arguments[0];
    if (arguments.size() == 2) {
      char* end = nullptr;
      wish.unit_memory_bytes = std::strtoull(arguments[1].c_str(), &end, 10);
      if (*end != '\0') return std::nullopt;
    }
  } else {
    return std::nullopt;
  }
  if (wish.module.starts_with("--")) return std::nullopt;
  return wish;
}

// A byte more than a module may have, at most: then the check says what is wrong.
std::optional<Bytes> read_module(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Bytes bytes(limits::kModuleBytes + 1);
  if (!file) return std::nullopt;
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (file.bad()) return std::nullopt;
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes;
}

int print_list(const wasm::GetInstances& get) {
  try {
    std::fputs(get()->list().c_str(), stdout);
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "the module does not name its kernels: %s\n", failed.what());
    return 1;
  }
  return 0;
}

// Tells the worker, or whoever looks on.
int refuse(std::optional<HostChannels> channels, const std::string& why) {
  if (!channels) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return 1;
  }
  channels->refusal = why;
  return serve_executor({}, *channels);
}

using Usable = Result<std::shared_ptr<wasm::Instances>, std::string>;

Usable compile(const Bytes& module, const Wish& wish, wasm::Watchdog& dog) {
  auto compiled = wasm::CompiledModule::compile(module, kCompilePatience);
  if (compiled) return std::make_shared<wasm::Instances>(*compiled, wish.unit_memory_bytes, dog);
  // The compiler may go on for long, and cannot be stopped otherwise. Who asks after that gets the
  // same answer from the next process.
  std::thread([] {
    std::this_thread::sleep_for(kCompilePatience);
    std::_Exit(1);
  }).detach();
  return tl::unexpected(compiled.error());
}

int serve(const Wish& wish, std::optional<HostChannels> channels) {
  const auto module = read_module(wish.module);
  if (!module) {
    std::fprintf(stderr, "shoal-wasm-executor: %s cannot be read\n", wish.module.c_str());
    return 1;
  }
  // Before the engine's own handler, which comes first then: most faults are a module's.
  if (channels) install_fault_marks();
  const unsigned threads = std::thread::hardware_concurrency();
  // Never ended: a compiler that was left alone may be at work to the last.
  [[maybe_unused]] const auto* engine =
      new wasm::Engine(std::clamp(threads, 1U, kCompilingThreadsMax));
  if (const auto sealed = seal_for_wasm(); !sealed) {
    std::fprintf(stderr, "shoal-wasm-executor: %s\n", sealed.error().c_str());
    return 126;
  }
  const auto info = check_module(*module);
  if (!info) return refuse(std::move(channels), info.error());
  wasm::Watchdog dog;
  // While it greets, and is told what is to be done.
  const std::shared_future<Usable> usable =
      std::async(std::launch::async, [&] { return compile(*module, wish, dog); }).share();
  const auto get = [&]() -> std::shared_ptr<wasm::Instances> {
    const Usable& result = usable.get();
    if (!result) throw UnitRefused(result.error());
    return *result;
  };
  if (wish.list) return print_list(get);
  return serve_executor(wasm::kernels_of(*info, get), *channels);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments == std::vector<std::string>{"--engine"}) {
    std::printf("V8 %s\n%s\n", wasm::engine_version().c_str(), wasm::engine_library().c_str());
    return 0;
  }
  const auto wish = wish_of(arguments);
  auto channels = take_host_channels();
  if (!wish || channels.has_value() == wish->list) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  if (channels) channels->note_faults = false;  // installed before the engine, above
  const int status = serve(*wish, std::move(channels));
  std::fflush(nullptr);
  std::_Exit(status);
}
