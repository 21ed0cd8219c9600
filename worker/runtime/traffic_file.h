#pragma once

#include <filesystem>
#include <utility>

#include "node/content/core/traffic.h"

namespace shoal {

// The file `traffic` of a state folder: what contents have cost its owner this month, as one line
// "2026-05 SENT FETCHED". Written when it has grown by a hundredth of what it may grow to, and when
// the worker ends, so that a crash forgets no more than that. One thread; calls block on the disk.
class TrafficFile {
 public:
  TrafficFile(std::filesystem::path file, const TrafficCaps& caps);

  // Nothing so far where there is no such file, or none that can be read.
  Traffic load();
  // Writes where it is worth it, or at the end. What cannot be written now is written next time.
  void note(const Traffic& traffic, bool at_end = false);

 private:
  std::filesystem::path file_;
  std::uint64_t worth_writing_;  // bytes, sent or fetched
  Traffic written_;
};

}  // namespace shoal
