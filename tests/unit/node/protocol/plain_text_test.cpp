#include "node/protocol/plain_text.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(PlainText, LeavesWordsAndTheirLayoutAlone) {
  EXPECT_EQ(plain_text("two lines\n\tof \xc3\xa9t\xc3\xa9 \xe2\x82\xac"),
            "two lines\n\tof \xc3\xa9t\xc3\xa9 \xe2\x82\xac");
}

TEST(PlainText, SteersNoTerminal) {
  EXPECT_EQ(plain_text("a\x1b[2Jb\rc\x7f\bd"), "a [2Jb c  d");
  EXPECT_EQ(plain_text("a\xc2\x9b"
                       "2Jb"),
            "a 2Jb")
      << "the same in one character of UTF-8";
  EXPECT_EQ(plain_text("\xc2"), "\xc2");
  EXPECT_EQ(plain_text(std::string_view("a\0b", 3)), "a b");
}

TEST(PlainText, OfALineHasNoLineEnds) {
  EXPECT_EQ(plain_line("ready\n2026-01-01 error all is lost\t\xc2\x9b!"),
            "ready 2026-01-01 error all is lost  !");
}

}  // namespace
}  // namespace shoal
