#include "node/content/store/new_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

namespace shoal {

NewFile::NewFile(const std::filesystem::path& folder, unsigned mode)
    : path_(folder / "new-XXXXXX") {
  std::string name = path_.string();
  file_ = OpenFile(::mkostemp(name.data(), O_CLOEXEC));
  if (!file_ || ::fchmod(file_.get(), mode) != 0) error_ = errno;
  // Tells others that share the folder that this file is no left-over.
  if (file_) ::flock(file_.get(), LOCK_EX);
  path_ = name;
}

NewFile::~NewFile() {
  if (file_) ::unlink(path_.c_str());
}

void NewFile::append(ByteView bytes) {
  if (error_ == 0) error_ = write_all_at(file_.get(), bytes, length_);
  length_ += bytes.size();
}

int NewFile::become(const std::filesystem::path& name) {
  if (error_ == 0 && ::fsync(file_.get()) != 0) error_ = errno;
  if (error_ == 0 && ::rename(path_.c_str(), name.c_str()) != 0) error_ = errno;
  if (error_ != 0) return error_;
  file_.close();
  return sync_folder(name.parent_path());
}

}  // namespace shoal
