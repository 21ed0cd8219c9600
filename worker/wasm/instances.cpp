#include "worker/wasm/instances.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "sdk/host/unit_ended.h"
#include "worker/wasm/cell.h"

namespace shoal::wasm {
namespace {

void put(Bytes& to, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) to.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}
void put(Bytes& to, ByteView bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

// The sizes go as 32 bits; what does not fit would not fit into the module's memory either.
void check_size(std::uint64_t bytes) {
  if (bytes > std::numeric_limits<std::uint32_t>::max()) {
    throw UnitRefused("the unit's input is too large for a module");
  }
}

}  // namespace

class Instances::Cell : public wasm::Cell {
 public:
  using wasm::Cell::Cell;
};

// A cell for as long as a call runs, and the watch over it.
class Instances::Use {
 public:
  Use(Instances& owner, const std::atomic<bool>* cancelled)
      : owner_(owner),
        cell_(take(owner)),
        watch_(owner.dog_, cancelled, [this] { cell_->stop(); }) {}
  ~Use() {
    std::lock_guard lock(owner_.mutex_);
    owner_.free_.push_back(std::move(cell_));
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  Cell& cell() { return *cell_; }

 private:
  static std::unique_ptr<Cell> take(Instances& owner) {
    std::unique_lock lock(owner.mutex_);
    if (owner.free_.empty()) {
      lock.unlock();
      return std::make_unique<Cell>(*owner.module_, owner.pages_max_);
    }
    auto cell = std::move(owner.free_.back());
    owner.free_.pop_back();
    return cell;
  }

  Instances& owner_;
  std::unique_ptr<Cell> cell_;
  Watchdog::Watch watch_;
};

Instances::Instances(std::shared_ptr<const CompiledModule> module, std::uint64_t unit_memory_bytes,
                     Watchdog& dog)
    : module_(std::move(module)), pages_max_(module_->info().pages_max), dog_(dog) {
  if (unit_memory_bytes == 0) return;
  const std::uint64_t pages = unit_memory_bytes / kWasmPageBytes;
  pages_max_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(pages_max_, pages));
}

Instances::~Instances() = default;

void Instances::run_unit(const UnitArguments& arguments, Bytes& output) {
  if (pages_max_ < module_->info().pages) {
    throw UnitEnded(FailureKind::kOutOfMemory,
                    "the module starts with more memory than a unit may have here");
  }
  const ByteView input = arguments.input.value_or(ByteView());
  const ByteView kernel = as_bytes(arguments.kernel);
  check_size(std::uint64_t{kernel.size()} + arguments.parameters.size() + input.size());
  Bytes request;
  request.reserve(24 + kernel.size() + arguments.parameters.size() + input.size());
  put(request, arguments.unit, 8);
  put(request, arguments.input ? 1 : 0, 4);
  put(request, kernel.size(), 4);
  put(request, arguments.parameters.size(), 4);
  put(request, input.size(), 4);
  put(request, kernel);
  put(request, arguments.parameters);
  put(request, input);
  Use use(*this, arguments.cancelled);
  use.cell().call(
      "shoal_v1_unit", request,
      [&](std::uint32_t answer) { put(output, use.cell().answer_at(answer)); }, arguments.state);
}

bool Instances::equivalent(std::string_view kernel, ByteView first, ByteView second) {
  check_size(std::uint64_t{kernel.size()} + first.size() + second.size());
  Bytes request;
  put(request, kernel.size(), 4);
  put(request, first.size(), 4);
  put(request, second.size(), 4);
  put(request, as_bytes(kernel));
  put(request, first);
  put(request, second);
  bool equal = false;
  Use use(*this, nullptr);
  use.cell().call("shoal_v1_equivalent", request,
                  [&](std::uint32_t answer) { equal = answer != 0; });
  return equal;
}

std::string Instances::list() {
  std::string text;
  Use use(*this, nullptr);
  use.cell().call("shoal_v1_list", {},
                  [&](std::uint32_t answer) { text = as_text(use.cell().answer_at(answer)); });
  return text;
}

}  // namespace shoal::wasm
