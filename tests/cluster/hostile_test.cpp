// Real processes under attack, while an honest job runs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <sstream>

#include "node/link/descriptor.h"
#include "node/protocol/sanitized.h"
#include "node/protocol/ticket.h"
#include "tests/cluster/attacks.h"
#include "tests/cluster/cluster.h"
#include "tests/cluster/mersenne.h"

namespace shoal::cluster {
namespace {

// What a node under all attacks at once may take: a flood that is not bounded takes a gigabyte a
// second.
constexpr std::uint64_t kMemoryMax = 384ULL << 20;

// In a process of its own, since libzmq ends the one that is cut off in the middle of a message of
// several parts (an assertion in session_base.cpp), and here that is the attacker.
void attack_apart(const Attack& attack, const Victim& on) {
  const pid_t attacker = ::fork();
  ASSERT_GE(attacker, 0);
  if (attacker == 0) {
    attack(on);
    ::_exit(0);
  }
  ASSERT_EQ(::waitpid(attacker, nullptr, 0), attacker);
}

class HostileTest : public ::testing::Test {
 protected:
  HostileTest() { raise_descriptor_limit(8192); }

  Victim victim(const Process& process) const {
    // "ready NODE tcp://HOST:PORT" or the other way round.
    std::istringstream words(process.out());
    std::string ready, first, second;
    words >> ready >> first >> second;
    if (first.starts_with("tcp://")) std::swap(first, second);
    Victim victim;
    victim.node = *id_from_hex<NodeId>(first);
    victim.pool = parse_ticket(cluster_.ticket(), Ed25519Checker())->pool;
    victim.port = static_cast<std::uint16_t>(std::stoul(second.substr(second.rfind(':') + 1)));
    return victim;
  }
  static void expect_memory_within_limits(const Process& process, const std::string& name) {
    const std::uint64_t peak = peak_memory_of(process.pid());
    std::printf("%s had %llu MiB at most\n", name.c_str(),
                static_cast<unsigned long long>(peak >> 20));
    EXPECT_GT(peak, 0U) << name << " is gone";
    EXPECT_TRUE(kSanitized || peak < kMemoryMax) << name;
  }

  Cluster cluster_;
};

TEST_F(HostileTest, ACoordinatorAndAWorkerUnderAllAttacksAtOnceServeTheOthers) {
  Process& coordinator = cluster_.start_coordinator();
  for (const char* name : {"worker-1", "worker-2", "worker-3"}) cluster_.start_worker(name);
  cluster_.await_workers(3);
  Mersenne job(cluster_.folder(), 4001, 6000);
  const auto submit = cluster_.start(job.submission());
  ASSERT_TRUE(submit->await_out(has_lines(1))) << submit->err();

  std::vector<std::future<bool>> attacks;
  for (const Victim& on : {victim(coordinator), victim(cluster_.worker("worker-1"))}) {
    for (const Attack& attack : all_attacks()) {
      attacks.push_back(std::async(std::launch::async, [attack, on] { return attack(on); }));
    }
  }
  for (std::size_t i = 0; i < attacks.size(); ++i) {
    EXPECT_TRUE(attacks[i].get()) << "attack " << i % all_attacks().size() << " on "
                                  << (i < all_attacks().size() ? "the coordinator" : "the worker");
  }
  EXPECT_EQ(submit->exit_code(), 0) << submit->err();
  job.expect_right(submit->out());

  expect_memory_within_limits(coordinator, "the coordinator");
  expect_memory_within_limits(cluster_.worker("worker-1"), "the worker");
  cluster_.await_workers(3);
  cluster_.start_worker("worker-4");
  cluster_.await_workers(4);
  Mersenne another(cluster_.folder(), 1000, 1100);
  const auto after = cluster_.run(another.submission());
  EXPECT_EQ(after.exit_code, 0) << after.err;
  another.expect_right(after.out);
  for (Process* process : {&coordinator, &cluster_.worker("worker-1")}) {
    process->signal(SIGTERM);
    EXPECT_EQ(process->exit_code(), 0) << process->err();
  }
}

TEST_F(HostileTest, ACoordinatorWithFewDescriptorsDoesNotRunOutOfThem) {
  const std::filesystem::path state = cluster_.folder() / "pool";
  Process coordinator(
      Line{"/bin/sh", "-c", "ulimit -n 400; exec \"$@\"", "sh", program("shoal").string(),
           "coordinator", "--state", state.string(), "--listen", cluster_.endpoint()},
      cluster_.environment());
  ASSERT_TRUE(coordinator.await_out(has_lines(1))) << coordinator.err();
  const Victim on = victim(coordinator);
  // More than it may have descriptors.
  std::vector<std::future<bool>> holding;
  for (int i = 0; i < 2; ++i) {
    holding.push_back(std::async(std::launch::async, [&] { return open_and_say_nothing(on); }));
  }
  cluster_.start_worker("worker-1");
  cluster_.await_workers(1);
  for (auto& held : holding) EXPECT_TRUE(held.get());
  cluster_.start_worker("worker-2");
  cluster_.await_workers(2);
  coordinator.signal(SIGUSR1);
  ASSERT_TRUE(coordinator.await_err(has_lines(1)));
  const auto figures = json_lines(coordinator.err()).back();
  // Not the system has turned them away, but the coordinator itself.
  EXPECT_GT(figures["link_refused"], 200) << figures;
  coordinator.signal(SIGTERM);
  EXPECT_EQ(coordinator.exit_code(), 0) << coordinator.err();
}

// A message that gets no memory costs its connection. Where it is something that libzmq cannot do
// without, the process ends, rather than the machine, and its parent brings it back.
TEST_F(HostileTest, ACoordinatorAtItsLimitOfMemoryGoesOnOrComesBack) {
  if (kSanitized) GTEST_SKIP() << "under a sanitizer there is no limit on memory";
  const auto parent =
      cluster_.start({"coordinator", "--supervise", "--memory-limit", "48M", "--state",
                      (cluster_.folder() / "pool").string(), "--listen", cluster_.endpoint()});
  ASSERT_TRUE(parent->await_out(has_lines(1))) << parent->err();
  const Victim on = victim(*parent);
  // Whether it ends well depends on which of the two it is.
  for (int round = 0; round < 3; ++round) attack_apart(messages_without_an_end, on);
  // It may still die of the first who come, and is back when they come again.
  bool answered = false;
  for (int i = 0; i < 10 && !answered; ++i) {
    answered = has_text("The coordinator answers")(cluster_.run({"worker", "list"}).err);
  }
  EXPECT_TRUE(answered) << parent->err();
  const auto children = Cluster::executors_of(*parent);
  ASSERT_EQ(children.size(), 1U) << parent->err();
  // The limit, and what is read from the program's own file.
  const std::uint64_t peak = peak_memory_of(children.front());
  EXPECT_GT(peak, 0U);
  EXPECT_LT(peak, 64ULL << 20);
}

}  // namespace
}  // namespace shoal::cluster
