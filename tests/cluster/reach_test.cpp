// Workers that nobody can dial, on a test network with real routers: what becomes of them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "tests/cluster/cluster.h"
#include "tests/cluster/mersenne.h"
#include "tests/cluster/net/home_gateway.h"
#include "tests/cluster/net/network.h"

namespace shoal::cluster {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr int kJobsMost = 8;
constexpr std::uint16_t kPort = 4300;

class ReachTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!no_own_network().empty()) GTEST_SKIP() << no_own_network();
    network_.emplace(1);
    cluster_.emplace(site_of(network_->add("coordinator", kWire)));
    cluster_->place_submitter(site_of(network_->add("submitter", kWire)));
    place("open", Nat::kNone);
    cluster_->start_coordinator();
    cluster_->start_worker("open");
    cluster_->await_workers(1);
  }
  static Site site_of(const NetNode& node) {
    return {node.space.descriptor(), node.address, kPort};
  }
  const NetNode& place(const std::string& name, Nat nat) {
    const NetNode& node = network_->add(name, kWire, nat);
    cluster_->place_worker(name, site_of(node));
    return node;
  }
  // What `shoal worker list` says of a worker, once `holds` of it; null: it never does.
  template <class Holds>
  nlohmann::json await_seen(const std::string& name, Holds holds) {
    const std::string ready = cluster_->worker(name).out();  // "ready NODE tcp://..."
    const std::string node = ready.substr(6, ready.find(' ', 6) - 6);
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    nlohmann::json last;
    // Each of these waits by itself until the pool has answered.
    while (std::chrono::steady_clock::now() < deadline) {
      const nlohmann::json listed = cluster_->json({"worker", "list", "--json"});
      for (const auto& worker : listed["workers"]) {
        if (worker["node"] != node || worker["status"].is_null()) continue;
        if (holds(worker)) return worker;
        last = worker;
      }
    }
    ADD_FAILURE() << name << " was last seen so: " << last.dump(2) << '\n'
                  << cluster_->worker(name).err();
    return nullptr;
  }
  // The mapping, dialled and found to lead here, is in its record.
  void expect_mapped(const std::string& name, const NetNode& node, const std::string& protocol) {
    const std::string endpoint = "tcp://" + node.public_address + ":" + std::to_string(kPort);
    Process& worker = cluster_->worker(name);
    ASSERT_TRUE(worker.await_err(
        has_text("the router lets others in at " + endpoint + " (" + protocol + ")")))
        << worker.err();
    ASSERT_TRUE(worker.await_err(has_text("others can dial this node"))) << worker.err();
    const auto listed = await_seen(name, [&](const nlohmann::json& seen) {
      return seen["endpoints"][0] == endpoint && seen["path"] == "direct" && seen["relays"].empty();
    });
    ASSERT_FALSE(listed.is_null());
    EXPECT_EQ(listed["status"]["mapped"], endpoint) << listed.dump(2);
    EXPECT_EQ(listed["status"]["reachability"], "reachable") << listed.dump(2);
  }

  static constexpr Wire kWire{.delay = 5ms};
  std::optional<Network> network_;
  std::optional<Cluster> cluster_;
};

TEST_F(ReachTest, ARouterThatSpeaksNatPmpLetsOthersIn) {
  const NetNode& node = place("home", Nat::kPortKeeping);
  const HomeGateway gateway(node, HomeGateway::Speaks::kNatPmp);
  Process& worker = cluster_->start_worker("home");
  ASSERT_NO_FATAL_FAILURE(expect_mapped("home", node, "NAT-PMP"));
  worker.signal(SIGTERM);
  EXPECT_EQ(worker.exit_code(), 0);
  EXPECT_TRUE(gateway.await_no_mapping()) << "what was asked for is taken back";
}

TEST_F(ReachTest, ARouterThatSpeaksUpnpLetsOthersIn) {
  const NetNode& node = place("home", Nat::kFullyRandom);
  const HomeGateway gateway(node, HomeGateway::Speaks::kUpnp, {.only_permanent = true});
  Process& worker = cluster_->start_worker("home");
  ASSERT_NO_FATAL_FAILURE(expect_mapped("home", node, "UPnP"));
  worker.signal(SIGTERM);
  EXPECT_EQ(worker.exit_code(), 0);
  EXPECT_TRUE(gateway.await_no_mapping()) << "what was asked for is taken back";
}

