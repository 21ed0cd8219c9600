#include "node/state/key_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>

#include "node/protocol/ids.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kKeyFileBytesMax = 4096;
constexpr const char* kLockName = "lock";

// Closes on every way out.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

std::string advice(int error) {
  switch (error) {
    case EACCES:
    case EPERM:
      return "give yourself the permission, or choose another state folder";
    case EROFS:
      return "that file system is mounted read-only: choose a state folder elsewhere";
    case ENOSPC:
    case EDQUOT:
      return "free some space there, or choose a state folder elsewhere";
    case ENOENT:
      return "create it first, or name another path";
    case ENOTDIR:
      return "a part of the path is a file, not a folder: name another path";
    case EISDIR:
      return "that is a folder: name a file";
    default:
      return "see whether the disk is in order, or choose another state folder";
  }
}

StateFault fault_of(int error) {
  switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
      return StateFault::kNotAllowed;
    case ENOSPC:
    case EDQUOT:
      return StateFault::kDiskFull;
    case ENOENT:
      return StateFault::kMissing;
    case EEXIST:
      return StateFault::kExists;
    default:
      return StateFault::kSystem;
  }
}

StateError system_error(const std::string& doing, const fs::path& path, int error) {
  return {fault_of(error), "cannot " + doing + " " + path.string() + " (" +
                               std::generic_category().message(error) + "); " + advice(error)};
}

tl::unexpected<StateError> failed(const std::string& doing, const fs::path& path, int error) {
  return tl::unexpected(system_error(doing, path, error));
}

int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(fd, text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return 0;
}

// A name in the same folder that no other process uses, so that two writers never mix their bytes.
fs::path temporary_beside(const fs::path& file) {
  return file.string() + ".new." + std::to_string(::getpid());
}

fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

// The new name itself must survive a power cut, not only the bytes.
Result<void, StateError> sync_folder(const fs::path& folder) {
  Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return failed("open", folder, errno);
  // Some file systems cannot sync a folder and say EINVAL; they keep names on their own.
  if (::fsync(fd.get()) != 0 && errno != EINVAL) return failed("write to", folder, errno);
  return {};
}

Result<void, StateError> write_new(const fs::path& file, std::string_view text, unsigned mode) {
  ::unlink(file.c_str());  // left over by a process of the same number that was killed
  Descriptor fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (fd.get() < 0) return failed("create", file, errno);
  int error = ::fchmod(fd.get(), mode) == 0 ? 0 : errno;  // whatever the umask is
  if (error == 0) error = write_all(fd.get(), text);
  if (error == 0 && ::fsync(fd.get()) != 0) error = errno;
  if (error == 0) return {};
  ::unlink(file.c_str());
  return failed("write", file, error);
}

StateError not_a_key(const fs::path& file) {
  return {StateFault::kNotAKey,
          file.string() +
              " does not hold a key (64 hexadecimal digits); bring back a copy of it, or move it "
              "away and let a new one be made: the node will then be another node"};
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kWhite = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kWhite);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kWhite) - first + 1);
}

}  // namespace

KeyPair new_key() {
  std::array<std::uint8_t, KeyPair::kSeedBytes> seed{};
  ssize_t got = 0;
  do {
    got = ::getrandom(seed.data(), seed.size(), 0);
  } while (got < 0 && errno == EINTR);
  check(got == static_cast<ssize_t>(seed.size()), "the kernel gives no random bytes");
  return KeyPair(seed);
}

Result<KeyPair, StateError> load_key(const fs::path& file) {
  auto text = read_text_file(file, kKeyFileBytesMax);
  if (!text) return tl::unexpected(std::move(text).error());
  struct stat about {};
  if (::stat(file.c_str(), &about) != 0) return failed("read", file, errno);
  if ((about.st_mode & 077) != 0) {
    return tl::unexpected(
        StateError{StateFault::kTooOpen, "others can read the key " + file.string() +
                                             "; take that away with: chmod 600 " + file.string()});
  }
  const auto bytes = from_hex(trimmed(*text), KeyPair::kSeedBytes);
  if (!bytes) return tl::unexpected(not_a_key(file));
  std::array<std::uint8_t, KeyPair::kSeedBytes> seed{};
  std::copy(bytes->begin(), bytes->end(), seed.begin());
  return KeyPair(seed);
}

