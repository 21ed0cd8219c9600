#include "tests/cluster/small_disk.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

namespace shoal::cluster {
namespace {

constexpr const char* kBallast = "ballast";

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

SmallDisk::SmallDisk(const std::filesystem::path& folder, std::uint64_t bytes) : folder_(folder) {
  std::filesystem::create_directories(folder_);
  const std::string options = "mode=700,size=" + std::to_string(bytes);
  if (::mount("tmpfs", folder_.c_str(), "tmpfs", 0, options.c_str()) != 0) fail(folder_);
}

// Lazily: a worker that is just being killed may still hold files in it.
SmallDisk::~SmallDisk() { ::umount2(folder_.c_str(), MNT_DETACH); }

void SmallDisk::fill() {
  const int fd =
      ::open((folder_ / kBallast).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) fail(folder_ / kBallast);
  const std::string piece(65536, 'x');
  // The last write may be a short one, or none where the worker took the rest.
  while (::write(fd, piece.data(), piece.size()) > 0) {
  }
  ::close(fd);
}

void SmallDisk::free() { std::filesystem::remove(folder_ / kBallast); }

}  // namespace shoal::cluster