TEST_F(ReachTest, AMappingIsRenewedBeforeItRunsOut) {
  const NetNode& node = place("home", Nat::kPortKeeping);
  const HomeGateway gateway(node, HomeGateway::Speaks::kNatPmp, {.lifetime_s = 2});
  cluster_->start_worker("home");
  EXPECT_TRUE(gateway.await_asked(3));
}

TEST_F(ReachTest, NobodyIsAskedWhereTheOwnerDoesNotWantIt) {
  const NetNode& node = place("home", Nat::kPortKeeping);
  const HomeGateway gateway(node, HomeGateway::Speaks::kNatPmp);
  Process& worker = cluster_->start_worker("home", {"--port-mapping", "off"});
  ASSERT_TRUE(worker.await_err(has_text("its relays: "))) << worker.err();
  EXPECT_TRUE(gateway.mappings().empty());
}

// No word of farewell and no end of a connection: nothing comes any more. That is the longest that
// a volunteer's machine which lost its power is taken for one that computes.
TEST_F(ReachTest, AMachineThatVanishesWithoutAWordIsMissedSoon) {
  constexpr std::chrono::seconds kSoon{40};  // a lease lasts a minute
  place("near", Nat::kNone);
  Process& near = cluster_->start_worker("near", {"--log-level", "debug"});
  const std::string ready = cluster_->worker("open").out();  // "ready NODE tcp://..."
  const std::string open = ready.substr(6, 8);
  ASSERT_TRUE(near.await_err(has_text("link to " + open))) << near.err();
  network_->cut("open", "near");
  EXPECT_TRUE(near.await_err(has_text("no link to " + open), kSoon)) << near.err();
}

// The one that can be dialled keeps the job with them, and computes nothing.
TEST_F(ReachTest, AJobOfTwoBehindRoutersThatKeepPortsEndsOverAPunchedLink) {
  for (const char* name : {"home-1", "home-2"}) {
    place(name, Nat::kPortKeeping);
    Process& worker = cluster_->start_worker(name, {"--log-level", "debug"});
    ASSERT_TRUE(worker.await_err(has_text("its relays: "))) << worker.err();
  }
  cluster_->await_workers(3);
  const auto paused =
      cluster_->run({"worker", "pause", "--state", cluster_->state_of("open").string()});
  ASSERT_EQ(paused.exit_code, 0) << paused.err;
  // They need each other only where one of them has run dry and takes from the other, which is
  // chance in any one job.
  const auto punched = [&] {
    std::size_t ends = 0;
    const nlohmann::json listed = cluster_->json({"worker", "list", "--json"});
    for (const auto& worker : listed["workers"]) {
      if (worker["status"].is_null()) continue;
      const auto& links = worker["status"]["links"];
      if (links["punched"] == 1 && links["relayed"] == 0) ++ends;
    }
    return ends == 2;
  };
  for (int jobs = 0; jobs < kJobsMost && !punched(); ++jobs) {
    const Mersenne job(cluster_->folder(), 1001, 2000);
    const auto submit = cluster_->start(job.submission());
    EXPECT_EQ(submit->exit_code(), 0)
        << submit->err() << cluster_->run({"job", "list"}).out << cluster_->worker("home-1").err()
        << cluster_->worker("home-2").err();
    job.expect_right(submit->out());
  }
  for (const char* name : {"home-1", "home-2"}) {
    await_seen(name, [](const nlohmann::json& seen) {
      return seen["status"]["links"]["punched"] == 1 && seen["status"]["links"]["relayed"] == 0 &&
             seen["status"]["units_computed"] > 0;
    });
  }
  EXPECT_THAT(cluster_->run({"doctor"}).out, HasSubstr("2 ends are punched"));
}

