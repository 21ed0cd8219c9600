#include "tasks/front/front.h"

#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <filesystem>
#include <iostream>
#include <memory>

namespace shoal::front {
namespace {

// What a signal handler may say: it must not allocate, so the text is ready before. Swapped as a
// whole.
std::atomic<const std::string*> farewell{nullptr};

void leave(int signal) {
  const std::string* text = farewell.load();
  if (text != nullptr) {
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text->data(), text->size());
  }
  // At once: the pool has the job, and a thread may wait for an answer that never comes.
  ::_exit(signal == SIGALRM ? kTimeout : 128 + signal);
}

void say_on_leaving(const std::string& text) {
  // Old texts stay, a few bytes each: the handler may be reading one.
  static std::deque<std::string>& texts = *new std::deque<std::string>;
  farewell.store(&texts.emplace_back("\n" + text + "\n"));
}

Error unwritable(const std::string& path) {
  return Error(ErrorCode::kState, path + ": cannot be written: " + std::strerror(errno));
}

std::string quoted(const std::string& argument) {
  const bool plain = !argument.empty() && argument.find_first_not_of(
                                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                              "0123456789_-+./:=,@%") == std::string::npos;
  if (plain) return argument;
  std::string text = "'";
  for (const char c : argument) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

}  // namespace

Front::Front(std::string kernel, const std::string& about, const std::string& example)
    : kernel_(std::move(kernel)), app_(about), report_("Shoal: " + kernel_) {
  app_.footer(
      "Example:\n  " + example +
      "\n\nExit codes: 0 all units verified, 1 some failed or disputed, 2 usage, 3 cancelled,\n"
      "4 pool not reached, 124 timeout, 130 Ctrl-C (the job goes on; --attach returns to it).");
  const auto group = [](CLI::Option* option) { return option->group("The job"); };
  // shoal::run takes these two. They are declared for --help and for the check of the line.
  group(app_.add_option("--pool")->type_name("TICKET")->description(
      "Submit to this pool (@FILE reads the ticket from a file). Without it: "
      "$SHOAL_TICKET, then the pool that `shoal pool use` has set, then here"));
  group(app_.add_flag("--local")->description("Compute here, whatever else is set"));
  group(app_.add_option("--quorum", quorum_, "Workers that must agree on every unit")
            ->check(CLI::Range(1, 16))
            ->capture_default_str());
  group(app_.add_flag("--wait-for-quorum", wait_for_quorum_,
                      "Where the pool has fewer workers than that, wait for more"));
  group(app_.add_option("--timeout", timeout_seconds_, "Leave after so long; the job goes on")
            ->check(CLI::Range(0.001, 31'536'000.0))
            ->type_name("SECONDS"));
  group(app_.add_option("--attach", attach_,
                        "Return to a job that was submitted with the same arguments")
            ->type_name("JOB"));
  group(app_.add_flag("--keep", keep_, "Leave the job's results in the pool"));
  group(app_.add_flag("--json", json_, "One JSON object instead of text"));
  group(app_.add_option("--report", report_file_, "Write an HTML page about the job")
            ->type_name("FILE"));
}

Front::~Front() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGALRM, SIG_DFL);
}

std::optional<int> Front::parse(int argc, char** argv) {
  for (int i = 0; i < argc; ++i) {
    if (i > 0) command_ += ' ';
    command_ += quoted(argv[i]);
  }
  // `shoal submit` starts it by its path.
  if (argc > 0) app_.name(std::filesystem::path(argv[0]).filename().string());
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // --help exits with 0 and prints to stdout, the rest of CLI11's codes are its own.
    if (app_.exit(error, std::cout, std::cerr) != 0) return kUsage;
    return std::fflush(stdout) == 0 && std::ferror(stdout) == 0 ? 0 : 1;
  }
  return std::nullopt;
}

void Front::start_clock() {
  start_ = std::chrono::steady_clock::now();
  say_on_leaving("stopped before the pool had taken the job");
  struct sigaction action {};
  action.sa_handler = leave;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGALRM, &action, nullptr);
  if (timeout_seconds_ > 0) {
    double whole = 0;
    const double part = std::modf(timeout_seconds_, &whole);
    itimerval timer{};
    timer.it_value.tv_sec = static_cast<time_t>(whole);
    timer.it_value.tv_usec = static_cast<suseconds_t>(part * 1e6);
    ::setitimer(ITIMER_REAL, &timer, nullptr);
  }
}

JobOptions Front::options() const {
  JobOptions options;
  options.name = kernel_;
  options.quorum = quorum_;
  options.wait_for_quorum = wait_for_quorum_;
  options.shipped = true;
  options.keep = keep_;
  return options;
}

void Front::started(bool local) {
  local_ = local;
  if (!report_file_.empty()) check_writable(report_file_);
  if (local && !attach_.empty()) usage("--attach needs the pool that the job is in: --pool TICKET");
}

