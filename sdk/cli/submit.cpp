#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <utility>

#include "node/protocol/input_pack.h"
#include "node/protocol/limits.h"
#include "node/state/key_file.h"
#include "sdk/cli/commands.h"
#include "sdk/cli/job_results.h"
#include "sdk/cli/json_values.h"
#include "sdk/cli/kernel_build.h"
#include "sdk/cli/pool_access.h"
#include "sdk/cli/programs.h"
#include "sdk/cli/schema.h"
#include "sdk/cli/submit_program.h"

// shoal submit
namespace shoal::cli {
namespace {

struct Wish : SubmitPolicy {
  std::string kernel;
  std::string parameters = "{}";
  std::uint64_t units = 0;
  std::string inputs_file;
  std::vector<std::string> task;  // a task's name and what follows it
  std::string module;             // the file of a WebAssembly module
  ProgramWish program;            // with the lines of a kernel, too
};

constexpr const char* kFooter = R"(
With -- and a program, that program is run once for each unit, as it is, wherever it is installed.
Its arguments may have {} for the unit's line or number, {.} {/} {//} {/.} {#} {name} as in GNU
parallel, and {field} for a field of a JSON object. Its results come back under results/, or, where
they are what it writes to stdout alone, on stdout. docs/programs.md is its manual.

  shoal submit --array 1-100 -- echo number {}
  shoal submit --each-line ligands.txt --input receptor.pdbqt --input ligands \
      --output '{/.}.out' -- dock --receptor receptor.pdbqt --out '{/.}.out' {}
  shoal submit --from-json cases.json --input model.py -- python3 model.py --beta {beta} {seed}
  shoal submit job.toml

With the name of a task, that task's own program is started with all that follows, and submits to
the pool: `shoal submit align --help` says what it takes.

With the file of a WebAssembly module (*.wasm, made by `shoal kernel build`), one of its kernels is
run in the same way as those that ship: by workers that need not trust you. --kernel chooses where
there are several.

  shoal submit collatz.wasm --units 1000 --params '{"block": 1000}' --time-limit 10m

With --kernel alone, a kernel that ships with Shoal is run over units 0 to N - 1, or over the lines
of a file, and each unit's result is printed as one line of JSON as soon as it is verified.
Parameters and inputs are JSON: an object for a struct, {} or null for a kernel without parameters.
In results a struct is the list of its fields, and a run of numbers {"hex": ...}; both may be given
as inputs again.

  shoal submit --kernel mandelbrot --params '{"pixels_x": 256, "pixels_y": 192}' --units 12
  seq 2 200 | shoal submit --kernel lucas_lehmer --inputs -)";

bool asks_for_no_pool(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--local" || argument == "--help" || argument == "-h" || argument == "--pool" ||
        argument.starts_with("--pool=")) {
      return true;
    }
  }
  return false;
}

Outcome no_such_flag(const std::string& flag) {
  return fail(kUsage,
              "There is no flag '" + flag + "' here. 'shoal submit --help' lists the flags.");
}

// What the file may have been meant for.
std::string way_for_file(const std::filesystem::path& file) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored))
    return "That is a folder: name a program or a module.";
  if (const auto ending = file.extension(); ending == ".cpp" || ending == ".cc") {
    return "Of a source 'shoal kernel build' makes a module; or build it against Shoal and run it.";
  }
  return "A program built with Shoal's SDK is started as it is, and submits its own job; any other "
         "is named after '--'.";
}

Outcome run_task(const Wish& wish, const Settings& settings) {
  const std::string& name = wish.task.front();
  const std::string program = task_program(name);
  if (name.find('/') != std::string::npos || !can_run(program_folder() / program)) {
    std::string known;
    for (const std::string& task : tasks_there()) known += (known.empty() ? "" : ", ") + task;
    if (std::error_code ignored; std::filesystem::exists(name, ignored)) {
      return fail(kUsage, "There is no task '" + name + "'. " + way_for_file(name));
    }
    return fail(kUsage, "There is no task '" + name + "' (" +
                            (program_folder() / program).string() + "). " +
                            (known.empty() ? "None is installed." : "There are: " + known + "."));
  }
  if (!asks_for_no_pool(wish.task)) {
    const auto ticket = ticket_of(settings);
    if (!ticket) return tl::unexpected(ticket.error());
    // The task looks for its pool there, whatever else is set.
    ::setenv("SHOAL_TICKET", settings.ticket->c_str(), 1);
  }
  return tl::unexpected(become(program, {wish.task.begin() + 1, wish.task.end()}));
}

