#include "tests/unit/tidy/source_tree.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace shoal::tidy {
namespace {

const std::set<std::string> kExtensions = {".h",  ".cpp", ".capnp", ".cmake",
                                           ".md", ".py",  ".sh",    ".in"};

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

bool is_wanted(const std::filesystem::path& path) {
  if (path.filename() == "CMakeLists.txt") return true;
  if (path.has_extension()) return kExtensions.contains(path.extension().string());
  std::ifstream in(path, std::ios::binary);
  char start[2] = {};
  return in.read(start, sizeof start) && start[0] == '#' && start[1] == '!';
}

}  // namespace

std::vector<SourceFile> read_tree(const std::filesystem::path& top) {
  std::vector<SourceFile> files;
  std::filesystem::recursive_directory_iterator walk(top);
  for (auto entry = begin(walk); entry != end(walk); ++entry) {
    const std::string name = entry->path().filename().string();
    if (entry->is_directory()) {
      const bool built = entry.depth() == 0 && name == "build";
      if (built || (name.starts_with('.') && name != ".ci")) entry.disable_recursion_pending();
    } else if (entry->is_regular_file() && is_wanted(entry->path())) {
      files.push_back({.path = entry->path().lexically_relative(top).generic_string(),
                       .text = read_file(entry->path())});
    }
  }
  std::sort(files.begin(), files.end(),
            [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return files;
}

}  // namespace shoal::tidy
