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
// So much in all is copied for each unit: a link to a file that all have would be a way to change
// it under a unit that runs at the same time.
constexpr std::uint64_t kOwnBytes = 1 << 20;
// A folder with no more in it is every unit's own, at some microseconds an entry. A larger one is
// one for all of them, in which none can write.
constexpr std::size_t kOwnEntries = 1024;

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

// A program of the same user can take away the protection of a file that is its own, or write to
// it through a link of its own.
bool is_unchanged(const fs::path& path, std::uint64_t bytes, mode_t mode) {
  struct stat about {};
  return ::lstat(path.c_str(), &about) == 0 && about.st_mode == (S_IFREG | mode) &&
         static_cast<std::uint64_t>(about.st_size) == bytes && about.st_mtim.tv_sec == kFileTime &&
         about.st_mtim.tv_nsec == 0;
}

}  // namespace

// The worker has checked the content against its id; the listing keeps within the folder.
Done InputLayout::unpack(Source& source, const fs::path& content) {
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
  if (!fs::create_directory(source.path, error)) return trouble(source.path, error);
  std::uint64_t first = *head;
  for (const FolderEntry& entry : *listing) {
    const fs::path path = source.path / entry.path;
    const mode_t mode = entry.kind == FolderEntryKind::kProgram ? kProgramMode : kFileMode;
    Done done;
    switch (entry.kind) {
      case FolderEntryKind::kFile:
      case FolderEntryKind::kProgram:
        done = write_file(path, bytes.subspan(first, entry.bytes), mode);
        source.parts.push_back({entry.path, content, first, entry.bytes, mode});
        first += entry.bytes;
        break;
      case FolderEntryKind::kFolder:
        fs::create_directory(path, error);
        source.folders.push_back(entry.path);
        break;
      case FolderEntryKind::kLink:
        fs::create_symlink(entry.target, path, error);
        source.links.emplace_back(entry.path, entry.target);
        break;
    }
    if (!done) return done;
    if (error) return trouble(path, error);
  }
  source.whole = listing->size() > kOwnEntries;
  if (!source.whole) return {};
  for (const std::string& folder : source.folders) {
    ::chmod((source.path / folder).c_str(), kProgramMode);
  }
  ::chmod(source.path.c_str(), kProgramMode);
  return {};
}

Result<InputLayout, std::string> InputLayout::make(std::vector<ProgramFile> files,
                                                   const std::vector<fs::path>& contents,
                                                   const fs::path& shared) {
  InputLayout layout;
  std::uint64_t linked = 0;
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
    Source source{file, content};
    if (file.folder) {
      source.path = copy;
      if (auto done = unpack(source, content); !done) return failed(done.error());
    } else {
      auto mapped = Mapped::open(content);
      if (!mapped) return failed(mapped.error());
      const std::uint64_t bytes = mapped->view().size();
      if (bytes <= kCopiedBytes) {
        const mode_t mode = file.executable ? kProgramMode : kFileMode;
        auto done = write_file(copy, mapped->view(), mode);
        if (!done) return failed(done.error());
        source.path = copy;
        source.parts.push_back({{}, content, 0, bytes, mode});
        source.whole = false;
      }
    }
    if (!file.folder) layout.files_.insert(file.path);
    if (file.folder && !source.whole) {
      for (const Part& part : source.parts) layout.files_.insert(file.path + "/" + part.path);
    }
    if (!source.whole) {
      for (const Part& part : source.parts) linked += part.bytes;
    }
    layout.sources_.push_back(std::move(source));
  }
  layout.copies_ = linked <= kOwnBytes;
  return layout;
}

Done InputLayout::put_part(const Part& part, const fs::path& shared, const fs::path& path) const {
  if (copies_) {
    auto mapped = Mapped::open(part.content);
    if (!mapped) return tl::unexpected(mapped.error());
    return write_file(path, mapped->view().subspan(part.first, part.bytes), part.mode);
  }
  if (!is_unchanged(shared, part.bytes, part.mode)) {
    const std::lock_guard lock(*mending_);
    if (!is_unchanged(shared, part.bytes, part.mode)) {
      auto mapped = Mapped::open(part.content);
      if (!mapped) return tl::unexpected(mapped.error());
      ::unlink(shared.c_str());
      auto done = write_file(shared, mapped->view().subspan(part.first, part.bytes), part.mode);
      if (!done) return done;
    }
  }
  std::error_code error;
  fs::create_hard_link(shared, path, error);
  if (error) {
    error.clear();
    fs::create_symlink(shared, path, error);
  }
  if (error) return trouble(path, error);
  return {};
}

Done InputLayout::lay_out(const Source& source, const fs::path& path) const {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) return trouble(path, error);
  if (source.whole) fs::create_symlink(source.path, path, error);
  if (error || source.whole) return error ? Done(trouble(path, error)) : Done();
  if (!source.file.folder) return put_part(source.parts.front(), source.path, path);
  fs::create_directory(path, error);
  for (const std::string& folder : source.folders) {
    if (!error) fs::create_directory(path / folder, error);
  }
  for (const auto& [link, target] : source.links) {
    if (!error) fs::create_symlink(target, path / link, error);
  }
  if (error) return trouble(path, error);
  for (const Part& part : source.parts) {
    if (auto done = put_part(part, source.path / part.path, path / part.path); !done) return done;
  }
  return {};
}

Done InputLayout::lay_out(const fs::path& work) const {
  for (const Source& source : sources_) {
    if (auto done = lay_out(source, work / source.file.path); !done) return done;
  }
  return {};
}

}  // namespace shoal
