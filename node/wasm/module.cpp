#include "node/wasm/module.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "node/protocol/limits.h"
#include "node/wasm/function_body.h"
#include "node/wasm/reader.h"

namespace shoal {
namespace {

using wasm::Reader;

constexpr std::array<std::uint8_t, 8> kHeader = {0, 'a', 's', 'm', 1, 0, 0, 0};
constexpr std::uint8_t kI32 = 0x7f;
constexpr std::uint8_t kFunctionReference = 0x70;

// Names come from strangers and end in terminals and logs.
std::string shown(std::string_view name) {
  std::string text(name.substr(0, 80));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  }
  return text;
}

bool is_value_type(std::uint8_t type) {
  return type >= 0x7b && type <= 0x7f;  // v128, f64, f32, i64, i32
}

struct Signature {
  std::string parameters;  // one character a type
  std::string results;
  friend bool operator==(const Signature&, const Signature&) = default;
};
std::string i32s(std::size_t count) { return std::string(count, static_cast<char>(kI32)); }

// What a module may import, and what it must or may export.
struct Function {
  std::string_view name;
  std::size_t parameters;  // all of them i32
  std::size_t results;
  bool required = false;
};
constexpr std::array kImports = {
    Function{"fail", 3, 0}, Function{"log", 2, 0},         Function{"due", 0, 1},
    Function{"save", 2, 0}, Function{"saved_bytes", 0, 1}, Function{"saved", 1, 0},
};
constexpr std::array kExports = {
    Function{"_initialize", 0, 0},         Function{"shoal_v1_alloc", 1, 1, true},
    Function{"shoal_v1_unit", 2, 1, true}, Function{"shoal_v1_equivalent", 2, 1},
    Function{"shoal_v1_list", 0, 1},
};

class Checker {
 public:
  explicit Checker(ByteView module) : reader_(module) {}

  Result<ModuleInfo, std::string> run() {
    const ByteView header = reader_.bytes(kHeader.size());
    if (!std::equal(header.begin(), header.end(), kHeader.begin(), kHeader.end())) {
      return tl::unexpected(std::string("this is no WebAssembly module (version 1)"));
    }
    while (!reader_.failed() && !reader_.at_end()) section();
    if (!reader_.failed()) whole_module();
    if (reader_.failed()) return tl::unexpected(reader_.fault());
    return std::move(info_);
  }

 private:
  void section() {
    const std::uint8_t id = reader_.byte();
    const std::uint32_t size = reader_.u32();
    Reader part(reader_.bytes(size));
    if (reader_.failed()) return;
    if (id != 0) {
      const std::optional<unsigned> place = place_of(id);
      if (!place) {
        return reader_.fail("the module has a section of a kind that kernels may not have (" +
                            std::to_string(id) + ")");
      }
      if (*place <= last_place_) return reader_.fail("the module's sections are out of order");
      last_place_ = *place;
    }
    read_section(id, part);
    if (!part.failed() && !part.at_end() && id != 0) {
      part.fail("a section of the module is longer than what is in it");
    }
    if (part.failed()) reader_.fail(part.fault());
  }

  // Sections come in the order of their numbers, but for the count of data segments (12).
  static std::optional<unsigned> place_of(std::uint8_t id) {
    if (id == 12) return 10;
    if (id >= 1 && id <= 9) return id;
    if (id == 10 || id == 11) return id + 1;
    return std::nullopt;
  }

  void read_section(std::uint8_t id, Reader& part) {
    switch (id) {
      case 0:
        return custom(part);
      case 1:
        return types(part);
      case 2:
        return imports(part);
      case 3:
        return functions(part);
      case 4:
        return table(part);
      case 5:
        if (part.u32() != 0) {
          part.fail("the module has a memory of its own: it must import env.memory");
        }
        return;
      case 6:
        return globals(part);
      case 7:
        return exports(part);
      case 8:
        part.u32();  // runs as any other function: within the unit, and its limits
        return;
      case 9:
        return elements(part);
      case 10:
        return code(part);
      case 11:
        return data(part);
      default:  // 12, the count of data segments
        part.u32();
    }
  }

