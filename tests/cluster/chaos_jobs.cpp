#include "tests/cluster/chaos_jobs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "node/protocol/rng.h"
#include "tests/cluster/mersenne.h"

namespace shoal::cluster {
namespace {

constexpr int kPoolNotReached = 4;
// What a task program says once a worker has its job on its disk.
constexpr const char* kTaken = " units, job ";
constexpr std::size_t kSequences = 64;
constexpr std::size_t kResidues = 200;
constexpr std::size_t kShown = 200;  // characters of a wrong output

// Proteins by chance: how alike they are does not matter here.
std::string write_proteins(const std::filesystem::path& folder) {
  const std::string letters = "ACDEFGHIKLMNPQRSTVWY";
  Rng rng(1);
  const auto path = folder / "proteins.fa";
  std::ofstream file(path);
  for (std::size_t i = 0; i < kSequences; ++i) {
    file << ">protein-" << i << '\n';
    for (std::size_t k = 0; k < kResidues; ++k) file << letters[rng.below(letters.size())];
    file << '\n';
  }
  return path.string();
}

}  // namespace

RepeatedJob::RepeatedJob(const Cluster& cluster, Line task)
    : cluster_(cluster), task_(std::move(task)) {
  Line alone{program("shoal-" + task_[0]).string()};
  alone.insert(alone.end(), task_.begin() + 1, task_.end());
  alone.push_back("--local");
  const auto ended = cluster_.run_command(alone);
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_GT(count_lines(ended.out), 3U) << ended.out;
  answer_ = ended.out;
}

void RepeatedJob::submit() {
  Line line{"submit"};
  line.insert(line.end(), task_.begin(), task_.end());
  // A coordinator that was just started knows few workers yet.
  line.push_back("--wait-for-quorum");
  running_ = cluster_.start(line);
}

bool RepeatedJob::taken() const { return has_text(kTaken)(running_->err()); }

void RepeatedJob::expect_right() {
  EXPECT_EQ(running_->exit_code(), 0) << name() << ": " << running_->err();
  const std::string out = running_->out();
  const auto differs = std::mismatch(out.begin(), out.end(), answer_.begin(), answer_.end());
  EXPECT_TRUE(out == answer_) << name() << " printed something else from here on: "
                              << std::string(differs.first, out.end()).substr(0, kShown)
                              << "\ninstead of: "
                              << std::string(differs.second, answer_.end()).substr(0, kShown);
  ++rounds_;
}

void RepeatedJob::start() {
  submit();
  EXPECT_TRUE(running_->await_err(has_text(kTaken))) << running_->err();
}

bool RepeatedJob::tend() {
  const int code = running_->exit_code(std::chrono::milliseconds(0));
  if (code < 0) return false;
  if (taken() || code != kPoolNotReached) expect_right();
  submit();
  return true;
}

void RepeatedJob::finish() {
  if (taken()) expect_right();
  EXPECT_GT(rounds_, 0U) << name();
}

std::vector<std::unique_ptr<RepeatedJob>> three_jobs(const Cluster& cluster) {
  std::vector<std::unique_ptr<RepeatedJob>> jobs;
  for (const Line& task : {Line{"lucas-lehmer", "5001", "7500", "--all"},
                           Line{"ising", "--size", "32", "--walks", "24"},
                           Line{"align", write_proteins(cluster.folder()), "--top", "0"}}) {
    jobs.push_back(std::make_unique<RepeatedJob>(cluster, task));
  }
  return jobs;
}

}  // namespace shoal::cluster
