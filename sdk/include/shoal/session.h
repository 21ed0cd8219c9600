#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "shoal/error.h"
#include "shoal/job.h"
#include "shoal/kernel.h"
#if defined(__wasm__)
#include "shoal/wasm_run.h"
#endif

// From your program to a pool of workers, or to the cores of this machine:
//
//   int my_main(shoal::Session& session) {
//     auto job = session.map(kCollatz, {.start = 1}, shoal::IndexSpace{1'000'000});
//     for (const auto& result : job.results()) ...
//     return 0;
//   }
//   int main(int argc, char** argv) { return shoal::run(argc, argv, {kCollatz}, my_main); }
//
// The same program does three things. Without a pool it computes right here, on all cores. With a
// ticket (`--pool shoal1...`) it submits to the pool, and may end before the job does. And on the
// workers it is the process that runs your kernel: they fetch it from you by its hash.
namespace shoal {

// Units 0 .. units - 1, without a list of inputs: 10^9 of them cost no more than ten.
struct IndexSpace {
  std::uint64_t units = 0;
};

// One unit for each of these files: what is in it, up to 1 GiB, is the unit's input.
struct InputFiles {
  std::vector<detail::Path> paths = {};
};

// What is out of range makes map() throw Error(kUsage).
struct JobOptions {
  std::string name = {};  // for people, in `shoal job list`; empty: the kernel's
  // How many distinct workers must agree on every unit's output, 1 to 16. 1 believes whoever
  // computes; in a local session it is always 1.
  unsigned quorum = 2;
  // A unit that failed on so many workers has failed. 1 to 64.
  unsigned max_attempts = 3;
  // A unit that runs longer is stopped, and has failed on that worker. 1 ms to 1000 days. Has no
  // effect in a local session.
  std::chrono::milliseconds unit_wall = std::chrono::hours(1);
  // What a unit needs; workers that lend less are left out. A module's unit is held to it. Of
  // native ones, fewer run at once where they would not fit. 0: what the donors lend. Has no effect
  // in a local session.
  std::uint64_t unit_memory_bytes = 0;
  std::uint64_t output_bytes_max = 64 * 1024 * 1024;  // of one unit, encoded; at most 1 GiB
  int priority = 0;                                   // among your own jobs; higher goes first
  // Where the pool has fewer workers than the quorum: wait for more, instead of an error.
  bool wait_for_quorum = false;
  // How many workers have the job on their disks before it is acknowledged, 1 to 3: it survives the
  // loss of all of them but one. Where the pool has fewer, as many as there are. Of a job that runs
  // for more than some seconds, the pool makes it three by itself.
  unsigned stewards = 3;
  // Replicas of a unit go to different networks (/24, /48), against one owner with many workers.
  bool distinct_blocks = false;
  // The kernel is one of those that ship with Shoal: workers have it, and trust it, already.
  bool shipped = false;
  // The file of a WebAssembly module built of this program's source (`shoal kernel build`): workers
  // run the kernel from there instead of from this program, and need not trust you for it. A local
  // session takes no notice of it.
  std::string module = {};
  // The job stays in the pool after all results were taken, so that they can be taken again.
  bool keep = false;
  // How long workers keep the results after the job's end, large ones too, and the inputs with
  // them: time to come back for them. 1 s to 1000 days.
  std::chrono::seconds keep_for = std::chrono::hours(24 * 7);
};

struct SessionOptions {
  std::string ticket = {};                  // "shoal1..."; empty: local
  unsigned threads = 0;                     // of a local session; 0: all that this machine has
  std::vector<std::string> arguments = {};  // what Session::arguments() returns
  std::vector<KernelEntry> kernels = {};    // all that this program serves as an executor
  // Called with a line for people now and then: links lost, what a job waits for. From any thread;
  // must not call the session.
  std::function<void(const std::string&)> notice = {};
};

namespace detail {

struct JobRequest {
  KernelEntry kernel;
  Bytes parameters;
  std::uint64_t units = 0;
  std::optional<std::vector<Bytes>> inputs;
  JobOptions options;
  std::optional<InputFiles> files = {};  // instead of `inputs`
};

}  // namespace detail

// A way to a pool, kept open from job to job. Threads may share a session. Calls may throw Error,
// and block until the pool has answered. Jobs and results may outlive their session.
// A child that fork() makes has none of its threads: it must use neither, and end by _exit or exec.
class Session {
 public:
  // You need this only without shoal::run. Then a pool can run `shipped` kernels and those of a
  // `module`, but none of this program's own: workers would start it, and it would not serve them.
  explicit Session(SessionOptions options);
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  // One unit for each input. Returns when the pool has taken the job durably: from then on this
  // process may end. The program and the inputs are fetched from here before that. Keep the Job
  // that it returns for as long as you want results.
  template <class P, class I, class O>
  Job<O> map(const Kernel<P, I, O>& kernel, const std::type_identity_t<P>& params,
             const std::type_identity_t<std::vector<I>>& inputs, const JobOptions& options = {}) {
    std::vector<Bytes> encoded;
    encoded.reserve(inputs.size());
    for (const auto& input : inputs) encoded.push_back(encode<I>(input));
    const std::uint64_t units = encoded.size();
    return Job<O>(start({kernel, encode<P>(params), units, std::move(encoded), options}));
  }
  // One unit for each file: the kernel is handed its bytes as they are. To a pool they go from disk
  // to disk, and this process does not hold them in memory; a local session reads a file when its
  // unit begins. What cannot be read makes it throw Error(kUsage), and nothing is submitted. The
  // files may change or go once it has returned, save in a local session.
  template <class P, class O>
  Job<O> map(const Kernel<P, Bytes, O>& kernel, const std::type_identity_t<P>& params,
             const InputFiles& files, const JobOptions& options = {}) {
    return Job<O>(
        start({kernel, encode<P>(params), files.paths.size(), std::nullopt, options, files}));
  }
  // One unit for each index.
  template <class P, class O>
  Job<O> map(const Kernel<P, std::uint64_t, O>& kernel, const std::type_identity_t<P>& params,
             IndexSpace indices, const JobOptions& options = {}) {
    return Job<O>(start({kernel, encode<P>(params), indices.units, std::nullopt, options}));
  }

