#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "sdk/host/unit_ended.h"
#include "tasks/align/kernel.h"
#include "tasks/all_kernels.h"
#include "tasks/ising/kernel.h"
#include "tasks/lucas_lehmer/kernel.h"
#include "tasks/mandelbrot/kernel.h"
#include "tests/unit/worker/wasm/support.h"

// The shipped kernels, built by `shoal kernel build` of the very sources that are in this program:
// the bytes must be the same.
namespace shoal::wasm {
namespace {

namespace fs = std::filesystem;

struct Said {
  int status = -1;
  std::string text;
};
Said run(const std::string& command) {
  Said said;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return said;
  std::array<char, 4096> buffer;
  for (std::size_t got = 0; (got = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    said.text.append(buffer.data(), got);
  }
  said.status = pclose(pipe);
  return said;
}

fs::path scratch() {
  static const fs::path folder = [] {
    std::string name = (fs::temp_directory_path() / "shoal-kernels-XXXXXX").string();
    return fs::path(mkdtemp(name.data()));
  }();
  return folder;
}

Said build(const std::string& arguments, const fs::path& module) {
  return run(SHOAL_PROGRAM_DIR "/shoal kernel build " + arguments + " -o " + module.string());
}

class TaskModule : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const fs::path module = scratch() / "tasks.wasm";
    const Said said = build(SHOAL_MODULE_SOURCES " -I " SHOAL_SOURCE_DIR, module);
    ASSERT_EQ(said.status, 0) << said.text;
    loaded_ = new Loaded(file_bytes(module.string()));
    ASSERT_EQ(loaded_->refused, "");
  }
  static void TearDownTestSuite() {
    delete loaded_;
    loaded_ = nullptr;
    fs::remove_all(scratch());
  }

  template <class P, class I, class O>
  static void same_bytes(const Kernel<P, I, O>& kernel, const P& params, const I& input) {
    ASSERT_NE(loaded_, nullptr);
    const KernelEntry native = kernel;
    const Bytes parameters = encode(params);
    const Bytes encoded = encode(input);
    const Bytes expected = native.call(parameters, {0, ByteView(encoded)});
    EXPECT_FALSE(expected.empty());
    EXPECT_EQ(loaded_->unit(0, kernel.name(), parameters, ByteView(encoded)), expected);
  }

  static inline Loaded* loaded_ = nullptr;
};

TEST_F(TaskModule, NamesAllTheKernelsThatShip) {
  std::string expected;
  for (const KernelEntry& kernel : tasks::all_kernels()) expected += kernel.name + "\n";
  EXPECT_EQ(loaded_->instances->list(), expected);
}

TEST_F(TaskModule, Ising) {
  const ising::Params params{16, 50, 3, 20};
  for (std::uint64_t seed : {1, 2, 3}) {
    same_bytes(ising::kernel(), params, ising::walk_at(2.2, seed));
  }
}

TEST_F(TaskModule, LucasLehmer) {
  for (std::uint32_t exponent : {2U, 3U, 11U, 521U, 523U, 3217U}) {
    same_bytes(lucas_lehmer::kernel(), {}, exponent);
  }
}

TEST_F(TaskModule, MandelbrotInDoublePrecision) {
  mandelbrot::Params params;
  params.centre_x = -0.743643887;
  params.centre_y = 0.131825904;
  params.width = 0.003;
  params.iterations = 500;
  for (std::uint64_t tile : {0, 17, 100, 191}) {
    same_bytes(mandelbrot::kernel(), params, tile);
  }
}

TEST_F(TaskModule, Align) {
  align::Params params;
  params.shuffles = 19;
  align::Tile tile;
  tile.first_target = 2;
  tile.queries = {"MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ", "GSHMLEDPVDAFVWHHEQ"};
  tile.targets = {"MKTAYIAKQRGISFVKSHFSRELEERLGLIE", "PVDAFWHHEQLEDGSHM", "JOUXBZWW"};
  same_bytes(align::kernel(), params, tile);
}

TEST_F(TaskModule, WhatAKernelThrowsIsItsFailure) {
  const Bytes parameters = encode(ising::Params{1, 1, 1, 1});
  const Bytes input = encode(ising::walk_at(2.0, 1));
  try {
    loaded_->unit(0, "ising", parameters, ByteView(input));
    FAIL() << "a lattice of one spin was computed";
  } catch (const UnitFailure& failed) {
    EXPECT_STREQ(failed.what(), "the size must be from 2 to 4096, is 1");
  }
  EXPECT_THROW(loaded_->unit(0, "ising", parameters, ByteView(parameters)), UnitRefused);
  EXPECT_THROW(loaded_->unit(0, "no_such_kernel", {}, {}), UnitRefused);
}

// Keeps every state that it is offered.
class Keeper final : public StateKeeper {
 public:
  std::optional<ByteView> saved() const override {
    return given ? std::optional<ByteView>(*given) : std::nullopt;
  }
  bool due() override { return true; }
  void save(ByteView state) override {
    if (full) throw UnitFailure("there is no room for it");
    kept.push_back(to_bytes(state));
  }

