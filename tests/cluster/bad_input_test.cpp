// What people do wrong, and what they are told.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "node/protocol/keys.h"
#include "node/protocol/ticket.h"
#include "tests/cluster/cluster.h"
#include "tests/cluster/mersenne.h"

namespace shoal::cluster {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const Line kSmallJob{"submit", "--kernel", "mandelbrot", "--units", "4"};

Line small_job(const Line& more) {
  Line line = kSmallJob;
  line.insert(line.end(), more.begin(), more.end());
  return line;
}

class BadInputTest : public ::testing::Test {
 protected:
  // How to get a mount namespace of one's own; nothing where this machine allows none.
  std::optional<Line> mount_namespace() const {
    for (const Line& way : {Line{"/usr/bin/unshare", "--user", "--map-root-user", "--mount"},
                            Line{"/usr/bin/unshare", "--mount"}}) {
      Line probe = way;
      probe.insert(probe.end(), {"/bin/sh", "-c", "mount -t tmpfs none /mnt"});
      if (cluster_.run_command(probe).exit_code == 0) return way;
    }
    return std::nullopt;
  }
  // `shoal ARGUMENTS...` where `folder` is a file system of its own, mounted with `options`.
  Cluster::Ended run_on(const Line& way, const std::filesystem::path& folder,
                        const std::string& options, const Line& arguments) const {
    Line command = way;
    command.insert(command.end(),
                   {"/bin/sh", "-c",
                    "folder=$1; options=$2; shift 2; mount -t tmpfs -o \"$options\" none "
                    "\"$folder\" && exec \"$@\"",
                    "sh", folder.string(), options, program("shoal").string()});
    command.insert(command.end(), arguments.begin(), arguments.end());
    return cluster_.run_command(command);
  }

  Cluster cluster_;
};

TEST_F(BadInputTest, AMistypedTicketIsUsage) {
  std::string mistyped = cluster_.ticket();
  mistyped[30] = mistyped[30] == 'A' ? 'B' : 'A';
  const auto ended = cluster_.run(small_job({"--ticket", mistyped}));
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("--ticket"),
                               HasSubstr(parse_ticket(mistyped, Ed25519Checker()).error().what)));
  EXPECT_EQ(ended.out, "");
}

TEST_F(BadInputTest, ATicketThatWasCutOffIsUsage) {
  const std::string cut = cluster_.ticket().substr(0, cluster_.ticket().size() / 2);
  const auto ended = cluster_.run({"worker", "list", "--ticket", cut});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr(parse_ticket(cut, Ed25519Checker()).error().what));
}

TEST_F(BadInputTest, WithoutATicketItIsSaidWhereOneComesFrom) {
  const auto ended = cluster_.run(kSmallJob, {{"SHOAL_TICKET", ""}});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("--ticket"), HasSubstr("shoal pool init")));
}

TEST_F(BadInputTest, ATicketOfAnotherPoolIsRefusedByTheCoordinator) {
  cluster_.start_coordinator();
  // The right door, but the pool behind it is not the one that this ticket is of.
  Ticket ticket = *parse_ticket(cluster_.ticket(), Ed25519Checker());
  std::array<std::uint8_t, KeyPair::kSeedBytes> seed{};
  seed.fill(9);
  const KeyPair other(seed);
  ticket.pool.bytes = other.id().bytes;
  const auto ended = cluster_.run(small_job({"--ticket", print_ticket(ticket, other)}));
  EXPECT_EQ(ended.exit_code, 4);
  EXPECT_THAT(ended.err, HasSubstr("another pool"));
}

TEST_F(BadInputTest, ACoordinatorThatIsAwayIsNamed) {
  const auto submit = cluster_.run(kSmallJob);
  EXPECT_EQ(submit.exit_code, 4);
  EXPECT_THAT(submit.err, HasSubstr(cluster_.endpoint()));
  const auto doctor = cluster_.run({"doctor"});
  EXPECT_EQ(doctor.exit_code, 4);
  const std::string last = doctor.out.substr(doctor.out.rfind('\n', doctor.out.size() - 2) + 1);
  EXPECT_THAT(last, AllOf(HasSubstr("Most likely"), HasSubstr("shoal coordinator")));
}