  // The number of things in a section.
  static std::uint32_t count_of(Reader& part, std::uint32_t most, const char* what) {
    const std::uint32_t count = part.u32();
    if (count > most) {
      part.fail("the module has " + std::to_string(count) + " " + what + ", and " +
                std::to_string(most) + " are the most");
      return 0;
    }
    return count;
  }

  void custom(Reader& part) {
    if (part.name() != kKernelsSection || part.failed()) return;
    if (info_.names_kernels) return part.fail("the module names its kernels twice");
    info_.names_kernels = true;
    std::string_view text = as_text(part.bytes(part.left()));
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      std::string_view line = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      const bool compares = line.ends_with(" =");
      if (compares) line.remove_suffix(2);
      const auto same = [&](const ModuleKernel& kernel) { return kernel.name == line; };
      if (!is_kernel_name(line) || info_.kernels.size() == limits::kModuleKernels ||
          std::any_of(info_.kernels.begin(), info_.kernels.end(), same)) {
        return part.fail("the module's list of kernels makes no sense");
      }
      info_.kernels.push_back({std::string(line), compares});
    }
    if (info_.kernels.empty()) part.fail("the module's list of kernels is empty");
  }

  void types(Reader& part) {
    const std::uint32_t count = count_of(part, limits::kModuleTypes, "types");
    for (std::uint32_t i = 0; i < count && !part.failed(); ++i) {
      if (part.byte() != 0x60) return part.fail("the module has types that kernels may not use");
      Signature signature;
      for (std::string* side : {&signature.parameters, &signature.results}) {
        const std::uint32_t length =
            count_of(part, limits::kFunctionParameters, "parameters or results of a function");
        for (const std::uint8_t type : part.bytes(length)) {
          if (!is_value_type(type)) {
            return part.fail("the module has functions on references, which kernels may not use");
          }
          side->push_back(static_cast<char>(type));
        }
      }
      types_.push_back(std::move(signature));
    }
  }

  void imports(Reader& part) {
    const std::uint32_t count = count_of(part, 16, "imports");
    for (std::uint32_t i = 0; i < count && !part.failed(); ++i) {
      const std::string_view module = part.name();
      const std::string_view field = part.name();
      const std::uint8_t kind = part.byte();
      if (part.failed()) return;
      if (module == "env" && field == "memory" && kind == 2) {
        memory(part);
      } else if (module != "shoal" || kind != 0 || !import_function(field, part)) {
        part.fail("the module imports " + shown(module) + "." + shown(field) +
                  ", which no kernel may: there are env.memory, and of shoal: fail, log, due, "
                  "save, saved_bytes and saved");
      }
    }
  }

  bool import_function(std::string_view field, Reader& part) {
    const std::uint32_t type = part.u32();
    const auto known = std::find_if(kImports.begin(), kImports.end(),
                                    [&](const Function& f) { return f.name == field; });
    if (known == kImports.end()) return false;
    if (type >= types_.size() || !fits(types_[type], *known)) {
      part.fail("the module imports shoal." + shown(field) + " with another type than it has");
    }
    function_types_.push_back(type);
    ++imported_;
    return true;
  }

  static bool fits(const Signature& signature, const Function& function) {
    return signature == Signature{i32s(function.parameters), i32s(function.results)};
  }

  void memory(Reader& part) {
    if (std::exchange(has_memory_, true)) return part.fail("the module imports two memories");
    const std::uint8_t flags = part.byte();
    if ((flags & 2) != 0) return part.fail("the module asks for shared memory: it has no threads");
    if (flags != 1)
      return part.fail("the module's memory has no maximum, or is of an unknown kind");
    info_.pages = part.u32();
    info_.pages_max = part.u32();
    if (part.failed()) return;
    if (info_.pages > info_.pages_max) return part.fail("the module's memory makes no sense");
    if (info_.pages_max > limits::kMemoryPages) {
      part.fail("the module's memory may grow to " + std::to_string(info_.pages_max / 16) +
                " MiB, and " + std::to_string(limits::kMemoryPages / 16) + " MiB are the most");
    }
  }

