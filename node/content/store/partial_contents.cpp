#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "node/content/core/block_check.h"
#include "node/content/store/content_store_impl.h"
#include "node/content/store/folder_listing.h"
#include "node/protocol/hash.h"
#include "node/protocol/limits.h"

namespace shoal {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kBlockBytes = limits::kBlockLeaves * kContentLeafBytes;
constexpr unsigned kPartMode = 0700;  // it becomes the content, which may be a program
constexpr std::array<std::uint8_t, 8> kHaveMagic{'s', 'h', 'o', 'a', 'l', 'h', 'v', '1'};
constexpr std::uint64_t kHaveHeaderBytes = 16;

std::array<std::uint8_t, kHaveHeaderBytes> have_header(std::uint64_t length) {
  std::array<std::uint8_t, kHaveHeaderBytes> header{};
  std::memcpy(header.data(), kHaveMagic.data(), kHaveMagic.size());
  for (unsigned i = 0; i < 8; ++i) header[8 + i] = static_cast<std::uint8_t>(length >> (8 * i));
  return header;
}

// A proof of one block among `blocks` has at most one hash a level of the tree above it.
std::size_t proof_slot_bytes(std::uint64_t blocks) {
  return sizeof(Hash256) * (std::bit_width(blocks - 1) + 1);
}

// The first 32 bytes tell how many hashes follow. One that does not fit is not kept.
Bytes proof_slot(const std::vector<Hash256>& proof, std::uint64_t blocks) {
  Bytes slot(proof_slot_bytes(blocks));
  if ((proof.size() + 1) * sizeof(Hash256) > slot.size()) return slot;
  slot[0] = static_cast<std::uint8_t>(proof.size());
  if (!proof.empty()) {
    std::memcpy(slot.data() + sizeof(Hash256), proof.data(), proof.size() * sizeof(Hash256));
  }
  return slot;
}

std::vector<Hash256> proof_in(ByteView slot) {
  std::vector<Hash256> proof(std::min<std::size_t>(slot[0], slot.size() / sizeof(Hash256) - 1));
  if (!proof.empty()) {
    std::memcpy(static_cast<void*>(proof.data()), slot.data() + sizeof(Hash256),
                proof.size() * sizeof(Hash256));
  }
  return proof;
}

// Nothing: errno says why.
std::optional<FileBirth> birth_of(int fd) {
  struct statx about {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &about) != 0) return std::nullopt;
  FileBirth birth{about.stx_ino};
  if ((about.stx_mask & STATX_BTIME) != 0) {
    birth.seconds = about.stx_btime.tv_sec;
    birth.nanoseconds = about.stx_btime.tv_nsec;
  }
  return birth;
}

// What had come is there no more, or another's: of one that was told to drop it, or that began
// anew where this one was about to.
bool was_taken(int error) { return error == ENOENT || error == ESTALE; }

bool begins_as_folder(const fs::path& file) {
  const OpenFile in = open_file(file, O_RDONLY);
  Bytes header(kFolderHeaderBytes);
  std::size_t got = 0;
  return in && read_all_at(in.get(), header, 0, got) == 0 && got == header.size() &&
         listing_bytes(header).has_value();
}

}  // namespace

// The partial content as it is on the disk; nothing if none of it is.
Partial* ContentStore::Impl::resume(const ContentId& id, std::uint64_t length) {
  if (const auto known = partials.find(id); known != partials.end()) {
    if (known->second.length != length) return nullptr;
    // It may have made room for another content since.
    if (::access(beside(id, ".part").c_str(), F_OK) == 0) return &known->second;
    partials.erase(known);
  }
  const OpenFile part = open_file(beside(id, ".part"), O_RDONLY);
  const OpenFile have = open_file(beside(id, ".have"), O_RDONLY);
  if (!part || !have) return nullptr;
  note_growing(id, true);
  struct stat about {};
  std::array<std::uint8_t, kHaveHeaderBytes> header{};
  std::size_t got = 0;
  if (::fstat(part.get(), &about) != 0 || static_cast<std::uint64_t>(about.st_size) != length ||
      read_all_at(have.get(), header, 0, got) != 0 || header != have_header(length)) {
    return nullptr;
  }
  Partial partial{length, BlockRoots(blocks_of(length)), 0, birth_of(part.get())};
  if (!partial.file) return nullptr;
  const std::span<std::uint8_t> roots(reinterpret_cast<std::uint8_t*>(partial.roots.data()),
                                      partial.roots.size() * sizeof(Hash256));
  if (read_all_at(have.get(), roots, kHaveHeaderBytes, got) != 0) return nullptr;
  Bytes bytes(kBlockBytes);
  for (std::uint64_t i = 0; i < partial.roots.size(); ++i) {
    if (partial.roots[i].is_zero()) continue;
    const std::span<std::uint8_t> block(bytes.data(), block_bytes(length, i));
    if (read_all_at(part.get(), block, i * kBlockBytes, got) == 0 && got == block.size() &&
        block_root(block) == partial.roots[i]) {
      ++partial.held;
    } else {
      partial.roots[i] = {};
    }
  }
  return &partials.insert_or_assign(id, std::move(partial)).first->second;
}

