#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "shoal/fields.h"
#include "shoal/values.h"

// A kernel is the function that computes one work unit. It is an ordinary function over plain
// structs, and one line gives it a name:
//
//   struct Params { std::uint64_t start = 0; SHOAL_FIELDS(start) };
//   struct Output { std::uint32_t steps = 0; SHOAL_FIELDS(steps) };
//
//   Output compute(const Params& params, std::uint64_t unit);
//
//   const shoal::Kernel<Params, std::uint64_t, Output> kCollatz{"collatz", compute};
//
//   int main(int argc, char** argv) { return shoal::run(argc, argv, {kCollatz}, my_main); }
//
// There is no registry: the kernel is a value, and you hand it to shoal::run.
//
// What a kernel may look like. P, I and O are the structs of parameters, input and output:
//
//   O compute(const P&, const I&)                  one unit for each input of a list
//   O compute(const P&, std::uint64_t unit)        one unit for each index in [0, N)
//   O compute(shoal::Unit&, const P&, const I&)    either, and with a say in how it runs
//
// Arguments may be taken by value as well, and a lambda will do.
//
// What a kernel must be. Several workers compute each unit and their outputs are compared byte for
// byte, so a kernel is a pure function of its parameters and its input: no clock, no random device
// (seed a generator with the unit's index), no state kept from one unit to the next. Units of one
// job run at the same time on several threads, with a stack of 8 MiB each (1 MiB in a module).
// Results that differ in the last bits from one processor to another need equivalent(), below.
//
// What happens when it fails. A kernel that throws, calls Unit::fail, crashes, or runs past the
// job's limits fails that unit, on that worker, and nothing else. Whatever it writes to stderr is
// kept (its end) and comes back with the failure.
namespace shoal {

#if defined(__wasm__)
namespace wasm {
void log(std::string_view text);
}
#endif

// Thrown by Unit::fail. Any other exception that derives from std::exception serves as well.
class UnitFailure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The parameters or the input are not what the kernel takes; it was not called.
class UnitRefused : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Keeps the state of a unit that takes long, so that it need not begin again after a restart.
// Called from whichever threads the kernel uses.
class StateKeeper {
 public:
  // As an earlier attempt left it, encoded.
  virtual std::optional<ByteView> saved() const = 0;
  // Whether a state would be kept now; the next one will then not be for a while.
  virtual bool due() = 0;
  // Throws UnitFailure where it is too large.
  virtual void save(ByteView state) = 0;

 protected:
  ~StateKeeper() = default;
};

// What native units have of stack, on each thread that starts one: as much as a program's main
// thread has on Debian. What works when it is called from main() works as a unit.
inline constexpr std::size_t kUnitStackBytes = 8 << 20;

struct UnitCost;  // of a unit that is a process of its own; hosts know it, kernels need not

// One unit, as it is asked for.
struct UnitCall {
  std::uint64_t unit = 0;
  std::optional<ByteView> input = {};            // encoded; none in a job over an index space
  const std::atomic<bool>* cancelled = nullptr;  // set when nobody wants the output any more
  // Told every line that Unit::log writes, from whichever thread calls that. May be none.
  const std::function<void(std::string_view)>* heard = nullptr;
  StateKeeper* state = nullptr;             // none: nobody keeps it
  std::optional<UnitCost>* cost = nullptr;  // filled in where it was measured
};

// A unit while it runs, for a kernel that wants to know or to say something. Safe to use from
// several threads. Not to be kept beyond the call.
class Unit {
 public:
  explicit Unit(const UnitCall& call) : call_(call) {}

  // Which unit of the job this is, from 0.
  std::uint64_t index() const { return call_.unit; }
  // Writes one line to stderr, in one piece. If the unit fails, the end of what was written comes
  // back with the failure.
  void log(std::string_view line) const {
    std::string text = "unit " + std::to_string(call_.unit) + ": ";
    text.append(line).push_back('\n');
#if defined(__wasm__)
    wasm::log(text);
#else
    std::fwrite(text.data(), 1, text.size(), stderr);
#endif
    if (call_.heard != nullptr) (*call_.heard)(text);
  }
  // Ends the unit as failed, with a message for whoever submitted the job.
  [[noreturn]] void fail(const std::string& message) const { throw UnitFailure(message); }
  // True when the output is not wanted any more. A kernel that runs for minutes may look now and
  // then, and return anything.
  bool cancelled() const {
    return call_.cancelled != nullptr && call_.cancelled->load(std::memory_order_relaxed);
  }

