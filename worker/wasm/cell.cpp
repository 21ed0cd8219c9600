#include "worker/wasm/cell.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "node/protocol/limits.h"
#include "node/protocol/result.h"
#include "sdk/host/unit_ended.h"

namespace shoal::wasm {
namespace {

// A unit's stack is the thread's, and endless recursion is to end before that does.
constexpr std::uintptr_t kStackBytes = 800 * 1024;
constexpr std::size_t kLogBytes = 64 * 1024;
// Memories that are dropped are the collector's, who knows nothing of them but their size.
constexpr std::size_t kCollectBytes = std::size_t{64} << 20;

enum Reason : std::uint32_t { kThrew = 0, kRefused = 1, kOutOfMemory = 2 };

v8::Local<v8::Value> must(v8::MaybeLocal<v8::Value> value) {
  v8::Local<v8::Value> local;
  check(value.ToLocal(&local), "the engine lacks what it always has");
  return local;
}

}  // namespace

v8::Local<v8::String> Cell::name(const char* text) const {
  return v8::String::NewFromUtf8(own_.get(), text, v8::NewStringType::kInternalized)
      .ToLocalChecked();
}

Cell::Cell(const CompiledModule& module, std::uint32_t pages_max)
    : module_(module), pages_max_(pages_max) {
  v8::Isolate* isolate = own_.get();
  const v8::Locker locker(isolate);
  const v8::Isolate::Scope inside(isolate);
  const v8::HandleScope handles(isolate);
  const auto context = v8::Context::New(isolate);
  const v8::Context::Scope within(context);
  context_.Reset(isolate, context);
  v8::Local<v8::WasmModuleObject> object;
  check(v8::WasmModuleObject::FromCompiledModule(isolate, module.impl().code).ToLocal(&object),
        "a module that is compiled cannot be used");
  object_.Reset(isolate, object);
  const auto api = must(context->Global()->Get(context, name("WebAssembly"))).As<v8::Object>();
  instance_constructor_.Reset(isolate,
                              must(api->Get(context, name("Instance"))).As<v8::Function>());

  const auto functions = v8::Object::New(isolate);
  const auto self = v8::External::New(isolate, this);
  const auto add = [&](const char* text, v8::FunctionCallback callback) {
    const auto function =
        v8::Function::New(context, callback, self, 0, v8::ConstructorBehavior::kThrow)
            .ToLocalChecked();
    functions->Set(context, name(text), function).Check();
  };
  add("fail", on_fail);
  add("log", on_log);
  add("due", on_due);
  add("save", on_save);
  add("saved_bytes", on_saved_bytes);
  add("saved", on_saved);
  const auto imports = v8::Object::New(isolate);
  imports->Set(context, name("shoal"), functions).Check();
  imports->Set(context, name("env"), v8::Object::New(isolate)).Check();
  imports_.Reset(isolate, imports);
}

Cell::~Cell() {
  const v8::Locker locker(own_.get());
  const v8::Isolate::Scope inside(own_.get());
  memory_.Reset();
  imports_.Reset();
  instance_constructor_.Reset();
  object_.Reset();
  context_.Reset();
}

void Cell::make_memory() {
  v8::Isolate* isolate = own_.get();
  const auto context = context_.Get(isolate);
  const auto api = must(context->Global()->Get(context, name("WebAssembly"))).As<v8::Object>();
  const auto constructor = must(api->Get(context, name("Memory"))).As<v8::Function>();
  const auto about = v8::Object::New(isolate);
  const auto pages = [&](std::uint32_t count) {
    return v8::Integer::NewFromUnsigned(isolate, count);
  };
  about->Set(context, name("initial"), pages(module_.info().pages)).Check();
  about->Set(context, name("maximum"), pages(pages_max_)).Check();
  v8::Local<v8::Value> argument = about;
  v8::Local<v8::Object> memory;
  if (!constructor->NewInstance(context, 1, &argument).ToLocal(&memory)) throw std::bad_alloc();
  memory_.Reset(isolate, memory.As<v8::WasmMemoryObject>());
  const auto environment = must(imports_.Get(isolate)->Get(context, name("env"))).As<v8::Object>();
  environment->Set(context, name("memory"), memory).Check();
  needs_memory_ = false;
}

// What a call has left in the memory: gone, before another one sees it.
void Cell::empty_memory() {
  const auto store = memory_.Get(own_.get())->Buffer()->GetBackingStore();
  // Private pages of nobody's file: without their contents they are zeros again.
  const bool emptied =
      store->ByteLength() == 0 || madvise(store->Data(), store->ByteLength(), MADV_DONTNEED) == 0;
  needs_memory_ =
      !emptied || store->ByteLength() != module_.info().pages * std::size_t{kWasmPageBytes};
  if (!needs_memory_) return;
  memory_.Reset();
  if (store->ByteLength() >= kCollectBytes) own_.get()->LowMemoryNotification();
}

ByteView Cell::at(std::uint32_t address, std::uint64_t bytes) const {
  const auto store = memory_.Get(own_.get())->Buffer()->GetBackingStore();
  if (address > store->ByteLength() || bytes > store->ByteLength() - address) {
    throw UnitEnded(FailureKind::kBadAnswer, "the module names bytes outside its memory");
  }
  return {static_cast<const std::uint8_t*>(store->Data()) + address,
          static_cast<std::size_t>(bytes)};
}

ByteView Cell::answer_at(std::uint32_t address) const {
  std::uint32_t words[2];
  std::memcpy(words, at(address, sizeof words).data(), sizeof words);
  if (words[1] > limits::kOutputBytes) {
    throw UnitEnded(FailureKind::kBadAnswer, "the output has more than 1 GiB");
  }
  return at(words[0], words[1]);
}

std::string Cell::text_at(const v8::FunctionCallbackInfo<v8::Value>& info, int first) const {
  const auto context = own_.get()->GetCurrentContext();
  const std::uint32_t address = info[first]->Uint32Value(context).FromMaybe(0);
  const std::uint32_t size = info[first + 1]->Uint32Value(context).FromMaybe(0);
  const auto store = memory_.Get(own_.get())->Buffer()->GetBackingStore();
  if (address > store->ByteLength() || size > store->ByteLength() - address) return {};
  return {static_cast<const char*>(store->Data()) + address, std::min<std::size_t>(size, 4096)};
}

void Cell::on_fail(const v8::FunctionCallbackInfo<v8::Value>& info) {
  Cell& cell = *static_cast<Cell*>(info.Data().As<v8::External>()->Value());
  v8::Isolate* isolate = info.GetIsolate();
  const v8::HandleScope handles(isolate);
  const auto reason = info[0]->Uint32Value(isolate->GetCurrentContext()).FromMaybe(0);
  cell.failure_ = Failure{reason, cell.text_at(info, 1)};
  // Through all of the module's frames: it has no instruction that catches anything.
  isolate->ThrowException(v8::Undefined(isolate));
}

void Cell::on_log(const v8::FunctionCallbackInfo<v8::Value>& info) {
  Cell& cell = *static_cast<Cell*>(info.Data().As<v8::External>()->Value());
  const v8::HandleScope handles(info.GetIsolate());
  const std::string text = cell.text_at(info, 0);
  if (cell.logged_ >= kLogBytes) return;
  cell.logged_ += text.size();
  std::fwrite(text.data(), 1, text.size(), stderr);
}

// Nothing may be thrown through the engine's frames: it ends the call, and is thrown again then.
template <class Do>
void Cell::without_throwing(const v8::FunctionCallbackInfo<v8::Value>& info, Do do_it) {
  Cell& cell = *static_cast<Cell*>(info.Data().As<v8::External>()->Value());
  v8::Isolate* isolate = info.GetIsolate();
  const v8::HandleScope handles(isolate);
  try {
    do_it(cell, isolate->GetCurrentContext());
  } catch (...) {
    cell.thrown_ = std::current_exception();
    isolate->ThrowException(v8::Undefined(isolate));
  }
}

void Cell::on_due(const v8::FunctionCallbackInfo<v8::Value>& info) {
  without_throwing(info, [&](Cell& cell, v8::Local<v8::Context>) {
    info.GetReturnValue().Set(cell.state_ != nullptr && cell.state_->due() ? 1U : 0U);
  });
}

void Cell::on_save(const v8::FunctionCallbackInfo<v8::Value>& info) {
  without_throwing(info, [&](Cell& cell, v8::Local<v8::Context> context) {
    if (cell.state_ == nullptr) return;
    const std::uint32_t address = info[0]->Uint32Value(context).FromMaybe(0);
    cell.state_->save(cell.at(address, info[1]->Uint32Value(context).FromMaybe(0)));
  });
}

void Cell::on_saved_bytes(const v8::FunctionCallbackInfo<v8::Value>& info) {
  without_throwing(info, [&](Cell& cell, v8::Local<v8::Context>) {
    const auto state = cell.state_ == nullptr ? std::nullopt : cell.state_->saved();
    info.GetReturnValue().Set(static_cast<std::uint32_t>(state ? state->size() : 0));
  });
}

void Cell::on_saved(const v8::FunctionCallbackInfo<v8::Value>& info) {
  without_throwing(info, [&](Cell& cell, v8::Local<v8::Context> context) {
    const auto state = cell.state_ == nullptr ? std::nullopt : cell.state_->saved();
    if (!state || state->empty()) return;
    const ByteView room = cell.at(info[0]->Uint32Value(context).FromMaybe(0), state->size());
    std::memcpy(const_cast<std::uint8_t*>(room.data()), state->data(), state->size());
  });
}

v8::Local<v8::Object> Cell::instantiate(v8::Local<v8::Context> context) {
  v8::Isolate* isolate = own_.get();
  if (needs_memory_) make_memory();
  v8::Local<v8::Value> arguments[] = {object_.Get(isolate), imports_.Get(isolate)};
  v8::TryCatch caught(isolate);
  v8::Local<v8::Object> instance;
  const bool made =
      instance_constructor_.Get(isolate)->NewInstance(context, 2, arguments).ToLocal(&instance);
  // Where its start function throws, there is an instance all the same.
  if (made && !caught.HasCaught()) {
    return must(instance->Get(context, name("exports"))).As<v8::Object>();
  }
  if (made || caught.HasTerminated()) throw_what_happened(caught);
  throw UnitRefused("the module cannot be used: " + message_of(isolate, caught));
}

void Cell::throw_what_happened(const v8::TryCatch& caught) {
  if (caught.HasTerminated()) {
    throw UnitEnded(FailureKind::kTimedOut, "was stopped: nobody wants its output any more");
  }
  if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
  if (failure_) {
    switch (failure_->reason) {
      case Reason::kRefused:
        throw UnitRefused(failure_->text);
      case Reason::kOutOfMemory:
        throw UnitEnded(FailureKind::kOutOfMemory, failure_->text);
      default:
        throw UnitFailure(failure_->text);
    }
  }
  std::string what = message_of(own_.get(), caught);
  if (what.find("call stack") != std::string::npos) what = "the stack is used up";
  throw UnitEnded(FailureKind::kCrashed, "the module trapped: " + what);
}

std::uint32_t Cell::call_export(v8::Local<v8::Context> context, v8::Local<v8::Object> exports,
                                const char* function_name,
                                std::initializer_list<std::uint32_t> arguments) {
  v8::Isolate* isolate = own_.get();
  const auto function = must(exports->Get(context, name(function_name))).As<v8::Function>();
  std::vector<v8::Local<v8::Value>> values;
  for (const std::uint32_t argument : arguments) {
    values.push_back(v8::Integer::NewFromUnsigned(isolate, argument));
  }
  v8::TryCatch caught(isolate);
  v8::Local<v8::Value> result;
  if (!function->Call(context, exports, static_cast<int>(values.size()), values.data())
           .ToLocal(&result)) {
    throw_what_happened(caught);
  }
  return result->Uint32Value(context).FromMaybe(0);
}

void Cell::call(const char* function, ByteView request,
                const std::function<void(std::uint32_t)>& take, StateKeeper* state) {
  v8::Isolate* isolate = own_.get();
  const v8::Locker locker(isolate);
  const v8::Isolate::Scope inside(isolate);
  const v8::HandleScope handles(isolate);
  isolate->SetStackLimit(reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) -
                         kStackBytes);
  const auto context = context_.Get(isolate);
  const v8::Context::Scope within(context);
  failure_.reset();
  thrown_ = nullptr;
  state_ = state;
  logged_ = 0;
  // An order to stop that came too late for the call before this one.
  isolate->CancelTerminateExecution();
  const auto after = [this](void*) {
    if (!memory_.IsEmpty()) empty_memory();
  };
  const std::unique_ptr<void, decltype(after)> always(this, after);
  const auto exports = instantiate(context);
  if (module_.info().has_initialize) call_export(context, exports, "_initialize", {});
  if (request.empty()) return take(call_export(context, exports, function, {}));
  const auto size = static_cast<std::uint32_t>(request.size());
  const std::uint32_t address = call_export(context, exports, "shoal_v1_alloc", {size});
  std::memcpy(const_cast<std::uint8_t*>(at(address, size).data()), request.data(), size);
  take(call_export(context, exports, function, {address, size}));
}

}  // namespace shoal::wasm
