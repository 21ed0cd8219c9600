#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "node/content/store/content_store.h"
#include "node/content/store/refusal_files.h"
#include "node/link/advertised.h"
#include "node/link/link.h"
#include "node/protocol/program_spec.h"
#include "node/state/clock.h"
#include "node/state/freed_memory.h"
#include "node/state/home_folder.h"
#include "node/state/key_file.h"
#include "node/state/standard_streams.h"
#include "node/state/supervise.h"
#include "worker/runtime/executor_keeper.h"
#include "worker/runtime/installed_programs.h"
#include "worker/runtime/launch.h"
#include "worker/runtime/ledger_store.h"
#include "worker/runtime/options.h"
#include "worker/runtime/sandbox_choice.h"
#include "worker/runtime/worker_loop.h"
#include "worker/sandbox/limits.h"

namespace {

using namespace shoal;
namespace fs = std::filesystem;

constexpr rlim_t kOpenFilesWanted = 65536;  // a link is a descriptor

int fail(const std::string& what) {
  log_line(LogLevel::kError, what);
  return kExitError;
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

void start_log(LogLevel level) {
  const char* no_color = std::getenv("NO_COLOR");
  const bool plain = no_color != nullptr && *no_color != '\0';
  auto logger = spdlog::stderr_color_mt(
      "shoal-worker", plain ? spdlog::color_mode::never : spdlog::color_mode::automatic);
  logger->set_level(spdlog_level(level));
  logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
}

// Before any thread is started: threads inherit the mask. The descriptor that tells of the signals.
int prepare_process() {
  ::umask(077);
  // A child that has died shows as an error of the write; so does a file that may not grow.
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  forbid_cores();  // they would hold the node's key
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < kOpenFilesWanted) {
    files.rlim_cur = std::min(files.rlim_max, kOpenFilesWanted);
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  const sigset_t ending = ending_signals();
  ::pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  return ::signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
}

// From now on a second signal ends the process at once, whatever it is still waiting for; but not a
// second SIGHUP, which both the terminal and its shell send.
void let_signals_through(int signal_fd) {
  signalfd_siginfo taken{};
  while (::read(signal_fd, &taken, sizeof taken) == sizeof taken) {
  }
  sigset_t ending;
  ::sigemptyset(&ending);
  ::sigaddset(&ending, SIGTERM);
  ::sigaddset(&ending, SIGINT);
  ::pthread_sigmask(SIG_UNBLOCK, &ending, nullptr);
}

fs::path own_path() {
  std::error_code unknown;
  return fs::read_symlink("/proc/self/exe", unknown);
}

std::uint64_t physical_memory() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page = ::sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0
             ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page)
             : 0;
}

// A donor who says nothing lends half of the machine's memory: the other half is his.
std::uint64_t memory_lent(const WorkerOptions& options) {
  return options.memory_bytes != 0 ? options.memory_bytes : physical_memory() / 2;
}

// A donor does not notice what a sixteenth of the machine's memory holds: on 4 GiB 6,500 links.
// They are used by the leader of a job with as many workers.
std::size_t links_lent() {
  constexpr std::size_t kFewest = 1024;
  return std::clamp<std::size_t>(physical_memory() / 16 / limits::kLinkBytes, kFewest,
                                 limits::kLinksMax);
}

NodeRecord record_of(const WorkerOptions& options, const NodeId& node,
                     std::vector<std::string> endpoints, std::vector<std::string> kernels) {
  NodeRecord record;
  record.node = node;
  record.pool = options.ticket.pool;
  record.role = Role::kWorker;
  record.endpoints = std::move(endpoints);
  record.threads = options.threads;
  record.memory_bytes = memory_lent(options);
  if (kernels.size() > limits::kKernelNames) kernels.resize(limits::kKernelNames);
  record.kernels = std::move(kernels);
  record.agent = "shoal/" SHOAL_VERSION;
  record.ttl_s = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(limits::kRecordTtl).count());
  return record;
}