// Hands each line that is not empty to `take`, which says what is wrong with it.
Result<void, Failure> each_line(const std::string& file,
                                const std::function<Result<void, std::string>(std::string)>& take) {
  std::ifstream opened;
  if (file != "-") opened.open(file);
  std::istream& lines = file == "-" ? std::cin : opened;
  if (!lines) {
    return fail(kUsage, file + " cannot be read (" + std::strerror(errno) +
                            "). Name a file with one input a line, or - for stdin.");
  }
  std::string line;
  for (std::uint64_t number = 1; std::getline(lines, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) continue;
    if (auto taken = take(std::move(line)); !taken) {
      return fail(kUsage, file + ", line " + std::to_string(number) + ": " + taken.error());
    }
  }
  if (lines.bad()) return fail(kError, file + " cannot be read to its end.");
  return {};
}

Result<std::vector<Bytes>, Failure> read_inputs(const Wish& wish) {
  std::vector<Bytes> inputs;
  const bool json = !wish.inputs_file.empty();
  auto read = each_line(json ? wish.inputs_file : wish.program.lines_file,
                        [&](const std::string& line) -> Result<void, std::string> {
                          if (!json) {
                            inputs.push_back(bytes_of_text(line));
                            return {};
                          }
                          auto bytes = bytes_of_json(line);
                          if (!bytes) return tl::unexpected(bytes.error());
                          inputs.push_back(std::move(*bytes));
                          return {};
                        });
  if (!read) return tl::unexpected(read.error());
  if (inputs.empty()) return fail(kUsage, "There are no inputs: the file has no line.");
  return inputs;
}

Result<Manifest, Failure> manifest_of(const Wish& wish, const Settings& settings) {
  std::string text = wish.parameters;
  if (text.starts_with('@')) {
    auto read = read_text_file(text.substr(1));
    if (!read) return fail(kUsage, "The parameters cannot be read: " + read.error().what + ".");
    text = std::move(*read);
  }
  auto parameters = bytes_of_json(text);
  if (!parameters) return fail(kUsage, "--params is not JSON: " + parameters.error());
  if (parameters->size() > limits::kParameterBytes) {
    return fail(kUsage, "The parameters take " + std::to_string(parameters->size()) +
                            " bytes, and at most " + std::to_string(limits::kParameterBytes) +
                            " may go with every unit. Put what is large into the inputs.");
  }
  if (wish.name.size() > limits::kTextBytes || wish.kernel.size() > limits::kTextBytes) {
    return fail(kUsage, "The name is too long: at most " + std::to_string(limits::kTextBytes) +
                            " bytes fit.");
  }
  Manifest manifest = new_manifest(wish.kernel, std::move(*parameters));
  manifest.units = wish.units;
  const auto limit = limits_of(wish.program);
  if (!limit) return tl::unexpected(limit.error());
  manifest.unit_wall_ms = limit->wall_ms.value_or(manifest.unit_wall_ms);
  manifest.unit_memory_bytes = limit->memory_bytes.value_or(manifest.unit_memory_bytes);
  manifest.output_bytes_max = limit->output_bytes.value_or(manifest.output_bytes_max);
  if (auto set = apply(wish, settings, manifest); !set) return tl::unexpected(set.error());
  return manifest;
}

// The kernel of the module that is wished for: by its name, or the only one.
Result<ModuleKernel, Failure> kernel_of(const ModuleInfo& info, const Wish& wish) {
  std::string known;
  for (const ModuleKernel& kernel : info.kernels) {
    if (kernel.name == wish.kernel) return kernel;
    known += (known.empty() ? "" : ", ") + kernel.name;
  }
  if (wish.kernel.empty() && info.kernels.size() == 1) return info.kernels.front();
  return fail(kUsage,
              wish.kernel.empty()
                  ? "Say which kernel of the module with --kernel: " + known + "."
                  : "There is no kernel '" + wish.kernel + "' in the module, only " + known + ".");
}

// The module was checked when its kernel was looked for: every worker will check it again.
Result<void, Failure> put_module(PoolAccess& pool, const Bytes& module, Manifest& manifest) {
  auto put = pool.client->content().put(module);
  if (!put) return fail(kError, "The module cannot be kept: " + put.error().what + ".");
  manifest.kernel_kind = KernelKind::kWasm;
  manifest.program = *put;
  manifest.program_bytes = module.size();
  return {};
}

