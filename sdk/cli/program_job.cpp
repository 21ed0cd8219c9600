#include "sdk/cli/program_job.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "node/content/store/folder.h"
#include "node/protocol/hash.h"
#include "node/protocol/input_pack.h"
#include "node/protocol/limits.h"
#include "node/protocol/program_compare.h"
#include "node/protocol/program_template.h"
#include "sdk/cli/pool_access.h"
#include "sdk/cli/programs.h"

namespace shoal::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kTimeLimitDefaultMs = 3'600'000;
// The executor ends a program in time; this is for an executor that does not.
constexpr std::uint64_t kGraceMs = 30'000;
constexpr std::uint64_t kOutputLimitDefault = 64 << 20;

// "PATH" or "PATH=NAME", where NAME is what the program calls it.
struct Brought {
  fs::path path;
  std::string name;
};

// A command line that works in the user's folder is to work in the unit's: a relative path keeps
// its name, any other is known by its last part.
std::string usual_name(const fs::path& path) {
  const fs::path plain = path.lexically_normal();
  const std::string whole = plain.generic_string();
  if (path.is_relative() && !whole.starts_with("..")) {
    return whole.ends_with('/') ? whole.substr(0, whole.size() - 1) : whole;
  }
  return plain.has_filename() ? plain.filename().string() : plain.parent_path().filename().string();
}

Result<Brought, Failure> brought_by(const std::string& flag, const std::string& text) {
  std::error_code ignored;
  Brought brought{text, {}};
  // Both may have a = themselves, as in beta=0.5.txt.
  for (std::size_t equals = text.rfind('=');
       !fs::exists(brought.path, ignored) && equals != std::string::npos && equals != 0;
       equals = text.rfind('=', equals - 1)) {
    brought = {text.substr(0, equals), text.substr(equals + 1)};
  }
  if (!fs::exists(brought.path, ignored)) {
    return fail(kUsage, flag + " " + text + ": there is no such file or folder.");
  }
  if (brought.name.empty()) brought.name = usual_name(brought.path);
  if (brought.name == "." || !is_path_below(brought.name)) {
    return fail(kUsage, flag + " " + text + ": '" + brought.name +
                            "' cannot be its name in the unit's folder. Say " + flag +
                            " PATH=NAME.");
  }
  return brought;
}

Result<std::vector<std::pair<Brought, bool>>, Failure> all_brought(const ProgramWish& wish) {
  std::vector<std::pair<Brought, bool>> all;
  for (const auto& [flag, texts, executable] :
       {std::tuple("--input", &wish.inputs, false), std::tuple("--ship", &wish.ships, true)}) {
    for (const std::string& text : *texts) {
      auto brought = brought_by(flag, text);
      if (!brought) return tl::unexpected(brought.error());
      all.emplace_back(std::move(*brought), executable);
    }
  }
  return all;
}

Result<std::vector<ProgramFile>, Failure> files_of(const ProgramWish& wish) {
  const auto all = all_brought(wish);
  if (!all) return tl::unexpected(all.error());
  std::vector<ProgramFile> files;
  std::set<std::string> names;
  for (const auto& [brought, executable] : *all) {
    std::error_code error;
    ProgramFile file;
    file.path = brought.name;
    file.folder = fs::is_directory(brought.path, error);
    // A script keeps its executable bit, whichever flag brings it.
    file.executable = !file.folder && (executable || can_run(brought.path));
    if (!file.folder && !fs::is_regular_file(brought.path, error)) {
      return fail(kUsage, brought.path.string() + " is neither a file nor a folder.");
    }
    if (!names.insert(file.path).second) {
      return fail(kUsage, "Two inputs would have the name '" + file.path +
                              "' in the unit's folder. Give one another name: --input PATH=NAME.");
    }
    files.push_back(std::move(file));
  }
  for (const std::string& name : names) {
    for (std::size_t at = name.find('/'); at != std::string::npos; at = name.find('/', at + 1)) {
      if (!names.contains(name.substr(0, at))) continue;
      return fail(kUsage, "The input '" + name + "' lies within the input '" + name.substr(0, at) +
                              "', which brings it already. Leave it out.");
    }
  }
  return files;
}