  // For a unit that takes minutes or hours: what it needs to go on from here, kept by the worker.
  // Call it as often as you like, between two steps: it is kept about once a second, and costs
  // nothing the other times. After a restart of the worker, or on another worker that takes the
  // unit over, the kernel is called from its begin again, and finds its last state in saved():
  //
  //   State s = unit.saved<State>().value_or(State{});
  //   while (s.step < params.steps) { advance(s); ++s.step; unit.save(s); }
  //
  // Count a step before you save the state that it made, as above: a state that contains a step
  // and does not count it has that step done twice after a restart.
  //
  // The output must be the same as without any interruption: other workers, who were not
  // interrupted, check it, and a unit whose outputs differ is disputed. At most 64 MiB, encoded.
  template <Value State>
  void save(const State& state) const {
    if (call_.state == nullptr || !call_.state->due()) return;
    Bytes encoded;
    encode_to(encoded, state);
    call_.state->save(encoded);
  }
  // Nothing where the unit begins, or where what was kept is not a State.
  template <Value State>
  std::optional<State> saved() const {
    const auto kept = call_.state != nullptr ? call_.state->saved() : std::nullopt;
    if (!kept) return std::nullopt;
    auto state = decode<State>(*kept);
    if (!state) return std::nullopt;
    return std::move(*state);
  }

 private:
  const UnitCall& call_;
};

// A kernel with its parameters already decoded: computes a unit and appends its encoded output to
// `output`. Throws what the kernel throws; what it has appended by then is of no use. Safe to call
// from several threads at once.
using UnitFunction = std::function<void(const UnitCall&, Bytes& output)>;

// Whether two encoded outputs stand for the same result. Throws if they do not decode.
using EquivalentFunction = std::function<bool(ByteView, ByteView)>;

// A kernel without its types: what an executor runs.
struct KernelEntry {
  std::string name;
  // Decodes the parameters, once for many units. Throws UnitRefused if they do not decode.
  std::function<UnitFunction(ByteView parameters)> prepare;
  EquivalentFunction equivalent;  // empty: outputs are equal when their bytes are
  // Where not empty, makes the comparison out of the parameters, and `equivalent` does not count.
  std::function<EquivalentFunction(ByteView parameters)> prepare_equivalent;

  // One unit, all in one go. Throws as `prepare` and the kernel do.
  Bytes call(ByteView parameters, const UnitCall& unit) const {
    Bytes output;
    prepare(parameters)(unit, output);
    return output;
  }
};

namespace detail {

// What an exception says of itself; what() is any pointer that a scientist's class returns.
inline std::string words_of(const std::exception& thrown) {
  const char* const words = thrown.what();
  return words != nullptr ? words : "threw a std::exception that says nothing";
}

template <class Function, class Params, class Input, class Output>
concept PlainKernel = requires(const Function& f, const Params& p, const Input& i) {
  { f(p, i) } -> std::convertible_to<Output>;
};
template <class Function, class Params, class Input, class Output>
concept UnitKernel = requires(const Function& f, Unit& u, const Params& p, const Input& i) {
  { f(u, p, i) } -> std::convertible_to<Output>;
};

// The input that a kernel is called with: what the job brought for this unit, or, for a kernel over
// indices, the unit's number.
template <class Input>
Input input_of(const UnitCall& call) {
  if (call.input) {
    auto input = decode<Input>(*call.input);
    if (!input)
      throw UnitRefused("the unit's input does not fit the kernel: " + input.error().what);
    return std::move(*input);
  }
  if constexpr (std::is_same_v<Input, std::uint64_t>) {
    return call.unit;
  } else {
    throw UnitRefused("this kernel takes an input for each unit, and the job has none");
  }
}

}  // namespace detail

template <class Params, class Input, class Output>
class Kernel {
  static_assert(Value<Params>,
                "the parameters cannot travel: a struct needs a public "
                "SHOAL_FIELDS line; see shoal/values.h for what else can");
  static_assert(Value<Input>,
                "the input cannot travel: a struct needs a public SHOAL_FIELDS line; "
                "see shoal/values.h for what else can");
  static_assert(Value<Output>,
                "the output cannot travel: a struct needs a public SHOAL_FIELDS "
                "line; see shoal/values.h for what else can");
  static_assert(std::default_initializable<Params> && std::default_initializable<Input> &&
                    std::default_initializable<Output>,
                "parameters, input and output need a constructor without arguments: values that "
                "have travelled are read into such a one");

