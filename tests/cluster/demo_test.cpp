#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cluster/cluster.h"

namespace shoal::cluster {
namespace {

TEST(DemoTest, ShowsAVerifiedPictureAndLeavesNothingBehind) {
  Cluster cluster;
  const auto ended = cluster.run({"demo"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(count_lines(ended.out), 22U);
  EXPECT_THAT(ended.out, ::testing::HasSubstr("@"));
  for (const auto& entry : std::filesystem::directory_iterator(cluster.folder())) {
    EXPECT_THAT(entry.path().filename().string(), ::testing::Not(::testing::HasSubstr("demo")));
  }
}

TEST(DemoTest, SaysInJsonWhatWasVerified) {
  Cluster cluster;
  const auto summary = cluster.json({"demo", "--json"});
  EXPECT_EQ(summary["schema"], 1);
  EXPECT_EQ(summary["verified"], summary["units"]);
  EXPECT_EQ(summary["quorum"], 2);
}

}  // namespace
}  // namespace shoal::cluster
