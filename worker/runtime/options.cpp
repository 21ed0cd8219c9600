#include "worker/runtime/options.h"

#include <arpa/inet.h>
#include <sched.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <map>
#include <system_error>
#include <thread>
#include <utility>

#include "node/content/core/content_text.h"
#include "node/link/advertised.h"
#include "node/state/key_file.h"
#include "worker/runtime/config_file.h"
#include "worker/runtime/settings.h"

namespace shoal {

namespace fs = std::filesystem;

namespace {

constexpr unsigned kThreadsMax = 4096;

constexpr const char* kFooter = R"(
Settings come from a TOML file, the environment and flags; a flag wins over the environment, and the
environment over the file. The file is the one that --config or SHOAL_CONFIG names, or else
$XDG_CONFIG_HOME/shoal/worker.toml where that exists. It may hold:

  ticket = "shoal1..."              # SHOAL_TICKET; or ticket_file = "/path", SHOAL_TICKET_FILE
  state = "/var/lib/shoal/worker"   # SHOAL_STATE
  listen = "tcp://0.0.0.0:0"        # SHOAL_LISTEN
  advertise = "worker.example.org"  # SHOAL_ADVERTISE
  port_mapping = "auto"             # SHOAL_PORT_MAPPING: ask the router to let peers in
  threads = 4                       # SHOAL_THREADS
  cpu_share = 50                    # SHOAL_CPU_SHARE
  memory = "2G"                     # SHOAL_MEMORY
  scratch = "1G"                    # SHOAL_SCRATCH
  sandbox = "on"                    # SHOAL_SANDBOX; "off" is --no-sandbox
  readable = ["/opt/data"]          # SHOAL_READABLE, separated by commas
  trust = ["<64 hex digits>"]       # SHOAL_TRUST, separated by commas
  kinds = ["shipped", "wasm"]       # SHOAL_KINDS, separated by commas
  cache = "10G"                     # SHOAL_CACHE
  upload_rate = "1M"                # SHOAL_UPLOAD_RATE; a second
  download_rate = "4M"              # SHOAL_DOWNLOAD_RATE
  upload_cap = "200G"               # SHOAL_UPLOAD_CAP; a month
  download_cap = "500G"             # SHOAL_DOWNLOAD_CAP
  owner_key = "/etc/shoal/owner.key"  # SHOAL_OWNER_KEY
  pin = ["file_..."]                # SHOAL_PIN, separated by commas
  log_level = "info"                # SHOAL_LOG_LEVEL
  executor = "/path"                # SHOAL_EXECUTOR
  quiet = false                     # SHOAL_QUIET

A worker that runs is paused, resumed, looked at and ended by its owner with

