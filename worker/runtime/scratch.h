#pragma once

#include <cstdint>
#include <filesystem>

namespace shoal {

// The folder of one executor, whose number no other of this worker's life has, below the worker's.
std::filesystem::path scratch_of(const std::filesystem::path& all, std::uint64_t number);

// Removes the folders that executors of an earlier life have left below `all`, where the worker was
// killed. Whoever calls holds the lock of the state, so nobody uses them. What has another name, or
// is a link, is somebody else's, and stays.
void remove_left_scratch(const std::filesystem::path& all);

}  // namespace shoal
