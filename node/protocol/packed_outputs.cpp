#include <algorithm>
#include <limits>

#include "node/protocol/hash.h"
#include "node/protocol/limits.h"
#include "node/protocol/messages.h"
#include "node/protocol/result.h"

namespace shoal {
namespace {

// How much of `inline_bytes` and `large` a run of sizes takes up.
struct Extent {
  std::size_t inline_bytes = 0;
  std::size_t large = 0;
};

Extent extent_of(const std::uint64_t* first, const std::uint64_t* last) {
  Extent extent;
  for (; first != last; ++first) {
    const bool is_large = *first > limits::kInlineOutputBytes;
    extent.large += is_large;
    extent.inline_bytes += is_large ? 0 : *first;
  }
  return extent;
}

}  // namespace

std::optional<std::vector<Hash256>> digests_of(const PackedOutputs& outputs) {
  const std::uint64_t* sizes = outputs.sizes.data();
  const Extent all = extent_of(sizes, sizes + outputs.sizes.size());
  const bool costs_fit = outputs.costs.empty() || outputs.costs.size() == outputs.sizes.size();
  if (all.inline_bytes != outputs.inline_bytes.size() || all.large != outputs.large.size() ||
      !costs_fit) {
    return std::nullopt;
  }
  std::vector<Hash256> digests;
  digests.reserve(outputs.sizes.size());
  const ByteView bytes = outputs.inline_bytes;
  std::size_t at = 0;
  std::size_t large = 0;
  for (std::uint64_t size : outputs.sizes) {
    ContentId id;
    if (size > limits::kInlineOutputBytes) {
      id = outputs.large[large++];
    } else {
      id = content_id(bytes.subspan(at, size));
      at += size;
    }
    digests.push_back(Hash256{id.bytes});
  }
  return digests;
}

PackedOutputs slice(const PackedOutputs& outputs, std::uint64_t first, std::uint64_t last) {
  check(first <= last && last <= outputs.sizes.size(), "a slice is not within its pack");
  const std::uint64_t* sizes = outputs.sizes.data();
  const Extent before = extent_of(sizes, sizes + first);
  const Extent within = extent_of(sizes + first, sizes + last);
  check(before.inline_bytes + within.inline_bytes <= outputs.inline_bytes.size() &&
            before.large + within.large <= outputs.large.size(),
        "the parts of a pack do not fit together");
  PackedOutputs part;
  part.sizes.assign(sizes + first, sizes + last);
  const std::uint8_t* bytes = outputs.inline_bytes.data() + before.inline_bytes;
  part.inline_bytes.assign(bytes, bytes + within.inline_bytes);
  const ContentId* large = outputs.large.data() + before.large;
  part.large.assign(large, large + within.large);
  if (!outputs.costs.empty()) {
    check(outputs.costs.size() == outputs.sizes.size(), "the parts of a pack do not fit together");
    part.costs.assign(outputs.costs.begin() + static_cast<std::ptrdiff_t>(first),
                      outputs.costs.begin() + static_cast<std::ptrdiff_t>(last));
  }
  return part;
}

void append(PackedOutputs& to, const PackedOutputs& more) {
  if (&to == &more) {
    append(to, PackedOutputs(more));
    return;
  }
  if (!to.costs.empty() || !more.costs.empty()) {
    to.costs.resize(to.sizes.size());
    to.costs.insert(to.costs.end(), more.costs.begin(), more.costs.end());
    to.costs.resize(to.sizes.size() + more.sizes.size());
  }
  to.sizes.insert(to.sizes.end(), more.sizes.begin(), more.sizes.end());
  to.inline_bytes.insert(to.inline_bytes.end(), more.inline_bytes.begin(), more.inline_bytes.end());
  to.large.insert(to.large.end(), more.large.begin(), more.large.end());
}

}  // namespace shoal
