#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <filesystem>
#include <set>

#include "node/protocol/limits.h"
#include "node/state/key_file.h"
#include "sdk/cli/program_wish.h"

// A job as a TOML file, with the names of the flags.
namespace shoal::cli {
namespace {

namespace fs = std::filesystem;

class Reader {
 public:
  Reader(const toml::table& table, std::string file) : table_(table), file_(std::move(file)) {}

  // Text, or a number as it is written; "" where there is none. Text that is empty means nothing,
  // and would be taken for a setting that is not there: a job of one unit for `array = ""`.
  std::string text(const char* name) {
    const toml::node* node = find(name);
    if (node == nullptr) return {};
    std::string text = text_of(*node, name);
    if (text.empty()) refuse(name, "is empty: say something, or leave it out");
    return text;
  }
  // One or a list of them.
  std::vector<std::string> texts(const char* name) {
    std::vector<std::string> all;
    const toml::node* node = find(name);
    if (node == nullptr) return all;
    if (const toml::array* list = node->as_array()) {
      for (const toml::node& each : *list) all.push_back(text_of(each, name));
    } else {
      all.push_back(text_of(*node, name));
    }
    return all;
  }
  // A program and its arguments; a program alone may be text.
  std::vector<std::string> command(const char* name) {
    std::vector<std::string> all = texts(name);
    const toml::node* node = find(name);
    if (node != nullptr && (all.empty() || all.front().empty())) {
      refuse(name, "is to be the program and its arguments, as a list");
    }
    if (node != nullptr && node->is_string() && all.front().find(' ') != std::string::npos) {
      refuse(name, "is to be a list: [\"PROGRAM\", \"ARGUMENT\"]");
    }
    return all;
  }
  bool flag(const char* name) {
    const toml::node* node = find(name);
    if (node == nullptr) return false;
    if (!node->is_boolean()) refuse(name, "is to be true or false");
    return node->value_or(false);
  }
  unsigned number(const char* name, unsigned max) {
    const toml::node* node = find(name);
    if (node == nullptr) return 0;
    const std::int64_t value = node->is_integer() ? node->value_or(std::int64_t{0}) : 0;
    if (value < 1 || value > max)
      refuse(name, "is to be a number from 1 to " + std::to_string(max));
    return static_cast<unsigned>(value);
  }
  // NAME = VALUE, as a table.
  std::vector<std::string> variables(const char* name) {
    std::vector<std::string> all;
    const toml::node* node = find(name);
    if (node == nullptr) return all;
    const toml::table* table = node->as_table();
    if (table == nullptr) {
      refuse(name, "is to be a table: { NAME = \"VALUE\" }");
      return all;
    }
    for (const auto& [key, value] : *table) {
      all.push_back(std::string(key.str()) + "=" + text_of(value, name));
    }
    return all;
  }
  // What is wrong, if anything is; also a setting that nobody has asked for.
  std::string fault() {
    for (const auto& [key, value] : table_) {
      if (!asked_.contains(std::string(key.str()))) {
        refuse(std::string(key.str()).c_str(), "is no setting of a job");
      }
    }
    return fault_;
  }

 private:
  const toml::node* find(const char* name) {
    asked_.insert(name);
    return table_.get(name);
  }
  std::string text_of(const toml::node& node, const char* name) {
    if (node.is_string()) return node.value_or(std::string());
    if (node.is_integer()) return std::to_string(node.value_or(std::int64_t{0}));
    refuse(name, "is to be text, in quotes");
    return {};
  }
  void refuse(const char* name, const std::string& why) {
    if (fault_.empty()) fault_ = file_ + ": '" + name + "' " + why + ".";
  }

