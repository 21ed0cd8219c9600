#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

// What this machine and its network are like, for `shoal doctor`.
namespace shoal::cli {

// Empty: something accepts connections there. Else why not, in a few words.
std::string dial_fault(const std::string& endpoint, std::chrono::milliseconds patience);
// Empty: files can be made in the folder, or it can be made. Else why not.
std::string folder_fault(const std::filesystem::path& folder);
// What `shoal-sandbox --probe` says: one line a layer, "name: yes" or "name: why not". Empty: it
// cannot be run.
std::vector<std::string> sandbox_layers(const std::filesystem::path& program);
// The version of the engine that the executor of WebAssembly has. Empty: it cannot be started.
std::string engine_version(const std::filesystem::path& program);

}  // namespace shoal::cli