  shoal worker pause | resume | top | finish      (each has --help)

When the worker is ready, it writes one line to stdout: ready NODE tcp://HOST:PORT. It ends cleanly
on SIGTERM, SIGINT and SIGHUP. Exit codes: 0 clean end, 1 error, 2 usage. With --supervise it is
started again, after a pause, whenever it dies or ends with 1; each start writes its own line.)";

EarlyEnd usage(std::string what) { return {kExitUsage, {}, "shoal-worker: " + what + "\n"}; }

tl::unexpected<EarlyEnd> wrong(std::string what) { return tl::unexpected(usage(std::move(what))); }

tl::unexpected<EarlyEnd> wrong_value(const Setting& setting, const std::string& expected) {
  return wrong(setting.origin + " is '" + setting.text + "', but must be " + expected);
}

struct Flags {
  Settings settings;
  std::optional<std::string> config;
  bool supervise = false;
};

struct Gathered {
  Settings settings;
  bool supervise = false;
};

// A flag that takes a text, and the setting of that name.
struct TextFlag {
  const char* name;  // of the setting
  const char* flag;
  const char* type;
  const char* help;
};

constexpr std::array<TextFlag, 20> kTextFlags{{
    {"ticket", "--ticket", "TICKET", "the pool's ticket (shoal1...), or @FILE with it"},
    {"ticket_file", "--ticket-file", "FILE", "a file that holds the ticket"},
    {"state", "--state", "DIR",
     "what must survive a restart; default: $XDG_STATE_HOME/shoal/worker"},
    {"listen", "--listen", "ENDPOINT", "where to accept peers; default: tcp://0.0.0.0:0"},
    {"advertise", "--advertise", "HOST",
     "HOST or HOST:PORT that peers should dial; default: found out"},
    {"port_mapping", "--port-mapping", "WHEN",
     "auto: if peers cannot dial this worker, ask the router to let them in (NAT-PMP, UPnP); "
     "off: "
     "never; default: auto"},
    {"threads", "--threads", "N", "threads to lend; default: all cores"},
    {"cpu_share", "--cpu-share", "PERCENT",
     "of each second that those threads may run; default: 100"},
    {"memory", "--memory", "BYTES",
     "memory for one executor, as 512M or 2G; default: half of what the machine has"},
    {"scratch", "--scratch", "BYTES",
     "for the files of one executor, which lie in memory; default: 1G"},
    {"sandbox", "--sandbox", "on|off",
     "off: native code of trusted submitters has this user's rights; default: on"},
    {"cache", "--cache", "BYTES",
     "disk for contents of others, as 10G; what was used longest ago goes; default: no limit"},
    {"upload_rate", "--upload-rate", "BYTES",
     "contents sent a second, as 512K or 2M; default: no limit"},
    {"download_rate", "--download-rate", "BYTES",
     "contents fetched a second, as 512K or 2M; default: no limit"},
    {"upload_cap", "--upload-cap", "BYTES",
     "contents sent in a month of the calendar (UTC), as 200G; default: no limit"},
    {"download_cap", "--download-cap", "BYTES",
     "contents fetched in a month, as 500G; default: no limit"},
    {"kinds", "--kinds", "LIST",
     "kinds of kernels that are taken, separated by commas: shipped, wasm, native, program; "
     "default: all that this machine can hold, native and program from those who are trusted"},
    {"owner_key", "--owner-key", "FILE",
     "a key that says whose this worker is, the same on all machines of its owner, so that jobs "
     "are "
     "kept by several owners' machines; made where it is missing"},
    {"log_level", "--log-level", "LEVEL", "debug, info, warning or error; default: info"},
    {"executor", "--executor", "PATH", "the program that runs kernels; default: beside this one"},
}};

Result<Flags, EarlyEnd> parse_flags(std::vector<std::string> arguments,
                                    const std::string& version) {
  CLI::App app{
      "Lends this machine to a pool: computes units, checks those of others, and leads jobs.",
      "shoal-worker"};
  app.footer(kFooter);
  app.set_version_flag("--version", "shoal-worker " + version);
  std::map<std::string, std::string> texts;
  std::vector<std::string> trusted;
  std::vector<std::string> readable;
  std::vector<std::string> pinned;
  std::string config;
  bool quiet = false;
  bool no_sandbox = false;
  std::vector<std::pair<const TextFlag*, CLI::Option*>> options;
  for (const TextFlag& flag : kTextFlags) {
    options.emplace_back(
        &flag, app.add_option(flag.flag, texts[flag.name], flag.help)->type_name(flag.type));
  }
  app.add_option("--trust", trusted, "a submitter whose own programs may run here; repeatable")
      ->type_name("KEYHEX")
      ->take_all()
      ->allow_extra_args(false);
  app.add_option("--readable", readable,
                 "a file or folder that kernels may read, besides /usr; repeatable")
      ->type_name("PATH")
      ->take_all()
      ->allow_extra_args(false);
  app.add_flag("--no-sandbox", no_sandbox, "the same as --sandbox off; see docs/sandbox.md");
  app.add_option("--pin", pinned,
                 "a content to fetch, keep and serve, as `shoal put` names it; repeatable")
      ->type_name("CONTENT")
      ->take_all()
      ->allow_extra_args(false);
  const CLI::Option* named =
      app.add_option("--config", config, "a TOML file with settings")->type_name("FILE");
  app.add_flag("--quiet", quiet, "log only warnings and errors");
  Flags flags;
  // A flag alone: a setting of the file or the environment would also be the worker's that is
  // started, which would supervise another in its turn.
  app.add_flag("--supervise", flags.supervise, "start the worker again when it dies");
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants a vector
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::CallForVersion&) {
    return tl::unexpected(EarlyEnd{kExitClean, "shoal-worker " + version + "\n", {}});
  } catch (const CLI::Success&) {
    return tl::unexpected(EarlyEnd{kExitClean, app.help(), {}});
  } catch (const CLI::Error& error) {
    return wrong(std::string(error.what()) + "; `shoal-worker --help` lists the flags");
  }
  for (const auto& [flag, option] : options) {
    if (option->count() > 0) flags.settings[flag->name] = {texts[flag->name], flag->flag};
  }
  if (!trusted.empty()) flags.settings["trust"] = {join_list(trusted), "--trust"};
  if (!readable.empty()) flags.settings["readable"] = {join_list(readable), "--readable"};
  if (no_sandbox) flags.settings["sandbox"] = {"off", "--no-sandbox"};
  if (!pinned.empty()) flags.settings["pin"] = {join_list(pinned), "--pin"};
  if (quiet) flags.settings["quiet"] = {"true", "--quiet"};
  if (named->count() > 0) flags.config = config;
  return flags;
}

