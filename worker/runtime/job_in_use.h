#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "node/content/store/content_store.h"
#include "node/protocol/facts.h"
#include "node/protocol/input_pack.h"
#include "worker/sandbox/policy.h"

namespace shoal {

// A file's bytes, read where they are touched.
class MappedFile {
 public:
  static Result<std::unique_ptr<MappedFile>, std::string> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ByteView view() const { return bytes_; }

 private:
  explicit MappedFile(ByteView bytes) : bytes_(bytes) {}
  ByteView bytes_;
};

// Which executors may be shared: by all jobs of shipped kernels, by those of the same program, or
// by nobody, since an executor of programs sees the files of its job, one of a module keeps to the
// memory that the job sets, and one of a job that has the memory for some threads alone to these.
using ExecutorKey = std::variant<std::monostate, ContentId, JobId>;

// What the keeper holds of a job for as long as its chunks come.
struct JobInUse {
  JobId id;
  std::shared_ptr<const Manifest> manifest;
  std::uint64_t setup = 0;  // its number in the executors
  std::filesystem::path program;
  std::vector<std::string> arguments;  // of the program
  SandboxKind sandbox_kind = SandboxKind::kNative;
  std::vector<std::filesystem::path> readable;  // by the program, in its sandbox
  ExecutorKey key;
  std::vector<std::filesystem::path> contents;  // that the executor is given, in the job's order
  std::unique_ptr<MappedFile> inputs_file;
  std::optional<InputPack> inputs;
  unsigned threads = 1;  // so few that as many units have the memory that the job asks for
  std::string unusable;  // not empty: why none of its units can run here
};

struct Lent {
  std::filesystem::path shipped_executor;
  std::filesystem::path program_executor;  // empty: no programs run here
  std::filesystem::path wasm_executor;     // empty: there is none
  std::filesystem::path wasm_libraries;    // empty: those of the system
  unsigned threads = 1;
  std::uint64_t memory_bytes = 0;
};
// Only of contents that are as they were checked.
JobInUse open_job(const JobId& id, std::shared_ptr<const Manifest> manifest, const Lent& lent,
                  ContentStore& contents);

// The inputs of `units`, which lie one after another in the pack.
ByteView inputs_of(const InputPack& pack, Range units);

}  // namespace shoal
