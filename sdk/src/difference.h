#pragma once

#include <optional>
#include <string>

#include "node/protocol/facts.h"

namespace shoal {

// In what two outputs of a unit differ, in a line of a few hundred bytes for people: of a program,
// by the rules of its job, the file and the first line that differ; else the first bytes that do.
std::string difference_in_words(const std::optional<Manifest>& manifest, ByteView a, ByteView b);

}  // namespace shoal
