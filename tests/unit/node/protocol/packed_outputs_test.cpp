#include <gtest/gtest.h>

#include "node/protocol/hash.h"
#include "node/protocol/limits.h"
#include "node/protocol/messages.h"
#include "node/protocol/rng.h"
#include "tests/unit/node/protocol/specimens.h"

namespace shoal {
namespace {

PackedOutputs pack(const std::vector<Bytes>& outputs) {
  PackedOutputs packed;
  for (const Bytes& output : outputs) {
    packed.sizes.push_back(output.size());
    if (output.size() > limits::kInlineOutputBytes) {
      packed.large.push_back(content_id(output));
    } else {
      packed.inline_bytes.insert(packed.inline_bytes.end(), output.begin(), output.end());
    }
  }
  return packed;
}

std::vector<Bytes> random_outputs(Rng& rng, std::size_t count) {
  std::vector<Bytes> outputs(count);
  for (Bytes& output : outputs) {
    output.resize(rng.below(4) == 0 ? 1020 + rng.below(10) : rng.below(20));
    for (std::uint8_t& byte : output) byte = static_cast<std::uint8_t>(rng.next());
  }
  return outputs;
}

TEST(PackedOutputs, DigestsAreTheOutputsContentIds) {
  Rng rng(1);
  const std::vector<Bytes> outputs = random_outputs(rng, 50);
  const auto digests = digests_of(pack(outputs));
  ASSERT_TRUE(digests.has_value());
  ASSERT_EQ(digests->size(), outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    EXPECT_EQ((*digests)[i].bytes, content_id(outputs[i]).bytes) << "output " << i;
  }
}

TEST(PackedOutputs, HasNoDigestsWhereItsPartsDoNotFit) {
  EXPECT_TRUE(digests_of(specimens::outputs()).has_value());
  PackedOutputs outputs = specimens::outputs();
  outputs.inline_bytes.pop_back();
  EXPECT_FALSE(digests_of(outputs).has_value());
  outputs = specimens::outputs();
  outputs.large.push_back({});
  EXPECT_FALSE(digests_of(outputs).has_value());
  outputs = specimens::outputs();
  outputs.sizes.push_back(1);
  EXPECT_FALSE(digests_of(outputs).has_value());
}

TEST(PackedOutputs, CostsGoWithTheirUnits) {
  const auto measured = [](std::uint32_t first) {
    PackedOutputs outputs;
    for (std::uint32_t i = first; i < first + 2; ++i) {
      outputs.sizes.push_back(1);
      outputs.inline_bytes.push_back(static_cast<std::uint8_t>(i));
      outputs.costs.push_back({i, i, i, 0, 0});
    }
    return outputs;
  };
  const auto wall_times = [](const PackedOutputs& outputs) {
    std::vector<std::uint32_t> times;
    for (const UnitCost& cost : outputs.costs) times.push_back(cost.wall_ms);
    return times;
  };
  PackedOutputs all = measured(1);
  PackedOutputs unmeasured = pack({Bytes{7}});
  append(all, unmeasured);
  append(all, measured(3));
  EXPECT_EQ(wall_times(all), (std::vector<std::uint32_t>{1, 2, 0, 3, 4}));
  EXPECT_EQ(wall_times(slice(all, 1, 4)), (std::vector<std::uint32_t>{2, 0, 3}));
  append(unmeasured, measured(1));
  EXPECT_EQ(wall_times(unmeasured), (std::vector<std::uint32_t>{0, 1, 2}));
  EXPECT_EQ(digests_of(all)->size(), 5u);
  all.costs.pop_back();
  EXPECT_FALSE(digests_of(all).has_value());
}

TEST(PackedOutputs, SlicesAreThePacksOfTheirOutputs) {
  Rng rng(2);
  const std::vector<Bytes> outputs = random_outputs(rng, 12);
  const PackedOutputs whole = pack(outputs);
  for (std::uint64_t first = 0; first <= outputs.size(); ++first) {
    for (std::uint64_t last = first; last <= outputs.size(); ++last) {
      const std::vector<Bytes> part(outputs.begin() + static_cast<std::ptrdiff_t>(first),
                                    outputs.begin() + static_cast<std::ptrdiff_t>(last));
      EXPECT_EQ(slice(whole, first, last), pack(part)) << first << " to " << last;
    }
  }
}

TEST(PackedOutputs, SlicesAppendedAreTheWhole) {
  Rng rng(3);
  const PackedOutputs whole = pack(random_outputs(rng, 40));
  for (std::uint64_t cut = 0; cut <= 40; ++cut) {
    PackedOutputs joined = slice(whole, 0, cut);
    append(joined, slice(whole, cut, 40));
    EXPECT_EQ(joined, whole) << "cut at " << cut;
  }
}

TEST(PackedOutputs, CanBeAppendedToItself) {
  Rng rng(4);
  std::vector<Bytes> outputs = random_outputs(rng, 10);
  PackedOutputs packed = pack(outputs);
  append(packed, packed);
  const std::vector<Bytes> again = outputs;
  outputs.insert(outputs.end(), again.begin(), again.end());
  EXPECT_EQ(packed, pack(outputs));
}

TEST(PackedOutputsDeathTest, RefusesASliceThatIsNotWithin) {
  EXPECT_DEATH(slice(specimens::outputs(), 3, 6), "not within its pack");
  PackedOutputs torn = specimens::outputs();
  torn.inline_bytes.clear();
  EXPECT_DEATH(slice(torn, 0, 5), "do not fit together");
}

}  // namespace
}  // namespace shoal