TEST_F(BadInputTest, APoolWithoutWorkersIsSaid) {
  cluster_.start_coordinator();
  const auto submit = cluster_.run(kSmallJob);
  EXPECT_EQ(submit.exit_code, 4);
  EXPECT_THAT(submit.err, HasSubstr("shoal worker"));
  const auto doctor = cluster_.run({"doctor"});
  EXPECT_THAT(doctor.out, HasSubstr("no worker has joined the pool"));
}

TEST_F(BadInputTest, AnEngineThatCannotBeStartedIsSaidByTheDoctor) {
  EXPECT_THAT(cluster_.run({"doctor"}).out, HasSubstr("by V8"));
  const auto folder = cluster_.folder() / "bin";
  std::filesystem::create_directory(folder);
  for (const char* name : {"shoal", "shoal-worker", "shoal-wasm-executor"}) {
    std::filesystem::copy_file(program(name), folder / name);
  }
  std::filesystem::resize_file(folder / "shoal-wasm-executor", 4096);
  const auto doctor = cluster_.run_command({(folder / "shoal").string(), "doctor"});
  EXPECT_THAT(doctor.out, HasSubstr("a worker here takes none: shoal-wasm-executor cannot be"));
}

TEST_F(BadInputTest, AnUnknownKernelIsAnsweredWithTheNamesThatThereAre) {
  cluster_.start_coordinator();
  cluster_.start_worker("worker-1");
  cluster_.start_worker("worker-2");
  cluster_.await_workers(2);
  const auto ended = cluster_.run({"submit", "--kernel", "mandelbrod", "--units", "4"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err,
              AllOf(HasSubstr("mandelbrod"), HasSubstr("mandelbrot"), HasSubstr("ising")));
}

TEST_F(BadInputTest, ParametersThatTheKernelDoesNotTakeFailEveryUnit) {
  cluster_.start_coordinator();
  cluster_.start_worker("worker-1");
  cluster_.start_worker("worker-2");
  cluster_.await_workers(2);
  const auto ended = cluster_.run(small_job({"--params", R"({"pixels_z": 3})"}));
  EXPECT_EQ(ended.exit_code, 1);
  const auto lines = json_lines(ended.out);
  ASSERT_EQ(lines.size(), 4U) << ended.err;
  EXPECT_EQ(lines[0]["ok"], false);
  EXPECT_THAT(lines[0]["error"]["message"].get<std::string>(), HasSubstr("pixels_z"));
}

TEST_F(BadInputTest, AQuorumLargerThanThePoolIsSaidAtOnceOrWaitedFor) {
  cluster_.start_coordinator();
  cluster_.start_worker("worker-1");
  cluster_.await_workers(1);
  const auto refused = cluster_.run(kSmallJob);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("2 workers agree"), HasSubstr("--wait-for-quorum")));

  const auto waiting = cluster_.start(small_job({"--wait-for-quorum"}));
  ASSERT_TRUE(waiting->await_err(has_text("Waiting for workers"))) << waiting->err();
  cluster_.start_worker("worker-2");
  EXPECT_EQ(waiting->exit_code(), 0) << waiting->err();
  EXPECT_EQ(count_lines(waiting->out()), 4U);
}

TEST_F(BadInputTest, ResultsOfAnUnknownJobAreRefused) {
  cluster_.start_coordinator();
  const auto prefix = cluster_.run({"job", "results", "abcd1234"});
  EXPECT_EQ(prefix.exit_code, 1);
  EXPECT_THAT(prefix.err, AllOf(HasSubstr("abcd1234"), HasSubstr("shoal job list")));
  const auto whole = cluster_.run({"job", "results", std::string(64, 'a')});
  EXPECT_EQ(whole.exit_code, 1);
  EXPECT_THAT(whole.err, HasSubstr("shoal job list"));
  const auto none = cluster_.run({"job", "results", "abc"});
  EXPECT_EQ(none.exit_code, 2);
}

