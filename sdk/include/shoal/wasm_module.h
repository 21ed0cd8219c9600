#pragma once

// What a kernel module has besides its kernels: the functions that it exports, what C++ needs of
// its host, and what it does without. `shoal kernel build` compiles it once into each module; a
// program never includes it. docs/wasm.md describes the interface.

#if !defined(__wasm__)
#error "for kernels built with `shoal kernel build` only"
#endif

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <typeinfo>
#include <vector>

#include "shoal/kernel.h"
#include "shoal/wasm_run.h"

extern "C" {
__attribute__((import_module("shoal"), import_name("fail"))) void shoal_import_fail(
    std::uint32_t reason, const char* text, std::uint32_t size);
__attribute__((import_module("shoal"), import_name("log"))) void shoal_import_log(
    const char* text, std::uint32_t size);
__attribute__((import_module("shoal"), import_name("due"))) std::uint32_t shoal_import_due();
__attribute__((import_module("shoal"), import_name("save"))) void shoal_import_save(
    const std::uint8_t* state, std::uint32_t size);
__attribute__((import_module("shoal"), import_name("saved_bytes"))) std::uint32_t
shoal_import_saved_bytes();
__attribute__((import_module("shoal"), import_name("saved"))) void shoal_import_saved(
    std::uint8_t* to);
// What clang makes of main(int, char**).
int __main_argc_argv(int, char**);
}

namespace shoal::wasm {

enum class Reason : std::uint32_t { kThrew = 0, kRefused = 1, kOutOfMemory = 2 };

[[noreturn]] inline void fail(Reason reason, std::string_view text) {
  shoal_import_fail(static_cast<std::uint32_t>(reason), text.data(),
                    static_cast<std::uint32_t>(text.size()));
  __builtin_trap();  // the host does not come back
}

void log(std::string_view text) {
  shoal_import_log(text.data(), static_cast<std::uint32_t>(text.size()));
}

// As the host writes it. What follows each header are the bytes that it counts, one after another.
struct UnitRequest {
  std::uint64_t unit;
  std::uint32_t has_input;
  std::uint32_t kernel_bytes;
  std::uint32_t parameters_bytes;
  std::uint32_t input_bytes;
};
struct CompareRequest {
  std::uint32_t kernel_bytes;
  std::uint32_t first_bytes;
  std::uint32_t second_bytes;
};
struct Answer {
  const std::uint8_t* bytes;
  std::uint32_t size;
};

// One module instance serves one call and is thrown away: hence globals, and nothing is freed.
inline const std::uint8_t* asked = nullptr;
inline bool compares = false;
inline bool equal = false;
inline bool served = false;
inline Bytes output;
inline Answer answer;

struct Pieces {
  const std::uint8_t* at;
  ByteView take(std::uint32_t size) {
    const ByteView piece(at, size);
    at += size;
    return piece;
  }
};

inline const KernelEntry& find(const std::vector<KernelEntry>& kernels, ByteView name) {
  const std::string wanted(name.begin(), name.end());
  for (const KernelEntry& kernel : kernels) {
    if (kernel.name == wanted) return kernel;
  }
  fail(Reason::kRefused, "there is no kernel \"" + wanted + "\" in this module");
}

inline void list(const std::vector<KernelEntry>& kernels) {
  for (const KernelEntry& kernel : kernels) {
    const std::string line = kernel.name + (kernel.equivalent ? " =\n" : "\n");
    output.insert(output.end(), line.begin(), line.end());
  }
}

// The host keeps it. An instance knows nothing of an earlier attempt but what the host still has.
class StateAtHost final : public StateKeeper {
 public:
  std::optional<ByteView> saved() const override {
    const std::uint32_t bytes = shoal_import_saved_bytes();
    if (bytes == 0) return std::nullopt;
    auto* state = static_cast<std::uint8_t*>(::operator new(bytes));
    shoal_import_saved(state);
    return ByteView(state, bytes);
  }
  bool due() override { return shoal_import_due() != 0; }
  void save(ByteView state) override {
    shoal_import_save(state.data(), static_cast<std::uint32_t>(state.size()));
  }
};

inline void compute(const std::vector<KernelEntry>& kernels) {
  UnitRequest request;
  std::memcpy(&request, asked, sizeof request);
  Pieces rest{asked + sizeof request};
  const KernelEntry& kernel = find(kernels, rest.take(request.kernel_bytes));
  const ByteView parameters = rest.take(request.parameters_bytes);
  UnitCall call;
  call.unit = request.unit;
  if (request.has_input != 0) call.input = rest.take(request.input_bytes);
  StateAtHost state;
  call.state = &state;
  kernel.prepare(parameters)(call, output);
}

inline void compare(const std::vector<KernelEntry>& kernels) {
  CompareRequest request;
  std::memcpy(&request, asked, sizeof request);
  Pieces rest{asked + sizeof request};
  const KernelEntry& kernel = find(kernels, rest.take(request.kernel_bytes));
  if (!kernel.equivalent) fail(Reason::kRefused, "the kernel has no comparison of its own");
  const ByteView first = rest.take(request.first_bytes);
  equal = kernel.equivalent(first, rest.take(request.second_bytes));
}

void serve(const std::vector<KernelEntry>& kernels) {
  served = true;
  if (asked == nullptr) {
    list(kernels);
  } else if (compares) {
    compare(kernels);
  } else {
    compute(kernels);
  }
}

inline void call_main() {
  static char name[] = "kernel";
  char* arguments[] = {name, nullptr};
  __main_argc_argv(1, arguments);
  if (!served) fail(Reason::kRefused, "main() has not called shoal::run");
  answer = {output.data(), static_cast<std::uint32_t>(output.size())};
}

// What std::exception's subclasses say; a stand-in for the part of libc++abi's type_info that the
// search for a catch clause uses, since the module has no such search.
struct Catcher : std::type_info {
  virtual ~Catcher();
  virtual void noop1() const;
  virtual void noop2() const;
  virtual bool can_catch(const Catcher* thrown, void*& object) const = 0;
};
template <class T>
const T* caught_as(const std::type_info* thrown, void* object) {
  const auto* catcher = reinterpret_cast<const Catcher*>(&typeid(T));
  if (!catcher->can_catch(reinterpret_cast<const Catcher*>(thrown), object)) return nullptr;
  return static_cast<const T*>(object);
}

}  // namespace shoal::wasm

