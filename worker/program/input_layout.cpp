#include "worker/program/input_layout.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>

#include "node/content/store/folder_listing.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using Done = Result<void, std::string>;

// Scripts and settings, which look for what lies beside them; data above this is linked to.
constexpr std::uint64_t kCopiedBytes = 16 << 20;
constexpr mode_t kFileMode = 0444;
constexpr time_t kFileTime = 315'532'800;  // that of SOURCE_DATE_EPOCH
constexpr mode_t kProgramMode = 0555;

tl::unexpected<std::string> trouble(const fs::path& path, const std::error_code& error) {
  return tl::unexpected(path.string() + ": " + error.message());
}

std::error_code last_error() { return {errno, std::generic_category()}; }

class Mapped {
 public:
  static Result<Mapped, std::string> open(const fs::path& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return trouble(path, last_error());
    struct stat about {};
    void* memory = nullptr;
    const bool sized = ::fstat(fd, &about) == 0;
    const auto size = static_cast<std::size_t>(about.st_size);
    if (sized && size > 0) memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    const std::error_code error = last_error();
    ::close(fd);
    if (!sized || memory == MAP_FAILED) return trouble(path, error);
    return Mapped({static_cast<const std::uint8_t*>(memory), size});
  }
  ~Mapped() {
    if (!bytes_.empty()) ::munmap(const_cast<std::uint8_t*>(bytes_.data()), bytes_.size());
  }
  Mapped(Mapped&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  Mapped& operator=(Mapped&&) = delete;
  ByteView view() const { return bytes_; }

 private:
  explicit Mapped(ByteView bytes) : bytes_(bytes) {}
  ByteView bytes_;
};

Done write_file(const fs::path& path, ByteView bytes, mode_t mode) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return trouble(path, last_error());
  std::error_code error;
  while (!bytes.empty() && !error) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      error = last_error();
    } else {
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }
  // The umask must not decide what programs may do, nor the moment what archives of theirs say.
  const timespec times[2] = {{kFileTime, 0}, {kFileTime, 0}};
  if (!error && (::fchmod(fd, mode) != 0 || ::futimens(fd, times) != 0)) error = last_error();
  ::close(fd);
  if (error) return trouble(path, error);
  return {};
}

// The worker has checked the content against its id; the listing keeps within the folder.
Done unpack(const fs::path& content, const fs::path& target) {
  auto mapped = Mapped::open(content);
  if (!mapped) return tl::unexpected(mapped.error());
  const ByteView bytes = mapped->view();
  const auto head = listing_bytes(bytes.first(std::min(bytes.size(), kFolderHeaderBytes)));
  if (!head || *head > bytes.size()) return tl::unexpected(std::string("it is no packed folder"));
  const auto listing = decode_listing(bytes.first(*head));
  if (!listing) return tl::unexpected(listing.error());
  if (content_bytes(*listing) != bytes.size()) {
    return tl::unexpected(std::string("its listing does not fit its size"));
  }
  std::error_code error;
  if (!fs::create_directory(target, error)) return trouble(target, error);
  ByteView left = bytes.subspan(*head);
  for (const FolderEntry& entry : *listing) {
    const fs::path path = target / entry.path;
    Done done;
    switch (entry.kind) {
      case FolderEntryKind::kFile:
      case FolderEntryKind::kProgram:
        done = write_file(path, left.first(entry.bytes),
                          entry.kind == FolderEntryKind::kProgram ? kProgramMode : kFileMode);
        left = left.subspan(entry.bytes);
        break;
      case FolderEntryKind::kFolder:
        fs::create_directory(path, error);
        break;
      case FolderEntryKind::kLink:
        fs::create_symlink(entry.target, path, error);
        break;
    }
    if (!done) return done;
    if (error) return trouble(path, error);
  }
  return {};
}

}  // namespace

Result<InputLayout, std::string> InputLayout::make(std::vector<ProgramFile> files,
                                                   const std::vector<fs::path>& contents,
                                                   const fs::path& shared) {
  InputLayout layout;
  std::error_code error;
  fs::create_directories(shared, error);
  if (error) return trouble(shared, error);
  for (ProgramFile& file : files) {
    const auto failed = [&](const std::string& why) {
      return tl::unexpected("the input " + file.path + " cannot be laid out: " + why);
    };
    if (file.content >= contents.size()) return failed("the job does not bring it");
    const fs::path& content = contents[file.content];
    const fs::path copy = shared / std::to_string(layout.sources_.size());
    Source source{file, content, false};
    if (file.folder) {
      if (auto done = unpack(content, copy); !done) return failed(done.error());
      source.path = copy;
    } else {
      auto mapped = Mapped::open(content);
      if (!mapped) return failed(mapped.error());
      if (mapped->view().size() <= kCopiedBytes) {
        auto done = write_file(copy, mapped->view(), file.executable ? kProgramMode : kFileMode);
        if (!done) return failed(done.error());
        source.path = copy;
        source.hard_link = true;
      }
    }
    layout.sources_.push_back(std::move(source));
  }
  return layout;
}

Result<void, std::string> InputLayout::lay_out(const fs::path& work) const {
  for (const Source& source : sources_) {
    const fs::path path = work / source.file.path;
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (error) return trouble(path, error);
    if (source.hard_link) {
      fs::create_hard_link(source.path, path, error);
      if (!error) continue;
      error.clear();
    }
    fs::create_symlink(source.path, path, error);
    if (error) return trouble(path, error);
  }
  return {};
}

}  // namespace shoal
