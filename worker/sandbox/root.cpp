#include "worker/sandbox/root.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

#include "worker/sandbox/file_copy.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;

// Where the new root is put together: a folder that is there for certain. All that is taken from
// /usr has been taken before.
const std::string kAssembly = "/usr";
constexpr std::uint64_t kRootBytes = 1 << 20;  // and the program, if it must be copied
constexpr unsigned kRootFiles = 4096;
constexpr unsigned kScratchFiles = 1 << 18;

// What programs read of /etc, and says nothing about this machine or its people.
constexpr std::array kHarmlessInEtc = {"alternatives", "fonts",      "groff",    "ld.so.cache",
                                       "magic",        "mime.types", "octaverc", "openmpi",
                                       "perl",         "povray",     "R"};
// One for each version that is installed: without its settings Java has no random numbers, no
// hashes and no compiler; and ImageMagick no limits.
constexpr std::array kHarmlessOfVersions = {"ImageMagick-", "java-"};

constexpr std::array kDevices = {"null", "zero", "full", "random", "urandom"};

struct Written {
  const char* path;
  const char* text;
};
constexpr std::array kWrittenInEtc = {
    Written{"passwd", "shoal:x:1000:1000:Shoal:/scratch/work:/bin/sh\n"},
    Written{"group", "shoal:x:1000:\n"},
    Written{"hosts", "127.0.0.1 localhost shoal\n"},
    Written{"nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"},
};

std::vector<std::string> harmless_in_etc() {
  std::vector<std::string> paths;
  for (const char* name : kHarmlessInEtc) paths.push_back(std::string("/etc/") + name);
  std::error_code error;
  fs::directory_iterator at("/etc", error);
  for (const fs::directory_iterator end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    const bool harmless =
        std::any_of(kHarmlessOfVersions.begin(), kHarmlessOfVersions.end(), [&](const char* begin) {
          return name.starts_with(begin) &&
                 name.find_first_of("0123456789") == std::string_view(begin).size();
        });
    if (harmless) paths.push_back(at->path().string());
  }
  return paths;
}

// A copy of a part of the file system, which hangs nowhere yet.
struct Piece {
  int fd = -1;
  std::string target;  // below the new root
  bool folder = false;
};

Step make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return tl::unexpected(path + ": " + error.message());
  return {};
}

Step make_file(const std::string& path, std::string_view text, unsigned mode) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return step_failed(path);
  const bool whole = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  if (!whole) return step_failed(path);
  return {};
}

class Builder {
 public:
  Builder(const SandboxPolicy& policy, const OpenedFiles& opened)
      : policy_(policy), opened_(opened) {}
  ~Builder() {
    for (const Piece& piece : pieces_) ::close(piece.fd);
  }
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  Result<SandboxRoot, std::string> build();

 private:
  // Before anything is mounted: afterwards the paths may lead elsewhere.
  Step take(const std::string& path, bool device = false);
  Step take_all();
  // Where its path cannot be reached, to be copied from `fd`.
  Step take_file(const std::string& path, const std::string& target, int fd, int access);
  Step mount_root();
  Step put(const Piece& piece);
  Step put_copies();
  Step write_etc();
  Step make_scratch();
  Step enter();

  const SandboxPolicy& policy_;
  const OpenedFiles& opened_;
  struct Copy {
    int fd = -1;
    std::string target;
    std::uint64_t bytes = 0;
  };
  std::vector<Copy> copies_;
  std::vector<Piece> pieces_;
  std::vector<std::pair<std::string, std::string>> links_;  // path, and where it leads
  SandboxRoot made_;
};

Step Builder::take(const std::string& path, bool device) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) return step_failed(path);
  // With all that is mounted below: the parts of a file system that came from a more privileged
  // namespace can only be had together.
  const int fd =
      ::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
  if (fd < 0) return step_failed(path);
  pieces_.push_back({fd, path, S_ISDIR(about.st_mode)});
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID;
  if (!device) attributes.attr_set |= MOUNT_ATTR_NODEV;
  attributes.propagation = MS_PRIVATE;
  if (::mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) != 0) {
    return step_failed("making " + path + " read-only");
  }
  return {};
}

Step Builder::take_all() {
  if (auto done = take("/usr"); !done) return done;
  for (const char* name : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}) {
    const std::string path = std::string("/") + name;
    std::error_code ignored;
    if (fs::is_symlink(path, ignored)) {
      links_.emplace_back(path, fs::read_symlink(path, ignored).string());
    } else if (fs::is_directory(path, ignored)) {
      if (auto done = take(path); !done) return done;
    }
  }
  for (const std::string& path : harmless_in_etc()) {
    if (::access(path.c_str(), R_OK) != 0) continue;
    if (auto done = take(path); !done) return done;
  }
  for (const char* name : kDevices) {
    if (auto done = take(std::string("/dev/") + name, true); !done) return done;
  }
  for (std::size_t i = 0; i < policy_.read_only.size(); ++i) {
    const std::string& path = policy_.read_only[i];
    if (auto done = take_file(path, path, opened_.read_only.at(i), R_OK); !done) return done;
  }
  return take_file(policy_.program, kSandboxProgram, opened_.program, R_OK | X_OK);
}

Step Builder::take_file(const std::string& path, const std::string& target, int fd, int access) {
  struct stat about {};
  if (fd >= 0 && ::access(path.c_str(), access) != 0 && ::fstat(fd, &about) == 0 &&
      S_ISREG(about.st_mode)) {
    copies_.push_back({fd, target, static_cast<std::uint64_t>(about.st_size)});
    return {};
  }
  auto done = take(path);
  if (done) pieces_.back().target = target;
  return done;
}