// That the worker is its owner's; nothing where he has no key for that.
Result<std::optional<OwnerMark>, std::string> mark_of_owner(const WorkerOptions& options,
                                                            const NodeRecord& record) {
  if (options.owner_key.empty()) return std::nullopt;
  const auto loaded = load_or_create_key(options.owner_key);
  if (!loaded) return tl::unexpected("--owner-key: " + loaded.error().what);
  if (loaded->created) {
    log_line(LogLevel::kInfo, "made a key for the owner of this worker, " +
                                  options.owner_key.string() +
                                  ": copy it to your other machines before their workers start");
  }
  const KeyPair& key = loaded->key;
  return OwnerMark{key.id(), key.sign(Purpose::kOwner, owner_body(record.node, record.pool))};
}

// The executor of the kernels that ship, and their names; nothing where the owner declines them.
struct ShippedExecutor {
  fs::path program;
  std::vector<std::string> kernels;
};
Result<ShippedExecutor, std::string> shipped_of(const WorkerOptions& options,
                                                const fs::path& program_folder) {
  if (!options.kinds.contains(KernelKind::kShipped)) return ShippedExecutor{};
  auto program = find_executor(options.executor, program_folder);
  if (!program) return tl::unexpected(program.error());
  auto kernels = ExecutorKeeper::shipped_kernels(*program);
  if (!kernels) return tl::unexpected(kernels.error());
  return ShippedExecutor{std::move(*program), std::move(*kernels)};
}

// The executor of WebAssembly, where there is one that starts.
struct WasmExecutor {
  fs::path program;    // empty: there is none
  fs::path libraries;  // of its engine; empty: among the system's
};
WasmExecutor find_wasm_executor(const fs::path& program_folder) {
  constexpr int kAnswerMs = 10'000;
  const fs::path program = program_folder / "shoal-wasm-executor";
  std::error_code unknown;
  if (!fs::exists(program, unknown)) return {};
  const auto engine = run_and_read(program, "--engine", kAnswerMs);
  if (!engine) {
    log_line(LogLevel::kWarning, "takes no WebAssembly: " + engine.error());
    return {};
  }
  std::istringstream lines(*engine);
  std::string version;
  std::string library;
  std::getline(lines, version);
  std::getline(lines, library);
  log_line(LogLevel::kInfo, "WebAssembly by " + version);
  const fs::path folder = fs::path(library).parent_path();
  return {program, folder.string().starts_with("/usr/") ? fs::path() : folder};
}

// Says what holds executors here, and what is not taken for want of it.
Result<SandboxChoice, std::string> sandbox_for(const WorkerOptions& options,
                                               const fs::path& program_folder) {
  auto program = find_sandbox(program_folder);
  if (!program) return tl::unexpected(program.error());
  const auto report = ask_sandbox(*program);
  if (!report) return tl::unexpected(report.error());
  SandboxChoice choice = choose_sandbox(options, *report);
  choice.settings.program = std::move(*program);
  leave_out_closed_folders(choice);
  log_line(LogLevel::kInfo, choice.summary);
  for (const std::string& warning : choice.warnings) log_line(LogLevel::kWarning, warning);
  return choice;
}

// Nothing where this process was given no control group to divide: nothing needs one.
std::unique_ptr<ControlGroups> groups_for(const WorkerOptions& options) {
  const auto folder = delegated_group();
  if (!folder) return nullptr;
  auto groups = ControlGroups::divide(*folder, options.threads);
  if (!groups) {
    log_line(LogLevel::kWarning, "control groups are not used: " + groups.error());
    return nullptr;
  }
  log_line(LogLevel::kInfo, "each executor has a control group in " + folder->string());
  return std::move(*groups);
}

