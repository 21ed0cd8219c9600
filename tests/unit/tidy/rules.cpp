#include "tests/unit/tidy/rules.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "tests/unit/tidy/scan.h"

namespace shoal::tidy {
namespace {

struct Arrow {
  std::string_view folder;
  std::vector<std::string_view> may_include;  // folders, with all that is below them
};

// A folder always may include itself. Folders that are not listed (tests, bench) may include all.
const std::vector<Arrow>& arrows() {
  static const std::vector<Arrow> table = {
      {"node/protocol/", {}},
      {"node/wasm/", {"node/protocol/"}},
      {"node/state/", {"node/protocol/"}},
      {"node/link/", {"node/protocol/"}},
      {"node/content/core/", {"node/protocol/"}},
      {"node/reach/core/", {"node/protocol/"}},
      {"node/content/store/", {"node/protocol/", "node/content/core/"}},
      {"coordinator/core/", {"node/protocol/"}},
      {"coordinator/runtime/", {"coordinator/core/", "node/"}},
      {"worker/core/", {"node/protocol/", "node/content/core/", "node/reach/core/"}},
      {"worker/sandbox/", {"node/protocol/"}},
      {"worker/runtime/", {"worker/core/", "worker/sandbox/", "node/"}},
      {"worker/executor/", {"worker/sandbox/", "sdk/host/", "node/protocol/"}},
      {"worker/program/",
       {"sdk/host/", "sdk/include/", "node/protocol/", "node/state/", "node/content/store/"}},
      {"worker/wasm/",
       {"worker/sandbox/", "sdk/include/", "sdk/host/", "node/protocol/", "node/wasm/"}},
      {"sdk/host/", {"sdk/include/", "node/protocol/"}},
      {"sdk/include/", {}},
      {"sdk/core/", {"node/protocol/", "node/content/core/", "node/reach/core/"}},
      // The SDK's library also is the unit process of the program that links it: hence sdk/host.
      {"sdk/src/", {"sdk/include/", "sdk/core/", "sdk/host/", "node/"}},
      {"sdk/cli/", {"sdk/include/", "sdk/src/", "sdk/core/", "node/"}},
      {"tasks/", {"sdk/include/"}},
      {"examples/", {"sdk/include/"}},
  };
  return table;
}

struct Exception {
  std::string_view path;
  std::string_view target;
};
constexpr std::array kArrowExceptions = {
    Exception{"worker/executor/main.cpp", "tasks/all_kernels.h"},  // the program that ships them
};

// The lines of a document, empty where they are in a block of code.
std::vector<std::string_view> prose_of(std::string_view text) {
  std::vector<std::string_view> lines = lines_of(text);
  bool in_code = false;
  for (std::string_view& line : lines) {
    const bool fence = line.starts_with("```");
    if (fence) in_code = !in_code;
    if (fence || in_code) line = {};
  }
  return lines;
}

// What a heading is called in a link: "## The `x` of y" is "the-x-of-y".
std::string anchor_of(std::string_view heading) {
  heading.remove_prefix(std::min(heading.find_first_not_of("# "), heading.size()));
  std::string anchor;
  for (const char c : heading) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '_' || byte >= 0x80) {
      anchor += static_cast<char>(std::tolower(byte));
    } else if (c == ' ') {
      anchor += '-';
    }
  }
  return anchor;
}

// The targets of the links in a line of prose, those to other sites left out.
std::vector<std::string> links_of(std::string_view line) {
  std::vector<std::string> links;
  for (std::size_t at = line.find("]("); at != std::string_view::npos; at = line.find("](", at)) {
    at += 2;
    const std::size_t end = line.find(')', at);
    if (end == std::string_view::npos) break;
    const std::string_view link = line.substr(at, end - at);
    if (link.find("://") == std::string_view::npos) links.emplace_back(link);
  }
  return links;
}

// The path from the top of what is included; nothing for what is not ours.
std::optional<std::string> our_path(const SourceFile& file, const Include& include) {
  static constexpr std::array<std::string_view, 8> tops = {
      "node/", "coordinator/", "worker/", "sdk/", "tasks/", "tests/", "bench/", "examples/"};
  if (include.target.starts_with("shoal/")) return "sdk/include/" + include.target;
  if (!include.quoted) return std::nullopt;
  const std::string whole = include.target.starts_with("../") || include.target.starts_with("./")
                                ? (std::filesystem::path(file.path).parent_path() / include.target)
                                      .lexically_normal()
                                      .generic_string()
                                : include.target;
  for (const std::string_view top : tops) {
    if (whole.starts_with(top)) return whole;
  }
  return std::nullopt;
}

