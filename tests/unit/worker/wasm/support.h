#pragma once

#include <atomic>
#include <chrono>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "worker/wasm/instances.h"

// One engine for all tests of a program: it cannot be started twice.
namespace shoal::wasm {

inline void engine_is_up() {
  [[maybe_unused]] static const auto* engine = new Engine(2);  // threads may outlive the tests
}

inline Result<std::shared_ptr<const CompiledModule>, std::string> compiled(const Bytes& module) {
  engine_is_up();
  return CompiledModule::compile(module, std::chrono::seconds(60));
}

inline Bytes file_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// A module ready to be called.
struct Loaded {
  explicit Loaded(const Bytes& bytes, std::uint64_t memory = 0) {
    auto module = compiled(bytes);
    if (!module) {
      refused = module.error();
    } else {
      instances = std::make_shared<Instances>(*module, memory, dog);
    }
  }
  Bytes unit(std::uint64_t number, std::string_view kernel = "kernel", ByteView parameters = {},
             std::optional<ByteView> input = {}, StateKeeper* state = nullptr) {
    Bytes output;
    instances->run_unit({kernel, parameters, number, input, nullptr, state}, output);
    return output;
  }

  Watchdog dog;
  std::string refused;
  std::shared_ptr<Instances> instances;
};

}  // namespace shoal::wasm
