#include "worker/runtime/content_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>

#include <fstream>
#include <memory>
#include <string>

#include "worker/runtime/job_in_use.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr int kPatienceMs = 60'000;

// A worker that was started anew over contents that an earlier run left: it has seen none of them.
class ContentChecksTest : public ::testing::Test {
 protected:
  ContentChecksTest() {
    std::string name = (fs::temp_directory_path() / "shoal-checks-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    earlier_ = *ContentStore::open(folder_);
    contents_ = *ContentStore::open(folder_);
    checks_ = std::make_unique<ContentChecks>(*contents_);
    manifest_.kernel_kind = KernelKind::kNative;
    manifest_.units = 1;
    manifest_.program = earlier_->put(program_).value();
    manifest_.program_bytes = program_.size();
  }
  ~ContentChecksTest() override {
    checks_.reset();
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  void damage(const ContentId& id) const {
    std::fstream file(*contents_->path_of(id), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(300'000);
    file.put('!');
  }
  // Once something has been read.
  std::vector<PeerAction> collected() {
    pollfd readable{checks_->descriptor(), POLLIN, 0};
    EXPECT_EQ(::poll(&readable, 1, kPatienceMs), 1);
    return checks_->collect();
  }
  PeerAction open_program() const { return OpenContent{*manifest_.program, program_.size()}; }
  PeerAction start(std::uint64_t chunk) const {
    return StartCompute{chunk, JobId{}, std::make_shared<const Manifest>(manifest_), {0, 1}};
  }
  JobInUse opened() const {
    return open_job(JobId{}, std::make_shared<const Manifest>(manifest_), Lent{}, *contents_);
  }

  fs::path folder_;
  Bytes program_ = Bytes(700'000, 7);
  std::unique_ptr<ContentStore> earlier_, contents_;
  std::unique_ptr<ContentChecks> checks_;
  Manifest manifest_;
};

TEST_F(ContentChecksTest, WhatWasDamagedIsNotHereAndSaysSo) {
  damage(*manifest_.program);
  EXPECT_FALSE(checks_->admit(open_program()));
  const auto now = collected();
  ASSERT_EQ(now.size(), 2U);
  const auto* tell = std::get_if<Tell>(&now[0]);
  ASSERT_NE(tell, nullptr);
  EXPECT_EQ(tell->level, LogLevel::kWarning);
  EXPECT_THAT(tell->text, HasSubstr("was damaged on the disk"));
  const auto* open = std::get_if<OpenContent>(&now[1]);
  ASSERT_NE(open, nullptr);
  EXPECT_FALSE(contents_->perform(*open).complete) << "it is fetched again";
  EXPECT_FALSE(contents_->holds(*manifest_.program));
}

TEST_F(ContentChecksTest, WhatIsRightIsReadOnceForAllJobsUntilItIsWrittenTo) {
  EXPECT_FALSE(checks_->admit(open_program()));
  // Unless it has been read by now, the second who asks is not answered either.
  const bool waits = !checks_->admit(open_program());
  EXPECT_TRUE(waits || contents_->is_as_checked(*manifest_.program));
  EXPECT_EQ(collected().size(), waits ? 2U : 1U);
  EXPECT_TRUE(checks_->admit(open_program()));
  ASSERT_TRUE(contents_->path_of(*manifest_.program)) << "which notes that it is in use";
  EXPECT_TRUE(checks_->admit(open_program()));
  EXPECT_TRUE(checks_->admit(start(1)));
  EXPECT_EQ(opened().unusable, "");
  damage(*manifest_.program);
  EXPECT_FALSE(checks_->admit(open_program()));
  EXPECT_TRUE(checks_->admit(start(2))) << "a job that has begun is held up no more";
}

TEST_F(ContentChecksTest, WhoeverReadsForOthersIsAnsweredAtOnce) {
  EXPECT_TRUE(checks_->admit(OpenContent{*manifest_.program, program_.size(), true}));
}

TEST_F(ContentChecksTest, AJobDoesNotBeginWithWhatWasWrittenToSinceItWasWanted) {
  EXPECT_FALSE(checks_->admit(open_program()));
  ASSERT_EQ(collected().size(), 1U);
  damage(*manifest_.program);
  EXPECT_THAT(opened().unusable, HasSubstr("could not be checked"));
  EXPECT_FALSE(checks_->admit(start(1)));
  // Unless it is found out by now, and gone.
  const auto now = collected();
  ASSERT_EQ(now.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<Tell>(now[0]));
  EXPECT_EQ(checks_->take_lost(), std::set<JobId>{JobId{}});
  EXPECT_TRUE(checks_->take_lost().empty()) << "it is said once";
  EXPECT_THAT(opened().unusable, HasSubstr("is not here"));

  EXPECT_FALSE(checks_->admit(start(2))) << "it is gone";
  EXPECT_EQ(checks_->take_lost(), std::set<JobId>{JobId{}});
  EXPECT_TRUE(checks_->admit(CancelCompute{2})) << "it does not wait";
  EXPECT_TRUE(checks_->admit(open_program())) << "it is fetched again";

  ASSERT_TRUE(contents_->put(program_));
  EXPECT_TRUE(checks_->admit(start(3))) << "it was checked as it came";
  EXPECT_TRUE(checks_->take_lost().empty());
  EXPECT_EQ(opened().unusable, "");
}

TEST_F(ContentChecksTest, WhatAForgottenJobWaitsForIsNotBegun) {
  EXPECT_FALSE(checks_->admit(start(1)));
  EXPECT_TRUE(checks_->admit(ForgetJob{}));
  EXPECT_TRUE(collected().empty());
}

}  // namespace
}  // namespace shoal
