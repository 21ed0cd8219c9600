#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "node/content/core/content_text.h"

// What the owner of a machine will have nothing to do with: contents, and the jobs of submitters.
namespace shoal {

// One of them: a content, or a submitter's key.
using Refusal = std::variant<ContentText, NodeId>;
std::string to_text(const Refusal& refusal);
// A content as `shoal put` prints it, or a key's 64 hexadecimal digits.
std::optional<Refusal> refusal_from_text(std::string_view text);

// All of them, as a node asks for them. A content is known by its id alone: under whatever length
// it is named, and whether as a file or as a folder, it is the same bytes.
struct Refusals {
  std::set<ContentId> contents;
  std::set<NodeId> submitters;
  bool empty() const { return contents.empty() && submitters.empty(); }
};
Refusals gathered(const std::vector<Refusal>& all);

}  // namespace shoal
