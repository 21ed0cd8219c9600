#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "node/protocol/rng.h"
#include "worker/core/peer.h"

// One node's disk for facts. What was synced survives a crash; of the rest a prefix may, as on a
// real disk that had begun to write.
namespace shoal::sim {

class Disk {
 public:
  // Takes a group. True: nothing was being synced, so that the caller must start a sync.
  bool write(Store group);
  // In the order of the groups; of no use to anybody who waits for a sync.
  void erase(Erase);
  // The running sync is over: the groups it covered are durable. Their answers, in order; `more`
  // says that groups have come meanwhile and the next sync must start.
  std::vector<StoreDone> synced(bool& more);
  void crash(Rng& rng);
  RecoveredState recovered() const;

  bool holds(FactKind kind, const JobId& job, std::uint64_t sequence) const;
  ReceiptsLoaded perform(const LoadReceipts&) const;
  std::size_t unsynced_groups() const { return syncing_.size() + waiting_.size(); }
  std::uint64_t bytes() const { return bytes_; }
  void fill_up() { full_ = true; }     // from now on every group fails,
  void make_room() { full_ = false; }  // until now
  // What is written waits, until it answers again. What was written before can be read.
  void hang() { hangs_ = true; }
  void answer() { hangs_ = false; }
  bool hangs() const { return hangs_; }
  // The planted bug of a disk that says "durable" and is not: groups are acknowledged, then sit in
  // a cache that the next crash empties.
  void lie_about_syncs() { lies_ = true; }

 private:
  // A group, and what is to be erased before it.
  struct Write {
    std::vector<Erase> erased;
    Store group;
  };
  void keep(StoredFact fact);
  void keep(Write write);
  void forget(const Erase&);

  struct JobFacts {
    std::map<std::uint64_t, Bytes> receipts;  // by sequence
    std::map<std::tuple<FactKind, std::uint64_t, NodeId>, StoredFact> others;
  };
  std::map<JobId, JobFacts> jobs_;
  std::map<std::uint64_t, StoredFact> peers_;  // by place
  std::deque<Write> syncing_;
  std::deque<Write> waiting_;
  std::vector<Erase> erased_;  // goes with the next group
  std::uint64_t bytes_ = 0;
  bool full_ = false;
  bool hangs_ = false;
  bool lies_ = false;
};

}  // namespace shoal::sim
