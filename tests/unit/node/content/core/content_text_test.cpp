#include "node/content/core/content_text.h"

#include <gtest/gtest.h>

#include "node/protocol/hash.h"
#include "node/protocol/limits.h"

namespace shoal {
namespace {

TEST(ContentText, IsReadAsItIsWritten) {
  for (const bool folder : {false, true}) {
    const ContentText content{{content_id(as_bytes("x")), 1}, folder};
    EXPECT_EQ(content_from_text(to_text(content)), content);
  }
  EXPECT_TRUE(content_from_text("file_" + to_hex(content_id({})) + "_0"));
  const ContentId id = content_id(as_bytes("x"));
  EXPECT_EQ(to_text({{id, 17}, true}), "folder_" + to_hex(id) + "_17");
}

TEST(ContentText, EverythingElseIsRefused) {
  const std::string hex(64, 'a');
  ASSERT_TRUE(content_from_text("file_" + hex + "_7"));
  for (const std::string& text :
       {std::string(), hex, "file_" + hex, "file_" + hex + "_", "file_" + hex + "_07",
        "file_" + hex + "_-7", "file_" + hex + "_7 ", "file_" + hex + "_7x", " file_" + hex + "_7",
        "file_" + std::string(64, 'A') + "_7", "file_" + std::string(63, 'a') + "_7",
        "link_" + hex + "_7", "file_" + hex + "_0", "file_" + hex + "_18446744073709551616",
        "file_" + hex + "_" + std::to_string(limits::kContentBytes + 1)}) {
    EXPECT_FALSE(content_from_text(text)) << text;
  }
}

}  // namespace
}  // namespace shoal