// As its table says, without a look at the blocks: enough for people.
std::optional<ContentStore::Unfinished> ContentStore::Impl::unfinished(const ContentId& id) const {
  const OpenFile have = open_file(beside(id, ".have"), O_RDONLY);
  struct stat about {};
  if (!have || ::stat(beside(id, ".part").c_str(), &about) != 0) return std::nullopt;
  Unfinished one{id, static_cast<std::uint64_t>(about.st_size)};
  const std::uint64_t blocks = blocks_of(one.length);
  Hash256 root;
  std::size_t got = 0;
  for (std::uint64_t i = 0; i < blocks; ++i) {
    if (read_all_at(have.get(), root.bytes, kHaveHeaderBytes + i * sizeof root, got) != 0) break;
    if (got != sizeof root) break;
    if (root.is_zero()) continue;
    one.bytes_here += block_bytes(one.length, i);
    if (i == 0) one.folder = begins_as_folder(beside(id, ".part"));
  }
  return one;
}

void ContentStore::Impl::discard(const ContentId& id) {
  partials.erase(id);
  note_growing(id, false);
  ::unlink(beside(id, ".part").c_str());
  ::unlink(beside(id, ".have").c_str());
  ::unlink(beside(id, ".proofs").c_str());
}

std::optional<Block> ContentStore::Impl::read_partial(const ContentId& id, std::uint64_t index) {
  const std::lock_guard lock(mutex);
  const auto known = partials.find(id);
  if (known == partials.end()) return std::nullopt;
  const Partial& partial = known->second;
  if (index >= partial.roots.size() || partial.roots[index].is_zero()) return std::nullopt;
  const OpenFile part = open_file(beside(id, ".part"), O_RDONLY);
  const OpenFile proofs = open_file(beside(id, ".proofs"), O_RDONLY);
  if (!part || !proofs) return std::nullopt;
  Block block{id, first_leaf_of(index), Bytes(block_bytes(partial.length, index)), {}, false};
  Bytes slot(proof_slot_bytes(partial.roots.size()));
  std::size_t got = 0;
  if (read_all_at(part.get(), block.bytes, index * kBlockBytes, got) != 0 ||
      got != block.bytes.size() || read_all_at(proofs.get(), slot, index * slot.size(), got) != 0 ||
      got != slot.size()) {
    return std::nullopt;
  }
  block.proof = proof_in(slot);
  return block;
}

int ContentStore::Impl::write_block(const StoreBlock& block, Partial& partial,
                                    std::uint64_t index) {
  const ContentId& id = block.id;
  const ByteView bytes = block.bytes;
  const bool first = !partial.file.has_value();
  const int flags = O_WRONLY | (first ? O_CREAT | O_TRUNC : 0);
  const OpenFile part = open_file(beside(id, ".part"), flags, kPartMode);
  if (!part) return errno;
  const OpenFile have = open_file(beside(id, ".have"), flags, 0600);
  if (!have) return errno;
  const auto birth = birth_of(part.get());
  if (!birth) return errno;
  if (!first && birth != partial.file) return ESTALE;
  if (first) {
    partial.file = birth;
    if (::ftruncate(part.get(), static_cast<off_t>(partial.length)) != 0) return errno;
    if (const int error = write_all_at(have.get(), have_header(partial.length), 0)) return error;
  }
  if (const int error = write_all_at(part.get(), bytes, index * kBlockBytes)) return error;
  // Without it the block can only not be passed on.
  if (const OpenFile proofs = open_file(beside(id, ".proofs"), flags, 0600)) {
    static_cast<void>(write_all_at(proofs.get(), proof_slot(block.proof, partial.roots.size()),
                                   index * proof_slot_bytes(partial.roots.size())));
  }
  // So that little is left to be written when the last block has come, and everybody waits.
  ::sync_file_range(part.get(), static_cast<off64_t>(index * kBlockBytes),
                    static_cast<off64_t>(bytes.size()), SYNC_FILE_RANGE_WRITE);
  const Hash256 root = block.root ? *block.root : block_root(bytes);
  const std::uint64_t at = kHaveHeaderBytes + index * sizeof(Hash256);
  if (const int error = write_all_at(have.get(), root.view(), at)) return error;
  partial.roots[index] = root;
  ++partial.held;
  return 0;
}

