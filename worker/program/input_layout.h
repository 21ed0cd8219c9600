#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "node/protocol/program_spec.h"
#include "node/protocol/result.h"

namespace shoal {

// Puts a job's files into the working folders of its units. What is large is never copied: the
// scratch folder may lie in memory.
class InputLayout {
 public:
  // Unpacks folders and copies small files below `shared`, once for all units. The error is a
  // sentence; nothing can run then.
  static Result<InputLayout, std::string> make(std::vector<ProgramFile> files,
                                               const std::vector<std::filesystem::path>& contents,
                                               const std::filesystem::path& shared);

  // Each unit finds its inputs as the job brought them, whatever those before it have done to
  // theirs. Safe to call from several threads. The error is a sentence.
  Result<void, std::string> lay_out(const std::filesystem::path& work) const;

  // All files that lie in a unit's folder when it begins, by their paths in there.
  const std::set<std::string>& files() const { return files_; }

 private:
  // One file below `shared`, and what it was made of.
  struct Part {
    std::string path;  // within its folder
    std::filesystem::path content;
    std::uint64_t first = 0;
    std::uint64_t bytes = 0;
    unsigned mode = 0;
  };
  struct Source {
    ProgramFile file;
    std::filesystem::path path;
    // Linked to, one by one. A hard link looks like the file itself to programs that ask where they
    // lie; one to the content cannot be made, since that lies on another file system. Empty where
    // there is a link to the whole.
    std::vector<Part> parts = {};
    std::vector<std::string> folders = {};
    std::vector<std::pair<std::string, std::string>> links = {};  // path, and where it leads
    bool whole = true;
  };

  static Result<void, std::string> unpack(Source& source, const std::filesystem::path& content);
  Result<void, std::string> put_part(const Part& part, const std::filesystem::path& shared,
                                     const std::filesystem::path& path) const;
  Result<void, std::string> lay_out(const Source& source, const std::filesystem::path& path) const;

  std::vector<Source> sources_;
  std::set<std::string> files_;
  bool copies_ = false;  // rather than links
  // Held by pointer, since layouts are moved.
  std::unique_ptr<std::mutex> mending_ = std::make_unique<std::mutex>();
};

}  // namespace shoal
