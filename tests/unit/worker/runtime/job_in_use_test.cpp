#include "worker/runtime/job_in_use.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <memory>
#include <string>

namespace shoal {
namespace {

namespace fs = std::filesystem;

class JobOfAModule : public ::testing::Test {
 protected:
  JobOfAModule() {
    std::string name = (fs::temp_directory_path() / "shoal-jobs-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    contents_ = *ContentStore::open(folder_ / "contents");
    manifest_.kernel_kind = KernelKind::kWasm;
    manifest_.program = contents_->put(as_bytes("a module")).value();
    manifest_.units = 1;
  }
  ~JobOfAModule() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  // Of a worker that lends 8 GiB and 4 threads.
  JobInUse opened() {
    const Lent lent{{}, {}, "shoal-wasm-executor", {}, 4, 8ULL << 30};
    return open_job(JobId{}, std::make_shared<const Manifest>(manifest_), lent, *contents_);
  }

  fs::path folder_;
  std::unique_ptr<ContentStore> contents_;
  Manifest manifest_;
};

TEST_F(JobOfAModule, HasItsThreadsPartOfTheMemoryAndSharesItsExecutor) {
  const JobInUse job = opened();
  ASSERT_EQ(job.unusable, "");
  EXPECT_EQ(job.arguments.at(1), std::to_string(2ULL << 30));
  EXPECT_EQ(job.threads, 4u);
  EXPECT_EQ(job.key, ExecutorKey(*manifest_.program));
}

TEST_F(JobOfAModule, KeepsToTheMemoryThatItsUnitsMayHave) {
  manifest_.unit_memory_bytes = 64ULL << 20;
  const JobInUse small = opened();
  EXPECT_EQ(small.arguments.at(1), std::to_string(64ULL << 20));
  EXPECT_EQ(small.threads, 4u);
  EXPECT_EQ(small.key, ExecutorKey(small.id)) << "another job's units may have other memory";
  manifest_.unit_memory_bytes = 3ULL << 30;
  const JobInUse large = opened();
  EXPECT_EQ(large.arguments.at(1), std::to_string(3ULL << 30));
  EXPECT_EQ(large.threads, 2u);
  manifest_.unit_memory_bytes = 9ULL << 30;
  EXPECT_NE(opened().unusable, "");
}

TEST_F(JobOfAModule, OfAShippedKernelSharesItsExecutorUnlessItHasFewerThreads) {
  manifest_.kernel_kind = KernelKind::kShipped;
  EXPECT_EQ(opened().key, ExecutorKey(std::monostate{}));
  manifest_.unit_memory_bytes = 2ULL << 30;
  EXPECT_EQ(opened().key, ExecutorKey(std::monostate{}));
  manifest_.unit_memory_bytes = 3ULL << 30;
  const JobInUse job = opened();
  EXPECT_EQ(job.threads, 2u);
  EXPECT_EQ(job.key, ExecutorKey(job.id));
}

}  // namespace
}  // namespace shoal
