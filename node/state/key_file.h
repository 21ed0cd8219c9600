#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "node/protocol/keys.h"
#include "node/protocol/result.h"

// The files that make a node the same node after a restart: its key, and the folder that holds it.
// No thread of their own; every call may block on the disk.
namespace shoal {

enum class StateFault : std::uint8_t {
  kMissing,     // there is no such file
  kNotAllowed,  // permissions, or a file system mounted read-only
  kNotAKey,     // the file is there but does not hold 64 hexadecimal digits
  kTooOpen,     // others than the owner may read or write the key
  kExists,      // it would have been overwritten
  kLocked,      // another process uses the folder
  kDiskFull,
  kSystem,
};
struct StateError {
  StateFault fault = StateFault::kSystem;
  std::string what;  // a sentence for people: what happened, and what to do
};

// A fresh pair from the kernel's random source.
KeyPair new_key();

// The pair whose seed `file` holds, as 64 hexadecimal digits and a line's end. White space around
// them is ignored. A key that others can read is refused: it is no secret any more.
Result<KeyPair, StateError> load_key(const std::filesystem::path& file);

// Writes the seed with mode 0600, complete and on the disk or not at all. Never overwrites: a lost
// key is a lost identity.
Result<void, StateError> store_key(const std::filesystem::path& file, const KeyPair& key);

struct LoadedKey {
  KeyPair key;
  bool created = false;
};
// Makes the file where it is missing; of two processes that do so at once both get the same key.
Result<LoadedKey, StateError> load_or_create_key(const std::filesystem::path& file);

// A small file as text; at most `bytes_max`.
Result<std::string, StateError> read_text_file(const std::filesystem::path& file,
                                               std::size_t bytes_max = 1 << 20);
// Replaces `file` in one step: a reader, or a restart after a crash, sees the old text or the new.
Result<void, StateError> write_text_file(const std::filesystem::path& file, std::string_view text,
                                         unsigned mode = 0644);

// Makes a folder that its owner alone can look into, whatever the umask, and what leads to it as
// usual; one that is there stays as it is.
Result<void, StateError> make_private_folder(const std::filesystem::path& folder);

// Holds a state folder for this process until it is destroyed or the process ends, however it ends.
class FolderLock {
 public:
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&& other) noexcept;
  ~FolderLock();

 private:
  friend Result<FolderLock, StateError> lock_folder(const std::filesystem::path&);
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};
// Creates the folder (mode 0700, parents too) where it is missing, sees that it can be written, and
// locks it. A second process on the same folder is refused by a sentence that names the first.
Result<FolderLock, StateError> lock_folder(const std::filesystem::path& folder);

}  // namespace shoal
