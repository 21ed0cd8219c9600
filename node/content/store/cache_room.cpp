#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>
#include <vector>

#include "node/content/store/content_store_impl.h"

// The quota of a store, and what goes when it is reached. To count what is on the disk takes long
// where there are very many, so it is done once, and again when that seems to be reached: in
// between what is begun is added, and what goes is not taken away.
namespace shoal {

namespace fs = std::filesystem;

namespace {

// The roots and proofs that lie beside a content, about.
std::uint64_t with_what_is_beside(std::uint64_t bytes) { return bytes + bytes / 256; }

std::string in_mib(std::uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

void ContentStore::limit(std::uint64_t bytes) {
  const std::lock_guard lock(impl_->room_mutex);
  impl_->bytes_max = bytes;
  impl_->limit_is_new = true;
  impl_->used.reset();
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

// Nothing: it stays, whatever comes.
std::optional<ContentStore::Impl::Evictable> ContentStore::Impl::evictable_at(
    const fs::path& file, const struct stat& about) const {
  const fs::path name = file.filename();
  const bool partial = name.extension() == ".part";
  const auto id = id_from_hex<ContentId>(partial ? name.stem().string() : name.string());
  if (!id || needed.contains(*id) || ::access(beside(*id, ".pin").c_str(), F_OK) == 0) {
    return std::nullopt;
  }
  const bool spared = partial ? growing.contains(*id) || length_of(*id)
                              : ::access(beside(*id, ".fetched").c_str(), F_OK) != 0;
  if (spared) return std::nullopt;
  return Evictable{about.st_mtim, *id, partial, static_cast<std::uint64_t>(about.st_size)};
}

void ContentStore::Impl::count_used() {
  used = 0;
  evictable.clear();
  std::error_code ignored;
  for (fs::directory_iterator it(folder, ignored), end; it != end; it.increment(ignored)) {
    for (fs::directory_iterator in(it->path(), ignored), last; in != last; in.increment(ignored)) {
      struct stat about {};
      if (::stat(in->path().c_str(), &about) != 0 || !S_ISREG(about.st_mode)) continue;
      *used += static_cast<std::uint64_t>(about.st_size);
      if (const auto one = evictable_at(in->path(), about)) evictable.push_back(*one);
    }
  }
  std::sort(evictable.begin(), evictable.end(), [](const Evictable& a, const Evictable& b) {
    return std::pair(a.used.tv_sec, a.used.tv_nsec) > std::pair(b.used.tv_sec, b.used.tv_nsec);
  });
}

// True: there is room now.
bool ContentStore::Impl::evict_for(std::uint64_t bytes) {
  while (*used + bytes > bytes_max && !evictable.empty()) {
    const Evictable one = evictable.back();
    evictable.pop_back();
    const fs::path file = one.partial ? beside(one.id, ".part") : file_of(one.id);
    struct stat about {};
    if (::stat(file.c_str(), &about) != 0) continue;
    const auto now = evictable_at(file, about);
    // What was used since has its turn when all is counted again.
    if (!now || now->used.tv_sec != one.used.tv_sec || now->used.tv_nsec != one.used.tv_nsec) {
      continue;
    }
    drop(one.id);
    *used -= std::min(*used, one.bytes);
  }
  return *used + bytes <= bytes_max;
}

Result<void, StoreError> ContentStore::Impl::make_room_locked(std::uint64_t bytes,
                                                              std::uint64_t bytes_written) {
  if (bytes_max == 0) return {};
  if (!used || !evict_for(bytes)) {
    count_used();
    *used -= std::min(*used, bytes_written);
    if (!evict_for(bytes)) {
      return tl::unexpected(StoreError{
          StoreFault::kDiskFull,
          "there is no room for a content of " + in_mib(bytes) + ": of the " + in_mib(bytes_max) +
              " that it may take, " + in_mib(*used) +
              " are pinned, needed by jobs, or made here; give it more (a worker's --cache), or "
              "drop some"});
    }
  }
  *used += with_what_is_beside(bytes);
  return {};
}

}  // namespace shoal
