#include "worker/program/program_kernel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <future>
#include <map>
#include <sstream>

#include "node/content/store/folder.h"
#include "node/content/store/folder_listing.h"
#include "node/protocol/program_output.h"
#include "node/protocol/program_spec.h"
#include "sdk/host/unit_ended.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ProgramKernelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "shoal-program-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    place_ = name;
    fs::create_directories(scratch());
  }
  void TearDown() override { fs::remove_all(place_); }

  fs::path scratch() const { return place_ / "scratch"; }
  fs::path content(const std::string& name, const std::string& text) {
    const fs::path path = place_ / name;
    std::ofstream(path, std::ios::binary) << text;
    contents_.push_back(path);
    return path;
  }
  // A folder, by paths and texts, as content.
  void pack(const std::map<std::string, std::string>& files) {
    auto store = ContentStore::open(place_ / "store");
    ASSERT_TRUE(store);
    for (const auto& [path, text] : files) {
      fs::create_directories((place_ / "app" / path).parent_path());
      std::ofstream(place_ / "app" / path) << text;
    }
    const auto packed = pack_folder(**store, place_ / "app");
    ASSERT_TRUE(packed);
    contents_.push_back(*(*store)->path_of(packed->id));
  }
  static ProgramSpec shell(const std::string& script) {
    ProgramSpec spec;
    spec.arguments = {"sh", "-c", script};
    return spec;
  }
  Bytes run(const ProgramSpec& spec, std::uint64_t unit = 0,
            const std::atomic<bool>* cancelled = nullptr) {
    const KernelEntry kernel = program_kernel(contents_, scratch());
    Bytes output;
    kernel.prepare(encode(spec))({unit, std::nullopt, cancelled, nullptr}, output);
    return output;
  }
  // What it left, as "path=bytes" one a line; stdout is "-".
  std::string made_by(const ProgramSpec& spec, std::uint64_t unit = 0) {
    return text_of(run(spec, unit));
  }
  static std::string text_of(const Bytes& bytes) {
    const auto output = decode_program_output(bytes);
    if (!output) return output.error().what;
    std::string text;
    if (output->standard_output) text += "-=" + std::string(as_text(*output->standard_output));
    for (const auto& file : output->files) {
      text += file.path + (file.executable ? "*" : "") + "=" + std::string(as_text(file.bytes));
    }
    return text;
  }
  // Of two units, one after the other, that have what the executor has in common.
  std::string made_by_two(const ProgramSpec& spec) {
    const UnitFunction unit = program_kernel(contents_, scratch(), common_).prepare(encode(spec));
    std::string made;
    for (std::uint64_t number : {0, 1}) {
      Bytes output;
      unit({number, std::nullopt, nullptr, nullptr}, output);
      made += text_of(output);
    }
    return made;
  }
  // How it fails, which it must.
  UnitEnded failure_of(const ProgramSpec& spec) {
    try {
      run(spec);
    } catch (const UnitEnded& ended) {
      return ended;
    }
    ADD_FAILURE() << "the unit has not failed";
    return {FailureKind::kThrew, ""};
  }

  fs::path place_;
  std::vector<fs::path> contents_;
  std::vector<fs::path> common_;
};

TEST_F(ProgramKernelTest, ComparesByTheJobsOwnProgram) {
  // Equal are files with as many lines; more than three are more than it can count.
  content("c0",
          "#!/bin/sh\nn=$(wc -l <$2/made); m=$(wc -l <$3/made)\n"
          "[ $n -le 3 ] || { echo too many >&2; exit 2; }\n[ -f data ] && [ $n $1 $m ]\n");
  content("c1", "data");
  ProgramSpec spec = shell("true");
  spec.files = {{"lines.sh", 0, false, true}, {"data", 1, false, false}};
  spec.comparison.program = {"lines.sh", "-eq"};
  const auto result = [](const std::string& text) {
    ProgramOutput output;
    output.name = "1";
    output.files = {{"made", false, as_bytes(text)}};
    return encode(output);
  };
  const auto same = program_kernel(contents_, scratch()).prepare_equivalent(encode(spec));
  EXPECT_TRUE(same(result("a\nb\n"), result("c\nd\n")));
  EXPECT_FALSE(same(result("a\nb\n"), result("a\n")));
  try {
    same(result("a\nb\nc\nd\n"), result("a\n"));
    FAIL() << "it has judged all the same";
  } catch (const UnitEnded& ended) {
    EXPECT_THAT(ended.what(), HasSubstr("too many"));
  }
}

