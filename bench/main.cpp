#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "bench/figure.h"
#include "bench/process.h"
#include "bench/run.h"

// shoal-bench: see README.md beside this file.
namespace {

using namespace shoal;
using namespace shoal::bench;
using nlohmann::json;
namespace fs = std::filesystem;

constexpr int kExitMissed = 1;
constexpr int kExitUsage = 2;
constexpr int kSchema = 1;
// Several times what a group takes on a machine with two cores.
constexpr std::chrono::seconds kGroupPatience{400};

struct Group {
  std::string name;
  std::vector<std::string> figures;
  std::function<Measured(const Run&)> measure;
};

std::vector<Group> all_groups() {
  std::vector<Group> groups;
  for (const int unit_ms : {1, 10, 100}) {
    groups.push_back({"efficiency-" + std::to_string(unit_ms) + "ms", efficiency_figures(unit_ms),
                      [unit_ms](const Run& run) { return measure_efficiency(run, unit_ms); }});
  }
  groups.push_back(
      {"noop",
       {"noop.q2.1e5", "noop.q2.1e6", "flatness", "steward.memory", "coordinator.job_bytes"},
       measure_noop});
  groups.push_back({"one-unit", {"oneunit.p50"}, measure_one_unit});
  groups.push_back(
      {"submits", {"submits.durable.window1", "submits.durable.window16"}, measure_submits});
  groups.push_back({"stewards", {"stewards.cost"}, measure_stewards});
  groups.push_back({"failover", {"failover.next_lease", "failover.next_result"}, measure_failover});
  groups.push_back(
      {"kill9", kill9_figures(false), [](const Run& run) { return measure_kill9(run, false); }});
  groups.push_back({"kill9-leader", kill9_figures(true),
                    [](const Run& run) { return measure_kill9(run, true); }});
  groups.push_back({"disk",
                    {"disk.steward.bytes_per_unit", "disk.steward.peak_per_unit",
                     "disk.worker.bytes_per_unit", "disk.worker.peak_per_unit"},
                    measure_disk});
  groups.push_back({"idle", {"worker.idle"}, measure_idle});
  groups.push_back({"share", {"share.25", "share.50"}, measure_share});
  groups.push_back({"pause", {"worker.pause", "worker.resume"}, measure_pause});
  groups.push_back({"spawn", {"sandbox.spawn"}, measure_spawn});
  groups.push_back({"executors", executor_figures(), measure_executors});
#if defined(SHOAL_WASM)
  groups.push_back({"wasm", wasm_figures(), measure_wasm});
#endif
  groups.push_back({"held-records",
                    {"coordinator.records", "coordinator.bytes_per_node", "coordinator.sample"},
                    measure_held_records});
  groups.push_back({"announcements",
                    {"coordinator.announcements", "coordinator.visits", "coordinator.visit_bytes"},
                    measure_announcements});
  groups.push_back({"store", {"content.store"}, measure_store});
  groups.push_back(
      {"content-memory", {"content.memory.put", "content.memory.get"}, measure_content_memory});
  groups.push_back(
      {"bulk-ping", {"content.ping_beside_bulk", "content.bulk_beside_ping"}, measure_bulk_ping});
  for (const bool shaped : {false, true}) {
    for (const std::size_t peers : {3, 8}) {
      groups.push_back({"swarm-" + std::to_string(peers) + (shaped ? "-shaped" : "-loopback"),
                        swarm_figures(peers, shaped),
                        [=](const Run& run) { return measure_swarm(run, peers, shaped); }});
    }
  }
  return groups;
}

// "efficiency.q1" stands for all figures whose names go on with a dot there. No names: all figures.
bool is_named(const std::vector<std::string>& names, const std::string& figure) {
  return names.empty() || std::any_of(names.begin(), names.end(), [&](const std::string& name) {
           return figure == name || figure.starts_with(name + ".");
         });
}

struct Options {
  std::vector<std::string> names;
  std::string json_file;
  std::string folder;
  std::string group;  // only this one, in this process
  bool check = false;
  bool list = false;
};

fs::path own_program() {
  std::error_code unknown;
  return fs::read_symlink("/proc/self/exe", unknown);
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "";
}

// Measures one group right here. Each figure is a line of JSON on stdout.
int measure_group(const Group& group, const Options& options) {
  // Whatever this account has set up must not take part.
  for (const char* name : {"SHOAL_TICKET", "SHOAL_CONFIG", "SHOAL_STATE", "SHOAL_TRUST",
                           "SHOAL_LISTEN", "SHOAL_ADVERTISE", "SHOAL_MEMORY", "SHOAL_TICKET_FILE",
                           "SHOAL_THREADS", "SHOAL_EXECUTOR", "SHOAL_QUIET", "SHOAL_LOG_LEVEL"}) {
    ::unsetenv(name);
  }
  for (const char* name : {"XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"}) {
    ::setenv(name, options.folder.c_str(), 1);
  }
  Run run;
  run.folder = options.folder;
  run.programs = own_program().parent_path();
  run.cores = usable_cores();
  run.wants = [&](const std::string& figure) { return is_named(options.names, figure); };
  run.report = [&](const Figure& figure) {
    if (!run.wants(figure.name)) return;
    std::printf("%s\n", to_json(figure).dump().c_str());
    std::fflush(stdout);
  };
  const Measured measured = group.measure(run);
  if (measured) return 0;
  std::printf("%s\n", json{{"failed", measured.error()}}.dump().c_str());
  std::fflush(stdout);
  return kExitMissed;
}

// The same in a process of its own, whatever becomes of it: one JSON a wanted figure.
std::vector<json> measure_apart(const Group& group, const std::vector<std::string>& wanted,
                                const fs::path& folder) {
  std::vector<json> figures;
  std::string failure = "its process died";
  std::vector<std::string> arguments{"--group", group.name, "--folder", folder.string()};
  arguments.insert(arguments.end(), wanted.begin(), wanted.end());
  if (auto process = Process::start({own_program(), arguments, {}, {}}); !process) {
    failure = process.error();
  } else {
    const auto deadline = std::chrono::steady_clock::now() + kGroupPatience;
    std::string line;
    auto read = Process::Read::kLine;
    while ((read = (*process)->read_line(line, deadline)) == Process::Read::kLine) {
      json told = json::parse(line, nullptr, false);
      if (told.is_object() && told.contains("failed")) {
        failure = told["failed"].get<std::string>();
      } else if (told.is_object() && told.contains("name")) {
        figures.push_back(std::move(told));
      }
    }
    if (read == Process::Read::kLate) {
      failure = "not done within " + std::to_string(kGroupPatience.count()) + " s";
    }
  }
  for (const std::string& name : wanted) {
    const bool there = std::any_of(figures.begin(), figures.end(),
                                   [&](const json& figure) { return figure["name"] == name; });
    if (!there) figures.push_back(failed_figure(name, failure));
  }
  return figures;
}

bool write_json(const std::string& path, const std::vector<json>& figures, std::size_t cores) {
  const json whole{{"schema", kSchema},
                   {"version", SHOAL_VERSION},
                   {"cores", cores},
                   {"processor", processor_name()},
                   {"figures", figures}};
  std::ofstream file(path);
  file << whole.dump(2) << '\n';
  file.close();
  if (file) return true;
  std::fprintf(stderr, "bench: cannot write %s\n", path.c_str());
  return false;
}

int measure_all(const std::vector<Group>& groups, const Options& options) {
  // So that a wrong path is found out now, and not after all the measuring.
  if (!options.json_file.empty() && !std::ofstream(options.json_file, std::ios::app)) {
    std::fprintf(stderr, "bench: cannot write %s\n", options.json_file.c_str());
    return kExitUsage;
  }
  std::string folder = options.folder.empty() ? fs::temp_directory_path().string() : options.folder;
  folder += "/shoal-bench-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) {
    std::fprintf(stderr, "bench: cannot make a folder like %s\n", folder.c_str());
    return kExitUsage;
  }
  std::fputs(table_head().c_str(), stdout);
  std::fflush(stdout);
  std::vector<json> figures;
  for (const Group& group : groups) {
    std::vector<std::string> wanted;
    for (const std::string& figure : group.figures) {
      if (is_named(options.names, figure)) wanted.push_back(figure);
    }
    if (wanted.empty()) continue;
    const fs::path own = fs::path(folder) / group.name;
    std::error_code ignored;
    fs::create_directories(own, ignored);
    std::fprintf(stderr, "measuring %s\n", group.name.c_str());
    for (json& figure : measure_apart(group, wanted, own)) {
      std::fputs(table_row(figure).c_str(), stdout);
      figures.push_back(std::move(figure));
    }
    std::fflush(stdout);
    fs::remove_all(own, ignored);
  }
  std::error_code ignored;
  fs::remove_all(folder, ignored);

