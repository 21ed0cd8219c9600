#include "worker/program/program_kernel.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "node/protocol/image_notes.h"
#include "node/protocol/limits.h"
#include "node/protocol/program_compare.h"
#include "node/protocol/program_output.h"
#include "node/protocol/program_spec.h"
#include "node/protocol/program_template.h"
#include "node/state/remove_folder.h"
#include "sdk/host/unit_ended.h"
#include "worker/program/common_folders.h"
#include "worker/program/environment.h"
#include "worker/program/input_layout.h"
#include "worker/program/output_gathering.h"
#include "worker/program/process_run.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;

// The folder of one unit, for as long as the unit runs. It is named by the unit's index, so that
// programs that print where they are print the same on every worker.
class UnitFolder {
 public:
  UnitFolder(const fs::path& units, const std::string& wanted) {
    std::error_code error;
    fs::create_directories(units, error);
    std::string name = wanted;
    // The same unit may still be running for a chunk that nobody wants any more.
    for (int again = 2; !error && !fs::create_directory(units / name, error); ++again) {
      name = wanted + "-" + std::to_string(again);
    }
    folder_ = units / name;
    place_ = {folder_ / "work", folder_ / "home", folder_ / "tmp"};
    for (const fs::path& path : {place_.work, place_.home, place_.tmp}) {
      if (!error) fs::create_directory(path, error);
    }
    if (!error) return;
    remove_folder(folder_);
    throw UnitEnded(FailureKind::kRefused,
                    "the worker cannot make a folder for the unit: " + error.message());
  }
  ~UnitFolder() { remove_folder(folder_); }
  UnitFolder(const UnitFolder&) = delete;
  UnitFolder& operator=(const UnitFolder&) = delete;
  const UnitPlace& place() const { return place_; }

 private:
  fs::path folder_;
  UnitPlace place_;
};

std::string seconds(std::uint64_t ms) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(ms) / 1000);
  return text;
}

// What it took: for people, and nothing that workers compare.
std::string cost_of(const ProcessEnd& end) {
  return " after " + seconds(end.wall_ms) + " (" + seconds(end.cpu_ms) + " of processor time, " +
         std::to_string(end.memory_kib / 1024) + " MiB)";
}

std::uint32_t in_32_bits(std::uint64_t number) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(number, UINT32_MAX));
}

UnitCost measured(const ProcessEnd& end) {
  UnitCost cost;
  cost.wall_ms = in_32_bits(end.wall_ms);
  cost.cpu_ms = in_32_bits(end.cpu_ms);
  cost.memory_kib = in_32_bits(end.memory_kib);
  if (WIFEXITED(end.wait_status)) {
    cost.exit_status = static_cast<std::uint8_t>(WEXITSTATUS(end.wait_status));
  } else if (WIFSIGNALED(end.wait_status)) {
    cost.signal = static_cast<std::uint8_t>(WTERMSIG(end.wait_status));
  }
  return cost;
}

std::string signal_name(int number) {
  const char* name = ::sigabbrev_np(number);
  return name != nullptr ? std::string("SIG") + name : "signal " + std::to_string(number);
}

bool says_something(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") != std::string_view::npos;
}

// Programs that print their errors to stdout are not rare; nor is an empty line on stderr.
std::string words_of(const ProcessEnd& end) {
  if (says_something(end.stderr_end)) return end.stderr_end;
  return says_something(end.stdout_end) ? end.stdout_end : std::string("(it wrote nothing)");
}

class ProgramJob {
 public:
  ProgramJob(ProgramSpec spec, ProgramComparer comparer, InputLayout layout, fs::path units,
             std::shared_ptr<CommonFolders> common)
      : spec_(std::move(spec)),
        comparer_(std::move(comparer)),
        layout_(std::move(layout)),
        units_(std::move(units)),
        common_(std::move(common)) {}

  void run(const UnitCall& call, Bytes& output) const {
    const ProgramUnit unit = unit_of(call);
    const CommonFolders::Use common(*common_);
    const UnitFolder folder(units_, std::to_string(call.unit));
    const UnitPlace& place = folder.place();
    const std::uint64_t bytes_max =
        spec_.output_bytes_max != 0 ? spec_.output_bytes_max : limits::kOutputBytes;
    ProcessOrder order = order_for(filled(spec_.arguments, unit), unit, place);
    order.keep_stdout = spec_.standard_output;
    order.stdout_bytes_max = bytes_max;
    order.unwanted = call.cancelled;
    auto end = run_process(order);
    if (!end) throw UnitEnded(FailureKind::kRefused, end.error());
    if (call.cost != nullptr) *call.cost = measured(*end);
    judge(*end);
    gather(*end, unit, place.work, bytes_max, output);
  }

