#include "node/state/remove_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shoal {
namespace {

constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// For all that is to be done with it, though its program may have forbidden to look into it, or to
// move it; -1: it is no folder, or does not open. Root, who is kept out of none, changes nothing by
// its name: a process that outlived its unit might have put a link in its place meanwhile.
int open_folder(int at, const char* name) {
  int folder = ::openat(at, name, kFolder);
  if (folder < 0 && errno == EACCES && ::fchmodat(at, name, S_IRWXU, 0) == 0) {
    folder = ::openat(at, name, kFolder);
  }
  if (folder >= 0) ::fchmod(folder, S_IRWXU);
  return folder;
}

// Folders that lie in folders are moved up to the top before they are emptied. So a few descriptors
// are enough, and no path is longer than a name, where a program has made more levels than a
// process may have open, or than a path has room for.
class Emptying {
 public:
  explicit Emptying(int top) : top_(top) {}

  void run() {
    empty(top_);
    while (!waiting_.empty()) {
      const std::string name = std::move(waiting_.back());
      waiting_.pop_back();
      const int folder = open_folder(top_, name.c_str());
      if (folder < 0) continue;
      const bool any_gone = empty(folder);
      ::close(folder);
      const bool full = ::unlinkat(top_, name.c_str(), AT_REMOVEDIR) != 0 && errno == ENOTEMPTY;
      if (full && any_gone) waiting_.push_back(name);
    }
  }

 private:
  // False: all is as it was.
  bool empty(int folder) {
    const int copy = ::openat(folder, ".", kFolder);
    DIR* list = copy >= 0 ? ::fdopendir(copy) : nullptr;
    if (list == nullptr) return false;
    bool any_gone = false;
    while (const dirent* entry = ::readdir(list)) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      any_gone |= ::unlinkat(folder, name.c_str(), 0) == 0 ||
                  ::unlinkat(folder, name.c_str(), AT_REMOVEDIR) == 0 || let_wait(folder, name);
    }
    ::closedir(list);
    return any_gone;
  }

  // A folder with something in it.
  bool let_wait(int folder, const std::string& name) {
    const int itself = open_folder(folder, name.c_str());
    if (itself < 0) return false;
    ::close(itself);
    if (folder == top_) {
      waiting_.push_back(name);
      return true;
    }
    for (int error = EEXIST; error == EEXIST || error == ENOTEMPTY || error == ENOTDIR;) {
      const std::string there = std::to_string(moved_++);
      if (::renameat(folder, name.c_str(), top_, there.c_str()) == 0) {
        waiting_.push_back(there);
        return true;
      }
      error = errno;
    }
    return false;
  }

  int top_;
  std::vector<std::string> waiting_;
  std::uint64_t moved_ = 0;
};

}  // namespace

void remove_folder(const std::filesystem::path& folder) {
  const int top = open_folder(AT_FDCWD, folder.c_str());
  if (top < 0) return;
  Emptying(top).run();
  ::close(top);
  ::rmdir(folder.c_str());
}

}  // namespace shoal