// The installed program that must be on the workers; nothing where the job brings it.
Result<std::optional<std::string>, Failure> program_needed(ProgramSpec& spec,
                                                           std::string& program) {
  if (program.find('{') != std::string::npos) return std::optional<std::string>{};
  const bool path = program.find('/') != std::string::npos;
  const std::string name = fs::path(program).lexically_normal().generic_string();
  const auto at = [&](const ProgramFile& file) {
    return file.path == name || (file.folder && name.starts_with(file.path + "/"));
  };
  const auto file = std::find_if(spec.files.begin(), spec.files.end(), at);
  if (file != spec.files.end() && !fs::path(program).is_absolute()) {
    if (!path && !file->folder) program = "./" + program;
    if (!file->folder) file->executable = true;
    return std::optional<std::string>{};
  }
  if (!path) return std::optional<std::string>(program);
  std::string folders = std::string(kProgramPath) + ":";
  const fs::path as_path(program);
  if (as_path.is_absolute() &&
      (":" + folders).find(":" + as_path.parent_path().string() + ":") != std::string::npos) {
    return std::optional<std::string>(as_path.filename().string());
  }
  std::error_code ignored;
  return fail(
      kUsage,
      program + (fs::exists(program, ignored)
                     ? " is here, but not on the workers: bring it along with --ship " + program +
                           (as_path.is_absolute() ? " and call it ./" + as_path.filename().string()
                                                  : "") +
                           " (it should be linked statically, or be a script)."
                     : ": there is no such program."));
}

Result<void, Failure> read_limits(const ProgramWish& wish, ProgramSpec& spec) {
  const auto limit = limits_of(wish);
  if (!limit) return tl::unexpected(limit.error());
  spec.wall_ms = limit->wall_ms.value_or(kTimeLimitDefaultMs);
  spec.memory_bytes = limit->memory_bytes.value_or(0);
  spec.output_bytes_max = limit->output_bytes.value_or(kOutputLimitDefault);
  return {};
}

Result<void, Failure> read_variables(const ProgramWish& wish, ProgramSpec& spec) {
  for (const std::string& text : wish.environment) {
    const std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return fail(kUsage, "--env " + text + ": write NAME=VALUE.");
    }
    spec.environment.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  if (!wish.exit_statuses.empty()) spec.exit_statuses.clear();
  for (const unsigned status : wish.exit_statuses) {
    if (status > 255) return fail(kUsage, "An exit status is from 0 to 255.");
    spec.exit_statuses.push_back(static_cast<std::uint8_t>(status));
  }
  return {};
}

// What the encoding would refuse as well, but not by the name of a flag.
Result<void, Failure> check_sizes(const ProgramSpec& spec) {
  Result<void, Failure> done;
  const auto most = [&done](const std::string& what, std::size_t size, std::size_t limit,
                            const char* unit, const char* way) {
    if (!done || size <= limit) return;
    done = fail(kUsage, what + " " + std::to_string(size) + " " + unit + ", and at most " +
                            std::to_string(limit) + " may be. " + way);
  };
  constexpr const char* kFile = "Put them into a file, and give that as --input.";
  for (const auto* command : {&spec.arguments, &spec.comparison.program}) {
    most("A command has", command->size(), limits::kProgramArguments, "arguments", kFile);
    for (const std::string& word : *command) {
      most("An argument of a command has", word.size(), limits::kProgramArgumentBytes, "bytes",
           kFile);
    }
  }
  most("--env is there for", spec.environment.size(), limits::kProgramVariables, "variables",
       "Set the others in a script, and run that.");
  for (const auto& [name, value] : spec.environment) {
    most("The name of a variable of --env has", name.size(), limits::kTextBytes, "bytes",
         "Choose a shorter one.");
    most("The value of --env " + name.substr(0, 40) + " has", value.size(),
         limits::kProgramArgumentBytes, "bytes",
         "Put it into a file, give that as --input, and set it in a script.");
  }
  return done;
}

Failure nothing_for(const std::string& word, const std::string& text, const ProgramUnit& unit) {
  return Failure{kUsage, "Unit " + std::to_string(unit.number + 1) + " has nothing for " + word +
                             " in '" + text +
                             "'. There are {} {.} {/} {//} {/.} {#} {name} and, with --from-json, "
                             "its fields; for " +
                             word + " itself write {" + word + "}."};
}

