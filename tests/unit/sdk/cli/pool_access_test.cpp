#include "sdk/cli/pool_access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

JobId job(const std::string& start) {
  return *id_from_hex<JobId>(start + std::string(64 - start.size(), '0'));
}

Result<JobId, Failure> resolve(std::string_view text) {
  return resolve_job(text, [](std::string_view hex) {
    std::vector<JobId> found;
    for (const JobId& one : {job("abcd11"), job("abcd22"), job("beef")}) {
      if (to_hex(one).starts_with(hex)) found.push_back(one);
    }
    return found;
  });
}

TEST(ResolveJobTest, TheFirstDigitsAreEnoughWhereOneJobHasThem) {
  EXPECT_EQ(resolve("beef").value(), job("beef"));
  EXPECT_EQ(resolve("BEEF0").value(), job("beef"));
  EXPECT_EQ(resolve("abcd2").value(), job("abcd22"));
}

TEST(ResolveJobTest, AWholeIdMayBeSomebodyElsesJob) {
  EXPECT_EQ(resolve(to_hex(job("1234"))).value(), job("1234"));
}

TEST(ResolveJobTest, TheIdThatMeansAllJobsIsNoJobs) {
  const auto resolved = resolve(std::string(64, '0'));
  ASSERT_FALSE(resolved);
  EXPECT_EQ(resolved.error().exit_code, kUsage);
}

TEST(ResolveJobTest, WhatSeveralJobsHaveIsAnsweredWithAllOfThem) {
  const auto resolved = resolve("abcd");
  ASSERT_FALSE(resolved);
  EXPECT_EQ(resolved.error().exit_code, kUsage);
  EXPECT_THAT(resolved.error().what,
              AllOf(HasSubstr(to_hex(job("abcd11"))), HasSubstr(to_hex(job("abcd22")))));
}

TEST(ResolveJobTest, WhatNoJobHasIsAnError) {
  const auto resolved = resolve("1234");
  ASSERT_FALSE(resolved);
  EXPECT_EQ(resolved.error().exit_code, kError);
  EXPECT_THAT(resolved.error().what, HasSubstr("1234"));
}

TEST(ResolveJobTest, FewerThanFourDigitsOrOtherCharactersAreUsage) {
  for (const std::string& text : {std::string(""), std::string("bee"), std::string("beeg"),
                                  std::string("../etc"), std::string(65, 'a')}) {
    const auto resolved = resolve(text);
    ASSERT_FALSE(resolved) << text;
    EXPECT_EQ(resolved.error().exit_code, kUsage) << text;
  }
}

TEST(NewManifestTest, TwoOfTheSameWorkAreTwoJobs) {
  EXPECT_NE(new_manifest("ising", {}).nonce, new_manifest("ising", {}).nonce);
}

TEST(WayBackTest, NamesTheJob) {
  EXPECT_THAT(way_back(job("beef")), HasSubstr("shoal job results beef"));
}

}  // namespace
}  // namespace shoal::cli
