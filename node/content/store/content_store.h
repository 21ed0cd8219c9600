#pragma once

#include <filesystem>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "node/content/core/content_actions.h"
#include "node/protocol/result.h"

// Content on one node's disk: bytes named by their hash, each in a file of its own, written to a
// temporary name and renamed when whole and checked: what gets its final name was right then. Disks
// and other programs change files later, so that whoever uses one asks is_as_checked(), or check().
// Safe to use from several threads; calls block on the disk.
namespace shoal {

enum class StoreFault : std::uint8_t {
  kNotWritable,
  kDiskFull,
  kCorrupt,
  kMissing,
  kRefused,  // it breaks a rule of the format, or what is there would be overwritten
  kSystem,
};
struct StoreError {
  StoreFault fault = StoreFault::kSystem;
  std::string what;  // what happened, and what to do
};

class ContentStore {
 public:
  // Creates `folder` if need be. A partial content of an earlier run is resumed.
  static Result<std::unique_ptr<ContentStore>, StoreError> open(
      const std::filesystem::path& folder);
  ~ContentStore();

  Result<ContentId, StoreError> put(ByteView bytes);
  // Copies `file` in pieces: memory does not grow with its size. The id and the length.
  struct Named {
    ContentId id;
    std::uint64_t length = 0;
  };
  Result<Named, StoreError> put_file(const std::filesystem::path& file);
  bool holds(const ContentId&) const;
  // Of a whole content; executable bits are set for the owner, so that a program can be started.
  // Nothing is read: whether its bytes are right still, check() tells.
  Result<std::filesystem::path, StoreError> path_of(const ContentId&) const;
  Result<Bytes, StoreError> read(const ContentId&) const;
  void drop(const ContentId&);
  // Whether this process has seen that its bytes are right, as they came or by check(), and its
  // file is the same since, by inode, size and times: what writes to it changes those. Reads
  // nothing, and forgets the least recent of very many: then it is as if it had not been checked.
  bool is_as_checked(const ContentId&) const;
  // Reads all of it, unless it is as it was checked: takes as long as the disk and hashing take.
  // What is not right is removed, as by read(). `stop` ends it early, with an error.
  Result<void, StoreError> check(const ContentId&, const std::stop_token& stop = {});

  // At most so many bytes on the disk; 0: as many as it takes. Where something new does not fit,
  // what was fetched goes, whole or in part, the longest unused first; never what is pinned or in
  // `needed`, nor what was made here and may be nowhere else. If that is not enough, the new one is
  // refused: kDiskFull. What is over a new limit goes at the next set_needed(): before that nobody
  // knows what may. What begins to be fetched is in no danger before the next set_needed() either;
  // from then on it must be in `needed`, for as long as it is fetched.
  void limit(std::uint64_t bytes);
  void set_needed(std::set<ContentId> needed);
  // What is kept on purpose: `label` is for its owner, one line.
  Result<void, StoreError> pin(const ContentId&, const std::string& label);
  bool pinned(const ContentId&) const;
  struct Listed {
    ContentId id;
    std::uint64_t length = 0;
    bool pinned = false;
    std::string label;
  };
  // Whole contents, by id.
  std::vector<Listed> list() const;
  struct Unfinished {
    ContentId id;
    std::uint64_t length = 0;
    std::uint64_t bytes_here = 0;
    bool folder = false;  // its beginning is here and says so
  };
  // What has come in part, by id; also of fetches that go on in other processes.
  std::vector<Unfinished> list_unfinished() const;

  // The exchange's actions, performed at once.
  ContentOpened perform(const OpenContent&);
  BlockStored perform(const StoreBlock&);
  BlockRead perform(const ReadBlock&);

 private:
  friend class ContentWriter;
  ContentStore();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A content that is written as it comes, so that memory does not grow with it. It is in the store
// when finish() says so; until then, and if the writer goes without, nothing of it is. One thread;
// the store must outlive it.
class ContentWriter {
 public:
  explicit ContentWriter(ContentStore& store);
  ~ContentWriter();
  void append(ByteView bytes);
  // All of a file, in pieces; its length. It must not change meanwhile.
  Result<std::uint64_t, StoreError> append_file(const std::filesystem::path& file);
  // False: something failed, which finish() will tell; more need not be appended.
  bool goes_on() const;
  Result<ContentStore::Named, StoreError> finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal
