#include "node/state/home_folder.h"

#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <string>

namespace shoal {
namespace {

class HomeFolder : public ::testing::Test {
 protected:
  HomeFolder() {
    if (const char* home = std::getenv("HOME"); home != nullptr) before_ = home;
  }
  ~HomeFolder() override {
    if (before_) {
      ::setenv("HOME", before_->c_str(), 1);
    } else {
      ::unsetenv("HOME");
    }
  }
  std::optional<std::string> before_;
};

TEST_F(HomeFolder, IsWhatTheSystemKnowsWhereTheVariableIsNotSetOrIsNoPlace) {
  ::setenv("HOME", "/somebody/here", 1);
  EXPECT_EQ(home_folder(), "/somebody/here");
  const passwd* entry = ::getpwuid(::getuid());
  ASSERT_NE(entry, nullptr);
  const std::string known = entry->pw_dir;
  ::unsetenv("HOME");
  EXPECT_EQ(home_folder(), known);
  for (const char* no_place : {"", "here", "./here"}) {
    ::setenv("HOME", no_place, 1);
    EXPECT_EQ(home_folder(), known) << no_place;
  }
}

}  // namespace
}  // namespace shoal