void Front::begin(const std::string& job, std::uint64_t units, const Progress& state) {
  job_ = job;
  if (state.units != units) {
    usage("the job " + job + " has " + std::to_string(state.units) +
          " units, and these arguments make " + std::to_string(units) +
          ": attach with the arguments it was submitted with");
  }
  state_ = {};
  state_.units = units;
  state_.workers = state.workers;
  if (local_) {
    say_on_leaving("stopped: a job without a pool ends with its program");
    std::fprintf(stderr, "%s: %llu units, here (no pool is set)\n", kernel_.c_str(),
                 static_cast<unsigned long long>(units));
    return;
  }
  const std::string back = attach_.empty() ? command_ + " --attach " + job : command_;
  say_on_leaving("detached; the job goes on. Come back with:\n  " + back +
                 "\nor stop it: shoal job cancel " + job);
  std::fprintf(stderr, "%s: %llu %s, job %s\n", kernel_.c_str(),
               static_cast<unsigned long long>(units), units == 1 ? "unit" : "units", job.c_str());
}

void Front::verified(const std::vector<std::string>& workers) {
  ++state_.verified;
  report_.verified(seconds(), workers);
  show_progress(false);
}

void Front::failed(std::uint64_t unit, const UnitError& error) {
  const bool disputed = error.kind == FailureReason::kDisputed;
  ++(disputed ? state_.disputed : state_.failed);
  report_.failed(seconds(), unit, error);
  constexpr std::uint64_t told = 10;
  const std::uint64_t count = state_.failed + state_.disputed;
  if (count <= told) {
    std::fprintf(stderr, "unit %llu %s: %s\n", static_cast<unsigned long long>(unit),
                 name_of(error.kind), error.message.c_str());
    if (!error.stderr_end.empty()) {
      std::fprintf(stderr, "  its stderr ended: %s\n", error.stderr_end.c_str());
    }
  } else if (count == told + 1) {
    std::fputs("more units failed; --report FILE lists them\n", stderr);
  }
  show_progress(false);
}

void Front::show_progress(bool last) {
  static const bool terminal = ::isatty(STDERR_FILENO) == 1;
  if (!terminal) return;
  const auto now = std::chrono::steady_clock::now();
  if (!last && now - shown_ < std::chrono::milliseconds(100)) return;
  shown_ = now;
  const std::uint64_t ended = state_.verified + state_.failed + state_.disputed;
  constexpr int width = 30;
  const int full =
      state_.units == 0
          ? width
          : static_cast<int>(width * double(ended) / static_cast<double>(state_.units));
  std::fprintf(stderr, "\r[%s%s] %llu/%llu verified, %llu not, %.1f s ",
               std::string(static_cast<std::size_t>(full), '#').c_str(),
               std::string(static_cast<std::size_t>(width - full), ' ').c_str(),
               static_cast<unsigned long long>(state_.verified),
               static_cast<unsigned long long>(state_.units),
               static_cast<unsigned long long>(state_.failed + state_.disputed), seconds());
  if (last) std::fputc('\n', stderr);
}

void Front::end(const Progress& state) {
  state_.workers = std::max(state_.workers, state.workers);  // 0 where nobody said
  elapsed_ = seconds();
  show_progress(true);
  std::fprintf(stderr, "%s: %llu of %llu units verified, %llu failed, %llu disputed, in %.1f s\n",
               kernel_.c_str(), static_cast<unsigned long long>(state_.verified),
               static_cast<unsigned long long>(state_.units),
               static_cast<unsigned long long>(state_.failed),
               static_cast<unsigned long long>(state_.disputed), elapsed_);
}

double Front::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

nlohmann::json Front::summary() const {
  return {
      {"schema", 1},
      {"kernel", kernel_},
      {"job", local_ ? nlohmann::json(nullptr) : nlohmann::json(job_)},
      {"units", state_.units},
      {"verified", state_.verified},
      {"failed", state_.failed},
      {"disputed", state_.disputed},
      {"workers", state_.workers == 0 ? nlohmann::json(nullptr) : nlohmann::json(state_.workers)},
      {"quorum", local_ ? 1 : quorum_},
      {"seconds", elapsed_}};
}

int Front::finish(const std::vector<Table>& tables) {
  if (!report_file_.empty()) {
    report_.fact("Command", command_);
    report_.fact("Job", local_ ? "computed here, without a pool" : job_);
    report_.fact("Workers that must agree", std::to_string(local_ ? 1 : quorum_));
    if (!local_ && state_.workers != 0) {
      report_.fact("Workers that took part", std::to_string(state_.workers));
    }
    report_.fact("Seconds", fixed(elapsed_, 2));
    for (const Table& table : tables) report_.table(table);
    write_file(report_file_, report_.html(state_));
  }
  // A full disk may show only here.
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) throw unwritable("stdout");
  return state_.verified == state_.units ? kVerified : kSomeFailed;
}

void usage(const std::string& what) { throw Error(ErrorCode::kUsage, what); }

std::string fixed(double value, int digits) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

void print_json(const nlohmann::json& object) {
  std::printf("%s\n",
              object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

void check_writable(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "ab");
  if (file == nullptr) throw unwritable(path);
  std::fclose(file);
}

void write_file(const std::string& path, const std::string& text) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "wb"),
                                                       &std::fclose);
  if (!file) throw unwritable(path);
  if (std::fwrite(text.data(), 1, text.size(), file.get()) != text.size()) throw unwritable(path);
  // A full disk may show only here.
  if (std::fclose(file.release()) != 0) throw unwritable(path);
}

}  // namespace shoal::front
