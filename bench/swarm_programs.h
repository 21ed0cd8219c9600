#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bench/machines.h"
#include "bench/run.h"
#include "node/protocol/facts.h"
#include "node/protocol/ticket.h"

// The same file from one seed to several peers, by Shoal and by programs of Debian's.
namespace shoal::bench {

struct SwarmTask {
  const Run& run;
  const Machines& machines;  // the seed is on the first one, and each peer on one of the others
  std::filesystem::path file;
  std::uint64_t bytes = 0;  // of the file
  std::size_t peers = 0;
  std::uint64_t seed_rate = 0;  // what the seed may send, bytes a second; 0: as much as it can
};

struct SwarmEnd {
  double seconds = 0;      // from before the first peer was started until the last one has the file
  double cpu_seconds = 0;  // of all the programs, from their start to their end
  double seed_sent = 0;    // bytes: on the wire where that is counted, else of the file
};

// A coordinator, and a worker that has pinned the task's file, both on the first machine.
struct SeededPool {
  Ticket ticket;
  std::string ticket_text;
  ContentName content;
  NodeId seed;
  std::string endpoint;         // of the seed
  std::filesystem::path state;  // of the seed
  std::vector<std::unique_ptr<Process>> processes;
};
Result<SeededPool, std::string> start_seeded_pool(const SwarmTask& task,
                                                  const std::filesystem::path& folder);

using SwarmResult = Result<SwarmEnd, std::string>;

// A worker that has pinned the file, and `shoal get` as the peers.
SwarmResult swarm_of_shoal(const SwarmTask& task);
// busybox's server, and curl as the peers.
SwarmResult swarm_of_http(const SwarmTask& task);
// libtorrent_peer.py. Peers are told of each other; there is no tracker.
SwarmResult swarm_of_libtorrent(const SwarmTask& task);

}  // namespace shoal::bench
