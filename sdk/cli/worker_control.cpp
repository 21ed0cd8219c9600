#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "sdk/cli/commands.h"
#include "sdk/cli/fetch_bar.h"
#include "sdk/cli/output.h"
#include "sdk/cli/own_worker.h"
#include "sdk/cli/schema.h"

// shoal worker pause, resume, finish, top: to the worker that runs on this machine.
namespace shoal::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kMeasuring{50};

Outcome tell(const Settings& settings, const fs::path& folder, const std::string& question) {
  const auto answer = ask_worker(folder, question);
  if (!answer) return fail(kError, answer.error().what);
  if (settings.json) {
    print(json_line({{"schema", 1}, {"worker", answer->word}}));
  } else if (!settings.quiet) {
    say("The worker " + answer->word + ".");
  }
  return kSuccess;
}

Outcome show(const Settings& settings, const fs::path& folder) {
  // The first question makes it measure, the second gets what it has measured.
  if (const auto first = ask_worker(folder, "top"); !first) {
    return fail(kError, first.error().what);
  }
  std::this_thread::sleep_for(kMeasuring);
  const auto answer = ask_worker(folder, "top");
  if (!answer) return fail(kError, answer.error().what);
  Table table({"process", "kind", "memory", "job", "unit", "kernel", "seconds"});
  nlohmann::json units = nlohmann::json::array();
  std::string pid, kind, memory;
  std::uint64_t bytes = 0;
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
      bytes = std::strtoull(line[3].c_str(), nullptr, 10);
      // Nobody measures where there are no namespaces.
      memory = bytes == 0 ? "-" : bytes_text(static_cast<double>(bytes));
    } else if (line.size() == 5 && line[0] == "unit") {
      idle = false;
      const auto ms = std::strtoull(line[4].c_str(), nullptr, 10);
      table.add({pid, kind, memory, line[1].substr(0, 12), line[2], line[3],
                 std::to_string(ms / 1000) + "." + std::to_string(ms % 1000 / 100)});
      units.push_back({{"process", std::strtoull(pid.c_str(), nullptr, 10)},
                       {"kind", kind},
                       {"executor_memory_mib", bytes >> 20},
                       {"executor_memory_bytes", bytes},
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
    add_worker_state(*app, *folder);
    add_common(*app, chosen);
    const std::string name = command.name;
    app->callback([&chosen, name, folder] {
      chosen.run = [name, folder](const Settings& settings) -> Outcome {
        const fs::path state = worker_state(*folder);
        return name == "top" ? show(settings, state) : tell(settings, state, name);
      };
    });
  }
}

}  // namespace shoal::cli
