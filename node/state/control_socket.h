#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "node/protocol/result.h"

// How a running node is told something by the commands of its own user, on the same machine: a UNIX
// socket in its state folder, which nobody else can reach. One question, one answer, both a text.
namespace shoal {

inline constexpr std::size_t kControlTextBytes = 64 * 1024;

// The node's end. One thread only; never blocks.
class ControlSocket {
 public:
  // Takes the place of one that a node which has died left behind: the caller holds the folder's
  // lock. The error is a sentence.
  static Result<std::unique_ptr<ControlSocket>, std::string> open(
      const std::filesystem::path& folder);
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

  // To be polled for reading; they change from call to call.
  std::vector<int> descriptors() const;
  // Answers what has been asked since.
  void serve(const std::function<std::string(std::string_view question)>& answer);

 private:
  ControlSocket(int listening, std::filesystem::path path)
      : listening_(listening), path_(std::move(path)) {}

  int listening_;
  std::filesystem::path path_;
  std::vector<int> asking_;
};

// The command's end. Blocks until the answer is there.
struct NoAnswer {
  bool nobody = false;  // no node runs there
  std::string what;     // a sentence
};
Result<std::string, NoAnswer> ask_node(const std::filesystem::path& folder,
                                       std::string_view question,
                                       std::chrono::milliseconds patience);

}  // namespace shoal
