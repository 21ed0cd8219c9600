// What a worker takes from whom is its donor's, and what its machine cannot hold it does not take.
// Whatever it does not compute it says, with the reason.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "node/state/key_file.h"
#include "tests/cluster/cluster.h"
#include "tests/cluster/computed.h"
#include "tests/cluster/mersenne.h"
#include "tests/unit/node/wasm/modules.h"

namespace shoal::cluster {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Units of it end well, with nothing in them.
const Bytes kNothing{0x41, 0};

class DonorsTest : public ::testing::Test {
 protected:
  void SetUp() override { cluster_.start_coordinator(); }

  // The submitter's, before he submits anything.
  std::string key() const {
    fs::create_directories(submitter_state());
    const auto loaded = load_or_create_key(submitter_state() / "submitter.key");
    EXPECT_TRUE(loaded) << loaded.error().what;
    return loaded ? to_hex(loaded->key.id()) : std::string();
  }
  fs::path submitter_state() const { return cluster_.folder() / "state/shoal"; }
  // Somebody else's account, whom nobody trusts.
  Variables stranger() const {
    return {{"XDG_STATE_HOME", (cluster_.folder() / "stranger").string()}};
  }
  // What the worker has said of itself by the time that it is ready.
  std::string first_words(const std::string& name) const {
    Process& worker = cluster_.worker(name);
    EXPECT_TRUE(worker.await_err(has_text("of pool 'garden'"))) << worker.err();
    return worker.err();
  }
  std::string write(const std::string& name, const Bytes& module) const {
    const auto path = cluster_.folder() / name;
    std::ofstream(path, std::ios::binary) << as_text(module);
    return path.string();
  }
  // A module whose every unit ends well.
  Line module_job(const Line& more = {}) const {
    Line line{"submit", "--module", write("nothing.wasm", with_unit(kNothing).bytes()), "--units",
              "4"};
    line.insert(line.end(), more.begin(), more.end());
    return line;
  }
  static Line program_job(const Line& more = {}) {
    Line line{"submit", "--array", "1-3"};
    line.insert(line.end(), more.begin(), more.end());
    line.insert(line.end(), {"--", "echo", "number", "{}"});
    return line;
  }
  std::uint64_t computed_by(const std::string& name) const {
    return cluster::computed_by(cluster_, name);
  }
  // Leaves the job to the pool, and waits until `shoal job explain` says so of it.
  void expect_explained(Line submission, const std::string& why) const {
    submission.insert(submission.begin() + 1, {"--detach", "--wait-for-quorum"});
    const auto detached = cluster_.run(submission);
    ASSERT_EQ(detached.exit_code, 0) << detached.err;
    const std::string id = detached.out.substr(0, detached.out.find('\n'));
    std::string said;
    EXPECT_TRUE(comes_true([&] {
      said = cluster_.run({"job", "explain", id}).out;
      return said.find(why) != std::string::npos;
    })) << said;
    EXPECT_EQ(cluster_.run({"job", "cancel", id}).exit_code, 0);
  }

  Cluster cluster_;
};

TEST_F(DonorsTest, WorkersWithTheSameOwnersKeyAreKnownToBeOnes) {
  const std::string file = (cluster_.folder() / "owner.key").string();
  cluster_.start_worker("ann", {"--owner-key", file});
  EXPECT_THAT(first_words("ann"), HasSubstr("copy it to your other machines"));
  cluster_.start_worker("ben", {"--owner-key", file});
  cluster_.start_worker("cid");
  cluster_.await_workers(3);
  const auto key = load_key(file);
  ASSERT_TRUE(key) << key.error().what;
  const auto seen = cluster_.json({"worker", "list", "--json"})["workers"];
  ASSERT_EQ(seen.size(), 3U);
  for (const auto& worker : seen) {
    const bool cids =
        cluster_.worker("cid").out().find(worker["node"].get<std::string>()) != std::string::npos;
    EXPECT_EQ(worker["owner"], cids ? nlohmann::json() : nlohmann::json(to_hex(key->id())));
  }

  fs::permissions(file, fs::perms::others_read, fs::perm_options::add);
  const auto refused = cluster_.run({"worker", "--state", cluster_.state_of("dan").string(),
                                     "--listen", "tcp://127.0.0.1:0", "--owner-key", file});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("--owner-key"), HasSubstr("owner.key")));
}

TEST_F(DonorsTest, AKindThatTheOwnerDeclinesIsComputedByOthersAlone) {
  cluster_.start_worker("ann", {"--kinds", "shipped", "--trust", key()});
  cluster_.start_worker("ben", {"--trust", key()});
  cluster_.await_workers(2);
  EXPECT_THAT(first_words("ann"),
              AllOf(HasSubstr("declined by the owner (--kinds): native, wasm, program"),
                    Not(HasSubstr("takes no "))));

  const auto module = cluster_.run(module_job({"--quorum", "1", "--json"}));
  EXPECT_EQ(module.exit_code, 0) << module.out << module.err;
  const auto programs = cluster_.run(program_job({"--quorum", "1"}));
  EXPECT_EQ(programs.exit_code, 0) << programs.err;
  EXPECT_EQ(programs.out, "number 1\nnumber 2\nnumber 3\n");
  EXPECT_EQ(computed_by("ann"), 0U);
  EXPECT_GE(computed_by("ben"), 7U);

  // Of modules its record says it, so that nobody waits for it.
  const auto alone = cluster_.run(module_job({"--quorum", "2"}));
  EXPECT_EQ(alone.exit_code, 1);
  EXPECT_THAT(alone.err, HasSubstr("the pool has 1 worker for it"));
  expect_explained(program_job(), "1 worker declines: its owner takes no programs (--kinds)");
  EXPECT_THAT(cluster_.run({"worker", "list"}).out, HasSubstr("; takes no WebAssembly"));
  EXPECT_THAT(cluster_.run({"doctor"}).out,
              HasSubstr("2 of 2 workers take those that ship, 1 of 2 WebAssembly"));

  // Both compute what both take.
  const Mersenne shipped(cluster_.folder(), 100, 300);
  const auto both = cluster_.run(shipped.submission({"--quorum", "2"}));
  EXPECT_EQ(both.exit_code, 0) << both.err;
  shipped.expect_right(both.out);
  EXPECT_GT(computed_by("ann"), 0U);
}

