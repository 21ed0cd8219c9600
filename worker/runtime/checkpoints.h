#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "node/protocol/ids.h"
#include "node/protocol/range.h"

namespace shoal {

// The states of units that are not done, one file each, so that a unit goes on where it was after a
// restart. A file that was cut off or damaged is not taken: the unit then begins anew. One thread
// only; calls block on the disk, but wait for no confirmation from it.
class Checkpoints {
 public:
  // Makes `folder`; finds what is there from before. Where it cannot, nothing is kept.
  explicit Checkpoints(std::filesystem::path folder);  // empty: keeps nothing

  // In place of what there was. False: there is no room for it, and what there was is still there.
  bool keep(const JobId&, UnitIndex, ByteView state);
  bool any(const JobId& job) const { return kept_.contains(job); }
  // The units of `range` that have one.
  std::vector<UnitIndex> within(const JobId&, Range range) const;
  std::optional<Bytes> load(const JobId&, UnitIndex);
  // The unit is done.
  void drop(const JobId&, UnitIndex);
  void drop(const JobId&);
  void drop_all_but(const std::set<JobId>& jobs);

 private:
  std::filesystem::path file_of(const JobId&, UnitIndex) const;

  std::filesystem::path folder_;
  std::map<JobId, std::map<UnitIndex, std::uint64_t>> kept_;  // -> bytes
  std::uint64_t bytes_ = 0;
};

}  // namespace shoal