std::optional<std::string> folder_from(const Environment& environment, const char* xdg,
                                       const char* below_home) {
  // A relative path in an XDG variable counts as none, says its specification.
  if (auto folder = environment(xdg); folder && folder->starts_with('/')) return folder;
  if (auto home = environment("HOME"); home && home->starts_with('/')) {
    return *home + "/" + below_home;
  }
  return std::nullopt;
}

Result<Gathered, EarlyEnd> gather(const std::vector<std::string>& arguments,
                                  const Environment& environment, const std::string& version) {
  auto flags = parse_flags(arguments, version);
  if (!flags) return tl::unexpected(flags.error());
  Settings settings;
  std::optional<std::string> config = flags->config;
  if (!config) config = environment("SHOAL_CONFIG");
  if (!config) {
    if (const auto folder = folder_from(environment, "XDG_CONFIG_HOME", ".config")) {
      const std::string usual = *folder + "/shoal/worker.toml";
      if (::access(usual.c_str(), F_OK) == 0) config = usual;
    }
  }
  if (config) {
    auto from_file = read_config_file(*config);
    if (!from_file) return wrong(from_file.error());
    settings = std::move(*from_file);
  }
  const Settings from_environment = settings_of_environment(environment);
  for (const Settings* layer : {&from_environment, &std::as_const(flags->settings)}) {
    if (layer->contains("ticket") && layer->contains("ticket_file")) {
      return wrong("a ticket and a ticket file were both given; give one of them");
    }
    overlay(settings, *layer);
  }
  return Gathered{std::move(settings), flags->supervise};
}

Result<Ticket, EarlyEnd> ticket_from(const Settings& settings) {
  std::string text;
  std::string file;
  if (const auto found = settings.find("ticket_file"); found != settings.end()) {
    file = found->second.text;
  } else if (const auto given = settings.find("ticket"); given != settings.end()) {
    text = given->second.text;
    if (text.starts_with('@')) file = text.substr(1);  // as everywhere
  } else {
    return wrong(
        "no ticket: give the pool's ticket with --ticket, --ticket-file or SHOAL_TICKET (`shoal "
        "pool init` makes a pool and prints one)");
  }
  if (!file.empty()) {
    auto read = read_text_file(file);
    if (!read) return wrong(read.error().what);
    text = std::move(*read);
  }
  auto ticket = parse_ticket(text, Ed25519Checker());
  if (!ticket) return wrong(ticket.error().what);
  return std::move(*ticket);
}