bool is_source(const std::string& path) { return path.ends_with(".h") || path.ends_with(".cpp"); }

bool in_core(const std::string& path) {
  return path.find("/core/") != std::string::npos && !path.starts_with("tests/");
}

const std::set<std::string_view>& headers_banned_in_core() {
  static const std::set<std::string_view> banned = {
      "thread",     "mutex",     "shared_mutex", "condition_variable",
      "future",     "semaphore", "latch",        "barrier",
      "stop_token", "fstream",   "filesystem",   "iostream",
      "random",     "ctime",     "time.h",       "unistd.h",
      "fcntl.h",    "poll.h",    "pthread.h",    "sqlite3.h",
      "zmq.h",      "zmq.hpp",   "netdb.h",      "spdlog/spdlog.h",
  };
  return banned;
}

constexpr std::array<std::string_view, 7> kHeaderFoldersBannedInCore = {
    "sys/", "netinet/", "arpa/", "net/", "tbb/", "oneapi/", "boost/"};

const std::map<std::string_view, std::string_view>& names_banned_in_core() {
  static constexpr std::string_view time =
      "time comes in as an argument: use the Instant of step()";
  static constexpr std::string_view chance = "chance comes in as an argument: use the Rng given";
  static constexpr std::string_view threads = "a state machine has one thread, that of its caller";
  static constexpr std::string_view files = "answer with an action, and let the runtime do it";
  static const std::map<std::string_view, std::string_view> banned = {
      {"system_clock", time},
      {"steady_clock", time},
      {"high_resolution_clock", time},
      {"utc_clock", time},
      {"clock_gettime", time},
      {"gettimeofday", time},
      {"timerfd_create", time},
      {"this_thread", threads},
      {"sleep_for", threads},
      {"sleep_until", threads},
      {"jthread", threads},
      {"pthread_create", threads},
      {"mutex", threads},
      {"async", threads},
      {"condition_variable", threads},
      {"random_device", chance},
      {"getrandom", chance},
      {"mt19937", chance},
      {"mt19937_64", chance},
      {"minstd_rand", chance},
      {"default_random_engine", chance},
      {"randombytes_buf", chance},
      {"srand", chance},
      {"rand", chance},
      {"ifstream", files},
      {"ofstream", files},
      {"fstream", files},
      {"fopen", files},
      {"filesystem", files},
      {"getenv", files},
      {"cout", files},
      {"cerr", files},
      {"printf", files},
  };
  return banned;
}

// Calls of the system; methods of ours may have these names.
const std::set<std::string_view>& calls_banned_in_core() {
  static const std::set<std::string_view> banned = {"socket", "usleep", "fork", "fsync"};
  return banned;
}

const std::set<std::string_view>& chance_of_std() {
  static const std::set<std::string_view> names = {"shuffle", "sample", "random_shuffle"};
  return names;
}

bool is_std_name(const std::vector<Token>& tokens, std::size_t at) {
  return at >= 2 && tokens[at - 1].text == "::" && tokens[at - 2].text == "std";
}

// The index after the '>' that closes the '<' at `open`.
std::size_t after_template_arguments(const std::vector<Token>& tokens, std::size_t open) {
  int depth = 0;
  for (std::size_t i = open; i < tokens.size(); ++i) {
    if (tokens[i].text == "<") ++depth;
    if (tokens[i].text == ">" && --depth == 0) return i + 1;
  }
  return tokens.size();
}

// Names of variables and members whose type is an unordered container, by itself or through
// `using`.
std::set<std::string, std::less<>> unordered_names(const std::vector<Token>& tokens) {
  std::set<std::string, std::less<>> types;
  std::set<std::string, std::less<>> names;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool by_itself = tokens[i].text.starts_with("unordered_");
    if (!by_itself && !types.contains(tokens[i].text)) continue;
    std::size_t next = i + 1;
    if (next < tokens.size() && tokens[next].text == "<") {
      next = after_template_arguments(tokens, next);
    }
    const std::size_t type = i >= 2 && tokens[i - 1].text == "::" ? i - 2 : i;
    if (by_itself && type >= 3 && tokens[type - 1].text == "=" &&
        tokens[type - 3].text == "using") {
      types.emplace(tokens[type - 2].text);
      continue;
    }
    while (next < tokens.size() &&
           (tokens[next].text == "&" || tokens[next].text == "*" || tokens[next].text == "const")) {
      ++next;
    }
    if (next < tokens.size() && is_identifier(tokens[next].text)) names.emplace(tokens[next].text);
  }
  return names;
}