  // Whether two results are the same, by the job's rules.
  bool same(ByteView a, ByteView b) const {
    const auto one = decode_program_output(a);
    const auto other = decode_program_output(b);
    if (!one) throw UnitRefused(one.error().what);
    if (!other) throw UnitRefused(other.error().what);
    if (spec_.comparison.program.empty()) return !comparer_.difference(*one, *other);
    return same_to_its_program(*one, *other);
  }

 private:
  ProcessOrder order_for(std::vector<std::string> arguments, const ProgramUnit& unit,
                         const UnitPlace& place) const {
    if (auto done = layout_.lay_out(place.work); !done) {
      throw UnitEnded(FailureKind::kRefused, done.error());
    }
    ProcessOrder order;
    order.arguments = std::move(arguments);
    order.program = find_program(order.arguments.front(), place.work);
    order.environment = environment_of(spec_, unit, place);
    order.folder = place.work;
    order.wall_ms = spec_.wall_ms;
    order.memory_bytes = spec_.memory_bytes;
    return order;
  }

  bool same_to_its_program(const ProgramOutput& a, const ProgramOutput& b) const {
    const CommonFolders::Use common(*common_);
    const UnitFolder folder(units_, "comparison");
    const UnitPlace& place = folder.place();
    std::vector<std::string> arguments = spec_.comparison.program;
    arguments.insert(arguments.end(), {"result-1", "result-2"});
    const ProcessOrder order = order_for(std::move(arguments), {}, place);
    for (const auto& [name, result] : {std::pair("result-1", &a), std::pair("result-2", &b)}) {
      if (!lay_out_result(*result, place.work / name)) {
        throw UnitEnded(FailureKind::kRefused, "the worker has no room for results to compare");
      }
    }
    const auto end = run_process(order);
    if (!end) throw UnitEnded(FailureKind::kRefused, end.error());
    const bool exited = end->by == ProcessEnd::By::kItself && WIFEXITED(end->wait_status);
    if (exited && WEXITSTATUS(end->wait_status) <= 1) return WEXITSTATUS(end->wait_status) == 0;
    throw UnitEnded(FailureKind::kThrew, "the program that compares has ended badly" +
                                             cost_of(*end) + ": " + words_of(*end));
  }

  ProgramUnit unit_of(const UnitCall& call) const {
    if (!call.input) return numbered_unit(spec_, call.unit);
    auto unit = decode_program_unit(*call.input);
    if (!unit) throw UnitRefused("the unit's input is none of a program: " + unit.error().what);
    return std::move(*unit);
  }

  static std::vector<std::string> filled(const std::vector<std::string>& templates,
                                         const ProgramUnit& unit) {
    std::vector<std::string> texts;
    for (const std::string& text : templates) {
      auto one = fill_template(text, unit);
      if (!one) throw UnitRefused("the unit has nothing for " + one.error());
      texts.push_back(std::move(*one));
    }
    return texts;
  }

  // What the job brings comes before what is installed.
  fs::path find_program(const std::string& name, const fs::path& work) const {
    if (name.starts_with('/')) return name;
    const bool brought =
        name.find('/') != std::string::npos ||
        std::any_of(spec_.files.begin(), spec_.files.end(),
                    [&](const ProgramFile& file) { return file.executable && file.path == name; });
    if (brought) return work / name;
    fs::path installed = find_installed(name);
    if (installed.empty()) {
      throw UnitEnded(FailureKind::kRefused,
                      "the program " + name + " is not installed on this worker");
    }
    return installed;
  }

  // Throws unless the program has ended well.
  void judge(const ProcessEnd& end) const {
    const std::string cost = cost_of(end);
    switch (end.by) {
      case ProcessEnd::By::kTime:
        throw UnitEnded(
            FailureKind::kTimedOut,
            "the program was ended" + cost + ": the job allows " + seconds(spec_.wall_ms),
            words_of(end));
      case ProcessEnd::By::kTooMuchOutput:
        throw UnitEnded(FailureKind::kBadAnswer,
                        "the program was ended" + cost +
                            ": it wrote more to stdout than the job allows for a result",
                        words_of(end));
      case ProcessEnd::By::kUnwanted:
        throw UnitEnded(FailureKind::kThrew, "the unit is not wanted any more");
      case ProcessEnd::By::kItself:
        break;
    }
    if (WIFSIGNALED(end.wait_status)) {
      const int number = WTERMSIG(end.wait_status);
      const bool memory = end.memory_was_short;
      const bool refused = number == SIGSYS;
      throw UnitEnded(memory    ? FailureKind::kOutOfMemory
                      : refused ? FailureKind::kRefused
                                : FailureKind::kCrashed,
                      "the program died of " + signal_name(number) + cost +
                          (memory    ? "; most likely memory ran out"
                           : refused ? "; it asked the system for what the sandbox refuses"
                                     : ""),
                      words_of(end));
    }
    const int status = WEXITSTATUS(end.wait_status);
    const auto& good = spec_.exit_statuses;
    if (std::find(good.begin(), good.end(), status) == good.end()) {
      throw UnitEnded(FailureKind::kThrew,
                      "the program ended with exit status " + std::to_string(status) + cost,
                      words_of(end));
    }
  }

