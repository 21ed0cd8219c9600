#include "node/content/store/file_io.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace shoal {

namespace {

StoreFault fault_of(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:  // the limit on a file's size, by the file system or for this process
      return StoreFault::kDiskFull;
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOTDIR:
      return StoreFault::kNotWritable;
    case ENOENT:
      return StoreFault::kMissing;
    case EIO:
      return StoreFault::kCorrupt;
    default:
      return StoreFault::kSystem;
  }
}

const char* advice_for(StoreFault fault) {
  switch (fault) {
    case StoreFault::kDiskFull:
      return "the disk is full: free some space there, or choose another folder";
    case StoreFault::kNotWritable:
      return "this folder cannot be written: give yourself the permission, see whether it is "
             "mounted read-only, or choose another folder";
    case StoreFault::kMissing:
      return "see whether the path is right";
    case StoreFault::kCorrupt:
      return "the disk reports errors: see its health, and choose another one";
    case StoreFault::kRefused:
    case StoreFault::kSystem:
      return "see whether the disk is in order, or choose another folder";
  }
  return "";
}

}  // namespace

OpenFile::OpenFile(OpenFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

OpenFile& OpenFile::operator=(OpenFile&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void OpenFile::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

StoreError store_error(const std::string& doing, const std::filesystem::path& path, int error) {
  const StoreFault fault = fault_of(error);
  return {fault, "cannot " + doing + " " + path.string() + " (" +
                     std::generic_category().message(error) + "); " + advice_for(fault)};
}

StoreError not_read(const std::filesystem::path& path, int error) {
  if (error == EACCES || error == EPERM) {
    return {StoreFault::kNotWritable, "not allowed to read " + path.string()};
  }
  return store_error("read", path, error);
}

OpenFile open_file(const std::filesystem::path& path, int flags, unsigned mode) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return OpenFile(fd);
}

int write_all_at(int fd, ByteView bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errno;
    if (wrote == 0) return ENOSPC;
    bytes = bytes.subspan(static_cast<std::size_t>(wrote));
    offset += static_cast<std::uint64_t>(wrote);
  }
  return 0;
}

int read_all_at(int fd, std::span<std::uint8_t> into, std::uint64_t offset, std::size_t& got) {
  got = 0;
  while (got < into.size()) {
    const ssize_t read =
        ::pread(fd, into.data() + got, into.size() - got, static_cast<off_t>(offset + got));
    if (read < 0 && errno == EINTR) continue;
    if (read < 0) return errno;
    if (read == 0) break;
    got += static_cast<std::size_t>(read);
  }
  return 0;
}

int sync_folder(const std::filesystem::path& folder) {
  const OpenFile file = open_file(folder, O_RDONLY | O_DIRECTORY);
  if (!file) return errno;
  // Some file systems cannot sync a folder and say EINVAL; they keep names on their own.
  if (::fsync(file.get()) != 0 && errno != EINVAL) return errno;
  return 0;
}

}  // namespace shoal
