#pragma once

#include <cstdint>
#include <filesystem>

namespace shoal::cluster {

// A small file system of its own in a folder, in memory, which can be full. Needs the namespaces of
// no_own_network(), and is gone with them. Throws where it cannot be mounted.
class SmallDisk {
 public:
  SmallDisk(const std::filesystem::path& folder, std::uint64_t bytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  // Until not a byte more can be written.
  void fill();
  void free();

 private:
  std::filesystem::path folder_;
};

}  // namespace shoal::cluster
