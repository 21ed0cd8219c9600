#pragma once

#include <cstdint>
#include <string>

#include "node/protocol/time.h"

// One content, one node that has it, and many that want it: the real exchange of each, its real
// messages and its real decoder, on a network of which every node has a line of its own. What is
// left out is what does not decide anything: the bytes. A block travels as eight bytes that say
// which one it is, and is checked by them; on the lines it weighs what it would. How nodes find
// each other is as in worker/core: they ask those they know for others, and keep up to
// limits::kContentPeers links of their own.
namespace shoal::sim {

struct SwarmOptions {
  std::uint64_t seed = 1;
  std::uint32_t peers = 1000;
  std::uint64_t content_mib = 1024;
  double mbit = 100;           // a second, of each node's line, in either direction
  Duration latency_min = 5ms;  // one way; each pair has its own
  Duration latency_max = 40ms;
  // Above 0: each peer vanishes after exponentially distributed times of this mean, as by a crash,
  // and is back, with its disk, after such times of the other. Also when it has everything.
  double session_s = 0;
  double pause_s = 60;
  double limit_s = 36'000;  // virtual; a swarm that takes longer has failed
};

struct SwarmReport {
  SwarmOptions options;
  std::uint32_t done = 0;
  double last_s = 0;  // until the last peer had everything, wherever it had been meanwhile
  // What one line needs for all of it: nobody can have it sooner, and a perfect swarm of equal
  // lines gives it to all by then. Against it, how long peers had to be there until they had it.
  double ideal_s = 0;
  double median_s = 0;
  double p90_s = 0;
  double worst_s = 0;
  double seed_sent = 0;           // by the seed, in sizes of the content
  std::uint64_t queued_most = 0;  // blocks that one node had given to its line at once
  std::uint64_t crashes = 0;
  std::uint64_t messages = 0;
  std::uint64_t blocks = 0;        // that were delivered
  std::uint64_t blocks_twice = 0;  // of them those that were there already
};

SwarmReport run_swarm(const SwarmOptions&);
std::string json_of(const SwarmReport&);

}  // namespace shoal::sim
