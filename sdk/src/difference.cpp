#include "sdk/src/difference.h"

#include <algorithm>

#include "node/protocol/ids.h"
#include "node/protocol/program_compare.h"

namespace shoal {
namespace {

constexpr std::size_t kShownBytes = 24;  // of each output

std::optional<std::string> difference_of_programs(const Manifest& manifest, ByteView a,
                                                  ByteView b) {
  const auto spec = decode_program_spec(manifest.parameters);
  const auto one = decode_program_output(a);
  const auto other = decode_program_output(b);
  if (!spec || !one || !other) return std::nullopt;
  // Two that agree by the job's rules may be disputed all the same, for a third one's sake.
  for (const ProgramComparison& rules : {spec->comparison, ProgramComparison{}}) {
    const auto comparer = ProgramComparer::make(rules);
    if (!comparer) continue;
    if (auto difference = comparer->difference(*one, *other)) return difference;
  }
  return std::nullopt;
}

}  // namespace

std::string difference_in_words(const std::optional<Manifest>& manifest, ByteView a, ByteView b) {
  if (manifest && manifest->kernel_kind == KernelKind::kProgram) {
    if (auto difference = difference_of_programs(*manifest, a, b)) return *difference;
  }
  const auto apart = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  const auto at = static_cast<std::size_t>(apart.first - a.begin());
  const auto shown = [&](ByteView bytes) {
    const ByteView part = bytes.subspan(at, std::min(kShownBytes, bytes.size() - at));
    return part.empty() ? std::string("the end")
                        : to_hex(part) + (at + part.size() < bytes.size() ? "..." : "");
  };
  std::string text = "they differ from byte " + std::to_string(at) + " on: ";
  text += shown(a) + " and " + shown(b);
  if (a.size() != b.size()) {
    text += " (of " + std::to_string(a.size()) + " and " + std::to_string(b.size()) + " bytes)";
  }
  return text;
}

}  // namespace shoal
