#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "node/content/store/content_store.h"

// The few calls on files that the content store needs, with errors as sentences.
namespace shoal {

// Closes on every way out.
class OpenFile {
 public:
  OpenFile() = default;
  explicit OpenFile(int fd) : fd_(fd) {}
  OpenFile(OpenFile&& other) noexcept;
  OpenFile& operator=(OpenFile&& other) noexcept;
  ~OpenFile() { close(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void close();

 private:
  int fd_ = -1;
};

// What failed with `error` (an errno), and what to do.
StoreError store_error(const std::string& doing, const std::filesystem::path& path, int error);
// The same of what is to become a content, which need not be in a folder that can be written.
StoreError not_read(const std::filesystem::path& path, int error);

// open(2) with O_CLOEXEC; not open on failure, and errno says why.
OpenFile open_file(const std::filesystem::path& path, int flags, unsigned mode = 0);
// Both give an errno, or 0. write_all_at extends the file where it must.
int write_all_at(int fd, ByteView bytes, std::uint64_t offset);
// Up to `into.size()` bytes; `got` is less only at the end of the file.
int read_all_at(int fd, std::span<std::uint8_t> into, std::uint64_t offset, std::size_t& got);
// A new or renamed name is durable only when its folder is.
int sync_folder(const std::filesystem::path& folder);

}  // namespace shoal
