#include "node/wasm/module.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "node/protocol/limits.h"
#include "node/protocol/rng.h"
#include "tests/unit/node/wasm/modules.h"

namespace shoal {
namespace {

using testing::HasSubstr;

std::string fault(const Bytes& module) {
  const auto info = check_module(module);
  return info ? "" : info.error();
}
std::string fault(const Module& module) { return fault(module.bytes()); }

TEST(CheckModule, TakesAModuleThatExportsWhatAKernelNeeds) {
  const auto info = check_module(Module{}.bytes());
  ASSERT_TRUE(info) << info.error();
  EXPECT_EQ(info->pages, 1U);
  EXPECT_EQ(info->pages_max, 16U);
  EXPECT_FALSE(info->names_kernels);
  ASSERT_EQ(info->kernels.size(), 1U);
  EXPECT_EQ(info->kernels[0], (ModuleKernel{kOnlyKernel, false}));
}

TEST(CheckModule, ReadsTheNamesThatWereWrittenIntoIt) {
  Module module;
  module.further_exports = {text("shoal_v1_equivalent") + Bytes{0, Module::kUnit}};
  const std::vector<ModuleKernel> kernels = {{"a", false}, {"b-2.c_", true}};
  const auto info = check_module(with_kernels(module.bytes(), kernels));
  ASSERT_TRUE(info) << info.error();
  EXPECT_TRUE(info->names_kernels);
  EXPECT_EQ(info->kernels, kernels);
  EXPECT_THAT(fault(with_kernels(Module{}.bytes(), {{"b", true}})),
              HasSubstr("shoal_v1_equivalent"));
  EXPECT_THAT(fault(with_kernels(module.bytes(), {{"a", false}, {"a", false}})),
              HasSubstr("makes no sense"));
  EXPECT_THAT(fault(with_kernels(module.bytes(), {{"a b", false}})), HasSubstr("makes no sense"));
}

TEST(CheckModule, RefusesWhatIsNoModule) {
  EXPECT_THAT(fault(Bytes{}), HasSubstr("no WebAssembly module"));
  EXPECT_THAT(fault(to_bytes(as_bytes("\x7f"
                                      "ELF and more"))),
              HasSubstr("no WebAssembly module"));
  Bytes other_version = Module{}.bytes();
  other_version[4] = 2;
  EXPECT_THAT(fault(other_version), HasSubstr("no WebAssembly module"));
}

TEST(CheckModule, RefusesImportsThatNoKernelHas) {
  Module module;
  module.further_imports = {text("wasi_snapshot_preview1") + text("fd_write") + Bytes{0, 1}};
  EXPECT_THAT(fault(module), HasSubstr("wasi_snapshot_preview1.fd_write"));
  module.further_imports = {text("shoal") + text("open") + Bytes{0, 1}};
  EXPECT_THAT(fault(module), HasSubstr("shoal.open"));
  module.further_imports = {text("shoal") + text("log") + Bytes{0, 2}};
  EXPECT_THAT(fault(module), HasSubstr("another type"));
  module.further_imports = {text("env") + text("table") + Bytes{1, 0x70, 0, 1}};
  EXPECT_THAT(fault(module), HasSubstr("env.table"));
  module.further_imports = {text("env\x1b[2J") + text("x") + Bytes{0, 1}};
  EXPECT_THAT(fault(module), HasSubstr("env?[2J.x")) << "it is shown on terminals";
}

TEST(CheckModule, RefusesMemoryThatIsItsOwnOrSharedOrWithoutAMaximum) {
  Module module;
  module.before_exports = section(5, {1, 0, 1});
  EXPECT_THAT(fault(module), HasSubstr("memory of its own"));
  module = {};
  module.memory_limits = {3, 1, 16};
  EXPECT_THAT(fault(module), HasSubstr("shared memory"));
  module.memory_limits = {0, 1};
  EXPECT_THAT(fault(module), HasSubstr("no maximum"));
  module.memory_limits = Bytes{1, 1} + leb(limits::kMemoryPages + 1);
  EXPECT_THAT(fault(module), HasSubstr("1024 MiB are the most"));
  module.memory_limits = Bytes{1, 1} + leb(limits::kMemoryPages);
  EXPECT_EQ(fault(module), "");
}

TEST(CheckModule, RefusesMissingAndMistypedExports) {
  Bytes module = Module{}.bytes();
  const std::string name = "shoal_v1_unit";
  const auto at = std::search(module.begin(), module.end(), name.begin(), name.end());
  *at = 'S';
  EXPECT_THAT(fault(module), HasSubstr("does not export shoal_v1_unit"));
  Module mistyped;
  mistyped.further_exports = {text("_initialize") + Bytes{0, Module::kUnit}};
  EXPECT_THAT(fault(mistyped), HasSubstr("_initialize"));
}

TEST(CheckModule, RefusesThreadsAndWhatDiffersBetweenProcessors) {
  EXPECT_THAT(fault(with_unit({0xfe, 0x03, 0x00, 0x41, 0})), HasSubstr("atomic"));
  EXPECT_THAT(fault(with_unit(Bytes{0xfd} + leb(0x105))), HasSubstr("relaxed SIMD"));
  EXPECT_THAT(fault(with_unit({0x25, 0})), HasSubstr("references or tables"));
  EXPECT_THAT(fault(with_unit({0xfc, 15, 0})), HasSubstr("references or tables"));
  EXPECT_THAT(fault(with_unit({0x12, 0})), HasSubstr("may not use"));     // a tail call
  EXPECT_THAT(fault(with_unit({0x06, 0x40})), HasSubstr("may not use"));  // try
}

TEST(CheckModule, RefusesWhatTakesTooLongToCompile) {
  EXPECT_THAT(fault(with_unit(Bytes(limits::kFunctionBytes, 0x01) + Bytes{0x41, 0})),
              HasSubstr("too long"));
  Bytes nested;
  for (std::uint32_t i = 0; i < limits::kBlockDepth; ++i) nested = nested + Bytes{0x02, 0x40};
  EXPECT_THAT(fault(with_unit(nested)), HasSubstr("blocks"));

  Module module = with_unit({0x41, 0});
  Bytes many_locals = Module{}.bytes();
  // The body of shoal_v1_unit ends the module; another with locals is put there instead.
  const Bytes old_code = section(10, items({body({0x41, 0x80, 0x08}), body(Module{}.unit)}));
  many_locals.resize(many_locals.size() - old_code.size());
  const Bytes locals = Bytes{1} + leb(1'000'000'000) + Bytes{0x7f, 0x41, 0, 0x0b};
  EXPECT_THAT(fault(many_locals +
                    section(10, items({body({0x41, 0x80, 0x08}), leb(locals.size()) + locals}))),
              HasSubstr("local variables"));
}

TEST(CheckModule, RefusesBlocksTimesVariablesThatTheEngineWouldHaveToRemember) {
  const auto loops = [](std::uint32_t count, std::uint32_t locals) {
    Module module;
    Bytes bytes = module.bytes();
    const Bytes old_code = section(10, items({body({0x41, 0x80, 0x08}), body(module.unit)}));
    bytes.resize(bytes.size() - old_code.size());
    Bytes code = Bytes{1} + leb(locals) + Bytes{0x7f};
    for (std::uint32_t i = 0; i < count; ++i) code = std::move(code) + Bytes{0x03, 0x40};
    code = std::move(code) + Bytes(count, 0x0b) + Bytes{0x41, 0, 0x0b};
    return bytes + section(10, items({body({0x41, 0x80, 0x08}), leb(code.size()) + code}));
  };
  EXPECT_THAT(fault(loops(1000, 1000)), HasSubstr("too many blocks"));  // 12 KB, and 500 MB of V8
  EXPECT_EQ(fault(loops(100, 1000)), "");
}

TEST(CheckModule, RefusesSectionsThatClaimMoreThanThereIs) {
  Module module;
  module.after_code = Bytes{11} + leb(1ULL << 30) + Bytes{1, 0, 0x41, 0, 0x0b};  // 1 GiB of data
  EXPECT_THAT(fault(module), HasSubstr("cut off"));
  module.after_code = section(11, Bytes{1, 0, 0x41, 0, 0x0b} + leb(1ULL << 30));
  EXPECT_THAT(fault(module), HasSubstr("cut off"));
  module.after_code = section(11, leb(0xffffffff));
  EXPECT_THAT(fault(module), HasSubstr("segments of data"));
  module.after_code = section(1, {0});
  EXPECT_THAT(fault(module), HasSubstr("out of order"));
  module.after_code = section(13, {0});
  EXPECT_THAT(fault(module), HasSubstr("of a kind"));
  EXPECT_THAT(fault(Bytes(limits::kModuleBytes + 1)), HasSubstr("are the most"));
}

TEST(CheckModule, RefusesAHugeTable) {
  Module module;
  module.before_exports = section(4, Bytes{1, 0x70, 0} + leb(limits::kTableEntries + 1));
  EXPECT_THAT(fault(module), HasSubstr("entries"));
}

TEST(CheckModule, EveryCutAndEveryFlippedByteIsAnAnswer) {
  const Bytes whole = with_kernels(Module{}.bytes(), {{"kernel", false}});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto cut = check_module(ByteView(whole).first(size));
    EXPECT_TRUE(cut || !cut.error().empty());
  }
  Rng rng(7);
  for (int round = 0; round < 20'000; ++round) {
    Bytes changed = whole;
    for (int i = 0; i < 3; ++i) {
      changed[rng.below(changed.size())] = static_cast<std::uint8_t>(rng.below(256));
    }
    const auto info = check_module(changed);
    EXPECT_TRUE(info || !info.error().empty());
  }
}

}  // namespace
}  // namespace shoal