TEST_F(ProgramKernelTest, KeepsFilesAndStdout) {
  content("c0", "seven");
  ProgramSpec spec =
      shell("cat in/x; mkdir d; echo {} >d/b; echo a >d/a; chmod +x d/a; echo {} >{name}.t");
  spec.files = {{"in/x", 0, false, false}};
  spec.outputs = {"d", "{name}.t"};
  spec.standard_output = true;
  spec.first = 10;
  spec.step = 5;
  EXPECT_EQ(made_by(spec, 2),
            "-=seven"
            "20.t=20\n"
            "d/a*=a\n"
            "d/b=20\n");
  EXPECT_EQ(encode(*decode_program_output(run(spec, 2))), run(spec, 2)) << "and the same again";
  EXPECT_TRUE(fs::is_empty(scratch() / "units")) << "the unit's folder is left behind";
}

TEST_F(ProgramKernelTest, BringsProgramsAndFolders) {
  auto store = ContentStore::open(place_ / "store");
  ASSERT_TRUE(store);
  fs::create_directories(place_ / "app/lib");
  std::ofstream(place_ / "app/lib/words") << "library";
  std::ofstream(place_ / "app/start") << "#!/bin/sh\ncat \"$(dirname \"$0\")/lib/words\"\n";
  fs::permissions(place_ / "app/start", fs::perms::owner_all);
  const auto packed = pack_folder(**store, place_ / "app");
  ASSERT_TRUE(packed);
  contents_.push_back(*(*store)->path_of(packed->id));
  content("c1", "#!/bin/sh\necho from $0 with $1\n");
  ProgramSpec spec;
  spec.files = {{"app", 0, true, false}, {"mine", 1, false, true}};
  spec.standard_output = true;
  spec.arguments = {"app/start"};
  EXPECT_EQ(made_by(spec), "-=library");
  spec.arguments = {"./mine", "{}"};
  EXPECT_THAT(made_by(spec, 4), HasSubstr("mine with 4"));
}

TEST_F(ProgramKernelTest, DoesNotLetInputsBeChanged) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write to any file";
  content("c0", "kept");
  ProgramSpec spec = shell("echo changed >x; cat x");
  spec.files = {{"x", 0, false, false}};
  spec.standard_output = true;
  EXPECT_EQ(made_by(spec), "-=kept");
}

TEST_F(ProgramKernelTest, TellsHowAProgramEnded) {
  const UnitEnded status = failure_of(shell("echo why >&2; exit 3"));
  EXPECT_EQ(status.kind(), FailureKind::kThrew);
  EXPECT_THAT(status.what(), HasSubstr("exit status 3"));
  EXPECT_EQ(status.stderr_end(), "why\n");
  EXPECT_EQ(failure_of(shell("echo >&2; echo said; exit 3")).stderr_end(), "said\n");
  EXPECT_EQ(failure_of(shell("echo >&2; echo; exit 3")).stderr_end(), "(it wrote nothing)");
  const UnitEnded crashed = failure_of(shell("kill -SEGV $$"));
  EXPECT_EQ(crashed.kind(), FailureKind::kCrashed);
  EXPECT_THAT(crashed.what(), HasSubstr("SIGSEGV"));
  ProgramSpec slow = shell("echo begun >&2; sleep 1000 & sleep 1000");
  slow.wall_ms = 200;
  const UnitEnded late = failure_of(slow);
  EXPECT_EQ(late.kind(), FailureKind::kTimedOut);
  EXPECT_EQ(late.stderr_end(), "begun\n");
  ProgramSpec none = shell("");
  none.arguments[0] = "there-is-no-such-program";
  EXPECT_EQ(failure_of(none).kind(), FailureKind::kRefused);
  ProgramSpec fine = shell("exit 3");
  fine.exit_statuses = {0, 3};
  const Bytes bytes = run(fine);
  EXPECT_EQ(decode_program_output(bytes)->exit_status, 3);
}

