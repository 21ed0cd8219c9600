#include "sdk/src/job_book.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <set>
#include <sstream>
#include <system_error>
#include <utility>

#include "node/protocol/limits.h"
#include "node/protocol/terms.h"

namespace shoal {
namespace {

constexpr std::size_t kSignedHeader = 32 + 64;
constexpr std::string_view kManifestEnding = ".manifest";
constexpr std::string_view kStewardEnding = ".steward";
constexpr std::string_view kTermsEnding = ".terms";

StateError trouble(const std::filesystem::path& file, int error) {
  StateFault fault = StateFault::kSystem;
  std::string advice;
  if (error == EACCES || error == EPERM || error == EROFS) {
    fault = StateFault::kNotAllowed;
    advice = " Make the folder writable, or set XDG_STATE_HOME to one that is.";
  } else if (error == ENOSPC || error == EDQUOT) {
    fault = StateFault::kDiskFull;
    advice = " Free some space there.";
  }
  return {fault, "Cannot write " + file.string() + ": " + std::strerror(error) + "." + advice};
}

void sync_path(const std::filesystem::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

std::filesystem::path JobBook::file(const JobId& job, std::string_view ending) const {
  return folder_ / (to_hex(job) + std::string(ending));
}

Result<void, StateError> JobBook::write(const std::filesystem::path& target,
                                        std::string_view bytes) {
  static std::atomic<unsigned> counter{0};
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) return tl::unexpected(trouble(folder_, error.value()));
  std::filesystem::path temporary = target;
  temporary += "." + std::to_string(getpid()) + "-" + std::to_string(counter++) + ".tmp";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return tl::unexpected(trouble(temporary, errno));
  const bool written = write_all(fd, bytes);
  const int write_error = errno;
  close(fd);
  if (!written) {
    unlink(temporary.c_str());
    return tl::unexpected(trouble(target, write_error));
  }
  if (rename(temporary.c_str(), target.c_str()) != 0) {
    const int rename_error = errno;
    unlink(temporary.c_str());
    return tl::unexpected(trouble(target, rename_error));
  }
  unsettled_.push_back(target);
  return {};
}

Result<void, StateError> JobBook::remember(const JobId& job, const Signed& manifest) {
  std::string bytes;
  bytes.reserve(kSignedHeader + manifest.body.size());
  bytes += as_text(manifest.signer.view());
  bytes += as_text(manifest.signature.bytes);
  bytes += as_text(manifest.body);
  return write(file(job, kManifestEnding), bytes);
}

Result<void, StateError> JobBook::remember_stewards(const JobId& job,
                                                    const std::vector<Ticket::Door>& stewards,
                                                    const TermChain& terms) {
  std::string lines;
  for (const Ticket::Door& steward : stewards) {
    lines += to_hex(steward.node) + " " + steward.endpoint + "\n";
  }
  if (auto written = write(file(job, kStewardEnding), lines); !written) return written;
  return write(file(job, kTermsEnding), as_text(encode_chain(job, terms)));
}

JobBook::Entry JobBook::find(const JobId& job) const {
  Entry entry{job, std::nullopt, {}, {}};
  if (const auto text =
          read_text_file(file(job, kManifestEnding), kSignedHeader + limits::kManifestBytes);
      text && text->size() > kSignedHeader) {
    const ByteView bytes = as_bytes(*text);
    Signed manifest;
    manifest.signer = *NodeId::from_bytes(bytes.subspan(0, 32));
    std::copy_n(bytes.begin() + 32, 64, manifest.signature.bytes.begin());
    manifest.body = to_bytes(bytes.subspan(kSignedHeader));
    if (job_id_of(manifest.body) == job) entry.manifest = std::move(manifest);
  }
  if (const auto text = read_text_file(file(job, kStewardEnding), limits::kTextBytes)) {
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string node, endpoint;
      words >> node >> endpoint;
      if (const auto id = id_from_hex<NodeId>(node)) entry.stewards.push_back({*id, endpoint});
    }
  }
  if (const auto text = read_text_file(file(job, kTermsEnding), limits::kMessageBytes)) {
    if (auto terms = decode_chain(as_bytes(*text))) entry.terms = std::move(*terms);
  }
  return entry;
}

std::vector<JobId> JobBook::matching(std::string_view hex_prefix) const {
  std::vector<JobId> found;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder_, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.size() != 64 + kManifestEnding.size() || !name.ends_with(kManifestEnding) ||
        !name.starts_with(hex_prefix)) {
      continue;
    }
    if (const auto id = id_from_hex<JobId>(std::string_view(name).substr(0, 64))) {
      found.push_back(*id);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

void JobBook::forget(const JobId& job) {
  unlink(file(job, kManifestEnding).c_str());
  unlink(file(job, kStewardEnding).c_str());
  unlink(file(job, kTermsEnding).c_str());
}

void JobBook::settle(const std::vector<std::filesystem::path>& files) {
  std::set<std::filesystem::path> folders;
  for (const auto& path : files) {
    sync_path(path);
    folders.insert(path.parent_path());
  }
  for (const auto& folder : folders) sync_path(folder);
}

}  // namespace shoal