Result<std::vector<NodeId>, EarlyEnd> trusted_from(const Setting& setting) {
  std::vector<NodeId> trusted;
  for (const std::string& hex : split_list(setting.text)) {
    const auto key = id_from_hex<NodeId>(hex);
    if (!key) return wrong_value({hex, setting.origin}, "a submitter's key: 64 hexadecimal digits");
    trusted.push_back(*key);
  }
  return trusted;
}

// By the words that `shoal worker top` has for them.
Result<std::set<KernelKind>, EarlyEnd> kinds_from(const Setting& setting) {
  constexpr std::array<std::pair<std::string_view, KernelKind>, 4> kWords{
      {{"shipped", KernelKind::kShipped},
       {"wasm", KernelKind::kWasm},
       {"native", KernelKind::kNative},
       {"program", KernelKind::kProgram}}};
  std::set<KernelKind> kinds;
  for (const std::string& word : split_list(setting.text)) {
    const auto known = std::find_if(kWords.begin(), kWords.end(),
                                    [&](const auto& one) { return one.first == word; });
    if (known == kWords.end()) {
      return wrong_value({word, setting.origin}, "one or more of shipped, wasm, native, program");
    }
    kinds.insert(known->second);
  }
  // A worker that takes nothing is no wish that anybody has: a list came out empty.
  if (kinds.empty()) return wrong_value(setting, "one or more of shipped, wasm, native, program");
  return kinds;
}

Result<std::string, EarlyEnd> listen_from(const Setting& setting) {
  const std::string expected = "tcp://ADDRESS:PORT with an IP address of this machine";
  const auto at = split_endpoint(setting.text);
  if (!at) return wrong_value(setting, expected);
  std::array<std::uint8_t, sizeof(in6_addr)> ignored{};
  const bool address = is_any_address(at->host) ||
                       ::inet_pton(AF_INET, at->host.c_str(), ignored.data()) == 1 ||
                       ::inet_pton(AF_INET6, at->host.c_str(), ignored.data()) == 1;
  if (!address) return wrong_value(setting, expected);
  return setting.text;
}

bool is_host(std::string_view text) {
  return !text.empty() && text.find_first_of(" \t\r\n/") == std::string_view::npos;
}

std::optional<LogLevel> parse_level(std::string_view text) {
  if (text == "debug") return LogLevel::kDebug;
  if (text == "info") return LogLevel::kInfo;
  if (text == "warning") return LogLevel::kWarning;
  if (text == "error") return LogLevel::kError;
  return std::nullopt;
}

Result<void, EarlyEnd> apply_numbers(const Settings& settings, WorkerOptions& options) {
  if (const auto it = settings.find("threads"); it != settings.end()) {
    const std::string& text = it->second.text;
    const char* end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, options.threads);
    if (error != std::errc() || stopped != end || options.threads == 0 ||
        options.threads > kThreadsMax) {
      return wrong_value(it->second, "a number from 1 to " + std::to_string(kThreadsMax));
    }
  }
  if (const auto it = settings.find("cpu_share"); it != settings.end()) {
    const std::string& text = it->second.text;
    const char* end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, options.cpu_share_percent);
    if (error != std::errc() || stopped != end || options.cpu_share_percent == 0 ||
        options.cpu_share_percent > 100) {
      return wrong_value(it->second, "a number from 1 to 100");
    }
  }
  if (const auto it = settings.find("memory"); it != settings.end()) {
    const auto bytes = parse_byte_count(it->second.text);
    if (!bytes) return wrong_value(it->second, "a number of bytes, as 512M or 2G");
    options.memory_bytes = *bytes;
  }
  for (const auto& [name, bytes] :
       {std::pair{"cache", &options.cache_bytes}, std::pair{"upload_rate", &options.upload_rate},
        std::pair{"download_rate", &options.download_rate},
        std::pair{"upload_cap", &options.upload_cap},
        std::pair{"download_cap", &options.download_cap}}) {
    const auto it = settings.find(name);
    if (it == settings.end()) continue;
    const auto number = parse_byte_count(it->second.text);
    if (!number) return wrong_value(it->second, "a number of bytes, as 512K, 10M or 2G");
    *bytes = *number;
  }
  if (const auto it = settings.find("log_level"); it != settings.end()) {
    const auto level = parse_level(it->second.text);
    if (!level) return wrong_value(it->second, "debug, info, warning or error");
    options.log_level = *level;
  }
  if (const auto it = settings.find("quiet"); it != settings.end()) {
    const std::string& text = it->second.text;
    if (text != "true" && text != "false" && text != "1" && text != "0") {
      return wrong_value(it->second, "true or false");
    }
    if (text == "true" || text == "1") {
      options.log_level = std::max(options.log_level, LogLevel::kWarning);
    }
  }
  return {};
}

