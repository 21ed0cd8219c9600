#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <map>

#include "tests/cluster/computed.h"
#include "tests/cluster/program_jobs.h"

namespace shoal::cluster {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(ProgramJobs, PrintWhatAProgramPrintsInTheOrderOfTheUnits) {
  const auto ended =
      shoal({"submit", "--array", "1-12:3", "--", "echo", "number", "{}", "of", "{#}"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out, "number 1 of 1\nnumber 4 of 2\nnumber 7 of 3\nnumber 10 of 4\n");
}

TEST_F(ProgramJobs, BringFilesAndAFolderAndComeBackWithFiles) {
  write("data/factor.txt", "7\n");
  write("tools/double.sh", "#!/bin/sh\necho $(($1 * 2))\n");
  write("run.sh",
        "#!/bin/sh\nset -e\nread factor <data/factor.txt\n"
        "mkdir out\nsh tools/double.sh $(($1 * factor)) >out/value.txt\necho done $1 >log.txt\n");
  write("lines.txt", "a/3.dat\nb/5.dat\n");
  const auto ended =
      shoal({"submit", "--each-line", "lines.txt", "--input", "data/factor.txt", "--input", "tools",
             "--ship", "run.sh", "--output", "out", "--output", "*.txt", "--", "./run.sh", "{/.}"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(result("3/out/value.txt"), "42\n");
  EXPECT_EQ(result("3/log.txt"), "done 3\n");
  EXPECT_EQ(result("5/out/value.txt"), "70\n");
  EXPECT_FALSE(std::filesystem::exists(here() / "results/3/data"));
}

// All but the second, which never ends.
TEST_F(ProgramJobs, OfACancelledJobAllThatWasVerifiedIsPrinted) {
  const auto detached =
      shoal({"submit", "--detach", "--json", "--quorum", "1", "--array", "1-6", "--", "sh", "-c",
             "[ {} != 2 ] || exec sleep 100000; echo number {}"});
  ASSERT_EQ(detached.exit_code, 0) << detached.err;
  const std::string id = json_lines(detached.out)[0]["job"];
  ASSERT_TRUE(comes_true([&] {
    const auto shown = shoal({"job", "show", "--json", id});
    return shown.exit_code == 0 && json_lines(shown.out)[0]["verified"] == 5;
  }));
  EXPECT_EQ(shoal({"job", "cancel", id}).exit_code, 0);
  const auto results = shoal({"job", "results", id});
  EXPECT_EQ(results.exit_code, 3);
  EXPECT_EQ(results.out, "number 1\nnumber 3\nnumber 4\nnumber 5\nnumber 6\n");
  EXPECT_THAT(results.err, HasSubstr("was cancelled, after 5 of 6 units"));
}

// A program that both workers have from the job before, and that both would run alike.
class KeptPrograms : public ProgramJobs {
 protected:
  Cluster::Ended runs(const std::string& units) const {
    return shoal({"submit", "--array", units, "--ship", "run.sh", "--", "./run.sh", "{}"});
  }
  static constexpr std::uintmax_t kScriptMost = 4096;
  // As a disk or somebody else's program does. How many files that was.
  std::size_t alter_on_disk(const std::string& worker) const {
    std::size_t altered = 0;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(cluster_.state_of(worker) / "content")) {
      if (!entry.is_regular_file() || entry.file_size() > kScriptMost) continue;
      const std::size_t at = text_of(entry.path()).find("right");
      if (at == std::string::npos) continue;
      std::fstream(entry.path(), std::ios::binary | std::ios::in | std::ios::out)
              .seekp(static_cast<std::streamoff>(at))
          << "wrong";
      ++altered;
    }
    return altered;
  }
  void expect_damage_is_found(bool after_a_restart) {
    write("run.sh", "#!/bin/sh\necho right $1\n");
    const auto first = runs("1-2");
    EXPECT_EQ(first.exit_code, 0) << first.err;
    EXPECT_EQ(first.out, "right 1\nright 2\n");
    for (const char* name : {"ann", "ben"}) {
      if (after_a_restart) cluster_.kill_worker(name);
      EXPECT_EQ(alter_on_disk(name), 1U) << "it did not keep what it ran";
      if (after_a_restart) cluster_.start_worker(name);
    }
    cluster_.await_workers(2);
    const auto second = runs("3-4");
    EXPECT_EQ(second.exit_code, 0) << second.err;
    EXPECT_EQ(second.out, "right 3\nright 4\n");
    for (const char* name : {"ann", "ben"}) {
      EXPECT_THAT(cluster_.worker(name).err(), HasSubstr("was damaged on the disk"));
    }
  }
};

TEST_F(KeptPrograms, AreCheckedWhenAnotherJobUsesThem) { expect_damage_is_found(false); }

TEST_F(KeptPrograms, AreCheckedWhenTheirWorkersWereRestarted) { expect_damage_is_found(true); }

TEST_F(ProgramJobs, SeeTheSameEnvironmentOnEveryWorker) {
  const auto ended = shoal({"submit", "--", "env"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out,
              AllOf(HasSubstr("TZ=UTC\n"), HasSubstr("LC_ALL=C.UTF-8\n"), HasSubstr("USER=shoal\n"),
                    HasSubstr("OMP_NUM_THREADS=1\n"), HasSubstr("SOURCE_DATE_EPOCH=315532800\n"),
                    HasSubstr("PYTHONHASHSEED=0\n"),
                    HasSubstr("GLIBC_TUNABLES=glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2\n"),
                    Not(HasSubstr("SHOAL_TICKET")), Not(HasSubstr("SHOAL_EXECUTOR"))));
}

TEST_F(ProgramJobs, ComeToTheSameOrderOfWhatHasNone) {
  const auto ended = shoal({"submit", "--array", "1-3", "--", "perl", "-e",
                            "my %h = map { $_ => 1 } 1..50; print join(' ', keys %h), qq(\\n)"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
}

TEST_F(ProgramJobs, TellHowUnitsFailedAndComputeThemAgainAloneWhenTheyCanSucceed) {
  write("cases.json", R"([{"name": "good", "code": 0}, {"name": "bad", "code": 3}])");
  const Line job{"submit", "--from-json", "cases.json", "--output", "made", "--max-attempts", "2"};
  Line first = job;
  first.insert(first.end(),
               {"--", "sh", "-c", "echo code {code} >&2; echo {name} >made; exit {code}"});
  const auto ended = shoal(first);
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("unit 2 (bad) failed"), HasSubstr("exit status 3"),
                               HasSubstr("| code 3"), Not(HasSubstr("| code 0"))));
  EXPECT_EQ(result("good/made"), "good\n");
  EXPECT_THAT(result("bad/error.txt"), AllOf(HasSubstr("exit status 3"), HasSubstr("code 3")));

  // Other units stand before it now; what is known is known by what it was computed from.
  write("cases.json",
        R"([{"name": "new", "code": 0}, {"name": "good", "code": 0}, {"name": "bad", "code": 3}])");
  Line again = first;
  again.insert(again.begin() + 1, "--resume");
  const auto resumed = shoal(again);
  EXPECT_EQ(resumed.exit_code, 1);
  EXPECT_THAT(resumed.err, AllOf(HasSubstr("1 of 3 units are not computed"), HasSubstr("2 units")));
  EXPECT_EQ(result("new/made"), "new\n");

  Line retried = first;
  retried.insert(retried.begin() + 1, "--retry-failed");
  const auto last = shoal(retried);
  EXPECT_THAT(last.err, AllOf(HasSubstr("2 of 3 units are not computed"), HasSubstr("1 units")));

  // What is computed from something else has not failed yet, and has no result either.
  Line mended = retried;
  mended.back() = "echo {name} >made";
  const auto none = shoal(mended);
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.err, AllOf(HasSubstr("none of the 3 units"), HasSubstr("--resume")));

  // A result that was changed is none.
  std::ofstream(here() / "results/good/made") << "forged\n";
  EXPECT_THAT(shoal(again).err, HasSubstr("1 of 3 units are not computed"));
  EXPECT_EQ(result("good/made"), "good\n");
}

TEST_F(ProgramJobs, AreEndedWhenTheirTimeIsOver) {
  const auto ended = shoal({"submit", "--time-limit", "1s", "--max-attempts", "1", "--", "sh", "-c",
                            "echo started >&2; sleep 1000"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("the job allows 1.0 s"), HasSubstr("| started")));
}

TEST_F(ProgramJobs, CompareTextAsTheirRulesSay) {
  // No two runs print the same. (Two clocks may: on some machines `date +%N` does, now and then.)
  const Line program{"--", "sh", "-c", "echo \"made at $(mktemp -u XXXXXXXXXX)\"; echo 'value 17'"};
  Line same{"submit", "--compare", "text,drop=^made at"};
  same.insert(same.end(), program.begin(), program.end());
  const auto ended = shoal(same);
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("value 17"));

  const auto close = shoal({"submit", "--compare", "numeric:1e-3", "--", "sh", "-c",
                            "echo \"length 1.0000$(date +%N) m\""});
  EXPECT_EQ(close.exit_code, 0) << close.err;
  EXPECT_THAT(close.out, ::testing::StartsWith("length 1.0000"));

  Line different{"submit"};
  different.insert(different.end(), program.begin(), program.end());
  const auto disputed = shoal(different);
  EXPECT_EQ(disputed.exit_code, 1);
  EXPECT_THAT(disputed.err,
              AllOf(HasSubstr("disputed"), HasSubstr("of two of them, stdout differs"),
                    HasSubstr("in line 1: 'made at ")));
}

TEST_F(ProgramJobs, CompareWhatIsTooLargeForTheLedger) {
  // No two runs write the same numbers.
  const auto shoal_with = [&](const Line& flags, const std::string& number) {
    Line line{"submit", "--compare", "numeric:1e-3", "--output", "table"};
    line.insert(line.end(), flags.begin(), flags.end());
    line.insert(line.end(),
                {"--", "sh", "-c", "n=\"" + number + "\"; yes \"$n 17\" | head -n 20000 >table"});
    return shoal(line);
  };
  const auto agreed = shoal_with({}, "1.0000$(date +%N)");
  EXPECT_EQ(agreed.exit_code, 0) << agreed.err;
  const std::string table = result("1/table");
  EXPECT_EQ(count_lines(table), 20000U);
  EXPECT_THAT(table, ::testing::StartsWith("1.0000"));

  const auto disputed = shoal_with({"-o", "apart"}, "random $(od -An -N12 -tu4 /dev/urandom)");
  EXPECT_EQ(disputed.exit_code, 1);
  EXPECT_THAT(disputed.err, AllOf(HasSubstr("disputed"), HasSubstr("'table' differs in line 1:")));
  EXPECT_THAT(text_of(here() / "apart/1/error.txt"),
              HasSubstr("'table' differs in line 1: 'random"));
}

// As wholes they never agree.
TEST_F(ProgramJobs, CompareByAProgramOfTheirOwn) {
  write("close.sh",
        "#!/bin/sh\ntest $# = 3 -a $1 = word || exit 9\n"
        "[ \"$(grep $1 $2/stdout)\" = \"$(grep $1 $3/stdout)\" ]\n");
  const auto shoal_with = [&](const std::string& word) {
    return shoal({"submit", "--quorum", "2", "--ship", "close.sh", "--compare-with",
                  "./close.sh word", "--", "sh", "-c",
                  "echo number $(od -An -N12 -tu4 /dev/urandom); echo word " + word});
  };
  const auto agreed = shoal_with("hello");
  EXPECT_EQ(agreed.exit_code, 0) << agreed.err;
  EXPECT_THAT(agreed.out, AllOf(HasSubstr("number "), HasSubstr("word hello\n")));
  const auto disputed = shoal_with("$(mktemp -u XXXXXXXXXX)");
  EXPECT_EQ(disputed.exit_code, 1);
  EXPECT_THAT(disputed.err, HasSubstr("disputed"));
}

TEST_F(ProgramJobs, BringAStaticBinary) {
  if (!std::filesystem::exists(program("shipped-static"))) GTEST_SKIP() << "none can be made here";
  std::filesystem::copy_file(program("shipped-static"), here() / "word");
  const auto ended = shoal({"submit", "--array", "1-3", "--ship", "word", "--", "./word", "{}"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out, "one\ntwo\nthree\n");
}

TEST_F(ProgramJobs, BringAFolderWithTheLibrariesOfAProgram) {
  constexpr char kLibrary[] = "libshipped_word.so";
  for (const char* folder : {"bin", "lib"}) {
    std::filesystem::create_directories(here() / "app" / folder);
  }
  std::filesystem::copy_file(program("shipped-linked"), here() / "app/bin/word");
  const Line command{"submit", "--array", "1-3", "--input", "app", "--", "app/bin/word", "{}"};
  Line once = command;
  once.insert(once.begin() + 1, {"--max-attempts", "1"});
  const auto without = shoal(once);
  EXPECT_EQ(without.exit_code, 1) << "the worker has that library";
  EXPECT_THAT(without.err, HasSubstr(kLibrary));
  std::filesystem::copy_file(program(kLibrary), here() / "app/lib" / kLibrary);
  const auto ended = shoal(command);
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out, "one\ntwo\nthree\n");
}

TEST_F(ProgramJobs, SayWhatEachUnitTook) {
  write("cases.json",
        R"([{"name": "well", "do": "head -c 50000000 /dev/zero | tail -c 50000000 | wc -c"},
            {"name": "ill", "do": "exit 3"}, {"name": "killed", "do": "kill -SEGV $$"}])");
  const auto ended = shoal({"submit", "--json", "--from-json", "cases.json", "--max-attempts", "1",
                            "--", "sh", "-c", "{do}"});
  EXPECT_EQ(ended.exit_code, 1);
  std::map<std::string, nlohmann::json> usage;
  for (const auto& line : json_lines(ended.out)) {
    if (line.contains("name")) usage[line["name"]] = line.value("usage", nlohmann::json());
  }
  ASSERT_EQ(usage.size(), 3U) << ended.out << ended.err;
  for (const auto& [name, took] : usage) {
    ASSERT_TRUE(took.is_object()) << name << ": " << ended.out;
    EXPECT_GE(took["wall_ms"], 0);
    EXPECT_GE(took["cpu_ms"], 0);
  }
  EXPECT_EQ(usage["well"]["exit_status"], 0);
  EXPECT_EQ(usage["well"]["signal"], 0);
  EXPECT_GT(usage["well"]["memory_kib"], 40'000) << usage["well"];
  EXPECT_EQ(usage["ill"]["exit_status"], 3);
  EXPECT_EQ(usage["killed"]["signal"], SIGSEGV);
}

TEST_F(ProgramJobs, SayWhatIsMissing) {
  const auto ended =
      shoal({"submit", "--output", "made.txt", "--max-attempts", "1", "--", "touch", "other.txt"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("left no 'made.txt' behind"), HasSubstr("other.txt")));

  EXPECT_THAT(shoal({"submit", "--input", "nowhere", "--", "true"}).err,
              HasSubstr("there is no such file"));
  EXPECT_THAT(shoal({"submit", "--array", "1-3", "echo", "{}"}).err, HasSubstr("Put -- before"));
  EXPECT_THAT(shoal({"submit", "--timeout", "9", "x.wasm", "--units", "3"}).err,
              HasSubstr("A module comes before the flags"));
  EXPECT_THAT(shoal({"submit", "--array", "1-3", "--", "echo", "{nonsense}"}).err,
              HasSubstr("nothing for {nonsense}"));
  EXPECT_THAT(shoal({"submit", "--", "./not-here"}).err, HasSubstr("no such program"));
}

TEST_F(ProgramJobs, WaitForAWorkerThatHasWhatTheyNeedAndSaySo) {
  const auto submitted = shoal({"submit", "--detach", "--", "no-such-program-anywhere"});
  ASSERT_EQ(submitted.exit_code, 0) << submitted.err;
  const std::string id = submitted.out.substr(0, submitted.out.find('\n'));
  // The workers say so when they have heard of the job.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  auto explained = shoal({"job", "explain", id});
  while (explained.out.find("no-such-program-anywhere") == std::string::npos &&
         std::chrono::steady_clock::now() < end) {
    explained = shoal({"job", "explain", id});
  }
  EXPECT_THAT(explained.out, HasSubstr("no-such-program-anywhere"));
  EXPECT_EQ(count_lines(explained.out), 1U);
  // So does whoever waits for results.
  const auto waiting = cluster_.start({"job", "results", id});
  EXPECT_TRUE(waiting->await_err([](const std::string& text) {
    return text.find("it waits: no worker that has no-such-program-anywhere") != std::string::npos;
  })) << waiting->err();
}

// Two workers on machines of which one has a program more.
TEST(NeedsOfPrograms, AreMetByTheWorkersThatHaveThem) {
  Cluster cluster({}, {"--trust-all"});
  const auto tools = cluster.folder() / "tools";
  std::filesystem::create_directories(tools);
  std::ofstream(tools / "shoal-rare-tool") << "#!/bin/sh\necho rare $1\n";
  std::filesystem::permissions(tools / "shoal-rare-tool",
                               static_cast<std::filesystem::perms>(0755));
  Line there{"/usr/bin/unshare", "--mount"};
  if (::geteuid() != 0) there.insert(there.end(), {"--user", "--map-current-user", "--keep-caps"});
  there.insert(
      there.end(),
      {"/bin/sh", "-c", "mount --bind '" + tools.string() + "' /usr/games && exec \"$@\"", "sh"});
  Line tried = there;
  tried.emplace_back("/usr/games/shoal-rare-tool");
  if (cluster.run_command(tried).exit_code != 0) GTEST_SKIP() << "nothing can be mounted here";
  cluster.start_coordinator();
  cluster.place_worker("ben", {.around = there});
  for (const char* name : {"ann", "ben"}) cluster.start_worker(name);
  cluster.await_workers(2);
  const auto ended =
      cluster.run({"submit", "--array", "1-6", "--quorum", "1", "--max-attempts", "1", "--needs",
                   "shoal-rare-tool", "--", "sh", "-c", "shoal-rare-tool {}"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out, "rare 1\nrare 2\nrare 3\nrare 4\nrare 5\nrare 6\n");
  EXPECT_EQ(computed_by(cluster, "ann"), 0U);
  EXPECT_EQ(computed_by(cluster, "ben"), 6U);
}

// Units of root's workers are nobody's, to whom the folders of others are closed.
TEST(ReadableFolders, ThatUnitsCannotReachAreSaidAndLeftOut) {
  if (::geteuid() != 0) GTEST_SKIP() << "an ordinary user's units reach what he reaches";
  Cluster cluster({}, {"--trust-all"});
  const auto closed = cluster.folder() / "closed";
  for (const auto& folder : {closed / "data", cluster.folder() / "open"}) {
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "known") << "known\n";
  }
  namespace fs = std::filesystem;
  fs::permissions(cluster.folder(), fs::perms::others_exec, fs::perm_options::add);
  fs::permissions(closed, fs::perms::owner_all);
  cluster.start_coordinator();
  cluster.start_worker("ann", {"--readable", (closed / "data").string(), "--readable",
                               (cluster.folder() / "open").string()});
  cluster.await_workers(1);
  EXPECT_THAT(cluster.worker("ann").err(),
              AllOf(HasSubstr("--readable " + (closed / "data").string() + " is left out"),
                    HasSubstr("chmod o+x " + closed.string()), Not(HasSubstr("/open is left"))));
  const auto ended =
      cluster.run({"submit", "--quorum", "1", "--max-attempts", "1", "--", "sh", "-c",
                   "cat " + (cluster.folder() / "open/known").string() + "; cat " +
                       (closed / "data/known").string() + " || echo unknown"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out, "known\nunknown\n");
}

TEST_F(ProgramJobs, ComeFromAFileAndAreLaidOutLater) {
  write("job/words.txt", "one\ntwo\n");
  write("job/job.toml",
        "name = 'words'\ncommand = ['sh', '-c', 'echo {} | tr a-z A-Z >{}.up']\n"
        "each_line = 'words.txt'\noutput = ['{}.up']\n");
  const auto submitted = shoal({"submit", "job/job.toml", "--detach"});
  ASSERT_EQ(submitted.exit_code, 0) << submitted.err;
  const std::string id = submitted.out.substr(0, submitted.out.find('\n'));
  const auto ended = shoal({"job", "results", id, "-o", "results"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(result("one/one.up"), "ONE\n");
  EXPECT_EQ(result("two/two.up"), "TWO\n");
}

}  // namespace
}  // namespace shoal::cluster
