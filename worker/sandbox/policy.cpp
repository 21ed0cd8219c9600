#include "worker/sandbox/policy.h"

#include <array>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

namespace shoal {
namespace {

constexpr std::array<std::pair<std::string_view, SandboxKind>, 4> kKinds{{
    {"shipped", SandboxKind::kShipped},
    {"native", SandboxKind::kNative},
    {"wasm", SandboxKind::kWasm},
    {"program", SandboxKind::kProgram},
}};
constexpr std::array<std::pair<std::string_view, SandboxLevel>, 3> kLevels{{
    {"none", SandboxLevel::kNone},
    {"weak", SandboxLevel::kWeak},
    {"full", SandboxLevel::kFull},
}};

template <typename Table, typename Value>
std::string_view word_of(const Table& table, Value value) {
  for (const auto& [word, meaning] : table) {
    if (meaning == value) return word;
  }
  return {};
}

template <typename Table, typename Value>
bool read_word(const Table& table, std::string_view text, Value& value) {
  for (const auto& [word, meaning] : table) {
    if (word != text) continue;
    value = meaning;
    return true;
  }
  return false;
}

template <typename Number>
bool read_number(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool read_path(std::string_view text, std::string& path) {
  path = text;
  return text.starts_with('/');
}

// False: the name is not known, or the value makes no sense.
bool read_setting(std::string_view name, std::string_view value, SandboxPolicy& policy) {
  if (name == "kind") return read_word(kKinds, value, policy.kind);
  if (name == "level") return read_word(kLevels, value, policy.level);
  if (name == "scratch") return read_path(value, policy.scratch);
  if (name == "read-only") return read_path(value, policy.read_only.emplace_back());
  if (name == "memory") return read_number(value, policy.memory_bytes);
  if (name == "scratch-bytes") return read_number(value, policy.scratch_bytes);
  if (name == "file-bytes") return read_number(value, policy.file_bytes);
  if (name == "cpu-seconds") return read_number(value, policy.cpu_seconds);
  if (name == "processes") return read_number(value, policy.processes);
  if (name == "threads") return read_number(value, policy.threads);
  if (name == "open-files") return read_number(value, policy.open_files);
  if (name == "control") return read_number(value, policy.control_fd);
  return false;
}

}  // namespace

const char* name_of(SandboxKind kind) { return word_of(kKinds, kind).data(); }

std::vector<std::string> to_arguments(const SandboxPolicy& policy) {
  std::vector<std::string> words;
  const auto add = [&](const char* name, std::string_view value) {
    words.push_back("--" + std::string(name) + "=" + std::string(value));
  };
  add("kind", word_of(kKinds, policy.kind));
  add("level", word_of(kLevels, policy.level));
  if (!policy.scratch.empty()) add("scratch", policy.scratch);
  for (const std::string& path : policy.read_only) add("read-only", path);
  add("memory", std::to_string(policy.memory_bytes));
  add("scratch-bytes", std::to_string(policy.scratch_bytes));
  add("file-bytes", std::to_string(policy.file_bytes));
  add("cpu-seconds", std::to_string(policy.cpu_seconds));
  add("processes", std::to_string(policy.processes));
  add("threads", std::to_string(policy.threads));
  add("open-files", std::to_string(policy.open_files));
  add("control", std::to_string(policy.control_fd));
  words.push_back("--");
  words.push_back(policy.program);
  words.insert(words.end(), policy.arguments.begin(), policy.arguments.end());
  return words;
}

Result<SandboxPolicy, std::string> parse_policy(const std::vector<std::string>& arguments) {
  SandboxPolicy policy;
  auto word = arguments.begin();
  for (; word != arguments.end() && *word != "--"; ++word) {
    const std::size_t equals = word->find('=');
    const bool setting = word->starts_with("--") && equals != std::string::npos;
    const std::string_view text = *word;
    if (!setting || !read_setting(text.substr(2, equals - 2), text.substr(equals + 1), policy)) {
      return tl::unexpected("'" + *word + "' is no setting of a sandbox");
    }
  }
  if (word == arguments.end() || ++word == arguments.end() || !read_path(*word, policy.program)) {
    return tl::unexpected(std::string("after '--' comes the absolute path of a program"));
  }
  policy.arguments.assign(word + 1, arguments.end());
  if (policy.level != SandboxLevel::kFull && policy.scratch.empty()) {
    return tl::unexpected(std::string("without namespaces a scratch folder must be named"));
  }
  return policy;
}

}  // namespace shoal
