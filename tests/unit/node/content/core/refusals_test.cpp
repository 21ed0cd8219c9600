#include "node/content/core/refusals.h"

#include <gtest/gtest.h>

#include <string>

namespace shoal {
namespace {

const std::string kHex(64, 'a');

TEST(Refusals, AreContentsAsPeopleWriteThemAndKeys) {
  const auto content = refusal_from_text("folder_" + kHex + "_12");
  ASSERT_TRUE(content);
  ASSERT_TRUE(std::holds_alternative<ContentText>(*content));
  EXPECT_EQ(std::get<ContentText>(*content).name.length, 12U);
  EXPECT_EQ(to_text(*content), "folder_" + kHex + "_12");
  const auto key = refusal_from_text(kHex);
  ASSERT_TRUE(key);
  EXPECT_TRUE(std::holds_alternative<NodeId>(*key));
  EXPECT_EQ(to_text(*key), kHex);
  for (const std::string& wrong : {std::string(), kHex + "a", "file_" + kHex, std::string("job")}) {
    EXPECT_FALSE(refusal_from_text(wrong)) << wrong;
  }
}

TEST(Refusals, AContentIsRefusedUnderAllItsNames) {
  const Refusals all = gathered({*refusal_from_text("file_" + kHex + "_12"),
                                 *refusal_from_text("folder_" + kHex + "_13"),
                                 *refusal_from_text(std::string(64, 'b'))});
  EXPECT_EQ(all.contents.size(), 1U);
  EXPECT_EQ(all.submitters.size(), 1U);
  EXPECT_FALSE(all.empty());
  EXPECT_TRUE(gathered({}).empty());
}

}  // namespace
}  // namespace shoal
