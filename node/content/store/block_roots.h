#pragma once

#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "node/content/store/content_store.h"
#include "node/protocol/hash.h"

// The Merkle roots of a content's blocks: all that proofs for its blocks need. Hashing a content
// for each block that is read would make serving it quadratic, so the roots are found once, kept in
// a file beside the content, and held in memory, with the tree above them, while the content is
// being served.
namespace shoal {

using BlockRoots = std::vector<Hash256>;

struct FileDigest {
  ContentId id;
  std::uint64_t length = 0;
  BlockRoots roots;
};
// Hashes bytes as they come, whatever pieces they come in.
class Digester {
 public:
  void add(ByteView bytes);
  // Of all that was added; nothing may be added after.
  FileDigest finish();
  std::uint64_t length() const { return digest_.length + block_.size(); }

 private:
  void add_block(ByteView block);
  FileDigest digest_;
  Bytes block_;  // the one that is not full yet
};
// Hashes a file from its begin to its end in pieces; an errno where it cannot be read.
Result<FileDigest, int> digest_file(int fd);

// Neither function's failure costs more than hashing again. What is loaded has been checked against
// the id.
void save_roots(const std::filesystem::path& file, const BlockRoots& roots);
std::optional<BlockRoots> load_roots(const std::filesystem::path& file, const ContentId& id,
                                     std::uint64_t length);

// The trees above the roots of the contents used last. Thread-safe.
class TreeCache {
 public:
  std::shared_ptr<const MerkleTree> find(const ContentId&);
  std::shared_ptr<const MerkleTree> put(const ContentId&, BlockRoots);
  void drop(const ContentId&);

 private:
  struct Entry {
    ContentId id;
    std::shared_ptr<const MerkleTree> tree;
  };
  void drop_locked(const ContentId&);

  std::mutex mutex_;
  std::list<Entry> by_use_;  // the last used first
  std::map<ContentId, std::list<Entry>::iterator> entries_;
  std::size_t hashes_ = 0;
};

}  // namespace shoal
