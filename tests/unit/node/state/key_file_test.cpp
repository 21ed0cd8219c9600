#include "node/state/key_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <optional>
#include <utility>

namespace shoal {
namespace {

namespace fs = std::filesystem;

class KeyFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "shoal-state-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { fs::remove_all(folder); }
  static unsigned mode_of(const fs::path& file) {
    struct stat about {};
    return ::stat(file.c_str(), &about) == 0 ? about.st_mode & 07777U : 0U;
  }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
  }
  fs::path folder;
};

TEST_F(KeyFile, IsMadeOnceAndTheSameAfterwards) {
  const fs::path file = folder / "node.key";
  const auto made = load_or_create_key(file);
  ASSERT_TRUE(made) << made.error().what;
  EXPECT_TRUE(made->created);
  EXPECT_EQ(mode_of(file), 0600U);
  const auto again = load_or_create_key(file);
  ASSERT_TRUE(again) << again.error().what;
  EXPECT_FALSE(again->created);
  EXPECT_EQ(again->key.id(), made->key.id());
  EXPECT_EQ(files(), 1U);  // nothing temporary is left
}

TEST_F(KeyFile, IsPrivateWhateverTheUmask) {
  const mode_t before = ::umask(0);
  const auto made = load_or_create_key(folder / "node.key");
  ::umask(before);
  ASSERT_TRUE(made);
  EXPECT_EQ(mode_of(folder / "node.key"), 0600U);
}

TEST_F(KeyFile, HoldsTheSeedInHex) {
  const KeyPair key = new_key();
  ASSERT_TRUE(store_key(folder / "k", key));
  const auto text = read_text_file(folder / "k");
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, to_hex(ByteView(key.seed())) + "\n");
  const auto loaded = load_key(folder / "k");
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->seed(), key.seed());
}

TEST_F(KeyFile, IsNeverOverwritten) {
  const KeyPair key = new_key();
  ASSERT_TRUE(store_key(folder / "k", key));
  const auto second = store_key(folder / "k", new_key());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().fault, StateFault::kExists);
  EXPECT_EQ(load_key(folder / "k")->id(), key.id());
  EXPECT_EQ(files(), 1U);
}

TEST_F(KeyFile, DamageIsNamedAndNotReplacedByANewKey) {
  for (const char* text :
       {"", "abcd", "not hexadecimal at all, but of a length like that of a key"}) {
    ASSERT_TRUE(write_text_file(folder / "k", text, 0600));
    const auto loaded = load_or_create_key(folder / "k");
    ASSERT_FALSE(loaded) << text;
    EXPECT_EQ(loaded.error().fault, StateFault::kNotAKey);
    EXPECT_NE(loaded.error().what.find((folder / "k").string()), std::string::npos);
    EXPECT_EQ(*read_text_file(folder / "k"), text);
  }
}

TEST_F(KeyFile, AKeyThatOthersCanReadIsRefused) {
  ASSERT_TRUE(write_text_file(folder / "k", to_hex(ByteView(new_key().seed())), 0644));
  const auto loaded = load_key(folder / "k");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().fault, StateFault::kTooOpen);
  EXPECT_NE(loaded.error().what.find("chmod 600"), std::string::npos);
}

TEST_F(KeyFile, AMissingFileIsNamed) {
  const auto loaded = load_key(folder / "none");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().fault, StateFault::kMissing);
  EXPECT_NE(loaded.error().what.find("none"), std::string::npos);
}

TEST_F(KeyFile, AFolderThatIsAFileIsNamed) {
  ASSERT_TRUE(write_text_file(folder / "file", "x"));
  EXPECT_FALSE(load_or_create_key(folder / "file" / "k"));
  EXPECT_FALSE(lock_folder(folder / "file"));
}

// /proc takes no new files, not even from root, whom no permission stops.
TEST_F(KeyFile, AFolderThatCannotBeWrittenIsRefusedWithAdvice) {
  const auto lock = lock_folder("/proc/shoal-state");
  ASSERT_FALSE(lock);
  EXPECT_NE(lock.error().what.find("/proc/shoal-state"), std::string::npos) << lock.error().what;
  EXPECT_NE(lock.error().what.find(';'), std::string::npos) << lock.error().what;
}

