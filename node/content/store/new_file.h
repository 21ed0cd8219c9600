#pragma once

#include <cstdint>
#include <filesystem>

#include "node/content/store/file_io.h"

namespace shoal {

// Bytes on their way to a final name; the file goes away unless it gets there. One thread.
class NewFile {
 public:
  // Under a name of its own in `folder`, which must be there.
  NewFile(const std::filesystem::path& folder, unsigned mode);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  // The first failure is kept; what comes after it does nothing.
  void append(ByteView bytes);
  // Durable under `name`, whose folder must be there. An errno, or 0.
  int become(const std::filesystem::path& name);
  int error() const { return error_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  OpenFile file_;
  std::uint64_t length_ = 0;
  int error_ = 0;
};

}  // namespace shoal