  if (!options.json_file.empty() &&
      !write_json(options.json_file, figures, usable_cores().size())) {
    return kExitMissed;
  }
  const bool measured = std::all_of(figures.begin(), figures.end(), is_measured);
  const bool met = std::all_of(figures.begin(), figures.end(), is_met);
  return measured && (met || !options.check) ? 0 : kExitMissed;
}

int run_as_asked(const std::vector<Group>& groups, const Options& options) {
  if (options.list) {
    for (const Group& group : groups) {
      for (const std::string& figure : group.figures) std::printf("%s\n", figure.c_str());
    }
    return 0;
  }
  if (!options.group.empty()) {
    const auto group = std::find_if(groups.begin(), groups.end(),
                                    [&](const Group& g) { return g.name == options.group; });
    return group == groups.end() ? kExitUsage : measure_group(*group, options);
  }
  for (const std::string& name : options.names) {
    const bool known = std::any_of(groups.begin(), groups.end(), [&](const Group& group) {
      return std::any_of(group.figures.begin(), group.figures.end(),
                         [&](const std::string& figure) { return is_named({name}, figure); });
    });
    if (known) continue;
    std::fprintf(stderr, "bench: there is no figure '%s'; --list prints their names\n",
                 name.c_str());
    return kExitUsage;
  }
  return measure_all(groups, options);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Measures Shoal on this machine, each figure beside a reference measured in the same run. "
      "stdout carries the table.",
      "shoal-bench");
  app.add_option("NAME", options.names,
                 "figures, or the first parts of their names; without any: all");
  app.add_option("--json", options.json_file, "write the figures there as well")->type_name("FILE");
  app.add_flag("--check", options.check, "exit with 1 where a bound is missed");
  app.add_flag("--list", options.list, "print the names of all figures, and do nothing else");
  app.add_option("--folder", options.folder,
                 "below it the pools keep their state; default: the temporary folder")
      ->type_name("DIR");
  app.add_option("--group", options.group)->group("");
  app.footer(
      "Exit codes: 0 measured, 1 a figure could not be measured or, with --check, missed its "
      "bound; "
      "2 usage.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // CLI11 has exit codes of its own, above 100.
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  return run_as_asked(all_groups(), options);
}
