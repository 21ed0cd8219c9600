#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "node/content/store/block_roots.h"
#include "node/content/store/content_store.h"
#include "node/content/store/file_io.h"
#include "node/content/store/new_file.h"

// The inside of the store: whole contents in content_store.cpp, those that are not whole yet in
// partial_contents.cpp.
namespace shoal {

// Which file it is. Its inode's number alone would not do: that is another's once the file is gone.
struct FileBirth {
  std::uint64_t inode = 0;
  std::int64_t seconds = 0;
  std::uint32_t nanoseconds = 0;
  bool operator==(const FileBirth&) const = default;
};

// A content that is not whole yet: HEX.part holds its bytes at their places, HEX.have a header
// (magic, length as 8 little-endian bytes) and the root of every block that is here, zeros for
// those that are not; HEX.proofs the proof that came with each, so that the block can be passed on
// before the rest is here. None of them is synced while it grows: on resuming, every block is
// checked against its root, so that what a power cut tore is fetched again, and whoever passes one
// on checks it against the proof.
struct Partial {
  std::uint64_t length = 0;
  BlockRoots roots;
  std::uint64_t held = 0;
  std::optional<FileBirth> file = {};  // HEX.part, once it is there
};

StoreError damaged_and_removed(const ContentId& id);
StoreError not_here(const ContentId& id);
inline tl::unexpected<StoreError> failed(const std::string& doing,
                                         const std::filesystem::path& path, int error) {
  return tl::unexpected(store_error(doing, path, error));
}

// The suffix of its mark; see unplaced.h.
inline constexpr const char* kUnplaced = ".unplaced";

// A file as it was seen; what is written to it after a FileStamp was taken makes another.
struct FileStamp {
  ino_t inode = 0;
  off_t size = 0;
  timespec written{};
  timespec changed{};
  bool operator==(const FileStamp& other) const;
};
FileStamp stamp_of(const struct stat& about);
// "It is in use", and a time that any later write differs from: the system's clock for files goes
// in ticks, and two writes within one leave the same time. An errno, or 0.
int set_used(int fd);

// The files that were found right. Bounded: those not asked for among the last so many are
// forgotten.
class CheckedFiles {
 public:
  static constexpr std::size_t kMost = 8192;  // of each of the two
  void note(const ContentId& id, const FileStamp& stamp);
  const FileStamp* find(const ContentId& id);
  void forget(const ContentId& id);

 private:
  std::map<ContentId, FileStamp> recent_, older_;
};

struct ContentStore::Impl {
  std::filesystem::path folder;
  TreeCache cache;
  std::mutex mutex;  // guards `partials` and the files behind them
  std::map<ContentId, Partial> partials;
  mutable std::mutex checked_mutex;  // guards what follows; nothing is locked while it is held
  mutable CheckedFiles checked;
  std::mutex room_mutex;  // guards what follows; taken after `mutex` where both are
  std::uint64_t bytes_max = 0;
  bool limit_is_new = false;
  std::set<ContentId> needed;
  std::set<ContentId> growing;  // partial ones that are fetched, and make no room for others
  struct Evictable {
    timespec used{};
    ContentId id;
    bool partial = false;
    std::uint64_t bytes = 0;
  };
  std::optional<std::uint64_t> used;  // bytes in the folder, at most; nothing: not counted yet
  std::vector<Evictable> evictable;   // as it was counted, what was used last first

  std::filesystem::path file_of(const ContentId& id) const {
    const std::string hex = to_hex(id);
    return folder / hex.substr(0, 2) / hex;
  }
  std::filesystem::path beside(const ContentId& id, const char* suffix) const {
    return file_of(id).string() + suffix;
  }
  std::filesystem::path new_files() const { return folder / "tmp"; }
  // All of it is read: what is here may have been damaged since.
  bool is_sound(const ContentId& id, std::uint64_t length) const;
  std::optional<std::uint64_t> length_of(const ContentId& id) const {
    struct stat about {};
    if (::stat(file_of(id).c_str(), &about) != 0 || !S_ISREG(about.st_mode)) return std::nullopt;
    return static_cast<std::uint64_t>(about.st_size);
  }

  int make_folder_of(const ContentId& id) const;
  // For a content of so many bytes, of which some are in the folder already, by evicting; see
  // limit().
  Result<void, StoreError> make_room(std::uint64_t bytes, std::uint64_t bytes_written = 0);
  Result<void, StoreError> make_room_locked(std::uint64_t bytes, std::uint64_t bytes_written);
  std::optional<Evictable> evictable_at(const std::filesystem::path& file,
                                        const struct stat& about) const;
  void count_used();
  bool evict_for(std::uint64_t bytes);
  void note_growing(const ContentId& id, bool grows);
  void mark_fetched(const ContentId& id) const;  // there are others who have it
  void touch(const ContentId& id) const;         // it is in use
  void remove_left_over() const;
  Result<void, StoreError> keep(const ContentId& id, NewFile& file);
  Result<ContentId, StoreError> put(ByteView bytes);
  Result<std::shared_ptr<const MerkleTree>, StoreError> tree_of(const ContentId& id, int fd,
                                                                std::uint64_t length);
  std::shared_ptr<const MerkleTree> remember_roots(const ContentId& id, BlockRoots roots);
  void drop(const ContentId& id);

  Partial* resume(const ContentId& id, std::uint64_t length);
  std::optional<Unfinished> unfinished(const ContentId& id) const;
  void discard(const ContentId& id);
  void note_checked(const ContentId& id);  // what is at its place now was checked as it came
  int write_block(const StoreBlock& block, Partial& partial, std::uint64_t index);
  // Of a content that is not whole, as far as this process knows it.
  std::optional<Block> read_partial(const ContentId& id, std::uint64_t index);
  Result<Partial*, StoreError> to_write_in(const StoreBlock& block);
  // False: some of it was taken away meanwhile.
  Result<bool, StoreError> finish(const ContentId& id, Partial& partial);
  Result<bool, StoreError> store_block(const StoreBlock& block);
};

}  // namespace shoal