constexpr std::string_view kUnorderedSentence =
    " is unordered: its order differs between machines, and a seed would not replay; use std::map "
    "or"
    " a sorted vector";

// `for (... : a.b.name)` and `name.begin()`.
std::vector<Finding> unordered_iteration(const SourceFile& file, const std::vector<Token>& tokens,
                                         const std::set<std::string, std::less<>>& names) {
  std::vector<Finding> findings;
  const auto report = [&](const Token& token) {
    findings.push_back({file.path, token.line,
                        "'" + std::string(token.text) + "'" + std::string(kUnorderedSentence)});
  };
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].text == "for" && i + 1 < tokens.size() && tokens[i + 1].text == "(") {
      int depth = 0;
      bool ranged = false;
      for (std::size_t k = i + 1; k < tokens.size(); ++k) {
        if (tokens[k].text == "(") ++depth;
        if (tokens[k].text == ")" && --depth == 0) break;
        if (tokens[k].text == ":" && depth == 1) ranged = true;
        const bool last = k + 1 < tokens.size() && tokens[k + 1].text == ")" && depth == 1;
        if (ranged && last && names.contains(tokens[k].text)) report(tokens[k]);
      }
    }
    const bool member = i >= 2 && (tokens[i - 1].text == "." || tokens[i - 1].text == "->");
    if (member && (tokens[i].text == "begin" || tokens[i].text == "cbegin") &&
        names.contains(tokens[i - 2].text)) {
      report(tokens[i - 2]);
    }
  }
  return findings;
}

std::vector<Finding> banned_headers(const SourceFile& file) {
  std::vector<Finding> findings;
  for (const Include& include : includes_of(file.text)) {
    bool banned = headers_banned_in_core().contains(include.target);
    for (const std::string_view folder : kHeaderFoldersBannedInCore) {
      banned = banned || include.target.starts_with(folder);
    }
    if (banned) {
      findings.push_back(
          {file.path, include.line,
           "<" + include.target +
               "> does not belong under a core/: clocks, threads, sockets, files and "
               "random devices stay in a runtime/; pass in what you need"});
    }
  }
  return findings;
}

std::vector<Finding> banned_names(const SourceFile& file, const std::vector<Token>& tokens) {
  std::vector<Finding> findings;
  const auto report = [&](const Token& token, std::string_view why) {
    findings.push_back(
        {file.path, token.line,
         "'" + std::string(token.text) + "' does not belong under a core/: " + std::string(why)});
  };
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::string_view name = tokens[i].text;
    const bool member = i > 0 && (tokens[i - 1].text == "." || tokens[i - 1].text == "->");
    const bool called = i + 1 < tokens.size() && tokens[i + 1].text == "(";
    if (const auto banned = names_banned_in_core().find(name);
        banned != names_banned_in_core().end() && !member) {
      report(tokens[i], banned->second);
    } else if (name == "thread" && is_std_name(tokens, i)) {
      report(tokens[i], "a state machine has one thread, that of its caller");
    } else if (name.ends_with("_distribution") && is_std_name(tokens, i)) {
      report(tokens[i],
             "distributions of std differ between libraries, and a seed would not replay; use "
             "Rng::below()");
    } else if (chance_of_std().contains(name) && is_std_name(tokens, i)) {
      report(tokens[i], "its order differs between libraries; write the loop with Rng::below()");
    } else if (called && name == "time" && is_std_name(tokens, i)) {
      report(tokens[i], "time comes in as an argument: use the Instant of step()");
    } else if (called && !member && calls_banned_in_core().contains(name)) {
      report(tokens[i], "answer with an action, and let the runtime do it");
    }
  }
  return findings;
}

