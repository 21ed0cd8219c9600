#include "node/content/store/folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "node/content/store/block_roots.h"
#include "node/content/store/file_io.h"

namespace shoal {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kPieceBytes = 256 * 1024;

tl::unexpected<StoreError> failed(const std::string& doing, const fs::path& path, int error) {
  return tl::unexpected(store_error(doing, path, error));
}

tl::unexpected<StoreError> refuse(std::string what) {
  return tl::unexpected(StoreError{StoreFault::kRefused, std::move(what)});
}

// --- into the store ---

Result<FolderEntry, StoreError> entry_of(const fs::path& root, const fs::path& path) {
  struct stat about {};
  if (::lstat(path.c_str(), &about) != 0) return tl::unexpected(not_read(path, errno));
  FolderEntry entry;
  entry.path = path.lexically_relative(root).string();
  if (S_ISREG(about.st_mode)) {
    const bool program = (about.st_mode & S_IXUSR) != 0;
    entry.kind = program ? FolderEntryKind::kProgram : FolderEntryKind::kFile;
    entry.bytes = static_cast<std::uint64_t>(about.st_size);
  } else if (S_ISDIR(about.st_mode)) {
    entry.kind = FolderEntryKind::kFolder;
  } else if (S_ISLNK(about.st_mode)) {
    std::error_code error;
    entry.kind = FolderEntryKind::kLink;
    entry.target = fs::read_symlink(path, error).string();
    if (error) return failed("read", path, error.value());
  } else {
    return refuse(printable(path.string()) +
                  " is neither a file nor a folder, and cannot be part of a content; leave it out");
  }
  return entry;
}

Result<FolderListing, StoreError> list(const fs::path& root) {
  FolderListing listing;
  std::error_code error;
  fs::recursive_directory_iterator it(root, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    auto entry = entry_of(root, it->path());
    if (!entry) return tl::unexpected(std::move(entry.error()));
    listing.push_back(std::move(*entry));
    if (listing.size() > kFolderEntriesMax) break;  // flaw_of() says it
  }
  if (error) {
    // What could not be gone into is the last that was listed.
    const bool within = !listing.empty() && listing.back().kind == FolderEntryKind::kFolder;
    return tl::unexpected(not_read(within ? root / listing.back().path : root, error.value()));
  }
  std::sort(listing.begin(), listing.end(),
            [](const FolderEntry& a, const FolderEntry& b) { return a.path < b.path; });
  if (auto flaw = flaw_of(listing)) {
    return refuse("the folder " + printable(root.string()) + " cannot be a content: " + *flaw +
                  "; change that, or leave it out");
  }
  return listing;
}

// Its bytes must be as many as the listing, which is written already, says.
Result<void, StoreError> append_file(ContentWriter& writer, const fs::path& path,
                                     std::uint64_t length, Bytes& piece) {
  // O_NOFOLLOW and O_NONBLOCK: it may have become a link or a pipe since it was listed.
  const OpenFile in = open_file(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  if (!in) return tl::unexpected(not_read(path, errno));
  std::uint64_t read = 0;
  for (std::size_t got = piece.size(); got == piece.size() && writer.goes_on();) {
    const int error = read_all_at(in.get(), piece, read, got);
    if (error != 0) return failed("read", path, error);
    read += got;
    if (read > length) break;
    writer.append(ByteView(piece).first(got));
  }
  if (read == length || !writer.goes_on()) return {};
  return refuse(printable(path.string()) + " changed while it was read; try again when it rests");
}

// --- out of the store ---

// The bytes of a content from its begin to its end, hashed on their way.
class CheckedReader {
 public:
  static Result<CheckedReader, StoreError> open(const ContentStore& store, const ContentId& id) {
    auto path = store.path_of(id);
    if (!path) return tl::unexpected(std::move(path.error()));
    OpenFile file = open_file(*path, O_RDONLY);
    if (!file) return failed("read", *path, errno);
    return CheckedReader(id, std::move(*path), std::move(file));
  }

  // The next bytes, as many as there are up to `size`.
  Result<ByteView, StoreError> next(std::uint64_t size) {
    if (begin_ == end_) {
      const int error = read_all_at(file_.get(), piece_, digester_.length(), end_);
      if (error != 0) return failed("read", path_, error);
      begin_ = 0;
      digester_.add(ByteView(piece_).first(end_));
    }
    const std::size_t take = std::min<std::uint64_t>(size, end_ - begin_);
    const ByteView bytes = ByteView(piece_).subspan(begin_, take);
    begin_ += take;
    return bytes;
  }
  Result<void, StoreError> copy_to(int fd, const fs::path& path, std::uint64_t length) {
    for (std::uint64_t at = 0; at < length;) {
      auto bytes = next(length - at);
      if (!bytes) return tl::unexpected(std::move(bytes.error()));
      if (bytes->empty()) return tl::unexpected(damaged());
      if (const int error = write_all_at(fd, *bytes, at)) return failed("write", path, error);
      at += bytes->size();
    }
    return {};
  }
  // Reads on to the end. An error where these were not the content's bytes.
  Result<void, StoreError> check_all() {
    for (;;) {
      auto rest = next(kPieceBytes);
      if (!rest) return tl::unexpected(std::move(rest.error()));
      if (!rest->empty()) continue;
      if (digester_.finish().id != id_) return tl::unexpected(damaged());
      return {};
    }
  }
  const fs::path& path() const { return path_; }
  StoreError damaged() const {
    return {StoreFault::kCorrupt, "content " + short_hex(id_) +
                                      " was damaged on the disk; drop it and fetch it again, and "
                                      "see the disk's health if this comes again"};
  }

 private:
  CheckedReader(const ContentId& id, fs::path path, OpenFile file)
      : id_(id), path_(std::move(path)), file_(std::move(file)), piece_(kPieceBytes) {}

  ContentId id_;
  fs::path path_;
  OpenFile file_;
  Digester digester_;
  Bytes piece_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

Result<FolderListing, StoreError> listing_from(CheckedReader& reader, const ContentId& id) {
  Bytes bytes;
  std::uint64_t wanted = kFolderHeaderBytes;
  while (bytes.size() < wanted) {
    auto more = reader.next(wanted - bytes.size());
    if (!more) return tl::unexpected(std::move(more.error()));
    bytes.insert(bytes.end(), more->begin(), more->end());
    if (more->empty()) break;
    if (bytes.size() == kFolderHeaderBytes) wanted = listing_bytes(bytes).value_or(0);
  }
  auto listing = decode_listing(bytes);
  if (!listing) {
    return refuse("content " + short_hex(id) + " is not unpacked: " + listing.error());
  }
  return std::move(*listing);
}

Result<void, StoreError> make(const FolderEntry& entry, const fs::path& root,
                              CheckedReader& reader) {
  const fs::path path = root / entry.path;
  switch (entry.kind) {
    case FolderEntryKind::kFolder:
      if (::mkdir(path.c_str(), 0777) != 0) return failed("create", path, errno);
      return {};
    case FolderEntryKind::kLink:
      if (::symlink(entry.target.c_str(), path.c_str()) != 0) return failed("create", path, errno);
      return {};
    case FolderEntryKind::kFile:
    case FolderEntryKind::kProgram: {
      const unsigned mode = entry.kind == FolderEntryKind::kProgram ? 0777 : 0666;
      // What is there already would be a name that this file system takes for another's.
      const OpenFile file = open_file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
      if (!file) return failed("create", path, errno);
      return reader.copy_to(file.get(), path, entry.bytes);
    }
  }
  return {};
}

// A name beside `target` on which it is made, with the process in it: two may unpack at once. The
// target's name is not: it may be as long as a name may be.
fs::path beside(const fs::path& target, unsigned attempt) {
  return target.parent_path() /
         (".shoal-" + std::to_string(::getpid()) + "-" + std::to_string(attempt));
}

constexpr unsigned kAttempts = 100;

fs::path without_last_slash(const fs::path& path) {
  return fs::absolute(path.has_filename() ? path : path.parent_path());
}

// Moves a content's file, with the mode that a new file gets there. False: nothing has changed.
bool move_to(const fs::path& content, const fs::path& target) {
  const fs::path fresh = beside(target, 0);
  struct stat about {};
  {
    const OpenFile file = open_file(fresh, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (!file || ::fstat(file.get(), &about) != 0) return false;
  }
  ::unlink(fresh.c_str());
  const fs::perms before = fs::status(content).permissions();
  if (::chmod(content.c_str(), about.st_mode & 0777) != 0) return false;
  if (::rename(content.c_str(), target.c_str()) == 0) return true;
  ::chmod(content.c_str(), static_cast<mode_t>(before));
  return false;
}

// What lies at `fresh` has been read from `reader`, and goes to `target` if it was right.
Result<void, StoreError> put_in_place(CheckedReader& reader, const fs::path& fresh,
                                      const fs::path& target) {
  if (auto right = reader.check_all(); !right) return right;
  if (::rename(fresh.c_str(), target.c_str()) != 0) return failed("create", target, errno);
  return {};
}

}  // namespace

Result<ContentStore::Named, StoreError> pack_folder(ContentStore& store, const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return tl::unexpected(StoreError{StoreFault::kMissing, folder.string() + " is not a folder"});
  }
  auto listing = list(folder);
  if (!listing) return tl::unexpected(std::move(listing.error()));
  ContentWriter writer(store);
  writer.append(encode_listing(*listing));
  Bytes piece(kPieceBytes);
  for (const FolderEntry& entry : *listing) {
    if (!writer.goes_on()) break;
    if (entry.kind != FolderEntryKind::kFile && entry.kind != FolderEntryKind::kProgram) continue;
    auto appended = append_file(writer, folder / entry.path, entry.bytes, piece);
    if (!appended) return tl::unexpected(std::move(appended.error()));
  }
  return writer.finish();
}

Result<FolderListing, StoreError> read_listing(const ContentStore& store, const ContentId& id) {
  auto reader = CheckedReader::open(store, id);
  if (!reader) return tl::unexpected(std::move(reader.error()));
  return listing_from(*reader, id);
}

Result<void, StoreError> unpack_folder(ContentStore& store, const ContentId& id,
                                       const fs::path& where) {
  const fs::path target = without_last_slash(where);
  struct stat about {};
  if (::lstat(target.c_str(), &about) == 0) {
    return refuse(target.string() + " is there already; name another place for the folder");
  }
  auto reader = CheckedReader::open(store, id);
  if (!reader) return tl::unexpected(std::move(reader.error()));
  auto listing = listing_from(*reader, id);
  if (!listing) return tl::unexpected(std::move(listing.error()));

  unsigned attempt = 0;
  while (::mkdir(beside(target, attempt).c_str(), 0777) != 0) {
    if (errno != EEXIST || ++attempt == kAttempts) return failed("create", target, errno);
  }
  const fs::path fresh = beside(target, attempt);
  const auto give_up = [&fresh](StoreError error) {
    std::error_code ignored;
    fs::remove_all(fresh, ignored);
    return tl::unexpected(std::move(error));
  };
  for (const FolderEntry& entry : *listing) {
    if (auto made = make(entry, fresh, *reader); !made) return give_up(std::move(made.error()));
  }
  if (auto placed = put_in_place(*reader, fresh, target); !placed) {
    return give_up(std::move(placed.error()));
  }
  return {};
}

Result<void, StoreError> unpack_file(ContentStore& store, const ContentId& id,
                                     const fs::path& where) {
  const fs::path target = without_last_slash(where);
  auto reader = CheckedReader::open(store, id);
  if (!reader) return tl::unexpected(std::move(reader.error()));
  OpenFile file;
  unsigned attempt = 0;
  while (!(file = open_file(beside(target, attempt), O_WRONLY | O_CREAT | O_EXCL, 0666))) {
    if (errno != EEXIST || ++attempt == kAttempts) return failed("create", target, errno);
  }
  const fs::path fresh = beside(target, attempt);
  const auto give_up = [&fresh](StoreError error) {
    ::unlink(fresh.c_str());
    return tl::unexpected(std::move(error));
  };
  for (std::uint64_t at = 0;;) {
    auto bytes = reader->next(kPieceBytes);
    if (!bytes) return give_up(std::move(bytes.error()));
    if (bytes->empty()) break;
    const int error = write_all_at(file.get(), *bytes, at);
    if (error != 0) return give_up(store_error("write", target, error));
    at += bytes->size();
  }
  if (auto placed = put_in_place(*reader, fresh, target); !placed) {
    return give_up(std::move(placed.error()));
  }
  return {};
}

Result<void, StoreError> take_file(ContentStore& store, const ContentId& id,
                                   const fs::path& where) {
  const fs::path target = without_last_slash(where);
  const bool is_checked = store.is_as_checked(id);
  auto reader = CheckedReader::open(store, id);
  if (!reader) return tl::unexpected(std::move(reader.error()));
  if (!is_checked) {
    if (auto right = reader->check_all(); !right) return right;
  }
  if (!move_to(reader->path(), target)) {
    if (auto unpacked = unpack_file(store, id, where); !unpacked) return unpacked;
  }
  store.drop(id);
  return {};
}

}  // namespace shoal