TEST_F(KeyFile, TextIsReplacedInOneStep) {
  ASSERT_TRUE(write_text_file(folder / "t", "old"));
  ASSERT_TRUE(write_text_file(folder / "t", "new", 0640));
  EXPECT_EQ(*read_text_file(folder / "t"), "new");
  EXPECT_EQ(mode_of(folder / "t"), 0640U);
  EXPECT_EQ(files(), 1U);
}

TEST_F(KeyFile, AFileThatIsTooLargeIsRefused) {
  ASSERT_TRUE(write_text_file(folder / "t", std::string(1000, 'x')));
  EXPECT_FALSE(read_text_file(folder / "t", 999));
  EXPECT_TRUE(read_text_file(folder / "t", 1000));
}

TEST_F(KeyFile, AFolderOfOnesOwnIsClosedToOthersWhateverTheUmask) {
  const ::mode_t before = ::umask(0);
  const auto made = make_private_folder(folder / "a" / "b");
  const auto again = make_private_folder(folder / "a");
  const auto with_slash = make_private_folder((folder / "c").string() + "/");
  ::umask(before);
  ASSERT_TRUE(made) << made.error().what;
  ASSERT_TRUE(again) << again.error().what;
  ASSERT_TRUE(with_slash) << with_slash.error().what;
  EXPECT_EQ(mode_of(folder / "a" / "b"), 0700U);
  EXPECT_EQ(mode_of(folder / "c"), 0700U);
  EXPECT_EQ(mode_of(folder / "a"), 0777U) << "what is there stays as it is";
  ASSERT_TRUE(write_text_file(folder / "file", "x"));
  EXPECT_FALSE(make_private_folder(folder / "file" / "a"));
  EXPECT_FALSE(make_private_folder(folder / "file"));
}

TEST_F(KeyFile, AFolderInPlaceOfAFileIsSaidToBeOne) {
  const auto read = read_text_file(folder);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().what.find("name a file"), std::string::npos) << read.error().what;
}

TEST_F(KeyFile, AFolderIsMadeAndHeldByOne) {
  const fs::path state = folder / "a" / "b";
  auto first = lock_folder(state);
  ASSERT_TRUE(first) << first.error().what;
  EXPECT_EQ(mode_of(state), 0700U);
  const auto second = lock_folder(state);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().fault, StateFault::kLocked);
  EXPECT_NE(second.error().what.find(std::to_string(::getpid())), std::string::npos)
      << second.error().what;
  EXPECT_NE(second.error().what.find("a state folder of its own"), std::string::npos);
}

// After somebody has once started it by sudo.
TEST_F(KeyFile, AFolderThatAnotherUserHasUsedIsSaidToBe) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be another user";
  ASSERT_TRUE(lock_folder(folder / "state"));
  constexpr uid_t kNobody = 65534;
  for (const fs::path& own : {folder, folder / "state"}) {
    ASSERT_EQ(::chown(own.c_str(), kNobody, kNobody), 0);
  }
  ASSERT_EQ(::seteuid(kNobody), 0);
  const auto lock = lock_folder(folder / "state");
  ASSERT_EQ(::seteuid(0), 0);
  ASSERT_FALSE(lock);
  EXPECT_EQ(lock.error().fault, StateFault::kNotAllowed);
  EXPECT_NE(lock.error().what.find("belongs to another user"), std::string::npos)
      << lock.error().what;
}

TEST_F(KeyFile, ALockMovesWithItsOwnerAndEndsWithIt) {
  std::optional<FolderLock> holder;
  {
    auto first = lock_folder(folder);
    ASSERT_TRUE(first);
    holder.emplace(std::move(*first));
  }
  EXPECT_FALSE(lock_folder(folder));
  holder.reset();
  EXPECT_TRUE(lock_folder(folder));
}

TEST_F(KeyFile, ALockEndsWithAProcessThatIsKilled) {
  int held[2] = {-1, -1};
  ASSERT_EQ(::pipe(held), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto lock = lock_folder(folder);
    const char answer = lock ? 'y' : 'n';
    if (::write(held[1], &answer, 1) != 1) ::_exit(1);
    while (true) ::pause();
  }
  char answer = 0;
  ASSERT_EQ(::read(held[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  EXPECT_FALSE(lock_folder(folder));
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(lock_folder(folder));
  ::close(held[0]);
  ::close(held[1]);
}

}  // namespace
}  // namespace shoal
