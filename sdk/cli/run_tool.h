#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "node/protocol/result.h"

namespace shoal::cli {

// A program and its arguments.
using Command = std::vector<std::string>;

struct ToolOutput {
  std::string out;
  std::string err;
};

// Runs a program to its end, found in PATH where its name has no slash. The error is what it wrote
// to stderr, or why it could not be started. Blocks.
Result<ToolOutput, std::string> run_tool(const Command& command);

// Where `program` is found in PATH; empty where it is not.
std::filesystem::path find_in_path(const std::string& program);

// A folder of its own, removed with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  // Empty where none could be made.
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace shoal::cli