  // A job submitted earlier from this account, by its id (or the first digits of it). All its
  // results come again, from the first; an older handle to it in this session gets no more.
  // `keep` is as in JobOptions.
  template <class P, class I, class O>
  Job<O> attach(const Kernel<P, I, O>& kernel, const std::string& id, bool keep = false) {
    return Job<O>(attach_core(kernel.name(), id, keep));
  }
  // The same where only the output's type is known.
  template <class O>
  Job<O> attach(const std::string& id, bool keep = false) {
    return Job<O>(attach_core({}, id, keep));
  }

  // Whether units are computed right here.
  bool is_local() const;
  // The command line without the program's name and without what shoal::run took for itself.
  const std::vector<std::string>& arguments() const;

 private:
  std::shared_ptr<detail::JobCore> start(detail::JobRequest request);
  std::shared_ptr<detail::JobCore> attach_core(const std::string& kernel, const std::string& id,
                                               bool keep);

  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// To be called first thing in main(), with every kernel that the program's jobs use. On a worker it
// serves units and never calls `program`. Elsewhere it opens a session, calls `program`, and
// returns what that returns. It takes these arguments for itself, wherever they stand:
//
//   --pool TICKET   the pool to submit to; --pool @FILE reads the ticket from a file
//   --local         compute here, whatever else is set
//   --help          prints these and returns 0; a program with a help of its own looks before
//
// Without either, the environment's SHOAL_TICKET counts, then the file $XDG_CONFIG_HOME/shoal/pool
// (~/.config/shoal/pool), which `shoal pool use` writes; with none of them the session is local.
//
// An Error that leaves `program` is printed to stderr, and the result is 2 for a wrong call, 3 for
// a cancelled job, 4 for a pool that cannot be reached, 1 otherwise.
#if !defined(__wasm__)
int run(int argc, char** argv, std::vector<KernelEntry> kernels,
        const std::function<int(Session&)>& program);
#endif  // as a WebAssembly module: wasm_run.h

}  // namespace shoal
