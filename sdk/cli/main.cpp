#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node/state/freed_memory.h"
#include "node/state/standard_streams.h"
#include "sdk/cli/commands.h"
#include "sdk/cli/output.h"
#include "sdk/cli/programs.h"

namespace {

using namespace shoal::cli;

constexpr const char* kFooter = R"(
Settings come from a TOML file, the environment and flags; a flag wins over the environment, and the
environment over the file. The file is $XDG_CONFIG_HOME/shoal/config.toml, or what --config names:

  ticket = "shoal1..."   # SHOAL_TICKET; "@FILE" reads it from a file
  quorum = 2             # SHOAL_QUORUM
  timeout = 3600.0       # SHOAL_TIMEOUT, in seconds
  progress = true        # SHOAL_PROGRESS
  quiet = false          # SHOAL_QUIET

Where none of them names a pool, it is the one that `shoal pool use` has set.
stdout carries data; progress and notices go to stderr. --json prints objects with a "schema"
number.

Exit codes: 0 done (of a job: all units verified), 1 some units failed or are disputed, or another
error, 2 usage, 3 cancelled, 4 the pool cannot be reached, 124 timeout, 130 Ctrl-C (a job goes
on).)";

// Of each command; that of `shoal` itself says it all.
constexpr const char* kShortFooter =
    "`shoal --help` has the settings, their names in the environment, and the exit codes.";

// `shoal worker` and `shoal coordinator` hand all that follows to the program of that name.
bool is_handed_on(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return false;
  if (arguments[0] == "coordinator") return true;
  if (arguments[0] != "worker") return false;
  static constexpr std::array<std::string_view, 5> ours = {"list", "pause", "resume", "finish",
                                                           "top"};
  return arguments.size() < 2 || std::find(ours.begin(), ours.end(), arguments[1]) == ours.end();
}

int report(const Failure& failure) {
  say("error: " + failure.what);
  return failure.exit_code;
}

int run(const Chosen& chosen) {
  const auto settings = load_settings(chosen.flags, process_environment(), usual_locations());
  if (!settings) return report(settings.error());
  const Outcome outcome = chosen.run(*settings);
  // Even a command that failed may have printed some of what was asked for.
  const auto written = flush_output();
  if (!outcome) return report(outcome.error());
  if (!written) return report(written.error());
  return *outcome;
}

// What is wrong where a command is missing. CLI11 says that one is required of a mistyped one, too.
std::optional<std::string> command_fault(const CLI::App& app) {
  const CLI::App* at = &app;
  std::string name = app.get_name();
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    name += " " + at->get_name();
  }
  std::string known;
  for (const CLI::App* command : at->get_subcommands([](const CLI::App*) { return true; })) {
    known += (known.empty() ? "" : ", ") + command->get_name();
  }
  if (known.empty()) return std::nullopt;  // it is something else that is missing
  const std::vector<std::string> rest = app.remaining(true);
  const std::string what =
      rest.empty() ? "Say which command" : "There is no '" + rest.front() + "'";
  return what + ": '" + name + "' has " + known + ", and --help says what each does.";
}

// The last one first, as CLI11 wants them. What follows -- is a command line by itself.
std::vector<std::string> arguments_to_read(std::vector<std::string> arguments, Chosen& chosen) {
  if (arguments.size() > 1 && arguments[0] == "submit") {
    if (const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
        dashes != arguments.end()) {
      chosen.after_dashes.assign(dashes + 1, arguments.end());
      arguments.erase(dashes, arguments.end());
    }
    // All that follows a task's name is the task's; what follows a job file or a module is ours.
    if (arguments.size() > 2 && arguments[1].ends_with(".toml")) {
      std::rotate(arguments.begin() + 1, arguments.begin() + 2, arguments.end());
    } else if (arguments.size() > 1 && arguments[1].ends_with(".wasm")) {
      arguments.insert(arguments.begin() + 1, "--module");
    }
  }
  std::reverse(arguments.begin(), arguments.end());
  return arguments;
}

}  // namespace

int main(int argc, char** argv) {
  shoal::occupy_closed_streams();
  shoal::keep_freed_memory();
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  if (is_handed_on(arguments)) {
    return report(become("shoal-" + arguments[0], {arguments.begin() + 1, arguments.end()}));
  }
  Chosen chosen;
  CLI::App app("A volunteer computing grid: pools, jobs, and what becomes of them.", "shoal");
  app.footer(kShortFooter);  // commands take it over when they are added
  app.set_version_flag("--version", "shoal " SHOAL_VERSION);
  app.require_subcommand(1);
  add_pool(app, chosen);
  app.add_subcommand("coordinator", "Help the nodes of a pool find each other (shoal-coordinator)");
  add_worker(app, chosen);
  add_submit(app, chosen);
  add_kernel(app, chosen);
  add_job(app, chosen);
  add_contents(app, chosen);
  add_demo(app, chosen);
  add_doctor(app, chosen);
  add_paths(app, chosen);
  app.footer(kFooter);
  try {
    app.parse(arguments_to_read(arguments, chosen));
  } catch (const CLI::ParseError& error) {
    if (const auto fault = command_fault(app); error.get_name() == "RequiredError" && fault) {
      return report({kUsage, *fault});
    }
    // --help and --version are 0; the rest of CLI11's codes are its own.
    if (app.exit(error, std::cout, std::cerr) != 0) return kUsage;
    const auto written = flush_output();
    return written ? kSuccess : report(written.error());
  }
  shoal::check(static_cast<bool>(chosen.run), "a command was read, but nothing is to be done");
  return run(chosen);
}