// Columns, counting a character of UTF-8 as one.
std::size_t columns(std::string_view line) {
  return static_cast<std::size_t>(std::count_if(line.begin(), line.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

bool has_word(std::string_view line, std::string_view word) {
  const auto letter = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  for (std::size_t at = line.find(word); at != std::string_view::npos;
       at = line.find(word, at + 1)) {
    const bool starts = at == 0 || !letter(line[at - 1]);
    const std::size_t end = at + word.size();
    if (starts && (end == line.size() || !letter(line[end]))) return true;
  }
  return false;
}

constexpr std::size_t kLinesMax = 600;
constexpr std::size_t kColumnsMax = 100;
// In two pieces, or this file would be found by its own rule.
constexpr std::array<std::string_view, 4> kUnwelcome = {
    "TO"
    "DO",
    "FIX"
    "ME",
    "XX"
    "X",
    "HA"
    "CK"};

// Adds the sources that one CMake file names, as paths from the top.
void add_named_sources(const SourceFile& cmake, std::set<std::string>& named) {
  const std::filesystem::path folder = std::filesystem::path(cmake.path).parent_path();
  static constexpr std::string_view top = "${PROJECT_SOURCE_DIR}/";
  for (std::string_view line : lines_of(cmake.text)) {
    line = line.substr(0, line.find('#'));
    while (!line.empty()) {
      const std::size_t start = line.find_first_not_of(" \t\"();");
      if (start == std::string_view::npos) break;
      const std::size_t end = std::min(line.find_first_of(" \t\"();", start), line.size());
      std::string_view word = line.substr(start, end - start);
      line.remove_prefix(end);
      const bool from_top = word.starts_with(top);
      if (from_top) word.remove_prefix(top.size());
      const std::filesystem::path path = from_top ? std::filesystem::path(word) : folder / word;
      named.insert(path.lexically_normal().generic_string());
    }
  }
}

void append(std::vector<Finding>& all, std::vector<Finding> more) {
  all.insert(all.end(), more.begin(), more.end());
}

}  // namespace

std::string Finding::to_string() const {
  return path + (line > 0 ? ":" + std::to_string(line) : "") + ": " + sentence;
}

std::vector<Finding> check_arrows(const SourceFile& file) {
  std::vector<Finding> findings;
  if (!is_source(file.path)) return findings;
  const auto arrow = std::find_if(arrows().begin(), arrows().end(),
                                  [&](const Arrow& a) { return file.path.starts_with(a.folder); });
  if (arrow == arrows().end()) return findings;
  for (const Include& include : includes_of(file.text)) {
    const std::optional<std::string> target = our_path(file, include);
    if (!target || target->starts_with(arrow->folder)) continue;
    const bool allowed =
        std::any_of(arrow->may_include.begin(), arrow->may_include.end(),
                    [&](std::string_view folder) { return target->starts_with(folder); }) ||
        std::any_of(kArrowExceptions.begin(), kArrowExceptions.end(),
                    [&](const Exception& e) { return e.path == file.path && e.target == *target; });
    if (allowed) continue;
    std::string may;
    for (const std::string_view folder : arrow->may_include) {
      may += (may.empty() ? "" : ", ") + std::string(folder);
    }
    findings.push_back({file.path, include.line,
                        "'" + *target + "' is against the arrows: " + std::string(arrow->folder) +
                            " may include " + (may.empty() ? "nothing of ours but itself" : may) +
                            "; move what you need down, or pass it in from above"});
  }
  return findings;
}

std::vector<Finding> check_core(const SourceFile& file, std::string_view header) {
  std::vector<Finding> findings;
  if (!is_source(file.path) || !in_core(file.path)) return findings;
  append(findings, banned_headers(file));
  const std::string code = code_only(file.text);
  const std::vector<Token> tokens = tokens_of(code);
  append(findings, banned_names(file, tokens));
  const std::string header_code = code_only(header);
  std::set<std::string, std::less<>> names = unordered_names(tokens);
  names.merge(unordered_names(tokens_of(header_code)));
  append(findings, unordered_iteration(file, tokens, names));
  return findings;
}

std::vector<Finding> check_third_parties(const SourceFile& file) {
  std::vector<Finding> findings;
  if (!is_source(file.path)) return findings;
  const bool decoder = file.path.starts_with("node/protocol/") && file.path.ends_with(".cpp");
  const bool published = file.path.starts_with("sdk/include/");
  static constexpr std::array<std::string_view, 5> hidden = {"capnp/", "kj/", "zmq", "tbb/",
                                                             "oneapi/"};
  for (const Include& include : includes_of(file.text)) {
    if (include.target.ends_with(".capnp.h") && !decoder) {
      findings.push_back({file.path, include.line,
                          "generated headers are seen by node/protocol/*.cpp only: use the plain "
                          "structs of node/protocol/messages.h"});
    }
    if (published && std::any_of(hidden.begin(), hidden.end(), [&](std::string_view start) {
          return include.target.starts_with(start);
        })) {
      findings.push_back({file.path, include.line,
                          "'" + include.target +
                              "' does not belong in a public header: hide it behind a struct Impl "
                              "in sdk/src"});
    }
  }
  if (!published) return findings;
  const std::string code = code_only(file.text);
  const std::vector<Token> tokens = tokens_of(code);
  static const std::set<std::string_view> spaces = {"capnp", "kj", "zmq", "tbb", "oneapi"};
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (spaces.contains(tokens[i].text) && tokens[i + 1].text == "::") {
      findings.push_back({file.path, tokens[i].line,
                          "a type of '" + std::string(tokens[i].text) +
                              "' does not belong in a public header: hide it behind a struct Impl "
                              "in sdk/src"});
    }
  }
  return findings;
}

std::vector<Finding> check_text(const SourceFile& file) {
  std::vector<Finding> findings;
  const std::vector<std::string_view> lines = lines_of(file.text);
  const bool source = is_source(file.path) || file.path.ends_with(".capnp");
  if (source && lines.size() > kLinesMax) {
    findings.push_back({file.path, 0,
                        std::to_string(lines.size()) + " lines, " + std::to_string(kLinesMax) +
                            " are the most: split the file by what its parts are for"});
  }
  if (file.path.ends_with(".h") && code_only(file.text).find("#pragma once") == std::string::npos) {
    findings.push_back({file.path, 0, "a header starts with '#pragma once'"});
  }
  for (std::size_t n = 0; n < lines.size(); ++n) {
    const int line = static_cast<int>(n) + 1;
    if (is_source(file.path) && columns(lines[n]) > kColumnsMax) {
      findings.push_back({file.path, line,
                          std::to_string(columns(lines[n])) + " columns, " +
                              std::to_string(kColumnsMax) + " are the most: run clang-format -i"});
    }
    for (const std::string_view word : kUnwelcome) {
      if (has_word(lines[n], word)) {
        findings.push_back({file.path, line,
                            "'" + std::string(word) +
                                "' is a note to nobody: do it now, or open an issue and say here "
                                "what holds today"});
      }
    }
  }
  return findings;
}

std::vector<Finding> check_dead_files(const std::vector<SourceFile>& files) {
  std::set<std::string> named;
  for (const SourceFile& file : files) {
    if (file.path.ends_with("CMakeLists.txt") || file.path.ends_with(".cmake")) {
      add_named_sources(file, named);
    }
  }
  std::vector<Finding> findings;
  for (const SourceFile& file : files) {
    const bool built = file.path.ends_with(".cpp") || file.path.ends_with(".capnp");
    if (built && !named.contains(file.path)) {
      findings.push_back({file.path, 0,
                          "no CMakeLists.txt names this file, so that it is never built: list it, "
                          "or delete it"});
    }
  }
  return findings;
}

std::vector<Finding> check_links(const std::vector<SourceFile>& files,
                                 const std::function<bool(const std::string&)>& exists) {
  std::map<std::string, std::set<std::string>> anchors;  // of each document
  for (const SourceFile& file : files) {
    if (!file.path.ends_with(".md")) continue;
    for (const std::string_view line : prose_of(file.text)) {
      if (line.starts_with('#')) anchors[file.path].insert(anchor_of(line));
    }
  }
  std::vector<Finding> findings;
  for (const SourceFile& file : files) {
    if (!file.path.ends_with(".md")) continue;
    int number = 0;
    for (const std::string_view line : prose_of(file.text)) {
      ++number;
      for (const std::string& link : links_of(line)) {
        const std::size_t hash = std::min(link.find('#'), link.size());
        const std::string path =
            hash == 0 ? file.path
                      : (std::filesystem::path(file.path).parent_path() / link.substr(0, hash))
                            .lexically_normal()
                            .generic_string();
        if (!exists(path)) {
          findings.push_back({file.path, number, "'" + link + "' leads nowhere: mend the link"});
        } else if (hash < link.size() && !anchors[path].contains(link.substr(hash + 1))) {
          findings.push_back({file.path, number,
                              "'" + link + "' names no heading of " + path + ": mend the link"});
        }
      }
    }
  }
  return findings;
}

std::vector<Finding> check_tree(const std::vector<SourceFile>& files) {
  std::map<std::string_view, std::string_view> headers;
  for (const SourceFile& file : files) {
    if (file.path.ends_with(".h")) headers[file.path] = file.text;
  }
  std::vector<Finding> findings = check_dead_files(files);
  for (const SourceFile& file : files) {
    std::string_view header;
    if (file.path.ends_with(".cpp")) {
      const std::string path = file.path.substr(0, file.path.size() - 4) + ".h";
      if (const auto found = headers.find(path); found != headers.end()) header = found->second;
    }
    append(findings, check_arrows(file));
    append(findings, check_core(file, header));
    append(findings, check_third_parties(file));
    append(findings, check_text(file));
  }
  return findings;
}

}  // namespace shoal::tidy
