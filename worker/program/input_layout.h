#pragma once

#include <filesystem>
#include <string>
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

  // Safe to call from several threads. The error is a sentence.
  Result<void, std::string> lay_out(const std::filesystem::path& work) const;

 private:
  struct Source {
    ProgramFile file;
    std::filesystem::path path;
    // A hard link looks like the file itself to programs that ask where they lie; one to the
    // content cannot be made, since that lies on another file system.
    bool hard_link = false;
  };
  std::vector<Source> sources_;
};

}  // namespace shoal