  void gather(const ProcessEnd& end, const ProgramUnit& unit, const fs::path& work,
              std::uint64_t bytes_max, Bytes& output) const {
    std::vector<std::string> patterns = filled(spec_.outputs, unit);
    for (const std::string& pattern : patterns) {
      if (!is_path_below(pattern)) {
        throw UnitRefused("the output '" + pattern + "' does not lie in the working folder");
      }
    }
    auto files = gather_outputs(work, patterns, layout_.files(), bytes_max);
    if (!files) throw UnitEnded(FailureKind::kThrew, files.error(), words_of(end));
    ProgramOutput made;
    made.name = name_of(unit);
    made.exit_status = static_cast<std::uint8_t>(WEXITSTATUS(end.wait_status));
    // Lines that do not count would make other bytes of every result: nobody could vouch for them.
    Bytes printed;
    if (spec_.standard_output) {
      printed = comparer_.without_dropped(end.standard_output).value_or(end.standard_output);
      made.standard_output = printed;
    }
    for (GatheredFile& file : *files) {
      if (auto kept = comparer_.without_dropped(file.bytes)) file.bytes = std::move(*kept);
      if (!spec_.comparison.images) continue;
      if (auto kept = without_image_notes(file.bytes)) file.bytes = std::move(*kept);
    }
    for (const GatheredFile& file : *files) {
      made.files.push_back({file.path, file.executable, file.bytes});
    }
    const Bytes encoded = encode(made);
    output.insert(output.end(), encoded.begin(), encoded.end());
  }

  ProgramSpec spec_;
  ProgramComparer comparer_;
  InputLayout layout_;
  fs::path units_;
  std::shared_ptr<CommonFolders> common_;
};

ProgramSpec spec_of(ByteView parameters) {
  auto spec = decode_program_spec(parameters);
  if (!spec) throw UnitRefused("the job says no program to run: " + spec.error().what);
  return std::move(*spec);
}

ProgramComparer comparer_of(const ProgramSpec& spec) {
  auto comparer = ProgramComparer::make(spec.comparison);
  if (!comparer) throw UnitRefused(comparer.error());
  return std::move(*comparer);
}

// The files of a job are laid out once; a setup that is sent again finds those of the last one
// gone. One executor serves one job.
std::shared_ptr<const ProgramJob> open_job(ByteView parameters,
                                           const std::vector<fs::path>& contents,
                                           const fs::path& scratch,
                                           std::shared_ptr<CommonFolders> common) {
  ProgramSpec spec = spec_of(parameters);
  const fs::path shared = scratch / "inputs";
  remove_folder(shared);
  auto layout = InputLayout::make(spec.files, contents, shared);
  if (!layout) throw UnitRefused(layout.error());
  ProgramComparer comparer = comparer_of(spec);
  return std::make_shared<const ProgramJob>(std::move(spec), std::move(comparer),
                                            std::move(*layout), scratch / "units",
                                            std::move(common));
}

}  // namespace

KernelEntry program_kernel(std::vector<fs::path> contents, fs::path scratch,
                           std::vector<fs::path> common) {
  // What was opened for its units serves for comparing their results as well.
  struct Opened {
    Bytes parameters;
    std::shared_ptr<const ProgramJob> job;
  };
  auto opened = std::make_shared<Opened>();
  const auto open = [opened, contents = std::move(contents), scratch = std::move(scratch),
                     common =
                         std::make_shared<CommonFolders>(std::move(common))](ByteView parameters) {
    *opened = {to_bytes(parameters), open_job(parameters, contents, scratch, common)};
    return opened->job;
  };
  KernelEntry kernel;
  kernel.name = kProgramKernel;
  kernel.prepare = [open](ByteView parameters) -> UnitFunction {
    return
        [job = open(parameters)](const UnitCall& call, Bytes& output) { job->run(call, output); };
  };
  kernel.prepare_equivalent = [open, opened](ByteView parameters) -> EquivalentFunction {
    const bool again = opened->job && opened->parameters == to_bytes(parameters);
    return [job = again ? opened->job : open(parameters)](ByteView a, ByteView b) {
      return job->same(a, b);
    };
  };
  return kernel;
}

}  // namespace shoal
