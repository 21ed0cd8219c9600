#include "worker/runtime/job_in_use.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace shoal {

Result<std::unique_ptr<MappedFile>, std::string> MappedFile::open(
    const std::filesystem::path& path) {
  const auto failed = [&] { return tl::unexpected(path.string() + ": " + std::strerror(errno)); };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed();
  struct stat about {};
  if (fstat(fd, &about) != 0) {
    auto error = failed();
    close(fd);
    return error;
  }
  const auto size = static_cast<std::size_t>(about.st_size);
  if (size == 0) {
    close(fd);
    return std::unique_ptr<MappedFile>(new MappedFile({}));
  }
  void* memory = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (memory == MAP_FAILED) {
    auto error = failed();
    close(fd);
    return error;
  }
  close(fd);
  return std::unique_ptr<MappedFile>(
      new MappedFile({static_cast<const std::uint8_t*>(memory), size}));
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<std::uint8_t*>(bytes_.data()), bytes_.size());
}

namespace {

// Whoever begins the job has had its contents checked (content_checks.h): nothing is read here.
Result<std::filesystem::path, StoreError> checked_path_of(const ContentStore& contents,
                                                          const ContentId& id) {
  if (contents.holds(id) && !contents.is_as_checked(id)) {
    return tl::unexpected(StoreError{
        StoreFault::kCorrupt, "content " + short_hex(id) + " could not be checked on the disk"});
  }
  return contents.path_of(id);
}

// Empty, or which of the job's further contents cannot be had.
std::string find_contents(JobInUse& job, ContentStore& contents) {
  for (const ContentName& content : job.manifest->contents) {
    auto path = checked_path_of(contents, content.id);
    if (!path) return "a file of the job is not here: " + path.error().what;
    job.contents.push_back(std::filesystem::absolute(*path));
  }
  return {};
}

// Empty, or why the job's program cannot be had.
std::string find_program(JobInUse& job, const Lent& lent, ContentStore& contents) {
  switch (job.manifest->kernel_kind) {
    case KernelKind::kShipped:
      job.program = lent.shipped_executor;
      job.sandbox_kind = SandboxKind::kShipped;
      return {};
    case KernelKind::kNative: {
      if (!job.manifest->program) return "the job names no program";
      auto path = checked_path_of(contents, *job.manifest->program);
      if (!path) return "the job's program is not here: " + path.error().what;
      job.key = *job.manifest->program;
      job.program = std::move(*path);
      return {};
    }
    case KernelKind::kWasm: {
      if (lent.wasm_executor.empty()) return "there is no executor for WebAssembly here";
      if (!job.manifest->program) return "the job names no module";
      auto path = checked_path_of(contents, *job.manifest->program);
      if (!path) return "the job's module is not here: " + path.error().what;
      job.key = *job.manifest->program;
      job.program = lent.wasm_executor;
      // An executor keeps one limit: of a job that sets its own, it is not shared.
      std::uint64_t memory = lent.memory_bytes / std::max(lent.threads, 1U);
      if (job.manifest->unit_memory_bytes != 0) {
        memory = job.manifest->unit_memory_bytes;
        job.key = job.id;
      }
      job.arguments = {std::filesystem::absolute(*path).string(), std::to_string(memory)};
      job.sandbox_kind = SandboxKind::kWasm;
      job.readable = {*path};
      if (!lent.wasm_libraries.empty()) job.readable.push_back(lent.wasm_libraries);
      return {};
    }
    case KernelKind::kProgram:
      if (lent.program_executor.empty()) return "no programs run on this worker";
      job.program = lent.program_executor;
      job.sandbox_kind = SandboxKind::kProgram;
      job.key = job.id;
      return find_contents(job, contents);
  }
  return "the job's kind of kernel is not known here";
}

std::string find_inputs(JobInUse& job, ContentStore& contents) {
  if (!job.manifest->inputs) return {};
  auto path = checked_path_of(contents, *job.manifest->inputs);
  if (!path) return "the job's inputs are not here: " + path.error().what;
  auto file = MappedFile::open(*path);
  if (!file) return "the job's inputs cannot be read: " + file.error();
  auto pack = InputPack::open((*file)->view());
  if (!pack) return "the job's inputs make no sense: " + pack.error().what;
  if (pack->units() != job.manifest->units) {
    return "the job has " + std::to_string(job.manifest->units) + " units, and inputs for " +
           std::to_string(pack->units());
  }
  job.inputs_file = std::move(*file);
  job.inputs = *pack;
  return {};
}

}  // namespace

JobInUse open_job(const JobId& id, std::shared_ptr<const Manifest> manifest, const Lent& lent,
                  ContentStore& contents) {
  JobInUse job;
  job.id = id;
  job.manifest = std::move(manifest);
  job.threads = std::max(lent.threads, 1U);
  const std::uint64_t unit_memory = job.manifest->unit_memory_bytes;
  if (unit_memory != 0 && lent.memory_bytes != 0) {
    if (unit_memory > lent.memory_bytes) {
      job.unusable = "a unit needs " + std::to_string(unit_memory >> 20) +
                     " MiB of memory, and this worker lends " +
                     std::to_string(lent.memory_bytes >> 20) + " MiB";
    }
    job.threads = static_cast<unsigned>(
        std::clamp<std::uint64_t>(lent.memory_bytes / unit_memory, 1, job.threads));
  }
  if (job.unusable.empty()) job.unusable = find_program(job, lent, contents);
  if (job.threads < lent.threads) job.key = job.id;
  if (job.unusable.empty()) job.unusable = find_inputs(job, contents);
  return job;
}

ByteView inputs_of(const InputPack& pack, Range units) {
  const ByteView first = pack.input(units.first);
  const ByteView last = pack.input(units.last - 1);
  return {first.data(), last.data() + last.size()};
}

}  // namespace shoal
