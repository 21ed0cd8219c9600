#include "worker/runtime/ledger_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <functional>

namespace shoal {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

JobId job(std::uint8_t number) {
  JobId id;
  id.bytes.fill(number);
  return id;
}
NodeId node(std::uint8_t number) {
  NodeId id;
  id.bytes.fill(number);
  return id;
}
StoredFact receipt(const JobId& of, std::uint64_t sequence, std::size_t size = 100) {
  return {FactKind::kReceipt, of, sequence, {}, Bytes(size, static_cast<std::uint8_t>(sequence))};
}
bool same(const StoredFact& a, const StoredFact& b) {
  return a.kind == b.kind && a.job == b.job && a.sequence == b.sequence && a.about == b.about &&
         a.bytes == b.bytes;
}

// Waits until `wanted` events are there.
std::vector<LedgerEvent> await(LedgerStore& ledger, std::size_t wanted) {
  std::vector<LedgerEvent> events;
  while (events.size() < wanted) {
    pollfd waiting{ledger.descriptor(), POLLIN, 0};
    if (::poll(&waiting, 1, 60'000) <= 0) {
      ADD_FAILURE() << "the ledger does not answer";
      break;
    }
    for (LedgerEvent& event : ledger.collect()) events.push_back(std::move(event));
  }
  return events;
}
std::string store(LedgerStore& ledger, std::vector<StoredFact> facts) {
  ledger.perform(Store{1, std::move(facts)});
  ledger.flush();
  return std::get<StoreDone>(await(ledger, 1).at(0)).error;
}
ReceiptsLoaded load(LedgerStore& ledger, const JobId& of, std::uint64_t after,
                    std::size_t bytes_max) {
  ledger.perform(LoadReceipts{of, node(7), after, bytes_max});
  return std::get<ReceiptsLoaded>(await(ledger, 1).at(0));
}

// The connections that were made since, by whomever in this process: what each was told of
// durability only itself can say, and no file.
class Connections {
 public:
  Connections() {
    made_.clear();
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(&remember));
  }
  ~Connections() { sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(&remember)); }
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;
  const std::vector<sqlite3*>& made() const { return made_; }

 private:
  static int remember(sqlite3* connection, char**, const void*) {
    made_.push_back(connection);
    return SQLITE_OK;
  }
  static inline std::vector<sqlite3*> made_;
};
std::string answer_of(sqlite3* connection, const char* sql) {
  std::string answer;
  const auto take = [](void* into, int, char** columns, char**) {
    *static_cast<std::string*>(into) += columns[0];
    return 0;
  };
  EXPECT_EQ(sqlite3_exec(connection, sql, take, &answer, nullptr), SQLITE_OK);
  return answer;
}

class LedgerStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "shoal-ledger-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    file_ = folder_ / "ledger.sqlite3";
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::unique_ptr<LedgerStore> open() {
    auto ledger = LedgerStore::open(file_);
    EXPECT_TRUE(ledger) << ledger.error().what;
    return ledger ? std::move(*ledger) : nullptr;
  }
  void sql(const char* text) {
    sqlite3* connection = nullptr;
    ASSERT_EQ(sqlite3_open(file_.c_str(), &connection), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(connection, text, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(connection);
  }
  // The error of opening it, or else of recovering from it.
  LedgerError error_of_opening() {
    auto ledger = LedgerStore::open(file_);
    if (!ledger) return ledger.error();
    auto state = (*ledger)->recover();
    if (!state) return state.error();
    ADD_FAILURE() << "it opened";
    return {};
  }

  fs::path folder_, file_;
};

TEST_F(LedgerStoreTest, ANewOneRemembersNothing) {
  auto state = open()->recover();
  ASSERT_TRUE(state);
  EXPECT_TRUE(state->facts.empty());
}

// What StoreDone promises of power cuts: synchronous=FULL, by its number, waits for the disk at
// each commit. SQLite's default beside a log is as good, but whoever built it may have changed
// that.
TEST_F(LedgerStoreTest, EachOfItsConnectionsWaitsForTheDisk) {
  const Connections connections;
  const auto ledger = open();
  ASSERT_EQ(connections.made().size(), 2U) << "one writes, the other reads";
  for (sqlite3* connection : connections.made()) {
    EXPECT_EQ(answer_of(connection, "PRAGMA journal_mode"), "wal");
    EXPECT_EQ(answer_of(connection, "PRAGMA synchronous"), "2");
  }
}

TEST_F(LedgerStoreTest, RemembersEveryFactAcrossARestartInOrder) {
  const std::vector<StoredFact> facts{
      {FactKind::kManifest, job(1), 0, {}, Bytes(5000, 1)},
      {FactKind::kManifest, job(2), 0, {}, Bytes(10, 2)},
      receipt(job(1), 1),
      receipt(job(1), 2),
      receipt(job(1), 300, 200'000),
      receipt(job(2), 1),
      {FactKind::kControl, job(1), 4, {}, Bytes{}},
      {FactKind::kSnapshot, job(1), 0, {}, Bytes(3, 3)},
      {FactKind::kPeer, {}, 0, node(1), Bytes(7, 7)},
      {FactKind::kPeer, {}, 0, node(2), Bytes(8, 8)},
  };
  {
    auto ledger = open();
    EXPECT_EQ(store(*ledger, {facts.rbegin(), facts.rend()}), "");
  }
  const auto state = open()->recover();
  ASSERT_TRUE(state) << state.error().what;
  ASSERT_EQ(state->facts.size(), facts.size());
  for (std::size_t i = 0; i < facts.size(); ++i) EXPECT_TRUE(same(state->facts[i], facts[i])) << i;
}

TEST_F(LedgerStoreTest, AFactOfTheSameNameReplacesTheOlder) {
  auto ledger = open();
  EXPECT_EQ(store(*ledger, {{FactKind::kPeer, {}, 0, node(1), Bytes{1}}}), "");
  EXPECT_EQ(store(*ledger, {{FactKind::kPeer, {}, 0, node(1), Bytes{2}}}), "");
  const auto state = ledger->recover();
  ASSERT_EQ(state->facts.size(), 1U);
  EXPECT_EQ(state->facts[0].bytes, Bytes{2});
}

TEST_F(LedgerStoreTest, AnswersEveryStoreInItsOrder) {
  auto ledger = open();
  for (std::uint64_t token = 1; token <= 50; ++token) {
    ledger->perform(Store{token, {receipt(job(1), token)}});
    if (token % 10 == 0) ledger->flush();
  }
  std::uint64_t next = 1;
  for (const LedgerEvent& event : await(*ledger, 50)) {
    EXPECT_EQ(std::get<StoreDone>(event).token, next++);
    EXPECT_EQ(std::get<StoreDone>(event).error, "");
  }
  EXPECT_EQ(ledger->recover()->facts.size(), 50U);
}

TEST_F(LedgerStoreTest, WhatNobodyAwaitsWakesNobody) {
  auto ledger = open();
  EXPECT_FALSE(ledger->next_timeout());
  ledger->perform(Store{.token = 1, .facts = {receipt(job(1), 1)}, .awaited = false});
  ledger->flush();
  const auto calls = [&] {
    pollfd descriptor{ledger->descriptor(), POLLIN, 0};
    return ::poll(&descriptor, 1, 0) != 0;
  };
  std::vector<LedgerEvent> events;
  while (events.empty()) {
    EXPECT_TRUE(ledger->next_timeout());
    ASSERT_FALSE(calls());
    ::sched_yield();
    events = ledger->collect();
  }
  EXPECT_EQ(std::get<StoreDone>(events.at(0)).token, 1U);
  EXPECT_FALSE(ledger->next_timeout());
  // With one that is awaited it comes at once, and in its order.
  ledger->perform(Store{.token = 2, .facts = {receipt(job(1), 2)}, .awaited = false});
  ledger->perform(Store{.token = 3, .facts = {receipt(job(1), 3)}});
  ledger->flush();
  events = await(*ledger, 2);
  EXPECT_EQ(std::get<StoreDone>(events.at(0)).token, 2U);
  EXPECT_EQ(std::get<StoreDone>(events.at(1)).token, 3U);
  EXPECT_FALSE(calls());
}

TEST_F(LedgerStoreTest, NothingIsWrittenBeforeFlush) {
  auto ledger = open();
  ledger->perform(Store{1, {receipt(job(1), 1)}});
  EXPECT_TRUE(ledger->recover()->facts.empty());
  EXPECT_TRUE(ledger->collect().empty());
}

TEST_F(LedgerStoreTest, FinishesAtTheEndWhatWasHandedOver) {
  {
    auto ledger = open();
    for (std::uint64_t i = 1; i <= 100; ++i) {
      ledger->perform(Store{i, {receipt(job(1), i, 10'000)}});
      if (i % 2 == 0) ledger->flush();
    }
  }
  EXPECT_EQ(open()->recover()->facts.size(), 100U);
}

TEST_F(LedgerStoreTest, LoadsReceiptsAboveACursorUpToAnAmount) {
  auto ledger = open();
  std::vector<StoredFact> facts;
  for (std::uint64_t i = 1; i <= 20; ++i) facts.push_back(receipt(job(1), i));
  facts.push_back(receipt(job(2), 1, 50));
  EXPECT_EQ(store(*ledger, facts), "");

  ReceiptsLoaded loaded = load(*ledger, job(1), 4, 250);
  EXPECT_EQ(loaded.job, job(1));
  EXPECT_EQ(loaded.reader, node(7));
  EXPECT_EQ(loaded.receipts, (std::vector<Bytes>{Bytes(100, 5), Bytes(100, 6), Bytes(100, 7)}));
  EXPECT_EQ(load(*ledger, job(1), 4, 0).receipts, std::vector<Bytes>{Bytes(100, 5)})
      << "one receipt must come however small the credit is";
  EXPECT_EQ(load(*ledger, job(1), 18, 1'000'000).receipts.size(), 2U);
  EXPECT_TRUE(load(*ledger, job(1), 20, 1'000'000).receipts.empty());
  EXPECT_TRUE(load(*ledger, job(3), 0, 1'000'000).receipts.empty());
}

TEST_F(LedgerStoreTest, ATruncatedFileIsRefusedByName) {
  EXPECT_EQ(store(*open(), {receipt(job(1), 1, 500'000)}), "");
  fs::resize_file(file_, fs::file_size(file_) / 2);
  const LedgerError error = error_of_opening();
  EXPECT_EQ(error.fault, LedgerFault::kCorrupt);
  EXPECT_THAT(error.what, HasSubstr(file_.string()));
  // The shell of Debian's SQLite recovers nothing, not even of a file that is whole.
  EXPECT_THAT(error.what, testing::Not(HasSubstr(".recover")));
  ASSERT_THAT(error.what, HasSubstr("move it away with its -wal file"));
  for (const char* suffix : {"", "-wal"}) {
    std::error_code none;
    fs::rename(file_.string() + suffix, file_.string() + ".damaged" + suffix, none);
  }
  EXPECT_EQ(store(*open(), {receipt(job(1), 1)}), "") << "what it says is of no help";
}

TEST_F(LedgerStoreTest, ADamagedFileIsRefusedByName) {
  std::vector<StoredFact> facts;
  for (std::uint64_t i = 1; i <= 2000; ++i) facts.push_back(receipt(job(1), i));
  EXPECT_EQ(store(*open(), facts), "");
  {
    std::fstream file(file_, std::ios::binary | std::ios::in | std::ios::out);
    const std::string garbage(fs::file_size(file_) - 8192, '\x5a');
    file.seekp(8192);
    file.write(garbage.data(), static_cast<std::streamsize>(garbage.size()));
  }
  const LedgerError error = error_of_opening();
  EXPECT_EQ(error.fault, LedgerFault::kCorrupt);
  EXPECT_THAT(error.what, HasSubstr("the ledger is damaged"));
  EXPECT_THAT(error.what, HasSubstr("a job that other workers keep as well goes on"));
}

TEST_F(LedgerStoreTest, AnotherKindOfFileIsRefused) {
  std::ofstream(file_) << std::string(5000, 'x');
  EXPECT_EQ(error_of_opening().fault, LedgerFault::kCorrupt);
}

TEST_F(LedgerStoreTest, ADatabaseOfAnotherProgramIsLeftAlone) {
  sql("CREATE TABLE recipes (name TEXT)");
  EXPECT_THAT(error_of_opening().what, HasSubstr("a database of another program"));
  sql("INSERT INTO recipes VALUES ('soup')");
}

TEST_F(LedgerStoreTest, ANewerVersionIsRefused) {
  open();
  sql("PRAGMA user_version = 2");
  const LedgerError error = error_of_opening();
  EXPECT_EQ(error.fault, LedgerFault::kTooNew);
  EXPECT_THAT(error.what, HasSubstr("a newer version (2, this one knows 1)"));
}

TEST_F(LedgerStoreTest, AFolderThatIsNotThereIsSaid) {
  file_ = folder_ / "nowhere" / "ledger.sqlite3";
  const LedgerError error = error_of_opening();
  EXPECT_EQ(error.fault, LedgerFault::kNotWritable);
  EXPECT_THAT(error.what, HasSubstr("choose another state folder"));
}

// Runs `scenario` in a child process on a file system of `size` of its own, mounted at `at`. Where
// the kernel does not allow that, the test is skipped.
constexpr int kNotAllowed = 77;

bool write_text(const char* file, const std::string& text) {
  const int fd = ::open(file, O_WRONLY | O_CLOEXEC);
  const bool written =
      fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (fd >= 0) ::close(fd);
  return written;
}

bool enter_own_mounts() {
  if (::unshare(CLONE_NEWNS) == 0) return true;
  const std::string user = std::to_string(::getuid()), group = std::to_string(::getgid());
  return ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
         write_text("/proc/self/setgroups", "deny") &&
         write_text("/proc/self/uid_map", "0 " + user + " 1") &&
         write_text("/proc/self/gid_map", "0 " + group + " 1");
}

int on_own_disk(const fs::path& at, const char* options, const std::function<int()>& scenario) {
  const pid_t child = ::fork();
  if (child == 0) {
    const bool mounted = enter_own_mounts() &&
                         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         ::mount("tmpfs", at.c_str(), "tmpfs", 0, options) == 0;
    ::_exit(mounted ? scenario() : kNotAllowed);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

TEST_F(LedgerStoreTest, AFullDiskIsAnErrorOfTheStoreAndNotOfTheLedger) {
  const int code = on_own_disk(folder_, "size=1m", [this] {
    auto ledger = LedgerStore::open(file_);
    if (!ledger) return 1;
    std::string error;
    std::uint64_t kept = 0;
    while (error.empty() && kept < 100) {
      error = store(**ledger, {receipt(job(1), kept + 1, 50'000)});
      if (error.empty()) ++kept;
    }
    if (error.find("the disk is full: free some space") == std::string::npos) return 2;
    if (kept == 0 || load(**ledger, job(1), 0, 1 << 30).receipts.size() != kept) return 3;
    return 0;
  });
  if (code == kNotAllowed) GTEST_SKIP() << "no mounts of one's own are allowed here";
  EXPECT_EQ(code, 0);
}

TEST_F(LedgerStoreTest, AReadOnlyMountIsSaidAtTheStart) {
  const int code = on_own_disk(folder_, "size=4m", [this] {
    if (!LedgerStore::open(file_)) return 1;
    if (::mount(nullptr, folder_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0) return 4;
    const auto ledger = LedgerStore::open(file_);
    if (ledger) return 2;
    if (ledger.error().fault != LedgerFault::kNotWritable) return 3;
    return ledger.error().what.find("mounted read-only") == std::string::npos ? 5 : 0;
  });
  if (code == kNotAllowed) GTEST_SKIP() << "no mounts of one's own are allowed here";
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace shoal
