#pragma once

#include <optional>
#include <string>
#include <vector>

#include "shoal/kernel.h"

// The inside of an executor: takes chunks of units from the worker that started this process, runs
// them on the donor's threads, and answers.
namespace shoal {

inline constexpr char kExecutorSocketVariable[] = "SHOAL_EXECUTOR_FD";
inline constexpr char kExecutorPageVariable[] = "SHOAL_EXECUTOR_PAGE_FD";

struct HostChannels {
  int socket = -1;  // a UNIX stream socket to the worker
  int page = -1;    // a RunningPage to write to; -1: nobody looks
  // Installs handlers for SIGSEGV and its like, which note the faulting thread's unit on the page
  // before the process dies of it. Only for a process that does nothing but serve.
  bool note_faults = false;
  // Not empty: why no kernel can be used, which is the answer to all that is asked for.
  std::string refusal = {};
};

// Whether a worker has started this process to run units. A program that holds kernels must ask
// before it does anything else (shoal::run does).
bool is_executor_process();

// From the environment, which is cleared of them, so that programs started by kernels do not take
// themselves for executors. Nothing unless is_executor_process().
std::optional<HostChannels> take_host_channels();

// Serves until the worker closes the socket. Returns the process's exit status: 0, or not 0 where
// what arrived could not be understood or sent. Waits for units that still run.
int serve_executor(const std::vector<KernelEntry>& kernels, const HostChannels& channels);
int serve_executor(const std::vector<KernelEntry>& kernels, int fd);

}  // namespace shoal
