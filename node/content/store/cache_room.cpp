#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>
#include <vector>

#include "node/content/store/content_store_impl.h"

// The quota of a store, and what goes when it is reached. What is on the disk is counted anew each
// time that a content begins to be written: several processes may share the folder.
namespace shoal {

namespace fs = std::filesystem;

namespace {

struct Evictable {
  timespec used{};
  ContentId id;
  std::uint64_t bytes = 0;
};

std::string in_mib(std::uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

void ContentStore::limit(std::uint64_t bytes) {
  const std::lock_guard lock(impl_->room_mutex);
  impl_->bytes_max = bytes;
  impl_->limit_is_new = true;
}

void ContentStore::set_needed(std::set<ContentId> needed) {
  const std::lock_guard lock(impl_->room_mutex);
  impl_->needed = std::move(needed);
  // A fetch that came to nothing keeps no room: those that go on are needed.
  std::erase_if(impl_->growing, [&](const ContentId& id) { return !impl_->needed.contains(id); });
  // Where too much is needed, it stays; what is new is refused then.
  if (std::exchange(impl_->limit_is_new, false)) {
    static_cast<void>(impl_->make_room_locked(0, 0));
  }
}

void ContentStore::Impl::mark_fetched(const ContentId& id) const {
  // Without the mark it stays, which does no harm.
  static_cast<void>(open_file(beside(id, ".fetched"), O_WRONLY | O_CREAT, 0600));
}

void ContentStore::Impl::note_growing(const ContentId& id, bool grows) {
  const std::lock_guard lock(room_mutex);
  if (grows) {
    growing.insert(id);
  } else {
    growing.erase(id);
  }
}

Result<void, StoreError> ContentStore::Impl::make_room(std::uint64_t bytes,
                                                       std::uint64_t bytes_written) {
  const std::lock_guard lock(room_mutex);
  return make_room_locked(bytes, bytes_written);
}

Result<void, StoreError> ContentStore::Impl::make_room_locked(std::uint64_t bytes,
                                                              std::uint64_t bytes_written) {
  if (bytes_max == 0) return {};
  std::uint64_t used = 0;
  std::vector<Evictable> evictable;
  std::error_code ignored;
  for (fs::directory_iterator it(folder, ignored), end; it != end; it.increment(ignored)) {
    for (fs::directory_iterator in(it->path(), ignored), last; in != last; in.increment(ignored)) {
      struct stat about {};
      if (::stat(in->path().c_str(), &about) != 0 || !S_ISREG(about.st_mode)) continue;
      const auto size = static_cast<std::uint64_t>(about.st_size);
      used += size;
      const fs::path name = in->path().filename();
      const bool partial = name.extension() == ".part";
      const auto id = id_from_hex<ContentId>(partial ? name.stem().string() : name.string());
      if (!id || needed.contains(*id) || ::access(beside(*id, ".pin").c_str(), F_OK) == 0) continue;
      const bool spared = partial ? growing.contains(*id) || length_of(*id)
                                  : ::access(beside(*id, ".fetched").c_str(), F_OK) != 0;
      if (!spared) evictable.push_back({about.st_mtim, *id, size});
    }
  }
  used -= std::min(used, bytes_written);
  std::sort(evictable.begin(), evictable.end(), [](const Evictable& a, const Evictable& b) {
    return std::pair(a.used.tv_sec, a.used.tv_nsec) < std::pair(b.used.tv_sec, b.used.tv_nsec);
  });
  for (const Evictable& one : evictable) {
    if (used + bytes <= bytes_max) break;
    drop(one.id);
    used -= one.bytes;
  }
  if (used + bytes <= bytes_max) return {};
  return tl::unexpected(StoreError{
      StoreFault::kDiskFull,
      "there is no room for a content of " + in_mib(bytes) + ": of the " + in_mib(bytes_max) +
          " that it may take, " + in_mib(used) +
          " are pinned, needed by jobs, or made here; give it more (a worker's --cache), or drop "
          "some"});
}

}  // namespace shoal
