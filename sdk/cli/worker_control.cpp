#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "node/state/control_socket.h"
#include "sdk/cli/commands.h"
#include "sdk/cli/output.h"
#include "sdk/cli/schema.h"

// shoal worker pause, resume, finish, top: to the worker that runs on this machine.
namespace shoal::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kPatience{5'000};
constexpr std::chrono::milliseconds kMeasuring{50};

// As shoal-worker chooses it.
fs::path worker_state() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  };
  if (const std::string state = variable("SHOAL_STATE"); !state.empty()) return state;
  if (const std::string xdg = variable("XDG_STATE_HOME"); xdg.starts_with('/')) {
    return xdg + "/shoal/worker";
  }
  return variable("HOME") + "/.local/state/shoal/worker";
}

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream text(line);
  for (std::string field; std::getline(text, field, '\t');) fields.push_back(field);
  return fields;
}

// The lines after the first, which is "ok" and a word or sentence, or an error.
struct Answer {
  std::string word;
  std::vector<std::vector<std::string>> lines;
};

tl::expected<Answer, Failure> ask(const fs::path& folder, const std::string& question) {
  const auto text = ask_node(folder, question, kPatience);
  if (!text) return fail(kError, text.error());
  Answer answer;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) answer.lines.push_back(fields_of(line));
  if (answer.lines.empty() || answer.lines[0].size() != 2) {
    return fail(kError, "the worker's answer makes no sense");
  }
  answer.word = answer.lines[0][1];
  if (answer.lines[0][0] != "ok") return fail(kError, answer.word);
  answer.lines.erase(answer.lines.begin());
  return answer;
}

Outcome tell(const Settings& settings, const fs::path& folder, const std::string& question) {
  const auto answer = ask(folder, question);
  if (!answer) return tl::unexpected(answer.error());
  if (settings.json) {
    print(json_line({{"schema", 1}, {"worker", answer->word}}));
  } else if (!settings.quiet) {
    say("The worker " + answer->word + ".");
  }
  return kSuccess;
}

Outcome show(const Settings& settings, const fs::path& folder) {
  // The first question makes it measure, the second gets what it has measured.
  if (const auto first = ask(folder, "top"); !first) return tl::unexpected(first.error());
  std::this_thread::sleep_for(kMeasuring);
  const auto answer = ask(folder, "top");
  if (!answer) return tl::unexpected(answer.error());
  Table table({"process", "kind", "memory MiB", "job", "unit", "kernel", "seconds"});
  nlohmann::json units = nlohmann::json::array();
  std::string pid, kind, memory;
  bool idle = false;
  const auto add_idle = [&] {
    if (idle) table.add({pid, kind, memory, "-", "-", "-", "-"});
  };
  for (const auto& line : answer->lines) {
    if (line.size() == 4 && line[0] == "executor") {
      add_idle();
      idle = true;
      pid = line[1];
      kind = line[2];
      memory = std::to_string(std::strtoull(line[3].c_str(), nullptr, 10) >> 20);
    } else if (line.size() == 5 && line[0] == "unit") {
      idle = false;
      const auto ms = std::strtoull(line[4].c_str(), nullptr, 10);
      table.add({pid, kind, memory, line[1].substr(0, 12), line[2], line[3],
                 std::to_string(ms / 1000) + "." + std::to_string(ms % 1000 / 100)});
      units.push_back({{"process", std::strtoull(pid.c_str(), nullptr, 10)},
                       {"kind", kind},
                       {"executor_memory_mib", std::strtoull(memory.c_str(), nullptr, 10)},
                       {"job", line[1]},
                       {"unit", std::strtoull(line[2].c_str(), nullptr, 10)},
                       {"kernel", line[3]},
                       {"ms", ms}});
    }
  }
  add_idle();
  if (settings.json) {
    print(json_line({{"schema", 1}, {"state", answer->word}, {"units", units}}));
    return kSuccess;
  }
  if (!settings.quiet) say("The worker is " + answer->word + ".");
  print(table.text());
  return kSuccess;
}

}  // namespace

void add_worker_control(CLI::App& worker, Chosen& chosen) {
  struct Command {
    const char* name;
    const char* help;
  };
  static constexpr Command kCommands[] = {
      {"pause", "Freeze all that runs here, at once; after 5 minutes it goes to others"},
      {"resume", "Let it go on"},
      {"finish", "End the worker when what runs is done; it takes nothing new"},
      {"top", "What runs here: units, their kinds, time and memory"},
  };
  for (const Command& command : kCommands) {
    CLI::App* app = worker.add_subcommand(command.name, command.help);
    const auto folder = std::make_shared<std::string>();
    app->add_option("--state", *folder, "the worker's state folder; default: that of this user's")
        ->type_name("DIR");
    add_common(*app, chosen);
    const std::string name = command.name;
    app->callback([&chosen, name, folder] {
      chosen.run = [name, folder](const Settings& settings) -> Outcome {
        const fs::path state = folder->empty() ? worker_state() : fs::path(*folder);
        return name == "top" ? show(settings, state) : tell(settings, state, name);
      };
    });
  }
}

}  // namespace shoal::cli
