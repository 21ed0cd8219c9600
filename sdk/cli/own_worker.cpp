#include "sdk/cli/own_worker.h"

#include <chrono>
#include <cstdlib>
#include <sstream>

#include "sdk/src/places.h"

namespace shoal::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kPatience{5'000};

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream text(line);
  for (std::string field; std::getline(text, field, '\t');) fields.push_back(field);
  return fields;
}

}  // namespace

void add_worker_state(CLI::App& command, std::string& folder) {
  command
      .add_option("--state", folder,
                  "The worker's state folder; default: SHOAL_STATE, or that of this user's worker")
      ->type_name("DIR");
}

fs::path worker_state(const std::string& named) {
  if (!named.empty()) return named;
  const char* state = std::getenv("SHOAL_STATE");
  return state != nullptr && *state != '\0' ? fs::path(state) : state_folder() / "worker";
}

Result<WorkerAnswer, NoAnswer> ask_worker(const fs::path& folder, std::string_view question) {
  const auto text = ask_node(folder, question, kPatience);
  if (!text) return tl::unexpected(text.error());
  WorkerAnswer answer;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) answer.lines.push_back(fields_of(line));
  if (answer.lines.empty() || answer.lines[0].size() != 2) {
    return tl::unexpected(NoAnswer{false, "the worker's answer makes no sense"});
  }
  answer.word = answer.lines[0][1];
  if (answer.lines[0][0] != "ok") return tl::unexpected(NoAnswer{false, answer.word});
  answer.lines.erase(answer.lines.begin());
  return answer;
}

}  // namespace shoal::cli