std::set<JobId> jobs_worked_for(const RecoveredState& state) {
  std::set<JobId> jobs;
  for (const StoredFact& fact : state.facts) {
    if (fact.kind == FactKind::kTask) jobs.insert(fact.job);
  }
  return jobs;
}

KeeperConfig keeper_config_of(const WorkerOptions& options, const fs::path& executor,
                              const WasmExecutor& wasm, const SandboxSettings& sandbox,
                              ControlGroups* groups) {
  KeeperConfig config;
  config.shipped_executor = executor;
  config.wasm_executor = wasm.program;
  config.wasm_libraries = wasm.libraries;
  if (options.kinds.contains(KernelKind::kProgram)) {
    config.program_executor = find_program_executor(own_path().parent_path());
  }
  config.sandbox = sandbox;
  config.sandbox.groups = groups;
  config.scratch = options.state / "scratch";
  config.checkpoints = options.state / "checkpoints";
  config.threads = options.threads;
  config.cpu_share_percent = options.cpu_share_percent;
  config.memory_bytes = memory_lent(options);
  return config;
}

// Without the record, and without what is read from the state folder.
PeerConfig peer_config_of(const WorkerOptions& options, const SandboxChoice& sandbox,
                          const KeeperConfig& keeper) {
  PeerConfig config;
  config.pool = options.ticket.pool;
  config.doors = options.ticket.doors;
  config.trusted_submitters = options.trusted_submitters;
  config.native_from_anyone = options.ticket.native_from_anyone && sandbox.native_from_anyone;
  config.programs = installed_programs(kProgramPath);
  // A kind that is declined or cannot be held is no less so for want of its executor.
  config.cannot_run = sandbox.cannot_run;
  if (keeper.program_executor.empty()) {
    config.cannot_run.insert(
        {KernelKind::kProgram,
         "shoal-program-executor, which runs programs, is not installed beside this worker"});
  }
  if (keeper.wasm_executor.empty()) {
    config.cannot_run.insert({KernelKind::kWasm, "shoal-wasm-executor cannot be started here"});
  }
  config.pinned = options.pinned;
  config.upload_rate = options.upload_rate;
  config.download_rate = options.download_rate;
  config.traffic_caps = {options.upload_cap, options.download_cap};
  config.unix_ms_at_zero = unix_ms_at_zero();
  return config;
}

