#include "sdk/cli/commands.h"

#include "sdk/cli/output.h"
#include "sdk/cli/schema.h"
#include "sdk/src/places.h"

namespace shoal::cli {

void add_common(CLI::App& command, Chosen& chosen) {
  command.add_flag("--json", chosen.flags.json, "Print JSON");
  command.add_flag("--quiet", chosen.flags.quiet, "No progress and no notices");
  command.add_option("--config", chosen.flags.config, "A TOML file with settings")
      ->type_name("FILE");
}

void add_ticket(CLI::App& command, Chosen& chosen) {
  command
      .add_option("--ticket", chosen.flags.ticket, "The pool's ticket, or @FILE with it in a file")
      ->type_name("TICKET");
}

void add_timeout(CLI::App& command, Chosen& chosen, const char* help) {
  command.add_option("--timeout", chosen.flags.timeout, help)->type_name("SECONDS");
  command.add_flag("--no-progress", chosen.flags.no_progress, "No progress bar");
}

namespace {

Outcome run_paths(const Settings& settings) {
  const Locations usual = usual_locations();
  const nlohmann::json places = {
      {"schema", kSchema},
      {"config_file", usual.config_file.string()},
      {"ticket_file", usual.ticket_file.string()},
      {"state", state_folder().string()},
      {"submitter_key", (state_folder() / "submitter.key").string()},
      {"jobs", (state_folder() / "jobs").string()},
      {"content", (state_folder() / "content").string()},
      {"worker_config_file", (config_folder() / "worker.toml").string()},
      {"worker_state", (state_folder() / "worker").string()},
      {"cache", cache_folder().string()},
  };
  if (settings.json) {
    print(json_line(places));
    return kSuccess;
  }
  Table table({"what", "where"});
  for (const auto& [name, path] : places.items()) {
    if (path.is_string()) table.add({name, path.get<std::string>()});
  }
  print(table.text());
  return kSuccess;
}

}  // namespace

void add_paths(CLI::App& app, Chosen& chosen) {
  CLI::App* paths = app.add_subcommand("paths", "Where files of yours are, by the XDG rules");
  add_common(*paths, chosen);
  paths->callback([&chosen] { chosen.run = run_paths; });
}

}  // namespace shoal::cli