  std::optional<Bytes> given;
  std::vector<Bytes> kept;
  bool full = false;
};

TEST_F(TaskModule, GoesOnFromTheStateThatWasKept) {
  const Bytes exponent = encode(std::uint32_t{3217});
  const auto run = [&](Keeper& keeper) {
    return loaded_->unit(0, "lucas_lehmer", encode(lucas_lehmer::Params{}), ByteView(exponent),
                         &keeper);
  };
  Keeper whole;
  const Bytes expected = run(whole);
  ASSERT_GT(whole.kept.size(), 4U);
  for (const std::size_t done : {std::size_t{1}, whole.kept.size() / 2, whole.kept.size()}) {
    Keeper rest;
    rest.given = whole.kept[done - 1];
    EXPECT_EQ(run(rest), expected);
    EXPECT_EQ(rest.kept, std::vector<Bytes>(whole.kept.begin() + static_cast<std::ptrdiff_t>(done),
                                            whole.kept.end()));
  }
}

TEST_F(TaskModule, AStateThatCannotBeKeptEndsTheUnitAlone) {
  const Bytes exponent = encode(std::uint32_t{3217});
  Keeper full;
  full.full = true;
  try {
    loaded_->unit(0, "lucas_lehmer", encode(lucas_lehmer::Params{}), ByteView(exponent), &full);
    FAIL() << "the state was kept";
  } catch (const UnitFailure& failed) {
    EXPECT_STREQ(failed.what(), "there is no room for it");
  }
  same_bytes(lucas_lehmer::kernel(), {}, std::uint32_t{521});
}

class KernelBuild : public testing::Test {
 protected:
  static Said build_text(const std::string& source) {
    const fs::path folder = scratch();
    fs::create_directories(folder);
    FILE* file = fopen((folder / "kernel.cpp").c_str(), "w");
    fputs(source.c_str(), file);
    fclose(file);
    return build((folder / "kernel.cpp").string(), folder / "kernel.wasm");
  }
  static Loaded load() { return Loaded(file_bytes((scratch() / "kernel.wasm").string())); }
};

constexpr char kHead[] = R"(#include <shoal/shoal.h>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>
)";
constexpr char kMain[] = R"(
int main(int argc, char** argv) {
  return shoal::run(argc, argv, {kKernel}, [](shoal::Session& session) {
    auto job = session.map(kKernel, {}, shoal::IndexSpace{10});
    for (const auto& result : job.in_order()) std::cout << result.ok() << '\n';
    return 0;
  });
}
)";

TEST_F(KernelBuild, NansComeOutAsOneAndTheSame) {
  const Said said = build_text(std::string(kHead) + R"(
std::vector<double> nans(const shoal::Nothing&, std::uint64_t unit) {
  volatile double zero = 0;
  return {zero / zero, -(zero / zero), std::sqrt(-1.0 - zero), std::nan("7"), double(unit), -0.0};
}
const shoal::Kernel<shoal::Nothing, std::uint64_t, std::vector<double>> kKernel{"nans", nans};
)" + kMain);
  ASSERT_EQ(said.status, 0) << said.text;
  Loaded loaded = load();
  ASSERT_EQ(loaded.refused, "");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(loaded.unit(3, "nans"), encode(std::vector<double>{nan, nan, nan, nan, 3.0, -0.0}));
}