int run(const WorkerOptions& options, int signal_fd) {
  auto lock = lock_folder(options.state);
  if (!lock) return fail(lock.error().what);
  auto identity = load_or_create_key(options.state / "node.key");
  if (!identity) return fail(identity.error().what);
  const KeyPair& key = identity->key;
  auto contents = ContentStore::open(options.state / "content");
  if (!contents) return fail(contents.error().what);
  (*contents)->limit(options.cache_bytes);
  auto ledger = LedgerStore::open(options.state / "ledger.sqlite3");
  if (!ledger) return fail(ledger.error().what);
  auto recovered = (*ledger)->recover();
  if (!recovered) return fail(recovered.error().what);

  const fs::path program = own_path();
  auto shipped = shipped_of(options, program.parent_path());
  if (!shipped) return fail(shipped.error());
  const auto sandbox = sandbox_for(options, program.parent_path());
  if (!sandbox) return fail(sandbox.error());
  if (sandbox->cannot_run.contains(KernelKind::kShipped)) shipped->kernels.clear();

  const WasmExecutor wasm = options.kinds.contains(KernelKind::kWasm)
                                ? find_wasm_executor(program.parent_path())
                                : WasmExecutor{};

  LinkConfig link_config;
  link_config.pool = options.ticket.pool;
  link_config.role = Role::kWorker;
  link_config.listen = options.listen;
  link_config.links_max = links_lent();
  auto link = Link::open(link_config, key);
  if (!link) return fail(link.error().what);
  auto listening = split_endpoint(options.listen);
  check(listening.has_value(), "the options let a wrong endpoint through");
  listening->port = (*link)->port();
  const auto endpoints =
      endpoints_to_advertise(*listening, options.advertise, options.ticket.doors,
                             interface_addresses(listening->host.find(':') != std::string::npos));

  auto control = ControlSocket::open(options.state);
  if (!control) return fail(control.error());

  const std::unique_ptr<ControlGroups> groups = groups_for(options);
  const KeeperConfig keeper_config =
      keeper_config_of(options, shipped->program, wasm, sandbox->settings, groups.get());
  ExecutorKeeper keeper(keeper_config, **contents);
  keeper.keep_only(jobs_worked_for(*recovered));

  const auto refusals = read_refusals(refusals_of(options.state));
  if (!refusals) return fail(refusals.error().what);
  PeerConfig peer_config = peer_config_of(options, *sandbox, keeper_config);
  peer_config.record = record_of(options, key.id(), endpoints, std::move(shipped->kernels));
  auto owner = mark_of_owner(options, peer_config.record);
  if (!owner) return fail(owner.error());
  peer_config.record.owner = std::move(*owner);
  peer_config.record.runs_native_from_anyone =
      peer_config.native_from_anyone && !peer_config.cannot_run.contains(KernelKind::kNative);
  peer_config.record.runs_wasm = !peer_config.cannot_run.contains(KernelKind::kWasm);
  peer_config.refused = gathered(*refusals);
  TrafficFile traffic(options.state / "traffic", peer_config.traffic_caps);
  peer_config.traffic = traffic.load();
  const Ed25519Checker checker;
  Peer peer(std::move(peer_config), key, checker, Rng(random_seed()), std::move(*recovered));

  const std::string shown = endpoints.empty() ? join_endpoint(*listening) : endpoints.front();
  std::printf("ready %s %s\n", to_hex(key.id()).c_str(), shown.c_str());
  std::fflush(stdout);
  log_line(LogLevel::kInfo, "worker " + short_hex(key.id()) + " of pool '" + options.ticket.name +
                                "' at " + shown + ", " + std::to_string(options.threads) +
                                (options.threads == 1 ? " thread" : " threads") + ", state in " +
                                options.state.string());
  std::unique_ptr<PortMapper> mapper;
  if (options.maps_ports) mapper = std::make_unique<PortMapper>(listening->port);
  const bool needs_mapping = only_within_reach_of_neighbours(endpoints, options.ticket.doors);
  WorkerLoop loop({**link, **contents, **ledger, keeper, **control, peer, traffic, mapper.get(),
                   refusals_of(options.state), needs_mapping, signal_fd});
  loop.run();
  let_signals_through(signal_fd);
  log_line(LogLevel::kInfo, "ending");
  return kExitClean;
}

int run_supervised(std::vector<std::string> arguments) {
  Supervised worker;
  // The path, not /proc/self/exe: after an upgrade the next start is the new program.
  worker.program = own_path();
  worker.arguments = without_flag(std::move(arguments), "--supervise");
  worker.final_codes = {kExitClean, kExitUsage};
  worker.say = log_line;
  return supervise(worker);
}

}  // namespace

int main(int argc, char** argv) {
  occupy_closed_streams();
  keep_freed_memory();
  const auto environment = [](const std::string& name) -> std::optional<std::string> {
    if (name == "HOME") return home_folder().string();
    const char* value = std::getenv(name.c_str());
    return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
  };
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto options = parse_worker_options(arguments, environment, SHOAL_VERSION);
  if (!options) {
    std::fputs(options.error().out.c_str(), stdout);
    std::fputs(options.error().err.c_str(), stderr);
    return stdout_arrived() ? options.error().exit_code : kExitError;
  }
  start_log(options->log_level);
  if (options->supervise) return run_supervised(arguments);
  const int signal_fd = prepare_process();
  if (signal_fd < 0)
    return fail("cannot receive signals: raise the limit on open files (ulimit -n)");
  return run(*options, signal_fd);
}
