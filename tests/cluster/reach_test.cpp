// Workers that nobody can dial, on a test network with real routers: what becomes of them.

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "tests/cluster/cluster.h"
#include "tests/cluster/mersenne.h"
#include "tests/cluster/net/home_gateway.h"
#include "tests/cluster/net/network.h"

namespace shoal::cluster {
namespace {

using namespace std::chrono_literals;

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
  static constexpr Wire kWire{.delay = 5ms};
  std::optional<Network> network_;
  std::optional<Cluster> cluster_;
};

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

}  // namespace
}  // namespace shoal::cluster
