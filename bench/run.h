#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "bench/figure.h"
#include "node/protocol/result.h"

namespace shoal::bench {

// Each group of figures is measured in a process of its own, so that none inherits another's heap
// or threads, and one that hangs or dies takes no other with it. This is what a group is given.
struct Run {
  std::filesystem::path folder;    // empty, and its own; removed afterwards
  std::filesystem::path programs;  // where the programs are
  std::vector<int> cores;          // that may be used
  std::function<bool(const std::string& name)> wants;
  // As soon as a figure is known. Figures that are not wanted are dropped.
  std::function<void(const Figure& figure)> report;
};

// The error is a sentence for people.
using Measured = Result<void, std::string>;

// One job over the units of a kernel, by the raw library and by pools: units of `unit_ms`.
Measured measure_efficiency(const Run& run, int unit_ms);
std::vector<std::string> efficiency_figures(int unit_ms);

// Units that compute nothing: rate, flatness, the steward's memory, the coordinator's silence.
Measured measure_noop(const Run& run);
// One unit, there and back.
Measured measure_one_unit(const Run& run);
// Jobs handed over, and on all their stewards' disks.
Measured measure_submits(const Run& run);
// Three stewards against one.
Measured measure_stewards(const Run& run);
// A job whose leader dies.
Measured measure_failover(const Run& run);
// A job of two workers of which one dies: the leader or the other.
Measured measure_kill9(const Run& run, bool leader);
std::vector<std::string> kill9_figures(bool leader);
// What a job leaves, and has meanwhile, on its workers' disks.
Measured measure_disk(const Run& run);
// Workers that have nothing to do.
Measured measure_idle(const Run& run);
// The part of a core that a worker uses, beside the part that it may use.
Measured measure_share(const Run& run);
// An executor, from nothing to its greeting, with and without its sandbox.
Measured measure_spawn(const Run& run);
// One executor without a worker: programs, units that compute nothing, memory.
Measured measure_executors(const Run& run);
std::vector<std::string> executor_figures();
// A worker that is paused, and goes on, while it computes kernels of each kind.
Measured measure_pause(const Run& run);
// Kernels as WebAssembly modules: built only where there is an engine.
Measured measure_wasm(const Run& run);
std::vector<std::string> wasm_figures();
// A coordinator's table with very many records, in this process.
Measured measure_held_records(const Run& run);
// A coordinator's visitors, over CURVE.
Measured measure_announcements(const Run& run);

// 256 MiB from one seed to so many peers: over loopback, or each behind a wire of its own.
Measured measure_swarm(const Run& run, std::size_t peers, bool shaped);
std::vector<std::string> swarm_figures(std::size_t peers, bool shaped);
// A small question beside a fetch that fills the wire.
Measured measure_bulk_ping(const Run& run);
// A file on its way into the store.
Measured measure_store(const Run& run);
// What it takes of memory to put and to get a large one.
Measured measure_content_memory(const Run& run);

}  // namespace shoal::bench