TEST_F(BadInputTest, ASecondWorkerOnTheSameStateFolderIsRefused) {
  cluster_.start_coordinator();
  cluster_.start_worker("worker-1");
  const std::string state = (cluster_.folder() / "worker-1").string();
  const auto second = cluster_.run({"worker", "--state", state, "--listen", "tcp://127.0.0.1:0"});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.err,
              AllOf(HasSubstr(state), HasSubstr("in use by another process (process "),
                    HasSubstr("stop that one, or give this one a state folder of its own")));
}

TEST_F(BadInputTest, APoolIsNeverOverwritten) {
  const std::filesystem::path folder = cluster_.folder() / "pool";
  const auto again = cluster_.run({"pool", "init", "--state", folder.string(), "--name", "weeds",
                                   "--coordinator", "tcp://127.0.0.1:4242"});
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.err, HasSubstr(folder.string()));
  std::ifstream file(folder / "ticket");
  std::string kept;
  std::getline(file, kept);
  EXPECT_EQ(kept, cluster_.ticket());
}

TEST_F(BadInputTest, WrongFlagsAreUsage) {
  EXPECT_EQ(cluster_.run({"job", "shwo", "abcd"}).exit_code, 2);
  EXPECT_EQ(cluster_.run({"submit", "--kernle", "x"}).exit_code, 2);
  EXPECT_EQ(cluster_.run({"submit", "no-such-task"}).exit_code, 2);
  EXPECT_EQ(cluster_.run(small_job({"--quorum", "none"})).exit_code, 2);
  EXPECT_EQ(cluster_.run({}).exit_code, 2);
  EXPECT_EQ(cluster_.run({"--help"}).exit_code, 0);
}

TEST_F(BadInputTest, AStateFolderThatIsReadOnlyIsSaid) {
  const auto way = mount_namespace();
  if (!way) GTEST_SKIP() << "this machine lets nobody mount a read-only file system";
  const std::filesystem::path state = cluster_.folder() / "read-only";
  std::filesystem::create_directory(state);
  const auto worker = run_on(*way, state, "ro", {"worker", "--state", (state / "w").string()});
  EXPECT_EQ(worker.exit_code, 1);
  EXPECT_THAT(worker.err, AllOf(HasSubstr(state.string()), HasSubstr("ead-only")));

  std::filesystem::create_directory(cluster_.folder() / "state");
  const auto submit = run_on(*way, cluster_.folder() / "state", "ro", kSmallJob);
  EXPECT_EQ(submit.exit_code, 1);
  EXPECT_THAT(submit.err, AllOf(HasSubstr("XDG_STATE_HOME"),
                                HasSubstr((cluster_.folder() / "state").string())));
  const auto pool = run_on(*way, state, "ro",
                           {"pool", "init", "--state", (state / "p").string(), "--name", "x",
                            "--coordinator", "tcp://127.0.0.1:4242"});
  EXPECT_EQ(pool.exit_code, 1);
  EXPECT_THAT(pool.err, HasSubstr(state.string()));
}

TEST_F(BadInputTest, ADiskThatIsFullIsSaid) {
  const auto way = mount_namespace();
  if (!way) GTEST_SKIP() << "this machine lets nobody mount a small file system";
  std::filesystem::create_directory(cluster_.folder() / "state");
  const std::filesystem::path inputs = cluster_.folder() / "inputs";
  std::ofstream(inputs) << std::string(1 << 20, 'x') << '\n';
  const auto submit = run_on(*way, cluster_.folder() / "state", "size=64k",
                             {"submit", "--kernel", "mandelbrot", "--each-line", inputs.string()});
  EXPECT_EQ(submit.exit_code, 1);
  EXPECT_THAT(submit.err, HasSubstr((cluster_.folder() / "state").string()));
  EXPECT_THAT(submit.err, ::testing::AnyOf(HasSubstr("space"), HasSubstr("full")));

  const std::filesystem::path state = cluster_.folder() / "small";
  std::filesystem::create_directory(state);
  const auto worker = run_on(*way, state, "size=8k", {"worker", "--state", (state / "w").string()});
  EXPECT_EQ(worker.exit_code, 1);
  EXPECT_THAT(worker.err, ::testing::AnyOf(HasSubstr("space"), HasSubstr("full")));
}

