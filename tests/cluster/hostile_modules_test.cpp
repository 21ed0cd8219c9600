// Modules that mean harm, on workers that compute an honest job at the same time.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "node/protocol/limits.h"
#include "node/wasm/module.h"
#include "tests/cluster/cluster.h"
#include "tests/cluster/mersenne.h"
#include "tests/cluster/ungated.h"
#include "tests/unit/node/wasm/modules.h"

namespace shoal::cluster {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class HostileModules : public ::testing::TestWithParam<WorkersOf> {
 protected:
  void SetUp() override {
    if (GetParam() == WorkersOf::kRoot && ::geteuid() != 0) GTEST_SKIP() << "only root is root";
    cluster_.start_coordinator();
    for (const char* name : {"one", "two"}) {
      cluster_.place_worker(name, {.ordinary_user = GetParam() == WorkersOf::kOrdinaryUser});
      cluster_.start_worker(name, {"--threads", "3", "--memory", "512M"});
    }
    cluster_.await_workers(2);
  }
  Line submission(const std::string& name, const Module& module, const Line& more = {}) const {
    const auto path = cluster_.folder() / (name + ".wasm");
    std::ofstream(path, std::ios::binary) << as_text(module.bytes());
    Line line{"submit", path.string(), "--units", "1", "--max-attempts", "1"};
    line.insert(line.end(), more.begin(), more.end());
    return line;
  }
  // What the one unit of such a module comes to, which is nothing good.
  std::string end_of(const std::string& name, const Module& module, const Line& more = {}) const {
    Line line = submission(name, module, more);
    line.emplace_back("--json");
    const auto ended = cluster_.run(line);
    EXPECT_EQ(ended.exit_code, 1) << name << ": " << ended.err;
    return ended.out;
  }
  std::string end_of(const std::string& name, Bytes unit) const {
    return end_of(name, with_unit(std::move(unit)));
  }
  Cluster cluster_;
};

// Takes 10 MiB after the other, and writes to all of them, until it gets no more and says so. It
// traps if that is so before it has 100 MiB, or if it has more than the 512 MiB that are lent.
Module growing() {
  const Bytes take{0x41, 0xa0, 0x01, 0x40, 0, 0x41, 0x7f, 0x46};                    // got -1?
  const Bytes trap_below{0x3f, 0, 0x41, 0xc0, 0x0c, 0x49, 0x04, 0x40, 0, 0x0b};     // 1600 pages
  const Bytes trap_above{0x3f, 0, 0x41, 0x80, 0xc0, 0, 0x4b, 0x04, 0x40, 0, 0x0b};  // 8192 pages
  const Bytes say_so{0x41, 2, 0x41, 0, 0x41, 0, 0x10, 0};
  const Bytes fill{0x3f, 0, 0x41, 0xa0, 0x01, 0x6b, 0x41, 16,   0x74,  // where they begin
                   0x41, 1, 0x41, 0x80, 0x80, 0x80, 0x05, 0xfc, 11,   0};
  Module module = with_unit(Bytes{0x03, 0x40} + take + Bytes{0x04, 0x40} + trap_below + say_so +
                            Bytes{0x0b} + trap_above + fill + Bytes{0x0c, 0, 0x0b, 0x41, 0});
  module.memory_limits = Bytes{1, 1} + leb(limits::kMemoryPages);
  return module;
}

INSTANTIATE_TEST_SUITE_P(Users, HostileModules,
                         ::testing::Values(WorkersOf::kRoot, WorkersOf::kOrdinaryUser),
                         [](const auto& user) {
                           return user.param == WorkersOf::kRoot ? "OfRoot" : "OfAnOrdinaryUser";
                         });

TEST_P(HostileModules, AreStoppedAsWhatTheyAreWhileTheJobBesideThemGoesOn) {
  const Bytes loop{0x03, 0x40, 0x0c, 0, 0x0b, 0x41, 0};
  const auto endless = cluster_.run(submission("endless", with_unit(loop), {"--detach"}));
  ASSERT_EQ(endless.exit_code, 0) << endless.err;
  const std::string endless_id = endless.out.substr(0, endless.out.find('\n'));
  ASSERT_TRUE(comes_true([&] { return cluster_.workers_at(endless_id) == 2; }));
  const Mersenne honest(cluster_.folder(), 1000, 1200);
  const auto beside = cluster_.start(honest.submission());

  EXPECT_THAT(end_of("trap", {0x00}), AllOf(HasSubstr("crashed"), HasSubstr("unreachable")));
  EXPECT_THAT(end_of("recursion", {0x20, 0, 0x20, 1, 0x10, Module::kUnit}),
              AllOf(HasSubstr("crashed"), HasSubstr("stack")));
  EXPECT_THAT(end_of("outside", {0x41, 0x7f}), HasSubstr("bad_answer"));
  // Four GiB of output, less one byte.
  EXPECT_THAT(end_of("large", {0x41, 4, 0x41, 0x7f, 0x36, 2, 0, 0x41, 0}), HasSubstr("bad_answer"));
  EXPECT_THAT(end_of("loop", with_unit(loop), {"--time-limit", "2s"}), HasSubstr("timed_out"));
  Module swollen;
  swollen.memory_limits = Bytes{1} + leb(4000) + leb(8000);  // 250 MiB to begin with
  EXPECT_THAT(end_of("swollen", swollen), HasSubstr("out_of_memory"));
  EXPECT_THAT(end_of("growing", growing()), HasSubstr("out_of_memory"));
  Module data;
  // One byte at an address of nearly 2 GiB.
  data.after_code = section(11, {1, 0, 0x41, 0xff, 0xff, 0xff, 0xff, 0x07, 0x0b, 1, 'x'});
  EXPECT_THAT(end_of("data", data), HasSubstr("refused"));

  EXPECT_EQ(beside->exit_code(), 0) << beside->err();
  honest.expect_right(beside->out());
  EXPECT_EQ(cluster_.workers_at(endless_id), 2U) << "the endless job has ended";
  EXPECT_EQ(cluster_.run({"job", "cancel", endless_id}).exit_code, 0);
  EXPECT_TRUE(comes_true([&] { return cluster_.workers_at(endless_id) == 0; }));
  cluster_.expect_workers_end_well();
}

// A module whose unit has so many local variables, and so many loops, one in the other.
Bytes with_loops(std::size_t variables, std::size_t loops) {
  Bytes code = Bytes{1} + leb(variables) + Bytes{0x7f};
  for (std::size_t i = 0; i < loops; ++i) code = std::move(code) + Bytes{0x03, 0x40};
  code = std::move(code) + Bytes(loops, 0x0b) + Bytes{0x41, 0, 0x0b};
  Bytes bytes = Module{}.bytes();
  const Bytes alloc = body({0x41, 0x80, 0x08});
  bytes.resize(bytes.size() - section(10, items({alloc, body(Module{}.unit)})).size());
  return std::move(bytes) + section(10, items({alloc, leb(code.size()) + code}));
}

struct RefusedModule {
  Bytes module;
  std::string why;  // it is refused
};

// Modules that no gate of their submitter's has seen, by name.
std::map<std::string, RefusedModule> ungated_modules() {
  const Bytes nothing{0x41, 0};
  Module reaching = with_unit(nothing);
  reaching.further_imports = {text("wasi_snapshot_preview1") + text("path_open") + Bytes{0, 1}};
  reaching.further_functions = 1;
  Module threads = with_unit(nothing);
  threads.memory_limits = {3, 1, 16};
  const Bytes atomic{0x41, 0, 0xfe, 0x10, 2, 0};  // i32.atomic.load
  Module boundless = with_unit(nothing);
  boundless.memory_limits = {0, 1};
  // 1 GiB of data that is only claimed.
  Module claimed = with_unit(nothing);
  claimed.after_code = Bytes{11} + leb(1ULL << 30) + Bytes{1, 0, 0x41, 0, 0x0b};
  Bytes half = with_unit(nothing).bytes();
  half.resize(half.size() / 2);
  return {
      {"reaching", {reaching.bytes(), "path_open"}},
      {"threads", {threads.bytes(), "shared memory"}},
      {"atomics", {with_unit(atomic).bytes(), "no threads"}},
      {"boundless", {boundless.bytes(), "has no maximum"}},
      // Bombs for the compiler: a function that is longer than any may be, and one with more loops
      // than its local variables leave room for.
      {"long", {with_unit(Bytes(limits::kFunctionBytes, 0x01) + nothing).bytes(), "too long"}},
      {"loops", {with_loops(limits::kFunctionLocals, 60), "too many blocks"}},
      {"claimed", {claimed.bytes(), "claims to be larger"}},
      {"half", {half, "cut off"}},
      {"no_module", {to_bytes(as_bytes("ELF, and no module")), "this is no WebAssembly module"}},
  };
}

// With more data than a module may have, all of it there.
Module with_too_much_data() {
  const std::size_t size = limits::kModuleBytes;
  Module module = with_unit(Bytes{0x41, 0});
  module.after_code = section(11, Bytes{1, 0, 0x41, 0, 0x0b} + leb(size) + Bytes(size, 'x'));
  return module;
}

TEST_P(HostileModules, ThatPassedNoGateOfTheirSubmittersAreRefusedByTheDonor) {
  const Mersenne honest(cluster_.folder(), 1000, 1200);
  const auto beside = cluster_.start(honest.submission());
  ASSERT_TRUE(beside->await_out(has_lines(1))) << beside->err();

  Ungated submitter(cluster_);
  const auto modules = ungated_modules();
  std::map<std::string, std::string> jobs;
  for (const auto& [name, refused] : modules) {
    jobs[name] = submitter.submit(Ungated::manifest(KernelKind::kWasm, "kernel"), refused.module);
  }
  // Nobody fetches that to refuse it then.
  EXPECT_THAT(submitter.submit(Ungated::manifest(KernelKind::kWasm, "kernel"),
                               with_too_much_data().bytes()),
              HasSubstr("are the most"));
  for (const auto& [name, refused] : modules) {
    EXPECT_THAT(submitter.ends_of(jobs[name]),
                AllOf(HasSubstr("\"kind\":\"refused\""), HasSubstr(refused.why)))
        << name;
  }

  EXPECT_EQ(beside->exit_code(), 0) << beside->err();
  honest.expect_right(beside->out());
  cluster_.expect_workers_end_well();
}

}  // namespace
}  // namespace shoal::cluster
