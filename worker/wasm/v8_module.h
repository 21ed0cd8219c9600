#pragma once

// V8's own headers, for the .cpp files of this folder only.
#include <libplatform/libplatform.h>
#include <v8.h>

#include <memory>
#include <string>

#include "worker/wasm/engine.h"

namespace shoal::wasm {

struct CompiledModule::Impl {
  v8::CompiledWasmModule code;
};

// An isolate with a small heap, for there are no scripts: modules' memories lie outside of it.
class OwnIsolate {
 public:
  OwnIsolate() : allocator_(v8::ArrayBuffer::Allocator::NewDefaultAllocator()) {
    v8::Isolate::CreateParams params;
    params.array_buffer_allocator = allocator_.get();
    params.constraints.ConfigureDefaultsFromHeapSize(0, std::size_t{32} << 20);
    isolate_ = v8::Isolate::New(params);
  }
  ~OwnIsolate() { isolate_->Dispose(); }
  OwnIsolate(const OwnIsolate&) = delete;
  OwnIsolate& operator=(const OwnIsolate&) = delete;
  v8::Isolate* get() const { return isolate_; }

 private:
  std::unique_ptr<v8::ArrayBuffer::Allocator> allocator_;
  v8::Isolate* isolate_ = nullptr;
};

// What the engine has thrown, without the words that it always puts in front.
inline std::string message_of(v8::Isolate* isolate, const v8::TryCatch& caught) {
  if (caught.Message().IsEmpty()) return "no reason given";
  const v8::String::Utf8Value text(isolate, caught.Message()->Get());
  std::string message = *text != nullptr ? *text : "no reason given";
  for (const char* prefix : {"Uncaught ", "RuntimeError: ", "CompileError: ", "LinkError: ",
                             "WasmModuleObject::Compile(): ", "WebAssembly.Instance(): "}) {
    if (message.starts_with(prefix)) message.erase(0, std::string(prefix).size());
  }
  return message;
}

}  // namespace shoal::wasm
