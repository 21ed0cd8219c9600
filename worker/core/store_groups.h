#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "worker/core/outbox.h"

namespace shoal {

// When facts go to the disk, in groups that are durable together. Each group costs a wait for the
// disk: results that follow each other closely share one. The first after a pause, and those that
// somebody waits for (Outbox::hurried), wait for nobody.
class StoreGroups {
 public:
  // Whether what `out` holds is to go now.
  bool due(Instant now, const Outbox& out) const;
  void store(Instant now, Outbox& out);
  // The facts of a group that the disk has answered about. Nothing: it is unknown here.
  std::optional<std::vector<StoredFact>> done(std::uint64_t token);
  // One that could not be stored: goes along a little later.
  void try_again(Instant now, StoredFact fact);

  void on_deadline(Instant now, Outbox& out);
  std::optional<Instant> next_deadline(const Outbox& out) const;
  // Since when the oldest group waits for the disk's answer.
  std::optional<Instant> waits_since() const;

 private:
  struct Group {
    std::vector<StoredFact> facts;
    Instant since;
  };
  std::map<std::uint64_t, Group> under_way_;  // by token
  std::uint64_t next_token_ = 1;
  Instant stored_at_{};  // the last group
  std::vector<StoredFact> again_;
  std::optional<Instant> again_at_;
};

}  // namespace shoal
