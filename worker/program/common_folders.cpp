#include "worker/program/common_folders.h"

#include <sys/stat.h>
#include <unistd.h>

#include "node/state/remove_folder.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  fs::directory_iterator at(folder, error);
  for (const fs::directory_iterator end; !error && at != end; at.increment(error)) {
    entries.push_back(at->path());
  }
  return entries;
}

}  // namespace

CommonFolders::CommonFolders(std::vector<fs::path> folders) {
  for (fs::path& folder : folders) {
    std::set<std::string> staying;
    for (const fs::path& entry : entries_of(folder)) staying.insert(entry.filename().native());
    folders_.emplace_back(std::move(folder), std::move(staying));
  }
}

// By the time that no program can set. That of a folder says nothing of files deeper in it.
bool CommonFolders::older(const fs::path& path, const Moment& than) {
  struct stat about {};
  if (::lstat(path.c_str(), &about) != 0) return false;
  if (Moment(about.st_ctim.tv_sec, about.st_ctim.tv_nsec) >= than) return false;
  if (!S_ISDIR(about.st_mode)) return true;
  for (const fs::path& entry : entries_of(path)) {
    if (!older(entry, than)) return false;
  }
  return true;
}

CommonFolders::Use::Use(CommonFolders& folders) : folders_(folders) {
  const std::lock_guard lock(folders_.lock_);
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);  // that of the file system
  begun_ = folders_.running_.emplace(now.tv_sec, now.tv_nsec);
}

CommonFolders::Use::~Use() {
  const std::lock_guard lock(folders_.lock_);
  folders_.running_.erase(begun_);
  const bool alone = folders_.running_.empty();
  for (const auto& [folder, staying] : folders_.folders_) {
    for (const fs::path& entry : entries_of(folder)) {
      if (staying.contains(entry.filename().native())) continue;
      if (!alone && !older(entry, *folders_.running_.begin())) continue;
      if (::unlink(entry.c_str()) != 0) remove_folder(entry);
    }
  }
}

}  // namespace shoal
