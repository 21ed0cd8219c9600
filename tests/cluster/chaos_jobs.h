#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/cluster/cluster.h"

namespace shoal::cluster {

// A job that a task program submits again and again, and each time compares with what the same
// program says when it computes alone, in one process, without any pool.
class RepeatedJob {
 public:
  // `task` is the program and its arguments. Computes the right answer first.
  RepeatedJob(const Cluster& cluster, Line task);

  const std::string& name() const { return task_.front(); }
  // Submits, and waits until a worker has taken the job.
  void start();
  // Looks whether the job is over, and then checks it and submits it again; whether it did. That
  // may fail for want of a pool in reach, as what comes last always may: then it is tried again.
  bool tend();
  // Waits for the job's end, at most so long; the next tend() looks at it.
  void await(std::chrono::milliseconds patience) { running_->exit_code(patience); }
  // All faults are over: the job must end, and be right. A submission that no worker has taken yet
  // is no job, and is given up: a coordinator that was started again knows of nobody until they
  // announce themselves, which may take minutes.
  void finish();
  std::size_t rounds() const { return rounds_; }

 private:
  void submit();
  bool taken() const;
  void expect_right();

  const Cluster& cluster_;
  Line task_;
  std::string answer_;
  std::unique_ptr<Process> running_;
  std::size_t rounds_ = 0;  // that have ended well
};

// Three jobs of different kinds, a few seconds of work each, whose results are small.
std::vector<std::unique_ptr<RepeatedJob>> three_jobs(const Cluster& cluster);

}  // namespace shoal::cluster