// What it opens first would else get the number of its stdout.
TEST_F(BadInputTest, AMachineWithoutProcIsSaid) {
  const auto way = mount_namespace();
  if (!way) GTEST_SKIP() << "no mount namespace to be had";
  const auto worker = run_on(*way, "/proc", "size=64k", {"worker", "--version"});
  EXPECT_THAT(worker.err, HasSubstr("no /proc is mounted here"));
  EXPECT_THAT(run_on(*way, "/proc", "size=64k", {"doctor"}).out,
              HasSubstr("no /proc is mounted here"));
}

TEST_F(BadInputTest, AWorkerWithoutAStdoutPrintsIntoNoFileOfItsOwn) {
  cluster_.start_coordinator();
  const auto state = cluster_.state_of("quiet");
  const auto worker = cluster_.start_command(
      {"/bin/sh", "-c", "exec \"$0\" \"$@\" <&- >&-", program("shoal-worker").string(), "--ticket",
       cluster_.ticket(), "--state", state.string(), "--listen", "tcp://127.0.0.1:0"});
  ASSERT_TRUE(worker->await_err([](const std::string& err) {
    return err.find(" of pool ") != std::string::npos;
  })) << worker->err();
  std::ifstream lock(state / "lock");
  const std::string text{std::istreambuf_iterator<char>(lock), {}};
  EXPECT_THAT(text, ::testing::StartsWith("process "));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("ready")));
}