Result<void, EarlyEnd> apply_sandbox(const Settings& settings, WorkerOptions& options) {
  if (const auto it = settings.find("scratch"); it != settings.end()) {
    const auto bytes = parse_byte_count(it->second.text);
    if (!bytes) return wrong_value(it->second, "a number of bytes, as 512M or 2G");
    options.scratch_bytes = *bytes;
  }
  if (const auto it = settings.find("sandbox"); it != settings.end()) {
    options.sandbox = it->second.text == "on";
    if (!options.sandbox && it->second.text != "off") return wrong_value(it->second, "on or off");
  }
  if (const auto it = settings.find("readable"); it != settings.end()) {
    for (const std::string& path : split_list(it->second.text)) {
      if (!path.starts_with('/') || ::access(path.c_str(), R_OK) != 0) {
        return wrong_value({path, it->second.origin}, "an absolute path that can be read");
      }
      options.readable.emplace_back(path);
    }
  }
  return {};
}

Result<fs::path, std::string> find_program(const std::string& name, const char* what,
                                           const char* advice, const fs::path& asked_for,
                                           const fs::path& program_folder) {
  std::vector<fs::path> places{asked_for};
  if (asked_for.empty()) {
    places = {program_folder / name, program_folder.parent_path() / "libexec" / "shoal" / name};
  }
  std::string looked;
  for (const fs::path& place : places) {
    std::error_code ignored;
    if (::access(place.c_str(), X_OK) == 0 && fs::is_regular_file(place, ignored)) return place;
    looked += (looked.empty() ? "" : " nor at ") + place.string();
  }
  return tl::unexpected(std::string("there is no ") + what + " at " + looked + "; install " + name +
                        " there" + advice);
}

// Whether a router may be asked. On loopback there is none, and whoever says what to advertise has
// seen to it himself.
Result<bool, EarlyEnd> maps_ports_from(const Settings& settings, const WorkerOptions& options) {
  const auto it = settings.find("port_mapping");
  if (it != settings.end() && it->second.text == "off") return false;
  if (it != settings.end() && it->second.text != "auto") {
    return wrong_value(it->second, "auto or off");
  }
  const auto listen = split_endpoint(options.listen);
  return options.advertise.empty() && listen && !is_loopback_address(listen->host);
}

}  // namespace