Result<void, Failure> put_inputs(PoolAccess& pool, const std::vector<Bytes>& inputs,
                                 Manifest& manifest) {
  const Bytes packed = pack_inputs(inputs);
  auto put = pool.client->content().put(packed);
  if (!put) return fail(kError, "The inputs cannot be kept: " + put.error().what + ".");
  manifest.inputs = *put;
  manifest.inputs_bytes = packed.size();
  manifest.units = inputs.size();
  return {};
}

Outcome follow(PoolAccess& pool, const JobId& job, const Manifest& manifest, const Wish& wish,
               const Settings& settings) {
  auto tally = print_results(pool, job, manifest.units, settings);
  if (!tally) {
    Failure failure = tally.error();
    if (failure.exit_code != kCancelled) failure.what += "\n" + way_back(job);
    return tl::unexpected(std::move(failure));
  }
  if (settings.json) print(json_line(summary_json(job, *tally)));
  if (auto written = flush_output(); !written) {
    return fail(written.error().exit_code, written.error().what + "\n" + way_back(job));
  }
  if (!wish.keep) close_job(pool, job);
  if (!settings.quiet) say(manifest.kernel + ": " + tally_text(*tally));
  return tally->exit_code();
}

Outcome run_kernel(Wish wish, const Settings& settings) {
  if (!ticket_of(settings)) return tl::unexpected(ticket_of(settings).error());
  ModuleFile module;
  ModuleKernel kernel;
  if (!wish.module.empty()) {
    auto read = read_module_file(wish.module);
    if (!read) return tl::unexpected(read.error());
    module = std::move(*read);
    auto found = kernel_of(module.info, wish);
    if (!found) return tl::unexpected(found.error());
    kernel = *found;
    wish.kernel = kernel.name;
  }
  auto manifest = manifest_of(wish, settings);
  if (!manifest) return tl::unexpected(manifest.error());
  std::vector<Bytes> inputs;
  const bool listed = !wish.inputs_file.empty() || !wish.program.lines_file.empty();
  if (listed) {
    auto read = read_inputs(wish);
    if (!read) return tl::unexpected(read.error());
    inputs = std::move(*read);
  }
  auto pool = join_pool(settings);
  if (!pool) return tl::unexpected(pool.error());
  if (!wish.module.empty()) {
    if (auto put = put_module(*pool, module.bytes, *manifest); !put) {
      return tl::unexpected(put.error());
    }
    module = {};
    if (kernel.has_equivalent) manifest->comparison = Comparison::kEquivalent;
  }
  if (listed) {
    if (auto put = put_inputs(*pool, inputs, *manifest); !put) return tl::unexpected(put.error());
    inputs = {};
  }
  const auto handed = hand_over(*pool, *manifest, wish, settings);
  if (!handed) return tl::unexpected(handed.error());
  const JobId job = *handed;
  if (wish.detach) {
    if (!settings.quiet) say(way_back(job));
    return kSuccess;
  }
  return follow(*pool, job, *manifest, wish, settings);
}

Outcome run_submit(Wish wish, const Settings& settings) {
  if (wish.kernel.empty() && wish.module.empty()) {
    if (wish.task.size() == 1 && wish.task.front().ends_with(".toml")) {
      return submit_job_file(wish.task.front(), wish.program, wish, settings);
    }
    if (!wish.task.empty()) {
      if (wish.task.front().starts_with('-')) return no_such_flag(wish.task.front());
      if (wish.task.front().ends_with(".wasm")) {
        return fail(kUsage, "A module comes before the flags: shoal submit " + wish.task.front() +
                                " ...; or --module names it.");
      }
      const ProgramWish& said = wish.program;
      if (!said.any() && !said.any_limit() && said.lines_file.empty()) {
        return run_task(wish, settings);
      }
      return fail(kUsage, "Put -- before the program: shoal submit ... -- " + wish.task.front() +
                              " ARGUMENTS...");
    }
    if (!wish.program.command.empty()) return submit_program(wish.program, wish, settings);
    return fail(
        kUsage,
        "Say what to submit: a program after --, a JOB.toml, a MODULE.wasm, the name of a task, "
        "or --kernel with --units, --inputs or --each-line. 'shoal submit --help' has "
        "examples.");
  }
  if (wish.program.any() || !wish.program.command.empty()) {
    return fail(kUsage, "A kernel was asked for and a program, too: submit one of them.");
  }
  if (!wish.task.empty()) {
    return fail(kUsage, "'" + wish.task.front() + "' is not expected after " +
                            (wish.module.empty() ? "--kernel." : "the module."));
  }
  const int sources = (wish.units > 0 ? 1 : 0) + (wish.inputs_file.empty() ? 0 : 1) +
                      (wish.program.lines_file.empty() ? 0 : 1);
  if (sources != 1) {
    return fail(kUsage,
                "Say what the units are, in one way: --units N (above 0), --inputs FILE, or "
                "--each-line FILE.");
  }
  if (wish.units > limits::kUnitsPerJob) {
    return fail(kUsage, "A job has at most " + std::to_string(limits::kUnitsPerJob) +
                            " units. Make several jobs of it.");
  }
  return run_kernel(wish, settings);
}