TEST_F(BadInputTest, AFileIsNoTaskAndItIsSaidHowItIsSubmitted) {
  const auto source = cluster_.folder() / "kernel.cpp";
  std::ofstream(source) << "int main() {}";
  const auto ended = cluster_.run({"submit", source.string(), "--units", "3"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("shoal kernel build"));
}

// By the task itself, which names the file and says what is wrong with it.
TEST_F(BadInputTest, SequencesThatCannotBeReadAreUsage) {
  const auto fastq = cluster_.folder() / "reads.fastq";
  std::ofstream(fastq) << "@read\nACGT\n+\nIIII\n";
  const auto missing = cluster_.folder() / "missing.fa";
  const auto folder = cluster_.folder() / "pool";
  for (const auto& [file, why] :
       {std::pair(fastq, "FASTQ"), {missing, "No such file"}, {folder, "Is a directory"}}) {
    const auto ended = cluster_.run({"submit", "align", file.string()});
    EXPECT_EQ(ended.exit_code, 2) << file;
    EXPECT_EQ(ended.out, "") << file;
    EXPECT_THAT(ended.err, AllOf(HasSubstr(file.string()), HasSubstr(why)));
  }
}

TEST_F(BadInputTest, OutputThatCannotBeWrittenIsNotTakenForSuccess) {
  const auto ended = cluster_.run_command(
      {"/bin/sh", "-c", "exec \"$@\" > /dev/full", "sh", program("shoal").string(), "paths"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, HasSubstr("could not be written"));
}

TEST_F(BadInputTest, ResultsOfATaskThatCannotBeWrittenAreNotTakenForSuccess) {
  for (const char* form : {"--all", "--json"}) {
    const auto ended =
        cluster_.run_command({"/bin/sh", "-c", "exec \"$@\" > /dev/full", "sh",
                              program("shoal-lucas-lehmer").string(), "--local", form, "2", "20"});
    EXPECT_EQ(ended.exit_code, 1) << form;
    EXPECT_THAT(ended.err, HasSubstr("stdout: cannot be written")) << form;
  }
}

TEST_F(BadInputTest, NamesOfSequencesThatAreNoUtf8CostNoResultsAsJson) {
  const auto fasta = cluster_.folder() / "latin1.fa";
  std::ofstream(fasta) << ">prot\xe9ine\nMKVLAAGIVG\n>b\nMKVLAGIVGA\n";
  const auto ended =
      cluster_.run_command({program("shoal-align").string(), "--local", "--json", fasta.string()});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  const auto printed = nlohmann::json::parse(ended.out);
  EXPECT_EQ(printed.at("pairs").at(0).at("query"), "prot\uFFFDine");
}

TEST_F(BadInputTest, HelpThatCannotBeWrittenIsNotTakenForSuccess) {
  for (const char* name : {"shoal", "shoal-worker", "shoal-coordinator", "shoal-align"}) {
    const auto ended = cluster_.run_command(
        {"/bin/sh", "-c", "exec \"$@\" > /dev/full", "sh", program(name).string(), "--help"});
    EXPECT_EQ(ended.exit_code, 1) << name;
  }
}

TEST_F(BadInputTest, ANegativeNumberOfUnitsIsNotTakenForAVeryLargeOne) {
  const auto ended = cluster_.run({"submit", "--kernel", "mandelbrot", "--units", "-4"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("-4 is no number of units"));
}

TEST_F(BadInputTest, AFlagThatIsEmptyIsNotTakenForOneThatIsMissing) {
  for (const char* flag : {"--array", "--each-line", "--from-json", "--needs", "--drop", "--memory",
                           "--time-limit", "--compare-with", "-o", "--keep-for"}) {
    const auto ended = cluster_.run({"submit", flag, "", "--", "echo", "{}"});
    EXPECT_EQ(ended.exit_code, 2) << flag;
    EXPECT_THAT(ended.err, HasSubstr("nothing is said after it")) << flag;
  }
}

TEST_F(BadInputTest, ATicketsFileThatIsGivenAsTheTicketIsToldToBeOne) {
  const auto file = cluster_.folder() / "the-ticket";
  std::ofstream(file) << cluster_.ticket() << '\n';
  const auto ended = cluster_.run({"worker", "list", "--ticket", file.string()});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("write @" + file.string()));
}

// Who can read a ticket can join, and who can write beside a key can put another in its place.
TEST_F(BadInputTest, WhatIsMadeForAnAccountIsClosedToOthersWhateverTheUmask) {
  const auto open_to_all = [&](const Line& arguments) {
    Line command{"/bin/sh", "-c", "umask 0; exec \"$@\"", "sh", program("shoal").string()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const auto ended = cluster_.run_command(command);
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
  };
  const auto mode_of = [](const std::filesystem::path& path) {
    return static_cast<unsigned>(std::filesystem::status(path).permissions());
  };
  open_to_all({"pool", "use", cluster_.ticket()});
  open_to_all({"put", "/etc/hostname"});
  EXPECT_EQ(mode_of(cluster_.folder() / "config" / "shoal"), 0700U);
  EXPECT_EQ(mode_of(cluster_.folder() / "config" / "shoal" / "pool"), 0600U);
  EXPECT_EQ(mode_of(cluster_.folder() / "state" / "shoal"), 0700U);

  std::filesystem::remove_all(cluster_.folder() / "state");
  cluster_.start_coordinator();
  open_to_all({"worker", "list"});
  EXPECT_EQ(mode_of(cluster_.folder() / "state" / "shoal"), 0700U);
}

TEST_F(BadInputTest, AProgramWithTheSdkThatIsAskedForHelpComputesNothing) {
  const auto ended = cluster_.run_command({program("interrupted").string(), "--help"});
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_THAT(ended.out, HasSubstr("--pool TICKET"));
}

}  // namespace
}  // namespace shoal::cluster