  void functions(Reader& part) {
    const std::uint32_t count = count_of(part, limits::kModuleFunctions, "functions");
    for (std::uint32_t i = 0; i < count && !part.failed(); ++i) {
      const std::uint32_t type = part.u32();
      if (type >= types_.size()) return part.fail("a function of the module has no type");
      function_types_.push_back(type);
    }
  }

  void table(Reader& part) {
    if (count_of(part, 1, "tables") == 0) return;
    if (part.byte() != kFunctionReference) {
      return part.fail("the module has a table of references, which kernels may not use");
    }
    const std::uint8_t flags = part.byte();
    if (flags > 1) return part.fail("the module's table is of an unknown kind");
    if (part.u32() > limits::kTableEntries) {
      return part.fail("the module's table has more than " + std::to_string(limits::kTableEntries) +
                       " entries");
    }
    if (flags == 1) part.u32();  // it cannot grow: there is no instruction for it
  }

  void constant(Reader& part) {
    const std::uint8_t opcode = part.byte();
    switch (opcode) {
      case 0x23:
        part.u32();
        break;
      case 0x41:
        part.skip_signed(32);
        break;
      case 0x42:
        part.skip_signed(64);
        break;
      case 0x43:
        part.bytes(4);
        break;
      case 0x44:
        part.bytes(8);
        break;
      case 0xfd:
        if (part.u32() != 12) part.fail("an initial value of the module is malformed");
        part.bytes(16);
        break;
      default:
        part.fail("an initial value of the module is of a kind that kernels may not use");
    }
    if (part.byte() != 0x0b) part.fail("an initial value of the module is malformed");
  }

  void globals(Reader& part) {
    const std::uint32_t count = count_of(part, limits::kModuleGlobals, "global variables");
    for (std::uint32_t i = 0; i < count && !part.failed(); ++i) {
      if (!is_value_type(part.byte()) || part.byte() > 1) {
        return part.fail("a global variable of the module is of an unknown kind");
      }
      constant(part);
    }
  }

  void exports(Reader& part) {
    const std::uint32_t count = count_of(part, limits::kModuleExports, "exports");
    for (std::uint32_t i = 0; i < count && !part.failed(); ++i) {
      const std::string_view name = part.name();
      const std::uint8_t kind = part.byte();
      const std::uint32_t index = part.u32();
      if (part.failed()) return;
      if (!exported_.insert(name).second) return part.fail("the module exports a name twice");
      const auto known = std::find_if(kExports.begin(), kExports.end(),
                                      [&](const Function& f) { return f.name == name; });
      if (known == kExports.end()) continue;  // nobody calls it
      if (kind != 0 || index >= function_types_.size() ||
          !fits(types_[function_types_[index]], *known)) {
        return part.fail("the module exports " + shown(name) +
                         " as something else than a kernel's");
      }
    }
  }

  void elements(Reader& part) {
    const std::uint32_t count = count_of(part, limits::kModuleSegments, "segments of its table");
    std::uint64_t entries = 0;
    for (std::uint32_t i = 0; i < count && !part.failed(); ++i) {
      if (part.u32() != 0) return part.fail("a segment of the module's table is of another kind");
      constant(part);
      const std::uint32_t length = part.u32();
      for (std::uint32_t k = 0; k < length && !part.failed(); ++k) part.u32();
      entries += length;
    }
    if (entries > limits::kTableEntries) part.fail("the module's table is filled over and over");
  }

