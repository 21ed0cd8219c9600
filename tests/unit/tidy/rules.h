#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

// The rules of the house that a compiler does not check. Each finding is a sentence that says what
// to do about it. Paths start at the top of the project and use '/'.
namespace shoal::tidy {

struct SourceFile {
  std::string path;
  std::string text;
};

struct Finding {
  std::string path;
  int line = 0;  // from 1; 0: the file as a whole
  std::string sentence;

  std::string to_string() const;
};

// Includes against the arrows of docs/architecture.md.
std::vector<Finding> check_arrows(const SourceFile&);
// In a core/: clocks, threads, sockets, files, random devices, distributions. `header` is the text
// of the header of the same name, or empty: an unordered member declared there may be iterated
// here.
std::vector<Finding> check_core(const SourceFile&, std::string_view header);
// Generated headers outside node/protocol/*.cpp; capnp, zmq and tbb in the public headers.
std::vector<Finding> check_third_parties(const SourceFile&);
// Length of files and lines, words that do not belong, `#pragma once`.
std::vector<Finding> check_text(const SourceFile&);
// Sources that no CMake file names.
std::vector<Finding> check_dead_files(const std::vector<SourceFile>&);

// Links of the documents (*.md) among `files` to files, folders and headings that there are not.
// `exists` says whether a path from the top of the project does.
std::vector<Finding> check_links(const std::vector<SourceFile>& files,
                                 const std::function<bool(const std::string&)>& exists);

// All of the above over all files, save check_links.
std::vector<Finding> check_tree(const std::vector<SourceFile>&);

}  // namespace shoal::tidy