// As of a variable of a script that has no value: what it was to say would be taken for unsaid.
void refuse_empty(const CLI::App& submit) {
  for (const CLI::Option* option : submit.get_options()) {
    const std::string name = option->get_name();
    if (name == "--name" || name == "--ticket") continue;  // these may be none
    for (const std::string& text : option->results()) {
      if (text.empty()) throw CLI::ValidationError(name, "nothing is said after it");
    }
  }
}

}  // namespace

void add_submit(CLI::App& app, Chosen& chosen) {
  CLI::App* submit =
      app.add_subcommand("submit",
                         "Hand a job to the pool: submit ... -- PROGRAM ARGS..., submit JOB.toml, "
                         "submit TASK ARGS..., or --kernel K");
  submit->footer(kFooter);
  submit->prefix_command();
  auto wish = std::make_shared<Wish>();
  add_program_options(*submit, wish->program);
  submit->add_option("--kernel", wish->kernel, "A kernel that ships with Shoal, or of the module");
  submit->add_option("--module", wish->module, "The kernel's module, if it does not come first")
      ->type_name("FILE");
  submit->add_option("--params", wish->parameters, "Its parameters, or @FILE with them")
      ->type_name("JSON")
      ->capture_default_str();
  submit->add_option("--units", wish->units, "Units 0 to N - 1")
      ->type_name("N")
      // Read as a number without a sign, a negative one would be a very large one.
      ->check([](const std::string& text) {
        return text.starts_with('-') ? text + " is no number of units" : std::string();
      });
  submit->add_option("--inputs", wish->inputs_file, "One unit for each line, which is JSON")
      ->type_name("FILE");
  submit->add_option("--name", wish->name, "For people, in `shoal job list`");
  submit
      ->add_option("--quorum", chosen.flags.quorum,
                   "Workers that must agree on every unit (default 2)")
      ->type_name("N");
  submit->add_flag("--wait-for-quorum", wish->wait_for_quorum,
                   "Where the pool has fewer workers than that, wait for more");
  submit->add_option("--stewards", wish->stewards, "Workers that keep the job on their disks")
      ->check(CLI::Range(1U, static_cast<unsigned>(limits::kStewards)))
      ->capture_default_str();
  submit->add_option("--max-attempts", wish->max_attempts, "Workers a unit may fail on")
      ->check(CLI::Range(1U, 64U))
      ->capture_default_str();
  submit->add_flag("--detach", wish->detach, "Print the job's id and leave it to the pool");
  submit->add_flag("--keep", wish->keep, "Leave the job's results in the pool");
  submit
      ->add_option("--keep-for", wish->keep_for,
                   "How long after the job's end workers keep its results (default 7d)")
      ->type_name("TIME");
  add_ticket(*submit, chosen);
  add_timeout(*submit, chosen);
  add_common(*submit, chosen);
  submit->callback([wish, submit, &chosen] {
    refuse_empty(*submit);
    wish->task = submit->remaining();
    // What follows -- is a task's, if there is one before it.
    if (wish->task.empty()) {
      wish->program.command = chosen.after_dashes;
    } else if (!chosen.after_dashes.empty()) {
      wish->task.emplace_back("--");
      wish->task.insert(wish->task.end(), chosen.after_dashes.begin(), chosen.after_dashes.end());
    }
    chosen.run = [wish](const Settings& settings) { return run_submit(*wish, settings); };
  });
}

}  // namespace shoal::cli