  const toml::table& table_;
  std::string file_;
  std::set<std::string> asked_;
  std::string fault_;
};

// As if the command had been given where the file is.
std::string beside(const fs::path& folder, const std::string& path) {
  if (path.empty() || path == "-" || fs::path(path).is_absolute() || folder.empty()) return path;
  return (folder / path).string();
}

void place_inputs(const fs::path& folder, std::vector<std::string>& inputs) {
  for (std::string& input : inputs) {
    std::error_code ignored;
    const bool named =
        !fs::exists(beside(folder, input), ignored) && input.find('=') != std::string::npos;
    // The name in the unit's folder is as it is written here.
    if (!folder.empty() && !named && fs::path(input).is_relative()) {
      std::string name = fs::path(input).lexically_normal().generic_string();
      if (name.ends_with('/')) name.pop_back();
      if (!name.starts_with("..")) input += "=" + name;
    }
    input = beside(folder, input);
  }
}

template <class T>
void prefer(T& ours, const T& given, const T& unset = {}) {
  if (given != unset) ours = given;
}

}  // namespace

Result<JobFile, Failure> read_job_file(const std::string& file, const ProgramWish& given) {
  const auto text = read_text_file(file);
  if (!text) return fail(kUsage, "The job file cannot be read: " + text.error().what + ".");
  const toml::parse_result parsed = toml::parse(*text);
  if (!parsed) {
    const auto& error = parsed.error();
    return fail(kUsage, file + ", line " + std::to_string(error.source().begin.line) + ": " +
                            std::string(error.description()) + ".");
  }
  Reader reader(parsed.table(), file);
  const fs::path folder = fs::path(file).parent_path();
  JobFile job;
  job.name = reader.text("name");
  job.quorum = reader.number("quorum", 16);
  job.max_attempts = reader.number("max_attempts", limits::kAttemptsMax);
  job.keep_for = reader.text("keep_for");
  ProgramWish& wish = job.wish;
  wish.command = reader.command("command");
  wish.array = reader.text("array");
  wish.lines_file = beside(folder, reader.text("each_line"));
  wish.json_file = beside(folder, reader.text("from_json"));
  wish.column_separator = reader.text("colsep");
  wish.inputs = reader.texts("input");
  wish.ships = reader.texts("ship");
  place_inputs(folder, wish.inputs);
  place_inputs(folder, wish.ships);
  wish.outputs = reader.texts("output");
  wish.standard_output = reader.flag("stdout");
  wish.needs = reader.texts("needs");
  wish.environment = reader.variables("env");
  const std::vector<std::string> statuses = reader.texts("ok_exit");
  wish.dropped = reader.texts("drop");
  prefer(wish.compare, reader.text("compare"));
  wish.compare_with = reader.command("compare_with");
  wish.time_limit = reader.text("time_limit");
  wish.memory = reader.text("memory");
  wish.output_limit = reader.text("output_limit");
  wish.results_folder = reader.text("results");
  if (std::string fault = reader.fault(); !fault.empty()) return fail(kUsage, std::move(fault));
  if (wish.command.empty()) {
    return fail(kUsage, file + ": 'command' is to be the program and its arguments, as a list.");
  }
  for (const std::string& status : statuses) {
    if (status.find_first_not_of("0123456789") != std::string::npos || status.size() > 3) {
      return fail(kUsage, file + ": 'ok_exit' is to be a list of exit statuses.");
    }
    wish.exit_statuses.push_back(static_cast<unsigned>(std::stoul(status)));
  }
  if (!given.array.empty() || !given.lines_file.empty() || !given.json_file.empty()) {
    wish.array = given.array;
    wish.lines_file = given.lines_file;
    wish.json_file = given.json_file;
  }
  prefer(wish.compare, given.compare, std::string("bytes"));
  prefer(wish.compare_with, given.compare_with);
  prefer(wish.column_separator, given.column_separator);
  prefer(wish.exit_statuses, given.exit_statuses);
  prefer(wish.time_limit, given.time_limit);
  prefer(wish.memory, given.memory);
  prefer(wish.output_limit, given.output_limit);
  prefer(wish.results_folder, given.results_folder);
  for (const auto& [more, to] :
       {std::pair(&given.inputs, &wish.inputs), std::pair(&given.ships, &wish.ships),
        std::pair(&given.outputs, &wish.outputs), std::pair(&given.needs, &wish.needs),
        std::pair(&given.environment, &wish.environment),
        std::pair(&given.dropped, &wish.dropped)}) {
    to->insert(to->end(), more->begin(), more->end());
  }
  wish.standard_output |= given.standard_output;
  wish.resume = given.resume;
  wish.retry_failed = given.retry_failed;
  return job;
}

}  // namespace shoal::cli
