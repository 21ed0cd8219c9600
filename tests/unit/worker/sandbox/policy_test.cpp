#include "worker/sandbox/policy.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace shoal {
namespace {

TEST(SandboxPolicy, IsTheSameAfterTheCommandLine) {
  SandboxPolicy policy;
  policy.kind = SandboxKind::kWasm;
  policy.level = SandboxLevel::kWeak;
  policy.program = "/bin/true";
  policy.arguments = {"--a", "b c"};
  policy.scratch = "/tmp";
  policy.read_only = {"/opt/x", "/opt/y"};
  policy.memory_bytes = 5;
  policy.threads = 3;
  const auto read = parse_policy(to_arguments(policy));
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(to_arguments(*read), to_arguments(policy));
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{},
                                                {"--"},
                                                {"--", "relative"},
                                                {"--kind=x", "--", "/bin/true"},
                                                {"--memory=1x", "--", "/bin/true"},
                                                {"--level=weak", "--", "/bin/true"}}) {
    EXPECT_FALSE(parse_policy(wrong));
  }
}

}  // namespace
}  // namespace shoal