Result<WorkerOptions, EarlyEnd> parse_worker_options(const std::vector<std::string>& arguments,
                                                     const Environment& environment,
                                                     const std::string& version) {
  auto gathered = gather(arguments, environment, version);
  if (!gathered) return tl::unexpected(gathered.error());
  const Settings* settings = &gathered->settings;
  WorkerOptions options;
  options.supervise = gathered->supervise;
  options.threads = usable_cores();
  auto ticket = ticket_from(*settings);
  if (!ticket) return tl::unexpected(ticket.error());
  options.ticket = std::move(*ticket);
  if (auto applied = apply_numbers(*settings, options); !applied) {
    return tl::unexpected(applied.error());
  }
  if (auto applied = apply_sandbox(*settings, options); !applied) {
    return tl::unexpected(applied.error());
  }
  if (const auto it = settings->find("state"); it != settings->end()) {
    options.state = it->second.text;
  } else if (const auto folder = folder_from(environment, "XDG_STATE_HOME", ".local/state")) {
    options.state = *folder + "/shoal/worker";
  }
  if (options.state.empty()) {
    return wrong(
        "there is no place for the worker's state: neither XDG_STATE_HOME nor HOME is set; "
        "give a folder with --state");
  }
  Setting listen{"tcp://0.0.0.0:0", "--listen"};
  if (const auto it = settings->find("listen"); it != settings->end()) listen = it->second;
  auto listening = listen_from(listen);
  if (!listening) return tl::unexpected(listening.error());
  options.listen = std::move(*listening);
  if (const auto it = settings->find("advertise"); it != settings->end()) {
    if (!is_host(it->second.text)) return wrong_value(it->second, "HOST or HOST:PORT");
    options.advertise = it->second.text;
  }
  auto maps_ports = maps_ports_from(*settings, options);
  if (!maps_ports) return tl::unexpected(maps_ports.error());
  options.maps_ports = *maps_ports;
  if (const auto it = settings->find("trust"); it != settings->end()) {
    auto trusted = trusted_from(it->second);
    if (!trusted) return tl::unexpected(trusted.error());
    options.trusted_submitters = std::move(*trusted);
  }
  if (const auto it = settings->find("kinds"); it != settings->end()) {
    auto kinds = kinds_from(it->second);
    if (!kinds) return tl::unexpected(kinds.error());
    options.kinds = std::move(*kinds);
  }
  if (const auto it = settings->find("pin"); it != settings->end()) {
    for (const std::string& text : split_list(it->second.text)) {
      const auto content = content_from_text(text);
      if (!content) return wrong_value(it->second, "contents as `shoal put` names them");
      options.pinned.push_back(content->name);
    }
  }
  if (const auto it = settings->find("owner_key"); it != settings->end()) {
    options.owner_key = it->second.text;
  }
  if (const auto it = settings->find("executor"); it != settings->end()) {
    options.executor = it->second.text;
  }
  return options;
}

std::optional<std::uint64_t> parse_byte_count(std::string_view text) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stopped == text.data()) return std::nullopt;
  std::string_view suffix(stopped, static_cast<std::size_t>(end - stopped));
  unsigned shift = 0;
  if (!suffix.empty()) {
    constexpr std::string_view kLetters = "KMGT";
    const char letter = suffix[0] >= 'a' ? static_cast<char>(suffix[0] - 'a' + 'A') : suffix[0];
    const std::size_t at = kLetters.find(letter);
    if (at == std::string_view::npos) return std::nullopt;
    shift = 10 * (static_cast<unsigned>(at) + 1);
    suffix.remove_prefix(1);
    if (!suffix.empty() && suffix != "B" && suffix != "iB") return std::nullopt;
  }
  if (number == 0 || number > (std::numeric_limits<std::uint64_t>::max() >> shift)) {
    return std::nullopt;
  }
  return number << shift;
}

unsigned usable_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (::sched_getaffinity(0, sizeof cores, &cores) == 0 && CPU_COUNT(&cores) > 0) {
    return static_cast<unsigned>(CPU_COUNT(&cores));
  }
  return std::max(1U, std::thread::hardware_concurrency());
}

Result<fs::path, std::string> find_executor(const fs::path& asked_for,
                                            const fs::path& program_folder) {
  return find_program("shoal-executor", "executor", ", or name it with --executor", asked_for,
                      program_folder);
}

Result<fs::path, std::string> find_sandbox(const fs::path& program_folder) {
  return find_program("shoal-sandbox", "sandbox", "", {}, program_folder);
}

}  // namespace shoal