TEST_F(KernelBuild, ComparesOutputsWhereTheKernelDoes) {
  const Said said = build_text(std::string(kHead) + R"(
double half(const shoal::Nothing&, std::uint64_t unit) { return unit / 2.0; }
const auto kKernel = shoal::Kernel<shoal::Nothing, std::uint64_t, double>{"half", half}
  .equivalent([](const double& a, const double& b) { return std::abs(a - b) < 0.01; });
)" + kMain);
  ASSERT_EQ(said.status, 0) << said.text;
  Loaded loaded = load();
  ASSERT_EQ(loaded.refused, "");
  EXPECT_EQ(loaded.instances->list(), "half =\n");
  EXPECT_TRUE(loaded.instances->equivalent("half", encode(1.0), encode(1.001)));
  EXPECT_FALSE(loaded.instances->equivalent("half", encode(1.0), encode(1.1)));
  EXPECT_THROW(loaded.instances->equivalent("half", encode(1.0), {}), UnitRefused);
}

TEST_F(KernelBuild, MemoryThatIsUsedUpIsSaidSo) {
  const Said said = build_text(std::string(kHead) + R"(
std::uint64_t hungry(const shoal::Nothing&, std::uint64_t unit) {
  std::vector<std::string> all;
  for (;;) {
    all.push_back(std::string(1 << 20, char('a' + unit)));
    if (all.size() > 100'000) return all.size();
  }
}
const shoal::Kernel<shoal::Nothing, std::uint64_t, std::uint64_t> kKernel{"hungry", hungry};
)" + kMain);
  ASSERT_EQ(said.status, 0) << said.text;
  Loaded loaded = load();
  ASSERT_EQ(loaded.refused, "");
  try {
    loaded.unit(0, "hungry");
    FAIL() << "a hundred GiB were found";
  } catch (const UnitEnded& ended) {
    EXPECT_EQ(ended.kind(), FailureKind::kOutOfMemory) << ended.what();
  }
}

TEST_F(KernelBuild, WhatTheLibraryThrowsIsNoTrapWithoutAWord) {
  const Said said = build_text(std::string(kHead) + R"(
std::string part(const shoal::Nothing&, std::uint64_t unit) {
  return std::string("four").substr(unit);
}
const shoal::Kernel<shoal::Nothing, std::uint64_t, std::string> kKernel{"part", part};
)" + kMain);
  ASSERT_EQ(said.status, 0) << said.text;
  Loaded loaded = load();
  ASSERT_EQ(loaded.refused, "");
  EXPECT_EQ(loaded.unit(1, "part"), encode(std::string("our")));
  try {
    loaded.unit(5, "part");
    FAIL() << "there is no fifth letter";
  } catch (const UnitFailure& failure) {
    EXPECT_NE(std::string(failure.what()).find("called abort()"), std::string::npos)
        << failure.what();
  }
}

TEST_F(KernelBuild, CatchClausesThatWillNotBeThereAreToldOf) {
  const Said said = build_text(std::string(kHead) + R"(
std::uint64_t careful(const shoal::Nothing&, std::uint64_t unit) {
  std::vector<int> none;  // "catch" in a comment is none
  try { return none.at(unit); } catch (const std::out_of_range&) { return 0; }
}
const shoal::Kernel<shoal::Nothing, std::uint64_t, std::uint64_t> kKernel{"careful", careful};
)" + kMain);
  EXPECT_EQ(said.status, 0) << said.text;
  const std::string head = kHead;
  const auto line = 4 + std::count(head.begin(), head.end(), '\n');
  EXPECT_NE(said.text.find("kernel.cpp:" + std::to_string(line) + ": a module has no catch"),
            std::string::npos)
      << said.text;
}

TEST_F(KernelBuild, AClockAndRandomnessAreRefusedWithAWordOfAdvice) {
  const Said clock = build_text(std::string(kHead) + R"(
std::uint64_t now(const shoal::Nothing&, std::uint64_t) {
  return std::chrono::system_clock::now().time_since_epoch().count();
}
const shoal::Kernel<shoal::Nothing, std::uint64_t, std::uint64_t> kKernel{"now", now};
)" + kMain);
  EXPECT_NE(clock.status, 0);
  EXPECT_NE(clock.text.find("reads a clock"), std::string::npos) << clock.text;
  const Said no_main = build_text("#include <shoal/shoal.h>\nint x = 1;\n");
  EXPECT_NE(no_main.status, 0);
  EXPECT_NE(no_main.text.find("There is no main(int, char**)"), std::string::npos) << no_main.text;
}

}  // namespace
}  // namespace shoal::wasm
