#include "worker/runtime/scratch.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "node/state/remove_folder.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "executor-";

bool is_of_an_executor(const fs::directory_entry& entry) {
  std::error_code unknown;
  if (!fs::is_directory(entry.symlink_status(unknown))) return false;
  const std::string name = entry.path().filename().string();
  if (!name.starts_with(kPrefix) || name.size() == kPrefix.size()) return false;
  return std::all_of(name.begin() + kPrefix.size(), name.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

fs::path scratch_of(const fs::path& all, std::uint64_t number) {
  return all / (std::string(kPrefix) + std::to_string(number));
}

void remove_left_scratch(const fs::path& all) {
  std::error_code error;
  if (!fs::is_directory(fs::symlink_status(all, error))) return;
  std::vector<fs::path> left;
  for (fs::directory_iterator entry(all, error), end; !error && entry != end;
       entry.increment(error)) {
    if (is_of_an_executor(*entry)) left.push_back(entry->path());
  }
  for (const fs::path& folder : left) remove_folder(folder);
}

}  // namespace shoal