TEST_F(ProgramKernelTest, WhoKillsItselfHasCrashed) {
  const UnitEnded ended = failure_of(shell("kill -KILL $$"));
  EXPECT_EQ(ended.kind(), FailureKind::kCrashed) << ended.what();
  EXPECT_THAT(ended.what(), AllOf(HasSubstr("SIGKILL"), Not(HasSubstr("memory ran out"))));
}

// A control group that may have little memory, where the test may make one; removed with the
// object.
class LittleMemory {
 public:
  explicit LittleMemory(const std::string& bytes) {
    std::ifstream mounts("/proc/self/mounts");
    for (std::string line; folder.empty() && std::getline(mounts, line);) {
      std::istringstream words(line);
      std::string device, place, type;
      words >> device >> place >> type;
      if (!type.starts_with("cgroup")) continue;
      std::string name = place + "/shoal-test-XXXXXX";
      if (::mkdtemp(name.data()) == nullptr) continue;
      for (const char* limit : {"memory.max", "memory.limit_in_bytes"}) {
        std::ofstream file(fs::path(name) / limit, std::ios::in);
        if (file << bytes << std::flush) folder = name;
      }
      if (folder.empty()) ::rmdir(name.c_str());
    }
    // Where there is such a file, and what it is to hold.
    for (const auto& [limit, value] : {std::pair("memory.swap.max", "0"),
                                       std::pair("memory.memsw.limit_in_bytes", bytes.c_str())}) {
      std::ofstream(folder / limit, std::ios::in) << value;
    }
  }
  ~LittleMemory() {
    if (!folder.empty()) ::rmdir(folder.c_str());
  }
  LittleMemory(const LittleMemory&) = delete;
  LittleMemory& operator=(const LittleMemory&) = delete;

  fs::path folder;
};

TEST_F(ProgramKernelTest, WhoIsEndedForWantOfMemoryIsSaidToBe) {
  const LittleMemory group("16777216");
  if (group.folder.empty()) GTEST_SKIP() << "no control group for memory can be made here";
  const UnitEnded ended = failure_of(shell("echo $$ >" + (group.folder / "cgroup.procs").string() +
                                           " && exec perl -e '$x = \"x\" x 200_000_000'"));
  EXPECT_EQ(ended.kind(), FailureKind::kOutOfMemory) << ended.what();
  EXPECT_THAT(ended.what(), AllOf(HasSubstr("SIGKILL"), HasSubstr("memory ran out")));
}

TEST_F(ProgramKernelTest, BoundsWhatAUnitLeaves) {
  ProgramSpec loud = shell("while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyy; done");
  loud.standard_output = true;
  loud.output_bytes_max = 10'000;
  EXPECT_EQ(failure_of(loud).kind(), FailureKind::kBadAnswer);
  ProgramSpec large = shell("head -c 20000 /dev/zero >big");
  large.outputs = {"big"};
  large.output_bytes_max = 10'000;
  EXPECT_THAT(failure_of(large).what(), HasSubstr("more than the job allows"));
}

TEST_F(ProgramKernelTest, AScriptWhoseInterpreterIsNotThereIsSaidToBeThat) {
  ProgramSpec spec;
  const auto failure_of_script = [&](const std::string& text) {
    contents_.clear();
    content("script", text);
    spec.files = {{"script", 0, false, true}};
    spec.arguments = {"./script"};
    return std::string(failure_of(spec).what());
  };
  EXPECT_THAT(failure_of_script("#!/opt/none/python3 -u\nprint(1)\n"),
              HasSubstr("its interpreter /opt/none/python3 is not on this worker"));
  EXPECT_THAT(failure_of_script("#!/bin/sh\r\necho 1\r\n"),
              AllOf(HasSubstr("./script"), HasSubstr("ends as lines do on Windows")));
  EXPECT_THAT(failure_of_script("#! /opt/none/x"), HasSubstr("/opt/none/x is not on this worker"));
  EXPECT_THAT(failure_of_script("echo 1\n"), HasSubstr("begins with #!"));
}

