#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "node/protocol/result.h"
#include "worker/sandbox/steps.h"

// Control groups of version 2, where the worker has been given one to divide (Delegate= of
// systemd). Then the kernel itself holds what all processes of an executor take together, at every
// moment; elsewhere they are measured from time to time.
namespace shoal {

// The folder of this process's group, if it may be divided and has the controllers for memory and
// processes. The error says what it lacks.
//
// That its files can be written is not enough: root can write those of any group, and moving what
// others have put there is not ours to do.
Result<std::filesystem::path, std::string> delegated_group();

// One executor's. Ends what is still in it, and is removed, with the object.
class ControlGroup {
 public:
  ~ControlGroup();
  ControlGroup(const ControlGroup&) = delete;
  ControlGroup& operator=(const ControlGroup&) = delete;

  // A process that writes "0" there is in it, with all that it starts.
  int entry() const { return entry_; }
  // Its processes were ended for having more memory than they may.
  bool out_of_memory() const;

 private:
  friend class ControlGroups;
  ControlGroup(std::filesystem::path folder, int entry)
      : folder_(std::move(folder)), entry_(entry) {}

  std::filesystem::path folder_;
  int entry_;
};

// The groups of all executors of one worker. One thread only.
class ControlGroups {
 public:
  // Divides `folder`, the group that this process is in, alone: a group that has parts may hold no
  // processes, so that this one moves into a part as well. All executors together get the
  // processors' time of `threads`, and after the worker itself.
  static Result<std::unique_ptr<ControlGroups>, std::string> divide(
      const std::filesystem::path& folder, unsigned threads);

  // 0 bytes: no limit.
  Result<std::unique_ptr<ControlGroup>, std::string> add(std::uint64_t memory_bytes,
                                                         std::uint64_t processes);

 private:
  explicit ControlGroups(std::filesystem::path executors) : executors_(std::move(executors)) {}

  std::filesystem::path executors_;
  std::uint64_t last_ = 0;
};

}  // namespace shoal