Result<bool, StoreError> ContentStore::Impl::finish(const ContentId& id, Partial& partial) {
  const fs::path part = beside(id, ".part");
  if (content_id_from_block_roots(partial.length, partial.roots) != id) {
    discard(id);
    return tl::unexpected(StoreError{
        StoreFault::kCorrupt, "the blocks of content " + short_hex(id) + " do not make the whole"});
  }
  {
    const OpenFile file = open_file(part, O_WRONLY);
    const auto birth = file ? birth_of(file.get()) : std::nullopt;
    int error = birth ? 0 : errno;
    if (error == 0 && birth != partial.file) error = ESTALE;
    // What could not be brought to the disk may be gone from memory too.
    const bool lost = error == 0 && ::fsync(file.get()) != 0;
    if (lost) error = errno;
    if (error == 0 && ::rename(part.c_str(), file_of(id).c_str()) != 0) error = errno;
    // Another process that shares the folder may have been first.
    if (was_taken(error) && length_of(id) == partial.length) error = 0;
    if (was_taken(error)) {
      partials.erase(id);
      return false;
    }
    if (error == 0) error = sync_folder(part.parent_path());
    if (error != 0) {
      if (lost) discard(id);
      return failed("write", part, error);
    }
  }
  mark_fetched(id);
  note_checked(id);
  remember_roots(id, std::move(partial.roots));
  discard(id);
  return true;
}

// What is here of it, or the begin of it.
Result<Partial*, StoreError> ContentStore::Impl::to_write_in(const StoreBlock& block) {
  if (Partial* partial = resume(block.id, block.length)) return partial;
  if (const OpenFile part = open_file(beside(block.id, ".part"), O_RDONLY);
      !part && errno != ENOENT) {
    return failed("read", beside(block.id, ".part"), errno);
  }
  discard(block.id);
  if (auto room = make_room(block.length); !room) return tl::unexpected(room.error());
  note_growing(block.id, true);
  Partial& partial = partials[block.id];
  partial = {block.length, BlockRoots(blocks_of(block.length)), 0};
  return &partial;
}

// True if the content is whole now.
Result<bool, StoreError> ContentStore::Impl::store_block(const StoreBlock& block) {
  const std::uint64_t blocks = blocks_of(block.length);
  const std::uint64_t index = block.first_leaf / limits::kBlockLeaves;
  const bool fits =
      block.first_leaf % limits::kBlockLeaves == 0 &&
      (blocks == 0 ? block.bytes.empty() && index == 0
                   : index < blocks && block.bytes.size() == block_bytes(block.length, index));
  if (!fits || (blocks <= 1 && content_id(block.bytes) != block.id)) {
    return tl::unexpected(StoreError{StoreFault::kCorrupt,
                                     "a block does not belong to content " + short_hex(block.id)});
  }
  if (length_of(block.id) == block.length) return true;
  if (blocks <= 1) {
    if (auto kept = put(block.bytes); !kept) return tl::unexpected(kept.error());
    mark_fetched(block.id);
    return true;
  }
  const std::lock_guard lock(mutex);
  auto partial = to_write_in(block);
  if (!partial) return tl::unexpected(partial.error());
  const auto write = [&] {
    if (!(*partial)->roots[index].is_zero()) return 0;
    const int error = make_folder_of(block.id);
    return error != 0 ? error : write_block(block, **partial, index);
  };
  int error = write();
  if (was_taken(error)) {
    partials.erase(block.id);
    partial = to_write_in(block);
    if (!partial) return tl::unexpected(partial.error());
    error = write();
  }
  if (error != 0) {
    // What has come stays: the fetch goes on from it once there is room, or the disk is in order.
    if ((*partial)->held == 0) discard(block.id);
    return failed("write", beside(block.id, ".part"), error);
  }
  if ((*partial)->held < blocks) return false;
  return finish(block.id, **partial);
}

std::vector<ContentStore::Unfinished> ContentStore::list_unfinished() const {
  std::vector<Unfinished> listed;
  std::error_code ignored;
  for (fs::directory_iterator it(impl_->folder, ignored), end; it != end; it.increment(ignored)) {
    for (fs::directory_iterator in(it->path(), ignored), last; in != last; in.increment(ignored)) {
      const fs::path& file = in->path();
      const auto id = id_from_hex<ContentId>(file.stem().string());
      if (!id || file.extension() != ".part") continue;
      const std::lock_guard lock(impl_->mutex);
      if (const auto one = impl_->unfinished(*id)) listed.push_back(*one);
    }
  }
  std::sort(listed.begin(), listed.end(),
            [](const Unfinished& a, const Unfinished& b) { return a.id < b.id; });
  return listed;
}

}  // namespace shoal
