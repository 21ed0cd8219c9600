#include "node/content/store/content_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <system_error>
#include <utility>

#include "node/content/core/block_check.h"
#include "node/content/store/content_store_impl.h"
#include "node/content/store/new_file.h"
#include "node/protocol/hash.h"
#include "node/protocol/limits.h"

namespace shoal {

namespace fs = std::filesystem;

namespace {

constexpr unsigned kContentMode = 0700;  // a content may be a program
constexpr std::size_t kBlockBytes = limits::kBlockLeaves * kContentLeafBytes;
constexpr std::time_t kLeftOverSeconds = 60;

bool is_unchanged(const struct stat& before, const struct stat& after) {
  return before.st_size == after.st_size && before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
         before.st_mtim.tv_nsec == after.st_mtim.tv_nsec;
}

}  // namespace

int ContentStore::Impl::make_folder_of(const ContentId& id) const {
  const fs::path of_id = file_of(id).parent_path();
  if (::mkdir(of_id.c_str(), 0700) == 0) return sync_folder(folder);
  return errno == EEXIST ? 0 : errno;
}

// Files that a process left behind when it was killed: old, and locked by nobody. Several processes
// may share a folder.
void ContentStore::Impl::remove_left_over() const {
  std::error_code ignored;
  for (fs::directory_iterator it(new_files(), ignored), end; it != end; it.increment(ignored)) {
    const OpenFile file = open_file(it->path(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
    struct stat about {};
    if (!file || ::fstat(file.get(), &about) != 0) continue;
    const bool old = std::time(nullptr) - about.st_mtime > kLeftOverSeconds;
    if (old && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0) ::unlink(it->path().c_str());
  }
}

Result<void, StoreError> ContentStore::Impl::keep(const ContentId& id, NewFile& file) {
  int error = file.error();
  if (error == 0) error = make_folder_of(id);
  if (error == 0) error = file.become(file_of(id));
  if (error != 0) return failed("write", file.path(), error);
  return {};
}

bool ContentStore::Impl::is_sound(const ContentId& id, std::uint64_t length) const {
  if (length_of(id) != length) return false;
  const OpenFile file = open_file(file_of(id), O_RDONLY);
  if (!file) return false;
  const auto digest = digest_file(file.get());
  return digest && digest->id == id;
}

Result<ContentId, StoreError> ContentStore::Impl::put(ByteView bytes) {
  const ContentId id = content_id(bytes);
  ::unlink(beside(id, kUnplaced).c_str());
  if (is_sound(id, bytes.size())) {
    note_checked(id);
    return id;
  }
  if (auto room = make_room(bytes.size()); !room) return tl::unexpected(room.error());
  NewFile file(new_files(), kContentMode);
  file.append(bytes);
  if (auto kept = keep(id, file); !kept) return tl::unexpected(kept.error());
  note_checked(id);
  return id;
}

Result<std::shared_ptr<const MerkleTree>, StoreError> ContentStore::Impl::tree_of(
    const ContentId& id, int fd, std::uint64_t length) {
  if (auto tree = cache.find(id)) return tree;
  if (auto loaded = load_roots(beside(id, ".roots"), id, length)) {
    return cache.put(id, std::move(*loaded));
  }
  auto digest = digest_file(fd);
  if (!digest) return failed("read", file_of(id), digest.error());
  if (digest->id != id) {
    drop(id);
    return tl::unexpected(damaged_and_removed(id));
  }
  return remember_roots(id, std::move(digest->roots));
}

std::shared_ptr<const MerkleTree> ContentStore::Impl::remember_roots(const ContentId& id,
                                                                     BlockRoots roots) {
  save_roots(beside(id, ".roots"), roots);
  return cache.put(id, std::move(roots));
}

void ContentStore::Impl::drop(const ContentId& id) {
  cache.drop(id);
  {
    const std::lock_guard lock(checked_mutex);
    checked.forget(id);
  }
  for (const char* suffix :
       {"", ".roots", ".part", ".have", ".proofs", ".pin", ".fetched", kUnplaced})
    ::unlink(beside(id, suffix).c_str());
}

ContentStore::ContentStore() : impl_(std::make_unique<Impl>()) {}
ContentStore::~ContentStore() = default;

Result<std::unique_ptr<ContentStore>, StoreError> ContentStore::open(const fs::path& folder) {
  std::unique_ptr<ContentStore> store(new ContentStore);
  std::error_code error;
  store->impl_->folder = fs::absolute(folder, error);
  if (error) return failed("find", folder, error.value());
  fs::create_directories(store->impl_->folder / "tmp", error);
  if (error) return failed("create", store->impl_->folder / "tmp", error.value());
  ::chmod(store->impl_->folder.c_str(), 0700);
  store->impl_->remove_left_over();
  // Only trying tells: root passes the permission bits, but not a read-only mount.
  NewFile probe(store->impl_->new_files(), kContentMode);
  probe.append(as_bytes("probe"));
  // Where the disk is full, whoever comes may do so to make room.
  const auto flaw = store_error("write in", store->impl_->folder, probe.error());
  if (probe.error() != 0 && flaw.fault != StoreFault::kDiskFull) return tl::unexpected(flaw);
  return store;
}

Result<ContentId, StoreError> ContentStore::put(ByteView bytes) { return impl_->put(bytes); }

Result<ContentStore::Named, StoreError> ContentStore::put_file(const fs::path& path) {
  ContentWriter writer(*this);
  if (auto length = writer.append_file(path); !length) return tl::unexpected(length.error());
  return writer.finish();
}

struct ContentWriter::Impl {
  ContentStore::Impl& store;
  NewFile file;
  Digester digester;
};

ContentWriter::ContentWriter(ContentStore& store)
    : impl_(new Impl{*store.impl_, NewFile(store.impl_->new_files(), kContentMode), {}}) {}
ContentWriter::~ContentWriter() = default;

void ContentWriter::append(ByteView bytes) {
  if (!goes_on()) return;
  impl_->file.append(bytes);
  impl_->digester.add(bytes);
}

Result<std::uint64_t, StoreError> ContentWriter::append_file(const fs::path& path) {
  // O_NONBLOCK: opening a pipe must not hang.
  const OpenFile in = open_file(path, O_RDONLY | O_NONBLOCK);
  if (!in) return tl::unexpected(not_read(path, errno));
  struct stat about {};
  if (::fstat(in.get(), &about) != 0 || !S_ISREG(about.st_mode)) {
    return tl::unexpected(StoreError{StoreFault::kMissing, path.string() + " is not a file"});
  }
  Bytes piece(kBlockBytes);
  std::uint64_t length = 0;
  for (std::size_t got = piece.size(); got == piece.size() && goes_on();) {
    const int error = read_all_at(in.get(), piece, length, got);
    if (error != 0) return failed("read", path, error);
    append(ByteView(piece).first(got));
    length += got;
  }
  struct stat after {};
  if (::fstat(in.get(), &after) != 0) return failed("read", path, errno);
  if (!is_unchanged(about, after)) {
    // Half of what it was and half of what it became would be neither.
    return tl::unexpected(
        StoreError{StoreFault::kRefused,
                   path.string() + " changed while it was read; try again when it rests"});
  }
  return length;
}

bool ContentWriter::goes_on() const {
  return impl_->file.error() == 0 && impl_->digester.length() <= limits::kContentBytes;
}

Result<ContentStore::Named, StoreError> ContentWriter::finish() {
  if (impl_->digester.length() > limits::kContentBytes) {
    return tl::unexpected(
        StoreError{StoreFault::kSystem, "this is larger than any content may be"});
  }
  FileDigest digest = impl_->digester.finish();
  ::unlink(impl_->store.beside(digest.id, kUnplaced).c_str());
  if (impl_->file.error() != 0 || !impl_->store.is_sound(digest.id, digest.length)) {
    if (auto room = impl_->store.make_room(digest.length, digest.length); !room) {
      return tl::unexpected(room.error());
    }
    if (auto kept = impl_->store.keep(digest.id, impl_->file); !kept) {
      return tl::unexpected(kept.error());
    }
  }
  if (digest.roots.size() > 1) impl_->store.remember_roots(digest.id, std::move(digest.roots));
  return ContentStore::Named{digest.id, digest.length};
}

bool ContentStore::holds(const ContentId& id) const { return impl_->length_of(id).has_value(); }

Result<fs::path, StoreError> ContentStore::path_of(const ContentId& id) const {
  if (!holds(id)) return tl::unexpected(not_here(id));
  impl_->touch(id);
  return impl_->file_of(id);
}

Result<Bytes, StoreError> ContentStore::read(const ContentId& id) const {
  const OpenFile file = open_file(impl_->file_of(id), O_RDONLY);
  struct stat about {};
  if (!file || ::fstat(file.get(), &about) != 0) {
    if (errno == ENOENT) return tl::unexpected(not_here(id));
    return failed("read", impl_->file_of(id), errno);
  }
  Bytes bytes(static_cast<std::size_t>(about.st_size));
  std::size_t got = 0;
  const int error = read_all_at(file.get(), bytes, 0, got);
  if (error != 0) return failed("read", impl_->file_of(id), error);
  bytes.resize(got);
  if (content_id(bytes) == id) return bytes;
  impl_->drop(id);
  return tl::unexpected(damaged_and_removed(id));
}

void ContentStore::drop(const ContentId& id) {
  const std::lock_guard lock(impl_->mutex);
  impl_->partials.erase(id);
  impl_->note_growing(id, false);
  impl_->drop(id);
}

ContentOpened ContentStore::perform(const OpenContent& action) {
  ContentOpened opened{action.id, action.length, false, {}, action.for_reader};
  if (const auto length = impl_->length_of(action.id)) {
    if (*length == action.length) {
      if (!action.for_reader) impl_->touch(action.id);
      opened.complete = true;
      return opened;
    }
    if (action.for_reader) return opened;
    // Cut short by a broken disk, or asked for under a wrong length: the id decides. Of a large
    // one its roots tell, since whoever names it may do so as often as he likes.
    if (load_roots(impl_->beside(action.id, ".roots"), action.id, *length)) {
      opened.length = *length;
      opened.complete = true;
      return opened;
    }
    const OpenFile file = open_file(impl_->file_of(action.id), O_RDONLY);
    if (!file && errno != ENOENT) return opened;  // nobody can say what is in it
    const auto digest = digest_file(file.get());
    if (digest && digest->id == action.id) {
      opened.length = digest->length;
      opened.complete = true;
      return opened;
    }
    drop(action.id);
  }
  if (blocks_of(action.length) <= 1) return opened;
  const std::lock_guard lock(impl_->mutex);
  if (action.for_reader && !impl_->partials.contains(action.id)) return opened;
  Partial* partial = impl_->resume(action.id, action.length);
  if (partial == nullptr) return opened;
  if (partial->held == partial->roots.size() && !action.for_reader) {
    // Whoever wrote the last block was killed, or failed, before it had its name.
    const auto whole = impl_->finish(action.id, *partial);
    opened.complete = whole && *whole;
    return opened;
  }
  for (std::uint64_t i = 0; i < partial->roots.size(); ++i) {
    if (!partial->roots[i].is_zero()) opened.blocks_held.push_back(first_leaf_of(i));
  }
  return opened;
}

BlockStored ContentStore::perform(const StoreBlock& action) {
  BlockStored stored{action.id, action.first_leaf, false, {}};
  auto whole = impl_->store_block(action);
  if (whole) {
    stored.complete = *whole;
  } else {
    stored.error = std::move(whole.error().what);
  }
  return stored;
}

BlockRead ContentStore::perform(const ReadBlock& action) {
  BlockRead read{action.reader, {action.id, action.first_leaf, {}, {}, true}};
  const OpenFile file = open_file(impl_->file_of(action.id), O_RDONLY);
  struct stat about {};
  const std::uint64_t index = action.first_leaf / limits::kBlockLeaves;
  if (action.first_leaf % limits::kBlockLeaves != 0) return read;
  if (!file) {
    if (auto block = impl_->read_partial(action.id, index)) read.block = std::move(*block);
    return read;
  }
  if (::fstat(file.get(), &about) != 0) return read;
  const auto length = static_cast<std::uint64_t>(about.st_size);
  const std::uint64_t blocks = blocks_of(length);
  if (index >= blocks) {
    read.block.missing = !(index == 0 && length == 0);
    return read;
  }
  Bytes bytes(block_bytes(length, index));
  std::size_t got = 0;
  if (read_all_at(file.get(), bytes, index * kBlockBytes, got) != 0 || got != bytes.size()) {
    return read;
  }
  if (blocks > 1) {
    const auto tree = impl_->tree_of(action.id, file.get(), length);
    if (!tree || (*tree)->leaves().size() != blocks) return read;
    read.block.proof = (*tree)->range_proof(index, index + 1);
  }
  read.block.bytes = std::move(bytes);
  read.block.missing = false;
  return read;
}

}  // namespace shoal
