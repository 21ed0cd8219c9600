#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "sdk/cli/outcome.h"
#include "sdk/cli/settings.h"

// One function a group of commands: it adds them to the command line, and puts what is to be done
// into `chosen` when one of them is asked for. Nothing is done while the line is still being read.
namespace shoal::cli {

struct Chosen {
  Flags flags;
  std::vector<std::string> after_dashes;  // a command line of somebody else's: it is not read here
  std::function<Outcome(const Settings&)> run;
};

// What every command takes; `--json` and where the settings come from.
void add_common(CLI::App& command, Chosen& chosen);
// For commands that go to a pool.
void add_ticket(CLI::App& command, Chosen& chosen);
void add_timeout(CLI::App& command, Chosen& chosen,
                 const char* help = "Leave after so long; the job goes on");

void add_pool(CLI::App& app, Chosen& chosen);
void add_submit(CLI::App& app, Chosen& chosen);
void add_job(CLI::App& app, Chosen& chosen);
void add_kernel(CLI::App& app, Chosen& chosen);
void add_contents(CLI::App& app, Chosen& chosen);
void add_worker(CLI::App& app, Chosen& chosen);
// Below `worker`: what is said to the one that runs on this machine.
void add_worker_control(CLI::App& worker, Chosen& chosen);
void add_demo(CLI::App& app, Chosen& chosen);
void add_doctor(CLI::App& app, Chosen& chosen);
void add_paths(CLI::App& app, Chosen& chosen);

}  // namespace shoal::cli