TEST_F(ProgramKernelTest, FoldersDeeperThanItMayHaveFilesOpenGoAgain) {
  rlimit usual{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &usual), 0);
  const rlimit few{128, usual.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  ProgramSpec deep = shell(
      "echo made; p=$(printf 'd%.0s/' $(seq 100)); n=0\n"
      "while [ $n -lt 3 ]; do mkdir -p $p && cd -P $p || exit 3; n=$((n + 1)); done; echo x >x");
  deep.standard_output = true;
  EXPECT_EQ(made_by(deep), "-=made\n");
  EXPECT_TRUE(fs::is_empty(scratch() / "units"));
  deep.outputs = {"*"};
  EXPECT_THAT(failure_of(deep).what(), HasSubstr("more than 100 deep"));
  EXPECT_TRUE(fs::is_empty(scratch() / "units"));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &usual), 0);
}

TEST_F(ProgramKernelTest, WhatItsProgramLocksGoesToo) {
  // A folder of the same name as those that are moved up, and a link out of it all.
  std::ofstream(place_ / "outside") << "x";
  ProgramSpec locked = shell(
      "mkdir -p 0/1 a/b/c a/0/1; echo x >0/1/x; echo x >a/b/c/x; echo x >a/0/1/x; echo x >1\n"
      "ln -s " +
      place_.string() + " a/b/up; chmod 0 a/b/c; chmod 500 a/b a .; echo made");
  locked.standard_output = true;
  EXPECT_EQ(made_by(locked), "-=made\n");
  EXPECT_TRUE(fs::is_empty(scratch() / "units"));
  EXPECT_TRUE(fs::exists(place_ / "outside"));
}

TEST_F(ProgramKernelTest, RefusedIsWhatDiesOfASystemCall) {
  const UnitEnded ended = failure_of(shell("kill -SYS $$"));
  EXPECT_EQ(ended.kind(), FailureKind::kRefused);
  EXPECT_THAT(ended.what(), HasSubstr("the sandbox refuses"));
}

TEST_F(ProgramKernelTest, ShowsTheStdoutOfWhatFailsAlsoWhereItIsTheResult) {
  ProgramSpec spec = shell("echo the reason; exit 1");
  spec.standard_output = true;
  EXPECT_EQ(failure_of(spec).stderr_end(), "the reason\n");
}

TEST_F(ProgramKernelTest, WhatAUnitPutsIntoAnInputFolderIsItsOwn) {
  pack({{"x", "kept"}, {"in/y", "kept too"}});
  ProgramSpec spec = shell("ls app app/in; cat app/x app/in/y; echo {} >app/in/y.index");
  spec.files = {{"app", 0, true, false}};
  spec.outputs = {"app/*/*"};
  spec.standard_output = true;
  EXPECT_EQ(made_by_two(spec),
            "-=app:\nin\nx\n\napp/in:\ny\nkeptkept tooapp/in/y.index=0\n"
            "-=app:\nin\nx\n\napp/in:\ny\nkeptkept tooapp/in/y.index=1\n")
      << "inputs do not come back, and the second unit sees nothing of the first";
}

TEST_F(ProgramKernelTest, EachUnitFindsItsInputsAsTheJobBroughtThem) {
  pack({{"x", "kept"}, {"large", std::string(2 << 20, '.')}});
  content("c1", "kept too");
  ProgramSpec spec = shell(
      "cat app/x y; chmod +w app/x y; echo changed >app/x; echo changed >y; chmod -w app/x y");
  spec.files = {{"app", 0, true, false}, {"y", 1, false, false}};
  spec.standard_output = true;
  EXPECT_EQ(made_by_two(spec), "-=keptkept too-=keptkept too");
}

