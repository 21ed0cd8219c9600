#include "sdk/src/local_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

#include "shoal/shoal.h"

namespace shoal {
namespace {

struct Params {
  std::uint64_t add = 0;
  SHOAL_FIELDS(add)
};

std::uint64_t add(const Params& params, const std::uint64_t& unit) { return unit + params.add; }
const Kernel<Params, std::uint64_t, std::uint64_t> kAdd{"add", add};

std::string shout(const Nothing&, const std::string& text) {
  if (text == "boom") throw std::runtime_error("too loud");
  if (text == "odd") throw 7;
  return text + "!";
}
const Kernel<Nothing, std::string, std::string> kShout{"shout", shout};

Session local(unsigned threads = 2) {
  SessionOptions options;
  options.threads = threads;
  return Session(std::move(options));
}

TEST(LocalRun, ComputesEveryIndexOnce) {
  Session session = local();
  EXPECT_TRUE(session.is_local());
  auto job = session.map(kAdd, {.add = 5}, IndexSpace{50'000});
  std::set<std::uint64_t> seen;
  for (const auto& result : job.results()) {
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result.value(), result.unit() + 5);
    EXPECT_TRUE(result.workers().empty());
    EXPECT_TRUE(seen.insert(result.unit()).second);
  }
  EXPECT_EQ(seen.size(), 50'000u);
  EXPECT_TRUE(job.progress().done());
}

// Two units that wait for each other: one thread less than asked for would never end them.
TEST(LocalRun, HasAsManyThreadsAsAskedForAndSaysNothing) {
  std::mutex mutex;
  std::condition_variable met;
  std::map<unsigned, unsigned> here;
  const Kernel<Params, std::uint64_t, bool> meet{
      "meet", [&](const Params& params, const std::uint64_t&) {
        const auto threads = static_cast<unsigned>(params.add);
        std::unique_lock lock(mutex);
        ++here[threads];
        met.notify_all();
        return met.wait_for(lock, std::chrono::seconds(20),
                            [&] { return here[threads] == threads; });
      }};
  testing::internal::CaptureStderr();
  for (const unsigned threads : {1u, 2u, std::thread::hardware_concurrency() + 1}) {
    here.clear();
    Session session = local(threads);
    auto job = session.map(meet, {.add = threads}, IndexSpace{threads});
    for (const auto& result : job.results()) EXPECT_TRUE(result.value()) << threads;
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(LocalRun, DeliversInOrderWhereAsked) {
  Session session = local(4);
  auto job = session.map(kAdd, {}, IndexSpace{20'000});
  std::uint64_t next = 0;
  for (const auto& result : job.in_order()) EXPECT_EQ(result.unit(), next++);
  EXPECT_EQ(next, 20'000u);
}

TEST(LocalRun, AFailedUnitIsAValueAndEndsNothing) {
  Session session = local();
  auto job = session.map(kShout, {}, {"a", "boom", "b", "odd", "c"});
  std::string all;
  unsigned failed = 0;
  for (const auto& result : job.in_order()) {
    if (result.ok()) {
      all += result.value();
      continue;
    }
    ++failed;
    EXPECT_EQ(result.failure().kind, FailureReason::kThrew);
    EXPECT_EQ(result.failure().attempts, 1u);
    if (result.unit() == 1) {
      EXPECT_EQ(result.failure().message, "too loud");
    }
    EXPECT_THROW(static_cast<void>(result.value()), Error);
  }
  EXPECT_EQ(all, "a!b!c!");
  EXPECT_EQ(failed, 2u);
  EXPECT_EQ(job.progress().failed, 2u);
}

TEST(LocalRun, AnExceptionWithoutWordsFailsItsUnitAndNothingElse) {
  struct Wordless : std::exception {
    const char* what() const noexcept override { return nullptr; }
  };
  const Kernel<Nothing, std::uint64_t, std::uint64_t> wordless{
      "wordless", [](const Nothing&, const std::uint64_t&) -> std::uint64_t { throw Wordless(); }};
  Session session = local();
  auto job = session.map(wordless, {}, IndexSpace{1});
  for (const auto& result : job.results()) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.failure().message, "threw a std::exception that says nothing");
  }
}

TEST(LocalRun, AUnitHasTheStackOfAProgramsMainThread) {
  const Kernel<Nothing, std::uint64_t, std::uint64_t> deep{
      "deep", [](const Nothing&, const std::uint64_t& unit) -> std::uint64_t {
        volatile std::uint8_t table[6 << 20];
        for (std::size_t i = 0; i < sizeof table; i += 4096) {
          table[i] = static_cast<std::uint8_t>(unit);
        }
        return table[0];
      }};
  Session session = local();
  auto job = session.map(deep, {}, IndexSpace{8});
  for (const auto& result : job.in_order()) {
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result.value(), result.unit());
  }
}

TEST(LocalRun, AFailureBringsTheEndOfItsOwnLog) {
  const Kernel<Nothing, std::uint64_t, std::uint64_t> chatty{
      "chatty", [](Unit& unit, const Nothing&, const std::uint64_t& index) -> std::uint64_t {
        for (int i = 0; i < 100; ++i) unit.log("of many lines one, and with some length");
        unit.log("about to fail");
        if (index == 1) unit.fail("as it said");
        return index;
      }};
  Session session = local();
  testing::internal::CaptureStderr();
  auto job = session.map(chatty, {}, IndexSpace{3});
  for (const auto& result : job.in_order()) {
    EXPECT_EQ(result.ok(), result.unit() != 1);
    if (result.ok()) continue;
    const std::string& end = result.failure().stderr_end;
    EXPECT_TRUE(end.ends_with("unit 1: about to fail\n")) << end;
    EXPECT_EQ(end.find("unit 0:"), std::string::npos);
    EXPECT_LT(end.size(), 4096u);
  }
  // It is still there for people to see as it happens.
  EXPECT_NE(testing::internal::GetCapturedStderr().find("unit 0: about"), std::string::npos);
}

TEST(LocalRun, StartsUnitsOnlyAsResultsAreTaken) {
  std::atomic<std::uint64_t> started{0};
  const Kernel<Nothing, std::uint64_t, std::uint64_t> count{
      "count", [&started](const Nothing&, const std::uint64_t& unit) {
        ++started;
        return unit;
      }};
  {
    Session session = local();
    auto job = session.map(count, {}, IndexSpace{1'000'000'000});
    std::uint64_t taken = 0;
    for (const auto& result : job.results()) {
      if (++taken == 1000 || !result.ok()) break;
    }
    EXPECT_EQ(taken, 1000u);
  }
  EXPECT_GE(started, 1000u);
  EXPECT_LT(started, 1'000'000u);
}

TEST(LocalRun, TakesUpALoopWhereItWasLeft) {
  Session session = local();
  auto job = session.map(kAdd, {}, IndexSpace{1000});
  std::set<std::uint64_t> seen;
  for (const auto& result : job.results()) {
    seen.insert(result.unit());
    if (seen.size() == 10) break;
  }
  for (const auto& result : job.results()) EXPECT_TRUE(seen.insert(result.unit()).second);
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(LocalRun, WaitsAndThenDelivers) {
  Session session = local();
  auto job = session.map(kAdd, {}, IndexSpace{200'000});
  job.wait();
  EXPECT_EQ(job.progress().verified, 200'000u);
  std::uint64_t n = 0;
  for (const auto& result : job.results()) n += result.ok() ? 1 : 0;
  EXPECT_EQ(n, 200'000u);
}

TEST(LocalRun, ResultsOutliveTheirJobAndSession) {
  UnitResult<std::string> kept;
  {
    Session session = local();
    auto job = session.map(kShout, {}, {"stay"});
    for (const auto& result : job.results()) kept = result;
  }
  EXPECT_EQ(kept.value(), "stay!");
}

TEST(LocalRun, SavesAnOutputToAFile) {
  const auto file = std::filesystem::path(testing::TempDir()) / "local_run_output";
  Session session = local();
  const Kernel<Nothing, std::uint64_t, Bytes> raw{"raw", [](const Nothing&, const std::uint64_t&) {
                                                    return Bytes{'h', 'i'};
                                                  }};
  auto job = session.map(raw, {}, IndexSpace{1});
  for (const auto& result : job.results()) result.save(file);
  std::ifstream in(file);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "hi");
  EXPECT_THROW(
      {
        auto again = session.map(raw, {}, IndexSpace{1});
        for (const auto& result : again.results()) result.save("/nonexistent/folder/file");
      },
      Error);
}

TEST(LocalRun, CancelEndsTheLoopWithAnError) {
  Session session = local();
  auto job = session.map(kAdd, {}, IndexSpace{1'000'000'000});
  try {
    for (const auto& result : job.results()) {
      if (result.unit() >= 10) job.cancel();
    }
    FAIL() << "the loop ended as if all were done";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
  EXPECT_TRUE(job.progress().cancelled);
}

TEST(LocalRun, ATooLargeOutputFailsItsUnit) {
  Session session = local();
  JobOptions options;
  options.output_bytes_max = 10;
  auto job = session.map(kShout, {}, {"short", "far too long for ten bytes"}, options);
  for (const auto& result : job.in_order()) {
    EXPECT_EQ(result.ok(), result.unit() == 0);
    if (!result.ok()) {
      EXPECT_EQ(result.failure().kind, FailureReason::kBadAnswer);
    }
  }
}

TEST(LocalRun, RefusesParametersThatDoNotDecode) {
  detail::JobRequest request;
  request.kernel = kAdd;
  request.parameters = {0xc1};
  request.units = 1;
  EXPECT_THROW(LocalRun(request, 1), UnitRefused);
}

TEST(LocalRun, RefusesWhatCannotBeMeant) {
  Session session = local();
  JobOptions options;
  options.quorum = 0;
  EXPECT_THROW(session.map(kAdd, {}, IndexSpace{1}, options), Error);
  options.quorum = 99;
  EXPECT_THROW(session.map(kAdd, {}, IndexSpace{1}, options), Error);
  EXPECT_THROW(session.attach(kAdd, "ab"), Error);
  SessionOptions mistyped;
  mistyped.ticket = "shoal1abc";
  try {
    Session{mistyped};
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadTicket);
  }
}

TEST(LocalRun, RefusesOptionsThatNoWorkerWouldTake) {
  Session session = local();
  const auto refused = [&](const JobOptions& options, const char* named) {
    try {
      session.map(kAdd, {}, IndexSpace{1}, options);
      ADD_FAILURE() << named;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
      EXPECT_THAT(error.what(), testing::HasSubstr(named));
    }
  };
  refused({.max_attempts = 0}, "1 to 64 workers, not on 0");
  refused({.max_attempts = 65}, "1 to 64 workers, not on 65");
  refused({.unit_wall = std::chrono::milliseconds(0)}, "1 ms to 1000 days, not 0 ms");
  refused({.unit_wall = std::chrono::hours(24 * 1001)}, "1 ms to 1000 days");
  EXPECT_NO_THROW(session.map(kAdd, {}, IndexSpace{1},
                              {.max_attempts = 64, .unit_wall = std::chrono::hours(24 * 1000)}));
}

TEST(LocalRun, AFileThatGoesBeforeItsUnitBeginsFailsThatUnit) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("inputs-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  InputFiles files;
  for (const char* name : {"a", "b"}) {
    files.paths.push_back(folder / name);
    std::ofstream(files.paths.back()) << "of " << name;
  }
  std::promise<void> removed;
  const std::shared_future<void> is_removed = removed.get_future().share();
  const Kernel<Nothing, Bytes, std::uint64_t> bytes_of{"bytes",
                                                       [&](const Nothing&, const Bytes& file) {
                                                         is_removed.wait();
                                                         return std::uint64_t{file.size()};
                                                       }};
  Session session = local(1);
  auto job = session.map(bytes_of, {}, files);
  std::filesystem::remove(files.paths[1]);
  removed.set_value();
  unsigned failed = 0;
  for (const auto& result : job.in_order()) {
    if (result.ok()) {
      EXPECT_EQ(result.value(), 4U);
    } else {
      ++failed;
      EXPECT_EQ(result.unit(), 1U);
      EXPECT_EQ(result.failure().kind, FailureReason::kRefused);
      EXPECT_THAT(result.failure().message, testing::HasSubstr("cannot be read any more"));
    }
  }
  EXPECT_EQ(failed, 1U);
  std::filesystem::remove_all(folder);
}

TEST(LocalRun, AJobWithoutUnitsHasNoResults) {
  Session session = local();
  auto job = session.map(kShout, {}, {});
  for (const auto& result : job.results()) ADD_FAILURE() << result.unit();
  EXPECT_TRUE(job.progress().done());
}

}  // namespace
}  // namespace shoal
