// Kernels as WebAssembly modules: strangers' code, on workers that trust nobody.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>

#include "node/wasm/module.h"
#include "tests/cluster/cluster.h"
#include "tests/unit/node/wasm/modules.h"

namespace shoal::cluster {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kSquares[] = R"(#include <shoal/shoal.h>

#include <iostream>
#include <stdexcept>

struct Params { std::uint64_t add = 0; SHOAL_FIELDS(add) };

std::uint64_t square(const Params& params, std::uint64_t unit) {
  if (unit == 7) throw std::domain_error("seven is not squared here");
  return unit * unit + params.add;
}
const shoal::Kernel<Params, std::uint64_t, std::uint64_t> kSquare{"square", square};

int main(int argc, char** argv) {
  return shoal::run(argc, argv, {kSquare}, [](shoal::Session& session) {
    auto job = session.map(kSquare, {.add = 1}, shoal::IndexSpace{9});
    for (const auto& result : job.in_order()) {
      if (result.ok()) std::cout << result.value() << '\n';
    }
    return 0;
  });
}
)";

class WasmTest : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_.start_coordinator();
    cluster_.start_worker("one");
    cluster_.start_worker("two");
    cluster_.await_workers(2);
  }
  std::filesystem::path write(const std::string& name, ByteView bytes) const {
    const auto path = cluster_.folder() / name;
    std::ofstream(path, std::ios::binary) << as_text(bytes);
    return path;
  }

  Cluster cluster_;
};

TEST_F(WasmTest, AStrangersModuleIsComputedTwiceByWorkersWithoutTrust) {
  const auto source = write("squares.cpp", as_bytes(kSquares));
  const auto module = cluster_.folder() / "squares.wasm";
  const auto built = cluster_.run({"kernel", "build", source.string(), "-o", module.string()});
  ASSERT_EQ(built.exit_code, 0) << built.err;
  const auto checked = cluster_.json({"kernel", "check", module.string(), "--json"});
  EXPECT_EQ(checked["schema"], 1);
  EXPECT_EQ(checked["kernels"].size(), 1U);

  const auto ended = cluster_.run({"submit", module.string(), "--units", "9", "--params",
                                   R"({"add": 1})", "--quorum", "2", "--json"});
  EXPECT_EQ(ended.exit_code, 1) << ended.err;  // one unit has failed, as it is to
  std::map<std::uint64_t, std::uint64_t> squares;
  std::string failure;
  for (const auto& line : json_lines(ended.out)) {
    if (!line.contains("unit")) continue;
    if (line["ok"].get<bool>()) {
      squares[line["unit"].get<std::uint64_t>()] = line["value"].get<std::uint64_t>();
    } else {
      failure = line.dump();
    }
  }
  std::map<std::uint64_t, std::uint64_t> expected;
  for (std::uint64_t unit : {0, 1, 2, 3, 4, 5, 6, 8}) expected[unit] = unit * unit + 1;
  EXPECT_EQ(squares, expected) << ended.out << ended.err;
  EXPECT_THAT(failure, AllOf(HasSubstr("seven is not squared here"), HasSubstr("threw")));
}

TEST_F(WasmTest, AModuleThatReachesForMoreIsRefusedBeforeItIsSubmitted) {
  Module reaching;
  reaching.further_imports = {text("wasi_snapshot_preview1") + text("path_open") + Bytes{0, 1}};
  const auto path = write("reaching.wasm", reaching.bytes());
  const auto ended = cluster_.run({"submit", path.string(), "--units", "1"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("path_open"));
}

TEST_F(WasmTest, ATrapIsACrashedUnit) {
  const auto trap = write("trap.wasm", with_unit({0x00}).bytes());
  const auto ended = cluster_.run({"submit", trap.string(), "--units", "2", "--max-attempts", "1"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.out, AllOf(HasSubstr("crashed"), HasSubstr("unreachable"))) << ended.err;
}

}  // namespace
}  // namespace shoal::cluster