// A column that the longest line has and this one has not, and which stands in `text`: with other
// braces it would be left as it is, for this unit alone.
std::optional<std::string> column_missing(const std::string& text, ProgramUnit unit,
                                          std::size_t columns) {
  while (unit.fields.size() < columns) {
    const auto before = fill_template(text, unit);
    const std::string column = std::to_string(unit.fields.size() + 1);
    unit.fields.emplace_back(column, "");
    if (before != fill_template(text, unit)) return "{" + column + "}";
  }
  return std::nullopt;
}

// That every unit has something for every placeholder.
Result<void, Failure> try_templates(const ProgramJob& job, bool in_columns) {
  std::size_t columns = 0;
  for (const ProgramUnit& unit : job.units) {
    if (in_columns) columns = std::max(columns, unit.fields.size());
  }
  for (const ProgramUnit& unit : job.units) {
    for (const auto* texts : {&job.spec.arguments, &job.spec.outputs}) {
      for (const std::string& text : *texts) {
        const auto filled = fill_template(text, unit);
        const bool output = texts == &job.spec.outputs;
        if (!filled) return tl::unexpected(nothing_for(filled.error(), text, unit));
        if (const auto column = column_missing(text, unit, columns)) {
          return tl::unexpected(nothing_for(*column, text, unit));
        }
        if (output && !is_path_below(*filled)) {
          return fail(kUsage, "--output '" + *filled +
                                  "' is no path below the folder that the program runs in.");
        }
      }
    }
    // A unit that differs in its number alone shows nothing new.
    if (job.numbered) break;
  }
  return {};
}

// Whether unit i stands for first + i * step, which then is all that workers must know.
bool find_progression(ProgramJob& job, const ProgramWish& wish) {
  if (wish.array.empty() || wish.array.find(',') != std::string::npos) return false;
  const auto number = [&](std::size_t i) { return std::stoll(job.units[i].entry); };
  job.spec.first = number(0);
  job.spec.step = job.units.size() > 1 ? number(1) - number(0) : 1;
  return job.spec.step <= limits::kProgramStepMax && job.spec.first <= 1'000'000'000'000;
}

}  // namespace

Result<ProgramJob, Failure> plan_program(const ProgramWish& wish) {
  ProgramJob job;
  ProgramSpec& spec = job.spec;
  spec.arguments = wish.command;
  if (spec.arguments.empty() || spec.arguments.front().empty()) {
    return fail(kUsage, "There is no program after --.");
  }
  spec.outputs = wish.outputs;
  for (std::string& output : spec.outputs) {
    if (output.ends_with('/')) output.pop_back();
    if (output.starts_with("./")) output.erase(0, 2);
  }
  spec.standard_output = wish.standard_output || wish.outputs.empty();
  auto files = files_of(wish);
  if (!files) return tl::unexpected(files.error());
  spec.files = std::move(*files);
  auto comparison = comparison_of(wish);
  if (!comparison) return tl::unexpected(comparison.error());
  spec.comparison = std::move(*comparison);
  job.needs = wish.needs;
  for (auto* command : {&spec.comparison.program, &spec.arguments}) {
    if (command->empty()) continue;
    auto needed = program_needed(spec, command->front());
    if (!needed) return tl::unexpected(needed.error());
    if (*needed && std::find(job.needs.begin(), job.needs.end(), **needed) == job.needs.end()) {
      job.needs.insert(job.needs.begin(), **needed);
    }
  }
  if (job.needs.size() > limits::kManifestNeeds) {
    return fail(kUsage, "A job may need " + std::to_string(limits::kManifestNeeds) +
                            " installed programs at most.");
  }
  for (const auto& read : {read_limits(wish, spec), read_variables(wish, spec)}) {
    if (!read) return tl::unexpected(read.error());
  }
  if (auto sizes = check_sizes(spec); !sizes) return tl::unexpected(sizes.error());
  if (auto comparer = ProgramComparer::make(spec.comparison); !comparer) {
    return fail(kUsage, "--compare or --drop: " + comparer.error() + ".");
  }
  auto units = units_of(wish);
  if (!units) return tl::unexpected(units.error());
  job.units = std::move(*units);
  job.numbered = find_progression(job, wish);
  if (!job.numbered) spec.first = 0, spec.step = 1;
  if (auto tried = try_templates(job, !wish.column_separator.empty()); !tried)
    return tl::unexpected(tried.error());
  return job;
}

