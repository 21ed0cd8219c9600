#include "bench/synced_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace shoal::bench {
namespace {

constexpr std::size_t kWriteBytes = 4096;

}  // namespace

Result<SyncedFile, std::string> SyncedFile::open(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return tl::unexpected(path.string() + ": " + std::strerror(errno));
  return SyncedFile(fd);
}

SyncedFile::~SyncedFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<double, std::string> SyncedFile::sync_ms() const {
  const std::array<char, kWriteBytes> page{};
  const auto start = std::chrono::steady_clock::now();
  if (::write(fd_, page.data(), page.size()) != static_cast<ssize_t>(page.size()) ||
      ::fdatasync(fd_) != 0) {
    return tl::unexpected(std::string("the disk does not take 4 KiB: ") + std::strerror(errno));
  }
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  return took.count();
}

}  // namespace shoal::bench
