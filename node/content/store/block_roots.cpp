#include "node/content/store/block_roots.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "node/content/core/block_check.h"
#include "node/content/store/file_io.h"
#include "node/protocol/hash.h"
#include "node/protocol/limits.h"

namespace shoal {

namespace {

constexpr std::size_t kBlockBytes = limits::kBlockLeaves * kContentLeafBytes;
constexpr std::size_t kHashesMax = 1 << 20;  // 32 MiB: trees above 128 GiB of content

ByteView bytes_of(const BlockRoots& roots) {
  static_assert(sizeof(Hash256) == 32);
  return {reinterpret_cast<const std::uint8_t*>(roots.data()), roots.size() * sizeof(Hash256)};
}

}  // namespace

void Digester::add_block(ByteView block) {
  digest_.roots.push_back(block_root(block));
  if (digest_.length == 0 && block.size() <= kContentLeafBytes) digest_.id = content_id(block);
  digest_.length += block.size();
}

void Digester::add(ByteView bytes) {
  while (!bytes.empty()) {
    if (block_.empty() && bytes.size() >= kBlockBytes) {
      add_block(bytes.first(kBlockBytes));
      bytes = bytes.subspan(kBlockBytes);
      continue;
    }
    const ByteView part = bytes.first(std::min(bytes.size(), kBlockBytes - block_.size()));
    block_.insert(block_.end(), part.begin(), part.end());
    bytes = bytes.subspan(part.size());
    if (block_.size() < kBlockBytes) continue;
    add_block(block_);
    block_.clear();
  }
}

FileDigest Digester::finish() {
  if (!block_.empty()) add_block(block_);
  block_.clear();
  if (digest_.length == 0) digest_.id = content_id({});
  if (digest_.length > kContentLeafBytes) {
    digest_.id = content_id_from_block_roots(digest_.length, digest_.roots);
  }
  return std::move(digest_);
}

Result<FileDigest, int> digest_file(int fd) {
  Digester digester;
  Bytes piece(kBlockBytes);
  for (std::size_t got = piece.size(); got == piece.size();) {
    const int error = read_all_at(fd, piece, digester.length(), got);
    if (error != 0) return tl::unexpected(error);
    digester.add(ByteView(piece).first(got));
  }
  return digester.finish();
}

void save_roots(const std::filesystem::path& file, const BlockRoots& roots) {
  const std::filesystem::path fresh = file.string() + "." + std::to_string(::getpid());
  OpenFile out = open_file(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (!out) return;
  const bool written = write_all_at(out.get(), bytes_of(roots), 0) == 0;
  out.close();
  if (!written || ::rename(fresh.c_str(), file.c_str()) != 0) ::unlink(fresh.c_str());
}

std::optional<BlockRoots> load_roots(const std::filesystem::path& file, const ContentId& id,
                                     std::uint64_t length) {
  const OpenFile in = open_file(file, O_RDONLY);
  struct stat about {};
  if (!in || ::fstat(in.get(), &about) != 0) return std::nullopt;
  const std::uint64_t count = blocks_of(length);
  if (static_cast<std::uint64_t>(about.st_size) != count * sizeof(Hash256)) return std::nullopt;
  BlockRoots roots(count);
  std::size_t got = 0;
  const std::span<std::uint8_t> into(reinterpret_cast<std::uint8_t*>(roots.data()),
                                     count * sizeof(Hash256));
  if (read_all_at(in.get(), into, 0, got) != 0 || got != into.size()) return std::nullopt;
  if (length <= kContentLeafBytes || content_id_from_block_roots(length, roots) != id) {
    return std::nullopt;
  }
  return roots;
}

std::shared_ptr<const MerkleTree> TreeCache::find(const ContentId& id) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return nullptr;
  by_use_.splice(by_use_.begin(), by_use_, found->second);
  return found->second->tree;
}

std::shared_ptr<const MerkleTree> TreeCache::put(const ContentId& id, BlockRoots roots) {
  auto tree = std::make_shared<const MerkleTree>(std::move(roots));
  const std::lock_guard lock(mutex_);
  drop_locked(id);
  hashes_ += tree->nodes();
  by_use_.push_front({id, tree});
  entries_[id] = by_use_.begin();
  while (hashes_ > kHashesMax && by_use_.size() > 1) drop_locked(ContentId(by_use_.back().id));
  return tree;
}

void TreeCache::drop(const ContentId& id) {
  const std::lock_guard lock(mutex_);
  drop_locked(id);
}

void TreeCache::drop_locked(const ContentId& id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  hashes_ -= found->second->tree->nodes();
  by_use_.erase(found->second);
  entries_.erase(found);
}

}  // namespace shoal