extern "C" {

__attribute__((export_name("shoal_v1_alloc"))) void* shoal_v1_alloc(std::uint32_t bytes) {
  return ::operator new(bytes);
}
__attribute__((export_name("shoal_v1_list"))) const shoal::wasm::Answer* shoal_v1_list() {
  shoal::wasm::call_main();
  return &shoal::wasm::answer;
}
__attribute__((export_name("shoal_v1_unit"))) const shoal::wasm::Answer* shoal_v1_unit(
    const std::uint8_t* request, std::uint32_t) {
  shoal::wasm::asked = request;
  shoal::wasm::call_main();
  return &shoal::wasm::answer;
}
__attribute__((export_name("shoal_v1_equivalent"))) std::uint32_t shoal_v1_equivalent(
    const std::uint8_t* request, std::uint32_t) {
  shoal::wasm::asked = request;
  shoal::wasm::compares = true;
  shoal::wasm::call_main();
  return shoal::wasm::equal ? 1 : 0;
}

// A module has no catch clauses (the compiler leaves them out): whatever is thrown ends the unit,
// here, with its message.
void* __cxa_allocate_exception(std::size_t bytes) { return ::operator new(bytes); }
void __cxa_free_exception(void*) {}
[[noreturn]] void __cxa_throw(void* object, std::type_info* type, void (*)(void*)) {
  using namespace shoal::wasm;
  if (caught_as<std::bad_alloc>(type, object) != nullptr) fail(Reason::kOutOfMemory, "bad_alloc");
  if (const auto* refused = caught_as<shoal::UnitRefused>(type, object)) {
    fail(Reason::kRefused, refused->what());
  }
  if (const auto* thrown = caught_as<std::exception>(type, object)) {
    fail(Reason::kThrew, thrown->what());
  }
  fail(Reason::kThrew, "threw something that is not a std::exception");
}

// The few calls of a system that the standard library makes even where nobody asked for them. What
// is written to stdout and stderr is logged; there are no files, and nothing to end but the unit.
using WasiError = std::int32_t;
struct WasiPiece {
  const char* text;
  std::uint32_t size;
};
WasiError __imported_wasi_snapshot_preview1_fd_write(std::int32_t fd, std::int32_t pieces,
                                                     std::int32_t count, std::int32_t written) {
  constexpr WasiError kBadDescriptor = 8;
  if (fd != 1 && fd != 2) return kBadDescriptor;
  std::uint32_t total = 0;
  for (std::int32_t i = 0; i < count; ++i) {
    const WasiPiece& piece = reinterpret_cast<const WasiPiece*>(pieces)[i];
    if (piece.size != 0) shoal_import_log(piece.text, piece.size);
    total += piece.size;
  }
  std::memcpy(reinterpret_cast<void*>(written), &total, sizeof total);
  return 0;
}
WasiError __imported_wasi_snapshot_preview1_fd_read(std::int32_t, std::int32_t, std::int32_t,
                                                    std::int32_t) {
  return 8;
}
WasiError __imported_wasi_snapshot_preview1_fd_close(std::int32_t) { return 0; }
WasiError __imported_wasi_snapshot_preview1_fd_seek(std::int32_t, std::int64_t, std::int32_t,
                                                    std::int32_t) {
  return 70;  // a pipe cannot be searched
}
WasiError __imported_wasi_snapshot_preview1_fd_fdstat_get(std::int32_t fd, std::int32_t about) {
  if (fd < 0 || fd > 2) return 8;
  std::memset(reinterpret_cast<void*>(about), 0, 24);
  *reinterpret_cast<std::uint8_t*>(about) = 2;  // a device for characters
  return 0;
}
WasiError __imported_wasi_snapshot_preview1_environ_sizes_get(std::int32_t count,
                                                              std::int32_t bytes) {
  *reinterpret_cast<std::uint32_t*>(count) = 0;
  *reinterpret_cast<std::uint32_t*>(bytes) = 0;
  return 0;
}
WasiError __imported_wasi_snapshot_preview1_environ_get(std::int32_t, std::int32_t) { return 0; }
[[noreturn]] void __imported_wasi_snapshot_preview1_proc_exit(std::int32_t status) {
  shoal::wasm::fail(shoal::wasm::Reason::kThrew,
                    "the kernel called exit(" + std::to_string(status) + ")");
}
// What is thrown in the library's own compiled parts ends here, without a word of what it was.
void abort() {
  shoal::wasm::fail(shoal::wasm::Reason::kThrew,
                    "the kernel called abort(), as do std::string and std::stoi where they throw");
}

}  // extern "C"

// libc++ would abort where there is no memory left.
void* operator new(std::size_t bytes) {
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  shoal::wasm::fail(shoal::wasm::Reason::kOutOfMemory, "the unit's memory is used up");
}
void* operator new[](std::size_t bytes) { return ::operator new(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