TEST_F(ProgramKernelTest, AUnitThatRunsBesideAnotherDoesNotSeeItChangeItsInputs) {
  pack({{"x", "kept"}});
  const fs::path changed = place_ / "changed";
  const fs::path seen = place_ / "seen";
  ASSERT_EQ(::mkfifo(changed.c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo(seen.c_str(), 0600), 0);
  // The one has its inputs when the other changes its own, and reads them then.
  ProgramSpec spec =
      shell("if [ {} = 0 ]; then echo >" + seen.string() + "; read x <" + changed.string() +
            "; cat app/x; else read x <" + seen.string() +
            "; chmod +w app/x; echo changed >app/x; echo >" + changed.string() + "; fi");
  spec.files = {{"app", 0, true, false}};
  spec.standard_output = true;
  const UnitFunction unit = program_kernel(contents_, scratch()).prepare(encode(spec));
  auto other = std::async(std::launch::async, [&] {
    Bytes output;
    unit({1, std::nullopt, nullptr, nullptr}, output);
  });
  Bytes output;
  unit({0, std::nullopt, nullptr, nullptr}, output);
  other.get();
  EXPECT_EQ(text_of(output), "-=kept");
}

TEST_F(ProgramKernelTest, AFolderOfVeryManyFilesIsOneForAllAndClosed) {
  FolderListing listing{{FolderEntryKind::kFolder, "in"}, {FolderEntryKind::kFile, "in/x", 4}};
  for (int i = 1000; i < 2100; ++i) {
    listing.push_back({FolderEntryKind::kLink, "link-" + std::to_string(i), 0, "in/x"});
  }
  content("c0", std::string(as_text(encode_listing(listing))) + "kept");
  ProgramSpec spec = shell("stat -L -c %a app app/in; cat app/in/x");
  spec.files = {{"app", 0, true, false}};
  spec.standard_output = true;
  EXPECT_EQ(made_by(spec), "-=555\n555\nkept");
  spec.outputs = {"app/made"};
  EXPECT_THAT(failure_of(spec).what(), HasSubstr("'app' is a link, and what lies behind it"));
}

TEST_F(ProgramKernelTest, WhatUnitsLeaveInFoldersOfAllGoesWithThem) {
  const fs::path common = place_ / "common";
  fs::create_directories(common);
  ProgramSpec spec = shell("ls " + common.string() + "; mkdir -p " + common.string() +
                           "/a/b; touch " + common.string() + "/a/b/{}");
  spec.standard_output = true;
  common_ = {common};
  EXPECT_EQ(made_by_two(spec), "-=-=");
  EXPECT_TRUE(fs::is_empty(common));
}

TEST_F(ProgramKernelTest, LooksAtNothingOutside) {
  std::ofstream(place_ / "secret") << "secret";
  ProgramSpec spec = shell("ln -s " + (place_ / "secret").string() + " leak; echo x >other");
  spec.outputs = {"leak"};
  EXPECT_THAT(failure_of(spec).what(), AllOf(HasSubstr("left no 'leak' behind"),
                                             HasSubstr("it left other; 'leak' is a link")));
  spec.outputs = {"*"};
  EXPECT_EQ(made_by(spec), "other=x\n");
}

TEST_F(ProgramKernelTest, EndsWhatIsNotWantedAnyMore) {
  std::atomic<bool> cancelled{true};
  EXPECT_THROW(run(shell("sleep 1000"), 0, &cancelled), UnitEnded);
}

TEST_F(ProgramKernelTest, ShowsNothingOfTheWorkersEnvironment) {
  ::setenv("SHOAL_TEST_SECRET", "secret", 1);
  ProgramSpec spec = shell("env");
  spec.standard_output = true;
  spec.environment = {{"MODE", "fast"}, {"TZ", "Europe/Vienna"}};
  const std::string made = made_by(spec);
  EXPECT_THAT(made, AllOf(HasSubstr("MODE=fast\n"), HasSubstr("TZ=Europe/Vienna\n"),
                          Not(HasSubstr("secret"))));
}

TEST_F(ProgramKernelTest, LeavesOutLinesThatDoNotCount) {
  ProgramSpec spec = shell("date +made_%N; echo x; (echo y; date +made_%N) >f");
  spec.outputs = {"f"};
  spec.standard_output = true;
  spec.comparison = {true, {"^made_"}, 0, 0};
  EXPECT_EQ(made_by(spec), "-=x\nf=y\n");
  EXPECT_EQ(run(spec), run(spec));
}

TEST_F(ProgramKernelTest, ComparesByTheRulesOfTheJob) {
  ProgramSpec spec = shell("");
  spec.comparison = {true, {"^Date"}, 1e-3, 0};
  const auto same = program_kernel({}, scratch()).prepare_equivalent(encode(spec));
  const auto output = [](std::string_view text) {
    ProgramOutput made;
    made.name = "1";
    made.standard_output = as_bytes(text);
    return encode(made);
  };
  EXPECT_TRUE(same(output("Date 1\nx 1.0\n"), output("Date 2\nx 1.0001\n")));
  EXPECT_FALSE(same(output("x 1.0\n"), output("x 1.1\n")));
  EXPECT_THROW(same(output("x"), Bytes{}), UnitRefused);
}

}  // namespace
}  // namespace shoal