Result<void, StateError> store_key(const fs::path& file, const KeyPair& key) {
  const fs::path temporary = temporary_beside(file);
  auto written = write_new(temporary, to_hex(ByteView(key.seed())) + "\n", 0600);
  if (!written) return written;
  // link() refuses where the name is taken, in one step; rename() would overwrite.
  const int error = ::link(temporary.c_str(), file.c_str()) == 0 ? 0 : errno;
  ::unlink(temporary.c_str());
  if (error == EEXIST) {
    return tl::unexpected(
        StateError{StateFault::kExists, "there is a key in " + file.string() +
                                            " already, and it is never overwritten; move it away "
                                            "if it is not wanted"});
  }
  if (error != 0) return failed("create", file, error);
  return sync_folder(folder_of(file));
}

Result<LoadedKey, StateError> load_or_create_key(const fs::path& file) {
  auto there = load_key(file);
  if (there) return LoadedKey{*there, false};
  if (there.error().fault != StateFault::kMissing) return tl::unexpected(there.error());
  KeyPair key = new_key();
  auto stored = store_key(file, key);
  if (stored) return LoadedKey{key, true};
  if (stored.error().fault != StateFault::kExists) return tl::unexpected(stored.error());
  there = load_key(file);  // another process was quicker
  if (!there) return tl::unexpected(there.error());
  return LoadedKey{*there, false};
}

Result<std::string, StateError> read_text_file(const fs::path& file, std::size_t bytes_max) {
  Descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return failed("read", file, errno);
  std::string text;
  std::array<char, 4096> part{};
  while (true) {
    const ssize_t got = ::read(fd.get(), part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("read", file, errno);
    if (got == 0) return text;
    text.append(part.data(), static_cast<std::size_t>(got));
    if (text.size() > bytes_max) {
      return tl::unexpected(StateError{
          StateFault::kSystem, file.string() + " is larger than " + std::to_string(bytes_max) +
                                   " bytes, so it cannot be what was meant; name another file"});
    }
  }
}

Result<void, StateError> write_text_file(const fs::path& file, std::string_view text,
                                         unsigned mode) {
  const fs::path temporary = temporary_beside(file);
  auto written = write_new(temporary, text, mode);
  if (!written) return written;
  if (::rename(temporary.c_str(), file.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return failed("replace", file, error);
  }
  return sync_folder(folder_of(file));
}

FolderLock::FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FolderLock& FolderLock::operator=(FolderLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

// The file stays: removing it would let a third process lock a new file of the same name while a
// second still waits on the old one.
FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void, StateError> make_private_folder(const fs::path& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return {};
  const fs::path bare = folder.has_filename() ? folder : folder.parent_path();  // of "state/"
  fs::create_directories(folder_of(bare), error);
  if (error) return failed("create", folder, error.value());
  // Closed from the beginning: what a umask allows for a moment is enough for others to get in.
  if (::mkdir(bare.c_str(), 0700) == 0) return {};
  // Another process may have been quicker.
  const int made = errno;
  if (made == EEXIST && fs::is_directory(bare, error)) return {};
  return failed("create", folder, made);
}

Result<FolderLock, StateError> lock_folder(const fs::path& folder) {
  if (auto made = make_private_folder(folder); !made) return tl::unexpected(made.error());
  const fs::path file = folder / kLockName;
  Descriptor fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (fd.get() < 0) {
    const int why = errno;
    // As a rule a process of root's made it, and other files too.
    if (why == EACCES && ::faccessat(AT_FDCWD, file.c_str(), F_OK, AT_EACCESS) == 0) {
      return tl::unexpected(StateError{
          StateFault::kNotAllowed, file.string() +
                                       " belongs to another user, who has used this folder; give "
                                       "all of it back to this one (chown -R), or choose another "
                                       "state folder"});
    }
    return failed("write to", folder, why);
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failed("lock", file, errno);
    const auto holder = read_text_file(file, kKeyFileBytesMax);
    const std::string who = holder ? std::string(trimmed(*holder)) : std::string();
    return tl::unexpected(StateError{
        StateFault::kLocked, folder.string() + " is in use by another process" +
                                 (who.empty() ? std::string() : " (" + who + ")") +
                                 "; stop that one, or give this one a state folder of its own"});
  }
  const std::string who = "process " + std::to_string(::getpid()) + "\n";
  // Writing proves at once, not hours later, that the folder can be written.
  int failure = ::ftruncate(fd.get(), 0) == 0 ? 0 : errno;
  if (failure == 0) failure = write_all(fd.get(), who);
  if (failure != 0) return failed("write to", folder, failure);
  return FolderLock(fd.release());
}

}  // namespace shoal