TEST_F(DonorsTest, ProgramsAndNativeCodeRunForWhomTheOwnerTrustsAndForNobodyElse) {
  cluster_.start_worker("ann", {"--trust", key()});
  cluster_.start_worker("ben");
  cluster_.await_workers(2);
  const auto trusted = cluster_.run(program_job({"--quorum", "1"}));
  EXPECT_EQ(trusted.exit_code, 0) << trusted.err;
  EXPECT_EQ(trusted.out, "number 1\nnumber 2\nnumber 3\n");
  const Line native{program("interrupted").string(), "3", "0", "1"};
  const auto walked = cluster_.run_command(native);
  EXPECT_EQ(walked.exit_code, 0) << walked.err;
  EXPECT_EQ(count_lines(walked.out), 3U) << walked.out;
  EXPECT_GE(computed_by("ann"), 6U);
  EXPECT_EQ(computed_by("ben"), 0U);
  expect_explained(program_job(), "1 worker declines: it runs a program, and submitter " + key() +
                                      " is not trusted here (--trust)");

  const std::uint64_t before = computed_by("ann");
  const auto refused = [&](const Cluster::Ended& ended) {
    EXPECT_NE(ended.exit_code, 0) << ended.out;
    EXPECT_THAT(ended.err, AllOf(HasSubstr("none trusts this submitter"), HasSubstr("--trust ")));
    EXPECT_THAT(ended.err, Not(HasSubstr(key()))) << "that key is trusted";
  };
  refused(cluster_.run(program_job({"--quorum", "1"}), stranger()));
  refused(cluster_.run_command(native, stranger()));
  EXPECT_EQ(computed_by("ann"), before);
  // What needs no trust runs for him all the same.
  const auto module = cluster_.run(module_job({"--quorum", "2"}), stranger());
  EXPECT_EQ(module.exit_code, 0) << module.err;
}

// As on machines whose owners forbid user namespaces: what follows runs as an ordinary user, in a
// user namespace that may have none below it. What happens there stays there.
Line without_namespaces() {
  return {"/usr/bin/unshare",
          "--user",
          "--map-current-user",
          "--keep-caps",
          "/bin/sh",
          "-c",
          "echo 0 >/proc/sys/user/max_user_namespaces && "
          "exec setpriv --inh-caps=-all --ambient-caps=-all \"$@\"",
          "sh"};
}

TEST_F(DonorsTest, AMachineWithoutUserNamespacesTakesModulesAndSaysWhyItTakesNoPrograms) {
  Line as_user;
  if (::geteuid() == 0) {
    as_user = {"/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"};
  }
  const auto there = [&](const Line& command) {
    Line line = as_user;
    const Line around = without_namespaces();
    line.insert(line.end(), around.begin(), around.end());
    line.insert(line.end(), command.begin(), command.end());
    return cluster_.run_command(line, {{"XDG_STATE_HOME", (cluster_.folder() / "lab").string()}});
  };
  if (there({"/bin/true"}).exit_code != 0) GTEST_SKIP() << "no user namespace can be made here";
  const std::string report = there({program("shoal-sandbox").string(), "--probe"}).out;
  if (report.find("landlock: 0") != std::string::npos) GTEST_SKIP() << "there is no Landlock here";

  cluster_.place_worker("lab", {.ordinary_user = true, .around = without_namespaces()});
  cluster_.start_worker("lab", {"--trust", key()});
  cluster_.await_workers(1);
  const std::string why = "the sandbox has no namespaces here: ";
  EXPECT_THAT(first_words("lab"), AllOf(HasSubstr("takes no programs: " + why),
                                        HasSubstr("user.max_user_namespaces is 0")));
  const auto module = cluster_.run(module_job({"--quorum", "1"}));
  EXPECT_EQ(module.exit_code, 0) << module.err;
  EXPECT_GE(computed_by("lab"), 4U);
  expect_explained(program_job({"--quorum", "1"}), "1 worker declines: " + why);
  const std::string doctor = there({program("shoal").string(), "doctor"}).out;
  EXPECT_THAT(doctor, AllOf(HasSubstr("user.max_user_namespaces is 0"),
                            HasSubstr("WebAssembly and the kernels that ship with Shoal alone"),
                            HasSubstr("no programs")));

  // An owner who declines what the machine cannot hold is not warned of it.
  cluster_.start_worker("lab", {"--kinds", "wasm"});
  EXPECT_THAT(first_words("lab"), Not(HasSubstr("takes no ")));
  const auto again = cluster_.run(module_job({"--quorum", "1"}));
  EXPECT_EQ(again.exit_code, 0) << again.err;
}

}  // namespace
}  // namespace shoal::cluster