// What makes a folder that leads out of itself one that can be brought along.
std::string way_for_links(const fs::path& folder) {
  std::error_code ignored;
  if (fs::exists(folder / "pyvenv.cfg", ignored)) {
    return " Make the environment with 'python3 -m venv --copies', and call its bin/python.";
  }
  return {};
}

Result<void, Failure> put_contents(const ProgramWish& wish, ContentStore& store, ProgramJob& job) {
  const auto all = all_brought(wish);
  if (!all) return tl::unexpected(all.error());
  for (std::size_t i = 0; i < all->size(); ++i) {
    const fs::path& path = (*all)[i].first.path;
    ProgramFile& file = job.spec.files.at(i);
    const auto put = file.folder ? pack_folder(store, path) : store.put_file(path);
    if (!put) {
      return fail(kError, path.string() + " cannot be kept: " + put.error().what + "." +
                              (file.folder ? way_for_links(path) : std::string()));
    }
    const ContentName name{put->id, put->length};
    const auto known = std::find(job.contents.begin(), job.contents.end(), name);
    file.content = static_cast<std::uint32_t>(known - job.contents.begin());
    if (known == job.contents.end()) job.contents.push_back(name);
  }
  if (job.contents.size() > limits::kManifestContents) {
    return fail(kUsage, "A job may have " + std::to_string(limits::kManifestContents) +
                            " inputs, and these are " + std::to_string(job.contents.size()) +
                            ". Put them into a folder, and give that as --input.");
  }
  return {};
}

Hash256 unit_key(const ProgramJob& job, const ProgramUnit& unit) {
  ProgramSpec spec = job.spec;
  // What bounds a computation or judges it is no part of what is computed.
  spec.wall_ms = spec.memory_bytes = spec.output_bytes_max = 0;
  spec.comparison = {false, job.spec.comparison.dropped, 0, 0, job.spec.comparison.images, {}};
  spec.first = 0;
  spec.step = 1;
  for (auto* texts : {&spec.arguments, &spec.outputs}) {
    for (std::string& text : *texts) text = fill_template(text, unit).value_or(text);
  }
  ProgramUnit called{unit.entry, unit.fields, 0};
  called.fields.emplace_back("", name_of(unit));
  Bytes ids;
  for (const ContentName& content : job.contents) {
    ids.insert(ids.end(), content.id.bytes.begin(), content.id.bytes.end());
  }
  return sha256({as_bytes("shoal-program-unit"), ids, encode(spec), encode(called)});
}

Result<Manifest, Failure> manifest_of(const ProgramJob& job, const std::vector<ProgramUnit>& units,
                                      const ProgramWish& wish, ContentStore& store) {
  Bytes parameters = encode(job.spec);
  if (parameters.size() > limits::kParameterBytes) {
    return fail(kUsage, "The command and the names of its files take " +
                            std::to_string(parameters.size()) + " bytes, and at most " +
                            std::to_string(limits::kParameterBytes) + " may. Use a folder.");
  }
  if (const auto again = decode_program_spec(parameters); !again) {
    return fail(kUsage, "This job cannot be said: " + again.error().what + ".");
  }
  Manifest manifest = new_manifest(kProgramKernel, std::move(parameters));
  manifest.name = fs::path(wish.command.front()).filename().string();
  manifest.kernel_kind = KernelKind::kProgram;
  manifest.contents = job.contents;
  manifest.needs = job.needs;
  // Lines that are dropped are dropped where they are made: then bytes can be compared.
  const ProgramComparison& rules = job.spec.comparison;
  const bool bytes = rules.relative == 0 && rules.absolute == 0 && rules.program.empty();
  manifest.comparison = bytes ? Comparison::kBytes : Comparison::kEquivalent;
  manifest.unit_wall_ms = job.spec.wall_ms + kGraceMs;
  manifest.unit_memory_bytes = job.spec.memory_bytes;
  manifest.output_bytes_max = job.spec.output_bytes_max;
  manifest.units = units.size();
  if (job.numbered && units.size() == job.units.size()) return manifest;
  std::vector<Bytes> inputs;
  inputs.reserve(units.size());
  for (const ProgramUnit& unit : units) inputs.push_back(encode(unit));
  const Bytes packed = pack_inputs(inputs);
  auto put = store.put(packed);
  if (!put) return fail(kError, "The units' arguments cannot be kept: " + put.error().what + ".");
  manifest.inputs = *put;
  manifest.inputs_bytes = packed.size();
  return manifest;
}

}  // namespace shoal::cli