  void code(Reader& part) {
    const std::uint32_t count = count_of(part, limits::kModuleFunctions, "functions");
    bodies_ = count;
    for (std::uint32_t i = 0; i < count && !part.failed(); ++i) {
      const std::uint32_t size = part.u32();
      if (size > limits::kFunctionBytes) {
        return part.fail("a function of the module has " + std::to_string(size) + " bytes, and " +
                         std::to_string(limits::kFunctionBytes) +
                         " are the most: compiling it would take too long");
      }
      const ByteView body = part.bytes(size);
      if (part.failed()) return;
      if (imported_ + i >= function_types_.size()) {
        return part.fail("the module has more functions than it says");
      }
      const Signature& signature = types_[function_types_[imported_ + i]];
      const wasm::BodyCheck checked = wasm::check_body(body, signature.parameters.size());
      weight_ += checked.weight;
      if (!checked.fault.empty()) return part.fail(checked.fault);
      if (weight_ > limits::kModuleWeight) {
        return part.fail(
            "compiling the module would take too long: its functions have too many "
            "blocks and local variables");
      }
    }
  }

  void data(Reader& part) {
    const std::uint32_t count = count_of(part, limits::kModuleSegments, "segments of data");
    for (std::uint32_t i = 0; i < count && !part.failed(); ++i) {
      const std::uint32_t flags = part.u32();
      if (flags == 2 && part.u32() != 0) return part.fail("the module has data of no memory");
      if (flags > 2) return part.fail("the module has data of an unknown kind");
      if (flags != 1) constant(part);
      part.bytes(part.u32());
    }
  }

  // What can be said only at the end.
  void whole_module() {
    if (!has_memory_) return reader_.fail("the module does not import env.memory");
    if (function_types_.size() - imported_ != bodies_) {
      return reader_.fail("the module has not as many functions as it says");
    }
    for (const Function& function : kExports) {
      if (function.required && !exported_.contains(function.name)) {
        return reader_.fail("the module does not export " + std::string(function.name) +
                            ": 'shoal kernel build' makes modules that do");
      }
    }
    info_.has_initialize = exported_.contains("_initialize");
    info_.exports_equivalent = exported_.contains("shoal_v1_equivalent");
    info_.exports_list = exported_.contains("shoal_v1_list");
    if (info_.kernels.empty()) info_.kernels = {{kOnlyKernel, info_.exports_equivalent}};
    for (const ModuleKernel& kernel : info_.kernels) {
      if (kernel.has_equivalent && !info_.exports_equivalent) {
        return reader_.fail("the module does not export shoal_v1_equivalent, which " + kernel.name +
                            " needs");
      }
    }
  }

  Reader reader_;
  ModuleInfo info_;
  unsigned last_place_ = 0;
  std::vector<Signature> types_;
  std::vector<std::uint32_t> function_types_;  // imported ones first
  std::size_t imported_ = 0;
  std::size_t bodies_ = 0;
  std::uint64_t weight_ = 0;
  bool has_memory_ = false;
  std::set<std::string_view> exported_;
};

void put_u32(Bytes& to, std::size_t value) {
  do {
    const auto low = static_cast<std::uint8_t>(value & 0x7f);
    value >>= 7;
    to.push_back(value == 0 ? low : static_cast<std::uint8_t>(low | 0x80));
  } while (value != 0);
}
void put_text(Bytes& to, std::string_view text) {
  put_u32(to, text.size());
  to.insert(to.end(), text.begin(), text.end());
}

}  // namespace

bool is_kernel_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  return !name.empty() && name.size() <= limits::kKernelNameBytes &&
         std::all_of(name.begin(), name.end(), allowed);
}

Result<ModuleInfo, std::string> check_module(ByteView module) {
  if (module.size() > limits::kModuleBytes) {
    return tl::unexpected("the module has " + std::to_string(module.size()) + " bytes, and " +
                          std::to_string(limits::kModuleBytes) + " are the most");
  }
  return Checker(module).run();
}

Bytes with_kernels(ByteView module, const std::vector<ModuleKernel>& kernels) {
  Bytes section;
  put_text(section, kKernelsSection);
  for (const ModuleKernel& kernel : kernels) {
    const std::string line = kernel.name + (kernel.has_equivalent ? " =\n" : "\n");
    section.insert(section.end(), line.begin(), line.end());
  }
  Bytes named = to_bytes(module);
  named.push_back(0);
  put_u32(named, section.size());
  named.insert(named.end(), section.begin(), section.end());
  return named;
}

}  // namespace shoal
