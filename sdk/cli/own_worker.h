#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "node/protocol/result.h"
#include "node/state/control_socket.h"

// The worker that runs on this machine, for commands of its owner.
namespace shoal::cli {

// `--state DIR`, for a worker that is not where this user's would be.
void add_worker_state(CLI::App& command, std::string& folder);
// The folder that was named; else as shoal-worker chooses it.
std::filesystem::path worker_state(const std::string& named);

// The fields of its lines after the first, which is "ok" and a word or sentence, or an error.
struct WorkerAnswer {
  std::string word;
  std::vector<std::vector<std::string>> lines;
};
Result<WorkerAnswer, NoAnswer> ask_worker(const std::filesystem::path& folder,
                                          std::string_view question);

}  // namespace shoal::cli
