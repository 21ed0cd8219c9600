// Layers of a sandbox that others stand before, each by itself; and what a program is in there.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>
#include <string>

#include "tests/unit/worker/sandbox/sandboxed.h"
#include "worker/sandbox/landlock.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

class SandboxLayers : public Sandbox {
 protected:
  // "name value" of each line.
  std::map<std::string, std::string> describe() {
    std::map<std::string, std::string> found;
    const auto outcome = attack({"describe"});
    expect_clean_end(outcome);
    for (const std::string& line : outcome.lines) {
      const std::size_t space = line.find(' ');
      found[line.substr(0, space)] = line.substr(space + 1);
    }
    return found;
  }
};

INSTANTIATE_TEST_SUITE_P(Users, SandboxLayers, ::testing::Values(User::kRoot, User::kOrdinary),
                         name_of_user);

// Without namespaces nothing else does: everybody may read and write all of that.
TEST_P(SandboxLayers, LandlockAloneHoldsFilesBelowTheFullLevel) {
  if (landlock_version() == 0) GTEST_SKIP() << "this kernel has no Landlock";
  const std::string readable = secret("readable");
  const std::string key = secret("key");
  for (const std::string& path : {readable, key}) {
    fs::permissions(path, static_cast<fs::perms>(0666));
  }
  fs::permissions(folder_, static_cast<fs::perms>(0777));
  policy_.kind = SandboxKind::kShipped;
  policy_.level = SandboxLevel::kWeak;
  policy_.read_only = {readable};
  policy_.processes = 8192;  // all of the user count, everywhere
  const auto in_a_new_folder = [&](std::vector<std::string> words) {
    policy_.scratch = (folder_ / "scratch").string();
    fs::remove_all(policy_.scratch);
    fs::create_directory(policy_.scratch);
    if (::geteuid() == 0 && GetParam() == User::kOrdinary) {
      EXPECT_EQ(::chown(policy_.scratch.c_str(), kNobody, kNobody), 0);
    }
    return attack(std::move(words)).lines;
  };
  EXPECT_THAT(in_a_new_folder({"read", readable, key, "/etc/passwd", folder_.string()}),
              ElementsAre("DONE", "EACCES", "EACCES", "EACCES"));
  EXPECT_THAT(in_a_new_folder({"write", "here", readable, key, (folder_ / "new").string()}),
              ElementsAre("DONE", "EACCES", "EACCES", "EACCES"));
}

TEST_P(SandboxLayers, AProgramIsTheLeastThatAProcessCanBe) {
  policy_.open_files = 64;
  auto found = describe();
  EXPECT_EQ(found["scheduler"], "idle");
  EXPECT_EQ(found["nice"], "19");
  EXPECT_EQ(found["io"], "idle");
  for (const char* set : {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"}) {
    EXPECT_EQ(found[set], "0000000000000000") << set;
  }
  EXPECT_EQ(found["files"], "EMFILE at 64");
}

TEST_P(SandboxLayers, EachNamespaceIsItsOwn) {
  auto found = describe();
  for (const char* name : {"user", "mnt", "pid", "net", "ipc", "uts"}) {
    const fs::path outside = fs::read_symlink(fs::path("/proc/self/ns") / name);
    EXPECT_TRUE(found[name].starts_with(name)) << name << ": " << found[name];
    EXPECT_NE(found[name], outside) << name;
  }
  EXPECT_EQ(found["host"], "shoal");
}

// Whoever loses its parent becomes a child of the first process. One that did not wait for them
// would leave the program no more processes before long.
TEST_P(SandboxLayers, WhoHasLostItsParentIsReaped) {
  policy_.processes = 16;
  const auto outcome = attack({"orphans", "1000"});
  expect_clean_end(outcome);
  EXPECT_THAT(outcome.lines, ElementsAre("1000 have gone"));
}

}  // namespace
}  // namespace shoal
