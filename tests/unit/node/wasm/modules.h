#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "node/protocol/bytes.h"

// Small WebAssembly modules, written out by hand.
namespace shoal {

inline Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline Bytes leb(std::uint64_t value) {
  Bytes bytes;
  do {
    const auto low = static_cast<std::uint8_t>(value & 0x7f);
    value >>= 7;
    bytes.push_back(value == 0 ? low : static_cast<std::uint8_t>(low | 0x80));
  } while (value != 0);
  return bytes;
}
inline Bytes text(std::string_view name) { return leb(name.size()) + to_bytes(as_bytes(name)); }
inline Bytes section(std::uint8_t id, const Bytes& inside) {
  return Bytes{id} + leb(inside.size()) + inside;
}
inline Bytes items(const std::vector<Bytes>& list) {
  Bytes bytes = leb(list.size());
  for (const Bytes& item : list) bytes = std::move(bytes) + item;
  return bytes;
}
// Without local variables, as most bodies are here.
inline Bytes body(const Bytes& code) {
  const Bytes whole = Bytes{0} + code + Bytes{0x0b};
  return leb(whole.size()) + whole;
}

// A kernel module in pieces, each of which a test may exchange. Functions: 0 shoal.fail (imported),
// 1 shoal_v1_alloc, 2 shoal_v1_unit.
struct Module {
  static constexpr std::uint8_t kUnit = 2;

  std::vector<Bytes> types = {{0x60, 1, 0x7f, 1, 0x7f},         // 0: i32 -> i32
                              {0x60, 2, 0x7f, 0x7f, 1, 0x7f},   // 1: i32 i32 -> i32
                              {0x60, 3, 0x7f, 0x7f, 0x7f, 0}};  // 2: i32 i32 i32 ->
  Bytes memory_limits = {1, 1, 16};                             // pages: 1 to 16
  std::vector<Bytes> further_imports;
  std::uint8_t further_functions = 0;  // among those: they come before all others
  Bytes before_exports;                // sections between the functions and the exports
  std::vector<Bytes> further_exports;
  Bytes after_exports;  // sections between the exports and the code
  // Of shoal_v1_unit: answers with the first 24 bytes of its request.
  Bytes unit = {0x41, 0, 0x41, 0x80, 0x08, 0x36, 2, 0, 0x41, 4, 0x41, 24, 0x36, 2, 0, 0x41, 0};
  Bytes after_code;
  Bytes start;  // of a function that runs when the module is instantiated; none: there is no such

  std::uint8_t index(std::uint8_t own) const {
    return static_cast<std::uint8_t>(own + further_functions);
  }
  Bytes bytes() const {
    std::vector<Bytes> imports = {text("env") + text("memory") + Bytes{2} + memory_limits,
                                  text("shoal") + text("fail") + Bytes{0, 2}};
    imports.insert(imports.end(), further_imports.begin(), further_imports.end());
    std::vector<Bytes> exports = {text("shoal_v1_alloc") + Bytes{0, index(1)},
                                  text("shoal_v1_unit") + Bytes{0, index(kUnit)}};
    exports.insert(exports.end(), further_exports.begin(), further_exports.end());
    std::vector<Bytes> all_types = types;
    Bytes functions = {2, 0, 1};
    std::vector<Bytes> bodies = {body({0x41, 0x80, 0x08}), body(unit)};
    Bytes started;
    if (!start.empty()) {
      functions = {3, 0, 1, static_cast<std::uint8_t>(types.size())};
      all_types.push_back({0x60, 0, 0});
      bodies.push_back(body(start));
      started = section(8, {index(kUnit + 1)});
    }
    return Bytes{0, 'a', 's', 'm', 1, 0, 0, 0} + section(1, items(all_types)) +
           section(2, items(imports)) + section(3, functions) + before_exports +
           section(7, items(exports)) + started + after_exports + section(10, items(bodies)) +
           after_code;
  }
};

// Bodies of shoal_v1_unit. Every operand of a constant is signed LEB128.
inline Module with_unit(Bytes code) {
  Module module;
  module.unit = std::move(code);
  return module;
}

}  // namespace shoal