Step Builder::mount_root() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return step_failed("making the mounts private");
  }
  std::uint64_t bytes = kRootBytes;
  for (const Copy& copy : copies_) bytes += copy.bytes;
  const std::string options =
      "mode=755,size=" + std::to_string(bytes) + ",nr_inodes=" + std::to_string(kRootFiles);
  if (::mount("shoal", kAssembly.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    return step_failed("mounting the root");
  }
  return {};
}

Step Builder::put(const Piece& piece) {
  const std::string path = kAssembly + piece.target;
  if (auto done = make_folder(piece.folder ? path : fs::path(path).parent_path().string()); !done) {
    return done;
  }
  if (!piece.folder) {
    if (auto done = make_file(path, {}, 0444); !done) return done;
  }
  if (::move_mount(piece.fd, "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return step_failed("mounting " + piece.target);
  }
  made_.mounts.push_back(piece.target);
  return {};
}

Step Builder::put_copies() {
  for (const Copy& copy : copies_) {
    const std::string path = kAssembly + copy.target;
    if (auto done = make_folder(fs::path(path).parent_path().string()); !done) return done;
    if (auto done = copy_file(path, copy.fd, copy.bytes); !done) return done;
    // It may lie below /tmp, in which the program may write, and belongs to its user.
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    if (::mount(path.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0 ||
        ::mount_setattr(AT_FDCWD, path.c_str(), 0, &attributes, sizeof attributes) != 0) {
      return step_failed("making " + copy.target + " read-only");
    }
    made_.mounts.push_back(copy.target);
  }
  return {};
}

Step Builder::write_etc() {
  if (auto done = make_folder(kAssembly + "/etc"); !done) return done;
  for (const Written& file : kWrittenInEtc) {
    if (auto done = make_file(kAssembly + "/etc/" + file.path, file.text, 0444); !done) return done;
  }
  return {};
}

Step Builder::make_scratch() {
  const std::string scratch = kAssembly + "/scratch";
  if (auto done = make_folder(scratch); !done) return done;
  const std::string options = "mode=755,size=" + std::to_string(policy_.scratch_bytes) +
                              ",nr_inodes=" + std::to_string(kScratchFiles);
  unsigned long flags = MS_NOSUID | MS_NODEV;
  if (policy_.kind == SandboxKind::kWasm) flags |= MS_NOEXEC;
  if (::mount("scratch", scratch.c_str(), "tmpfs", flags, options.c_str()) != 0) {
    return step_failed("mounting the scratch folder");
  }
  made_.mounts.emplace_back("/scratch");
  if (auto done = make_folder(scratch + "/work"); !done) return done;
  // Folders rather than links, since what may be read may lie below them.
  for (const auto& [part, place] : {std::pair{"/tmp", "/tmp"}, std::pair{"/shm", "/dev/shm"}}) {
    for (const std::string& folder : {scratch + part, kAssembly + place}) {
      if (auto done = make_folder(folder); !done) return done;
    }
    if (::mount((scratch + part).c_str(), (kAssembly + place).c_str(), nullptr, MS_BIND, nullptr) !=
        0) {
      return step_failed(std::string("mounting ") + place);
    }
    made_.mounts.emplace_back(place);
  }
  links_.emplace_back("/var/tmp", "../tmp");
  // Scripts write to them, and hand them to programs that want the name of a file.
  links_.emplace_back("/dev/fd", "/proc/self/fd");
  links_.emplace_back("/dev/stdin", "/proc/self/fd/0");
  links_.emplace_back("/dev/stdout", "/proc/self/fd/1");
  links_.emplace_back("/dev/stderr", "/proc/self/fd/2");
  return {};
}

Step Builder::enter() {
  for (const auto& [path, target] : links_) {
    if (auto done = make_folder(fs::path(kAssembly + path).parent_path().string()); !done) {
      return done;
    }
    if (::symlink(target.c_str(), (kAssembly + path).c_str()) != 0) return step_failed(path);
  }
  if (auto done = make_folder(kAssembly + "/proc"); !done) return done;
  // Before the old root goes: the kernel gives a new /proc only to who sees a whole one.
  made_.proc = ::mount("proc", (kAssembly + "/proc").c_str(), "proc",
                       MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, nullptr) == 0;
  if (made_.proc) made_.mounts.emplace_back("/proc");
  if (::chdir(kAssembly.c_str()) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0 ||
      ::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0) {
    return step_failed("changing the root");
  }
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (::mount_setattr(AT_FDCWD, "/", 0, &attributes, sizeof attributes) != 0) {
    return step_failed("making the root read-only");
  }
  return {};
}

Result<SandboxRoot, std::string> Builder::build() {
  ::umask(022);
  if (auto done = take_all(); !done) return tl::unexpected(done.error());
  if (auto done = mount_root(); !done) return tl::unexpected(done.error());
  if (auto done = make_scratch(); !done) return tl::unexpected(done.error());
  for (const Piece& piece : pieces_) {
    if (auto done = put(piece); !done) return tl::unexpected(done.error());
  }
  for (const auto step : {&Builder::put_copies, &Builder::write_etc, &Builder::enter}) {
    if (auto done = (this->*step)(); !done) return tl::unexpected(done.error());
  }
  return std::move(made_);
}

}  // namespace

Result<SandboxRoot, std::string> build_root(const SandboxPolicy& policy,
                                            const OpenedFiles& opened) {
  return Builder(policy, opened).build();
}

Step empty_root(const SandboxRoot& root) {
  for (auto mount = root.mounts.rbegin(); mount != root.mounts.rend(); ++mount) {
    if (::umount2(mount->c_str(), MNT_DETACH) != 0) return step_failed("taking away " + *mount);
  }
  return {};
}

}  // namespace shoal
