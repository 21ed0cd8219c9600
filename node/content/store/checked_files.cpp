#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include <cerrno>
#include <utility>

#include "node/content/store/content_store_impl.h"
#include "node/protocol/limits.h"

// What this process has seen to be right on the disk, and need not read again.
namespace shoal {

namespace {

constexpr std::size_t kPieceBytes = limits::kBlockLeaves * kContentLeafBytes;
// A file that changes while it is read is read again so often.
constexpr int kAttempts = 3;
constexpr long kTwoTicksNs = 20'000'000;  // of the slowest clock of Linux

bool same(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

// Nothing: it was told to stop. Else an errno, or what the file is.
std::optional<Result<FileDigest, int>> digest_until(int fd, const std::stop_token& stop) {
  Digester digester;
  Bytes piece(kPieceBytes);
  for (std::size_t got = piece.size(); got == piece.size();) {
    if (stop.stop_requested()) return std::nullopt;
    const int error = read_all_at(fd, piece, digester.length(), got);
    if (error != 0) return tl::unexpected(error);
    digester.add(ByteView(piece).first(got));
  }
  return digester.finish();
}

}  // namespace

StoreError damaged_and_removed(const ContentId& id) {
  return {StoreFault::kCorrupt, "content " + short_hex(id) +
                                    " was damaged on the disk and has been removed; see the disk's "
                                    "health if this comes again"};
}

StoreError not_here(const ContentId& id) {
  return {StoreFault::kMissing, "content " + short_hex(id) + " is not on this node's disk"};
}

bool FileStamp::operator==(const FileStamp& other) const {
  return inode == other.inode && size == other.size && same(written, other.written) &&
         same(changed, other.changed);
}

FileStamp stamp_of(const struct stat& about) {
  return {about.st_ino, about.st_size, about.st_mtim, about.st_ctim};
}

int set_used(int fd) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  now.tv_nsec -= kTwoTicksNs;
  if (now.tv_nsec < 0) {
    now.tv_nsec += 1'000'000'000;
    --now.tv_sec;
  }
  const timespec times[2] = {now, now};
  return ::futimens(fd, times) == 0 ? 0 : errno;
}

void CheckedFiles::note(const ContentId& id, const FileStamp& stamp) {
  recent_.insert_or_assign(id, stamp);
  if (recent_.size() > kMost) older_ = std::exchange(recent_, {});
}

const FileStamp* CheckedFiles::find(const ContentId& id) {
  if (!recent_.contains(id)) {
    const auto known = older_.find(id);
    if (known == older_.end()) return nullptr;
    const FileStamp stamp = known->second;
    older_.erase(known);
    note(id, stamp);
  }
  const auto found = recent_.find(id);
  return found != recent_.end() ? &found->second : &older_.at(id);
}

void CheckedFiles::forget(const ContentId& id) {
  recent_.erase(id);
  older_.erase(id);
}

void ContentStore::Impl::note_checked(const ContentId& id) {
  const OpenFile file = open_file(file_of(id), O_RDONLY);
  struct stat about {};
  const std::lock_guard lock(checked_mutex);
  if (file && set_used(file.get()) == 0 && ::fstat(file.get(), &about) == 0) {
    checked.note(id, stamp_of(about));
  } else {
    checked.forget(id);
  }
}

// Its times change by this; that does not make it another file.
void ContentStore::Impl::touch(const ContentId& id) const {
  const OpenFile file = open_file(file_of(id), O_RDONLY | O_NONBLOCK);
  struct stat about {};
  const std::lock_guard lock(checked_mutex);
  if (!file || ::fstat(file.get(), &about) != 0) return;
  const FileStamp* known = checked.find(id);
  const bool is_as_checked = known != nullptr && *known == stamp_of(about);
  if (set_used(file.get()) != 0 || !is_as_checked) return;
  if (::fstat(file.get(), &about) == 0) checked.note(id, stamp_of(about));
}

bool ContentStore::is_as_checked(const ContentId& id) const {
  struct stat about {};
  const std::lock_guard lock(impl_->checked_mutex);
  const FileStamp* known = impl_->checked.find(id);
  return known != nullptr && ::stat(impl_->file_of(id).c_str(), &about) == 0 &&
         stamp_of(about) == *known;
}

Result<void, StoreError> ContentStore::check(const ContentId& id, const std::stop_token& stop) {
  if (is_as_checked(id)) return {};
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const OpenFile file = open_file(impl_->file_of(id), O_RDONLY | O_NONBLOCK);
    struct stat before {};
    struct stat after {};
    if (!file) {
      if (errno == ENOENT) return tl::unexpected(not_here(id));
      return failed("read", impl_->file_of(id), errno);
    }
    // Before it is read: what is written after this shows.
    static_cast<void>(set_used(file.get()));
    if (::fstat(file.get(), &before) != 0) return failed("read", impl_->file_of(id), errno);
    const auto digest = digest_until(file.get(), stop);
    if (!digest) {
      return tl::unexpected(StoreError{StoreFault::kSystem, "the check was told to stop"});
    }
    if (::stat(impl_->file_of(id).c_str(), &after) != 0) return tl::unexpected(not_here(id));
    if (stamp_of(before) != stamp_of(after)) continue;
    if (!*digest || (*digest)->id != id) break;
    const std::lock_guard lock(impl_->checked_mutex);
    impl_->checked.note(id, stamp_of(after));
    return {};
  }
  drop(id);
  return tl::unexpected(damaged_and_removed(id));
}

}  // namespace shoal
