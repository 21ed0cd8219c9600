#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include "node/protocol/result.h"

namespace shoal::bench {

// Appends 4 KiB at a time, durably, to a file of its own: what a durable write takes on that disk.
class SyncedFile {
 public:
  static Result<SyncedFile, std::string> open(const std::filesystem::path& path);
  SyncedFile(SyncedFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  SyncedFile& operator=(SyncedFile&&) = delete;
  ~SyncedFile();
  // Milliseconds for one.
  Result<double, std::string> sync_ms() const;

 private:
  explicit SyncedFile(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace shoal::bench
