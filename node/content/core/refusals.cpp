#include "node/content/core/refusals.h"

namespace shoal {

std::string to_text(const Refusal& refusal) {
  if (const auto* content = std::get_if<ContentText>(&refusal)) return to_text(*content);
  return to_hex(std::get<NodeId>(refusal));
}

std::optional<Refusal> refusal_from_text(std::string_view text) {
  if (const auto content = content_from_text(text)) return *content;
  if (const auto key = id_from_hex<NodeId>(text)) return *key;
  return std::nullopt;
}

Refusals gathered(const std::vector<Refusal>& all) {
  Refusals refusals;
  for (const Refusal& refusal : all) {
    if (const auto* content = std::get_if<ContentText>(&refusal)) {
      refusals.contents.insert(content->name.id);
    } else {
      refusals.submitters.insert(std::get<NodeId>(refusal));
    }
  }
  return refusals;
}

}  // namespace shoal
