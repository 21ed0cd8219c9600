// Contents of jobs on real disks: those who hold them die by SIGKILL, and others come to hold them
// instead; nobody misses a byte.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "tests/cluster/cluster.h"
#include "tests/cluster/mersenne.h"

namespace shoal::cluster {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// Who is away is waited for longer than half a minute, before another copy is made.
constexpr std::chrono::minutes kCopiesPatience{4};

class CopiesTest : public ::testing::Test {
 protected:
  void start_pool(std::size_t workers) {
    cluster_.start_coordinator();
    for (std::size_t i = 1; i <= workers; ++i) {
      living_.insert("worker-" + std::to_string(i));
      cluster_.start_worker("worker-" + std::to_string(i));
    }
    cluster_.await_workers(workers);
  }
  void kill(const std::string& worker) {
    cluster_.kill_worker(worker);
    living_.erase(worker);
  }
  // Whole contents on a worker's disk, by their names.
  std::set<std::string> held_by(const std::string& worker) const {
    std::set<std::string> names;
    std::error_code gone;  // files come and go meanwhile
    fs::recursive_directory_iterator it(cluster_.state_of(worker) / "content", gone), end;
    for (; !gone && it != end; it.increment(gone)) {
      const std::string name = it->path().filename().string();
      if (name.size() == 64 && name.find('.') == std::string::npos) names.insert(name);
    }
    return names;
  }
  std::size_t copies(const std::string& content) const {
    return static_cast<std::size_t>(std::count_if(
        living_.begin(), living_.end(),
        [&](const std::string& worker) { return held_by(worker).contains(content); }));
  }
  std::size_t fewest_copies(const std::set<std::string>& contents) const {
    std::size_t fewest = living_.size();
    for (const std::string& content : contents) fewest = std::min(fewest, copies(content));
    return fewest;
  }
  // Asks how the job is, again and again, until that is so on the disks.
  bool await(const std::string& job, const std::function<bool(const nlohmann::json&)>& holds) {
    const auto deadline = std::chrono::steady_clock::now() + kCopiesPatience;
    while (std::chrono::steady_clock::now() < deadline) {
      const auto shown =
          nlohmann::json::parse(cluster_.run({"job", "show", job, "--json"}).out, nullptr, false);
      if (!shown.is_discarded() && holds(shown)) return true;
    }
    return false;
  }
  std::string holder_of(const std::string& content) const {
    for (const std::string& worker : living_) {
      if (held_by(worker).contains(content)) return worker;
    }
    ADD_FAILURE() << "nobody holds " << content;
    return *living_.begin();
  }

  Cluster cluster_;
  std::set<std::string> living_;
};

TEST_F(CopiesTest, LargeResultsOutliveTheirHoldersWhileTheirSubmitterIsAway) {
  start_pool(5);
  const Line picture{
      "submit",  "--kernel", "mandelbrot", "--params", R"({"pixels_x": 256, "pixels_y": 192})",
      "--units", "12",       "--json"};
  const auto with = [&](const Line& more) {
    Line line = picture;
    line.insert(line.end(), more.begin(), more.end());
    return line;
  };
  const auto detached = cluster_.run(with({"--detach", "--keep-for", "30d"}));
  ASSERT_EQ(detached.exit_code, 0) << detached.err;
  const std::string job = json_lines(detached.out)[0]["job"];
  ASSERT_TRUE(await(job, [](const auto& shown) { return shown["state"] == "done"; }));
  const auto shown = cluster_.json({"job", "show", job, "--json"});
  ASSERT_EQ(shown["large_outputs"], 12) << "its results are no contents";
  EXPECT_EQ(shown["keep_s"], 30 * 86'400);

  std::set<std::string> outputs;
  for (const std::string& worker : living_) outputs.merge(held_by(worker));
  ASSERT_GE(outputs.size(), 12U);
  // One after the other, each of which held what another one alone still holds.
  for (int lost = 0; lost < 2; ++lost) {
    kill(holder_of(*outputs.begin()));
    EXPECT_TRUE(await(job, [&](const auto& now) {
      return fewest_copies(outputs) >= 2 && now["thin_outputs"] == 0;
    })) << lost;
  }
  const auto results = cluster_.run({"job", "results", job, "--json"});
  EXPECT_EQ(results.exit_code, 0) << results.err;
  // The same picture, by those who are left.
  const auto again = cluster_.run(picture);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  const auto values = [](const std::string& out) {
    std::map<std::uint64_t, nlohmann::json> all;
    for (const auto& line : json_lines(out)) {
      if (line["type"] == "result") all[line["unit"]] = line["value"];
    }
    return all;
  };
  EXPECT_EQ(values(results.out).size(), 12U);
  EXPECT_EQ(values(results.out), values(again.out));
}

TEST_F(CopiesTest, InputsOutliveAnyTwoOfTheirHolders) {
  start_pool(6);
  const Mersenne job(cluster_.folder(), 4001, 6000);
  const auto detached = cluster_.run(job.submission({"--json", "--detach"}));
  ASSERT_EQ(detached.exit_code, 0) << detached.err;
  const std::string id = json_lines(detached.out)[0]["job"];
  // So that it is far from its end when they die.
  ASSERT_EQ(cluster_.run({"job", "pause", id}).exit_code, 0);
  std::set<std::string> inputs;
  for (const std::string& worker : living_) inputs.merge(held_by(worker));
  ASSERT_EQ(inputs.size(), 1U);
  ASSERT_GE(fewest_copies(inputs), 3U) << "it was acknowledged by three";
  // At one blow, whichever they are.
  for (int lost = 0; lost < 2; ++lost) kill(holder_of(*inputs.begin()));
  ASSERT_TRUE(await(id, [](const auto& now) { return now["state"] == "paused"; }));
  ASSERT_EQ(cluster_.run({"job", "resume", id}).exit_code, 0);
  EXPECT_TRUE(await(id, [&](const auto&) { return fewest_copies(inputs) >= 3; }));
  const auto results = cluster_.run({"job", "results", id, "--json"});
  EXPECT_EQ(results.exit_code, 0) << results.err;
  job.expect_right(results.out);
}

}  // namespace
}  // namespace shoal::cluster