 public:
  using ParamsType = Params;
  using InputType = Input;
  using OutputType = Output;

  // `name` is how jobs refer to the kernel: letters, digits, '_', '-' and '.', at most 64 of them.
  // `function` is called from several threads at once.
  template <class Function>
  requires detail::PlainKernel<Function, Params, Input, Output> ||
      detail::UnitKernel<Function, Params, Input, Output>
      Kernel(std::string name, Function function) : name_(std::move(name)) {
    if constexpr (detail::UnitKernel<Function, Params, Input, Output>) {
      compute_ = std::move(function);
    } else {
      compute_ = [f = std::move(function)](Unit&, const Params& p, const Input& i) -> Output {
        return f(p, i);
      };
    }
  }

  // The same kernel with a comparison of its own, for outputs that agree within a tolerance only.
  // It must be symmetric, and must not depend on anything but its two arguments:
  //
  //   const auto kIntegrate = shoal::Kernel<Params, Input, double>{"integrate", integrate}
  //       .equivalent([](const double& a, const double& b) { return std::abs(a - b) < 1e-9; });
  //
  // A session never changes a result that it has delivered; one that attaches to the job later may
  // be given another that is as good.
  Kernel equivalent(std::function<bool(const Output&, const Output&)> same) const {
    Kernel copy = *this;
    copy.equivalent_ = std::move(same);
    return copy;
  }

  const std::string& name() const { return name_; }
  bool has_equivalent() const { return static_cast<bool>(equivalent_); }

  // Calls the function right here, on this thread. For tests and for a first look.
  Output operator()(const Params& params, const Input& input, std::uint64_t unit = 0) const {
    const UnitCall call{unit, std::nullopt, nullptr, nullptr};
    Unit view(call);
    return compute_(view, params, input);
  }

  // Without its types. Implicit, so that a list of kernels of different types can be written down.
  operator KernelEntry() const {
    KernelEntry entry;
    entry.name = name_;
    entry.prepare = [compute = compute_](ByteView encoded) -> UnitFunction {
      // A job written by hand for a kernel without parameters has none at all.
      const bool none = std::is_same_v<Params, Nothing> && encoded.empty();
      auto params = none ? tl::expected<Params, DecodeFailure>() : decode<Params>(encoded);
      if (!params) {
        throw UnitRefused("the parameters do not fit the kernel: " + params.error().what);
      }
      return [compute, shared = std::make_shared<const Params>(std::move(*params))](
                 const UnitCall& call, Bytes& output) {
        const Input input = detail::input_of<Input>(call);
        Unit unit(call);
        encode_to(output, compute(unit, *shared, input));
      };
    };
    if (equivalent_) {
      entry.equivalent = [same = equivalent_](ByteView a, ByteView b) {
        const auto first = decode<Output>(a);
        const auto second = decode<Output>(b);
        if (!first) throw UnitRefused("an output does not decode: " + first.error().what);
        if (!second) throw UnitRefused("an output does not decode: " + second.error().what);
        return same(*first, *second);
      };
    }
    return entry;
  }

 private:
  std::string name_;
  std::function<Output(Unit&, const Params&, const Input&)> compute_;
  std::function<bool(const Output&, const Output&)> equivalent_;
};

namespace detail {

template <class P, class I, class O>
using KernelOf = Kernel<std::remove_cvref_t<P>, std::remove_cvref_t<I>, std::remove_cvref_t<O>>;
// By the call operator of a lambda.
template <class F, class P, class I, class O>
KernelOf<P, I, O> kernel_of(O (F::*)(P, I) const);
template <class F, class P, class I, class O>
KernelOf<P, I, O> kernel_of(O (F::*)(Unit&, P, I) const);

}  // namespace detail

template <class P, class I, class O>
Kernel(std::string, O (*)(P, I))
    -> Kernel<std::remove_cvref_t<P>, std::remove_cvref_t<I>, std::remove_cvref_t<O>>;
template <class P, class I, class O>
Kernel(std::string, O (*)(Unit&, P, I))
    -> Kernel<std::remove_cvref_t<P>, std::remove_cvref_t<I>, std::remove_cvref_t<O>>;
template <class F>
Kernel(std::string, F) -> Kernel<typename decltype(detail::kernel_of(&F::operator()))::ParamsType,
                                 typename decltype(detail::kernel_of(&F::operator()))::InputType,
                                 typename decltype(detail::kernel_of(&F::operator()))::OutputType>;

}  // namespace shoal
