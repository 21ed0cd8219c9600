#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "shoal/shoal.h"
#include "tasks/front/report.h"

// What the programs of this folder's neighbours have in common: flags, progress, report, exit code.
//
//   0 all units verified, 1 some failed or are disputed, 2 usage, 3 cancelled, 4 the pool cannot be
//   reached, 124 --timeout has passed, 130 Ctrl-C
//
// stdout carries data; all else goes to stderr.
namespace shoal::front {

inline constexpr int kVerified = 0;
inline constexpr int kSomeFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kTimeout = 124;
inline constexpr int kInterrupted = 130;

// One command line. There is one Front in a process, since signals are the process's.
class Front {
 public:
  // `kernel` also names the job; `example` is a command line that works.
  Front(std::string kernel, const std::string& about, const std::string& example);
  ~Front();
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;

  // For the program's own flags.
  CLI::App& app() { return app_; }
  // The exit code where the program is to end now: after --help, or for a wrong command line.
  std::optional<int> parse(int argc, char** argv);
  bool json() const { return json_; }

  // From here on Ctrl-C and --timeout end this process, and the job goes on.
  void start_clock();

  // Submits, or comes back to the job of --attach.
  template <class P, class I, class O, class Units>
  Job<O> job(Session& session, const Kernel<P, I, O>& kernel, const P& params, const Units& units) {
    started(session.is_local());
    if (!attach_.empty()) return session.attach(kernel, attach_, keep_);
    return session.map(kernel, params, units, options());
  }

  // Hands every output to `take`, and keeps account of the rest. `units` is how many the job must
  // have: one that was attached to with other arguments is refused.
  template <class O>
  void collect(Job<O>& job, std::uint64_t units,
               const std::function<void(std::uint64_t, O)>& take) {
    Progress state = job.progress();
    begin(job.id(), units, state);
    for (const auto& result : job.results()) {
      const std::uint64_t unit = result.unit();
      if (!result.ok()) {
        failed(unit, result.failure());
        continue;
      }
      try {
        take(unit, result.value());
        verified(result.workers());
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kOutputLost && error.code() != ErrorCode::kBadOutput) throw;
        failed(unit, UnitError{FailureReason::kBadAnswer, error.what(), 0, {}});
      }
    }
    end(job.progress());
  }

  // Adds what every front says about its job: schema, job, units by state, seconds.
  nlohmann::json summary() const;
  // Writes --report, if asked for. Returns the exit code. To be called when all is printed: throws
  // an Error where some of that could not be written.
  int finish(const std::vector<Table>& tables);

 private:
  JobOptions options() const;
  void started(bool local);
  void begin(const std::string& job, std::uint64_t units, const Progress& state);
  void verified(const std::vector<std::string>& workers);
  void failed(std::uint64_t unit, const UnitError& error);
  void end(const Progress& state);
  void show_progress(bool last);
  double seconds() const;

  std::string kernel_;
  CLI::App app_;
  std::string command_;
  std::string attach_;
  std::string report_file_;
  unsigned quorum_ = 2;
  double timeout_seconds_ = 0;
  bool json_ = false;
  bool keep_ = false;
  bool wait_for_quorum_ = false;
  bool local_ = true;

  Report report_;
  Progress state_;
  std::string job_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point shown_;
  double elapsed_ = 0;
};

// A call that cannot be meant so: shoal::run turns it into exit code 2.
[[noreturn]] void usage(const std::string& what);

// With so many digits after the point.
std::string fixed(double value, int digits);

// As one line on stdout. Bytes that are no UTF-8, as in the names of an old file, become U+FFFD.
void print_json(const nlohmann::json& object);

// Throws an Error where the file cannot be written: better now than after an hour's work. Leaves an
// empty file where there was none.
void check_writable(const std::string& path);

// Writes all of it or throws an Error that names the file.
void write_file(const std::string& path, const std::string& text);

}  // namespace shoal::front