// Its relay asks it to dial a submitter that can be dialled, and passes on what it and another say.
TEST_F(ReachTest, HowAWorkerBehindARouterIsReachedIsSaidToWhoeverAsks) {
  place("home", Nat::kFullyRandom);
  Process& home = cluster_->start_worker("home");
  ASSERT_TRUE(home.await_err(has_text("its relays: "))) << home.err();
  const auto expect_path = [&](const std::string& path) {
    const auto seen =
        await_seen("home", [&](const nlohmann::json& worker) { return worker["path"] == path; });
    ASSERT_FALSE(seen.is_null());
    EXPECT_THAT(cluster_->run({"worker", "list"}).out, HasSubstr("  " + path + "  "));
    EXPECT_THAT(
        cluster_->run({"doctor"}).out,
        HasSubstr("1 direct, 1 " + path + " from here; 1 cannot be dialled and have relays"));
  };
  expect_path("reversed");
  cluster_->place_submitter(site_of(network_->add("desk", kWire, Nat::kFullyRandom)));
  expect_path("relayed");
}

// The one that can be dialled keeps the job, and computes nothing: what they hold has to go by it.
TEST_F(ReachTest, LargeResultsComeFromBehindRoutersThroughWhichNothingIsPunched) {
  cluster_->place_submitter(site_of(network_->add("desk", kWire, Nat::kFullyRandom)));
  for (const char* name : {"home-1", "home-2"}) {
    place(name, Nat::kFullyRandom);
    Process& worker = cluster_->start_worker(name);
    ASSERT_TRUE(worker.await_err(has_text("its relays: "))) << worker.err();
  }
  cluster_->await_workers(3);
  const auto paused =
      cluster_->run({"worker", "pause", "--state", cluster_->state_of("open").string()});
  ASSERT_EQ(paused.exit_code, 0) << paused.err;
  const auto submit =
      cluster_->run({"submit", "--kernel", "mandelbrot", "--params",
                     R"({"pixels_x": 256, "pixels_y": 192})", "--units", "12", "--json"});
  EXPECT_EQ(submit.exit_code, 0) << submit.err;
  std::size_t results = 0;
  for (const auto& line : json_lines(submit.out)) {
    if (line["type"] != "result") continue;
    EXPECT_EQ(line["ok"], true) << line.dump().substr(0, 400);
    ++results;
  }
  EXPECT_EQ(results, 12U);
}

// Who wants the content can be dialled, and who has it cannot: it is asked through its relay to
// dial.
TEST_F(ReachTest, AContentOfOneThatNobodyCanDialComesOverALinkThatWasReversed) {
  const std::filesystem::path file = cluster_->folder() / "data";
  const std::filesystem::path copy = cluster_->folder() / "copy";
  std::string bytes;
  for (int i = 0; bytes.size() < 5'000'000; ++i) bytes += std::to_string(i);
  std::ofstream(file) << bytes;
  const auto put = cluster_->start({"put", file.string(), "--serve"});
  ASSERT_TRUE(put->await_out(has_text("\n"))) << put->err();
  const std::string name = put->out().substr(0, put->out().find('\n'));
  place("home", Nat::kFullyRandom);
  // So slowly that it can be looked at meanwhile.
  Process& home = cluster_->start_worker("home", {"--pin", name, "--upload-rate", "300K"});
  ASSERT_TRUE(home.await_err(has_text("is pinned here"))) << home.err();
  ASSERT_TRUE(home.await_err(has_text("its relays: "))) << home.err();
  put->signal(SIGINT);
  ASSERT_EQ(put->exit_code(), 0) << put->err();
  const auto links_reversed = [&](int count) {
    await_seen("home", [&](const nlohmann::json& seen) {
      const auto& links = seen["status"]["links"];
      return links["reversed"] == count && links["relayed"] == 0;
    });
  };
  links_reversed(1);  // by who asks this
  const auto get = cluster_->start({"get", name, "-o", copy.string(), "--wait", "1m"},
                                   {{"XDG_STATE_HOME", (cluster_->folder() / "bob").string()}});
  links_reversed(2);
  ASSERT_EQ(get->exit_code(), 0) << get->err();
  std::ostringstream got;
  got << std::ifstream(copy).rdbuf();
  EXPECT_TRUE(got.str() == bytes);
}

}  // namespace
}  // namespace shoal::cluster
