#include "node/content/store/refusal_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace shoal {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RefusalFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "shoal-refusals-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    state_ = name;
    folder_ = refusals_of(state_);
  }
  void TearDown() override { fs::remove_all(state_); }
  static Refusal refusal(const std::string& text) { return *refusal_from_text(text); }
  std::vector<Refusal> all() const { return read_refusals(folder_).value(); }

  fs::path state_;
  fs::path folder_;
  const std::string hex_ = std::string(64, 'a');
  const Refusal file_ = refusal("file_" + hex_ + "_5");
  const Refusal folder_of_it_ = refusal("folder_" + hex_ + "_5");
  const Refusal key_ = refusal(std::string(64, 'b'));
};

TEST_F(RefusalFilesTest, AreThereUntilTheyAreTakenBack) {
  EXPECT_THAT(all(), IsEmpty()) << "there is no folder yet";
  ASSERT_TRUE(add_refusal(folder_, key_));
  ASSERT_TRUE(add_refusal(folder_, file_));
  ASSERT_TRUE(add_refusal(folder_, file_));
  EXPECT_THAT(all(), ElementsAre(key_, file_));
  EXPECT_TRUE(fs::exists(folder_ / ("file_" + hex_ + "_5"))) << "their owner can look with ls";
  EXPECT_EQ(remove_refusal(folder_, key_), true);
  EXPECT_EQ(remove_refusal(folder_, key_), false);
  EXPECT_THAT(all(), ElementsAre(file_));
}

TEST_F(RefusalFilesTest, AContentIsTakenBackUnderAllItsNames) {
  ASSERT_TRUE(add_refusal(folder_, file_));
  ASSERT_TRUE(add_refusal(folder_, folder_of_it_));
  EXPECT_EQ(remove_refusal(folder_, folder_of_it_), true);
  EXPECT_THAT(all(), IsEmpty());
}

TEST_F(RefusalFilesTest, WhatElseLiesThereIsLeftAlone) {
  ASSERT_TRUE(add_refusal(folder_, key_));
  std::ofstream(folder_ / "README") << "mine";
  EXPECT_THAT(all(), ElementsAre(key_));
  EXPECT_TRUE(fs::exists(folder_ / "README"));
}

// A worker that could not read them would take what its owner has forbidden.
TEST_F(RefusalFilesTest, WhatCannotBeReadIsAnErrorAndNotNothing) {
  std::ofstream(folder_) << "no folder";
  const auto read = read_refusals(folder_);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().what, HasSubstr(folder_.string()));
  EXPECT_FALSE(add_refusal(folder_, key_));
}

}  // namespace
}  // namespace shoal
