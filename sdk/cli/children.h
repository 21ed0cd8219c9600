#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "node/protocol/result.h"

namespace shoal::cli {

// Programs started by this process, ended with it: by their ids when the object is destroyed, and
// by the kernel where this process dies before. To be used before any thread is started, and by the
// main thread alone, since it is that thread's death that the kernel looks at.
class Children {
 public:
  Children() = default;
  ~Children();
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  // Waits for its first line on stdout, which it returns. stderr goes to `log`. The error is what
  // it said there, or why it could not be started.
  Result<std::string, std::string> start(const std::filesystem::path& program,
                                         const std::vector<std::string>& arguments,
                                         const std::filesystem::path& log,
                                         std::chrono::milliseconds patience);

 private:
  struct Child {
    pid_t pid;
    int out;
  };
  std::vector<Child> children_;
};

}  // namespace shoal::cli
