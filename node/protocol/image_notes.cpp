#include "node/protocol/image_notes.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace shoal {
namespace {

constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";
constexpr std::size_t kChunkFrame = 12;  // length, type and checksum

std::optional<Bytes> kept_of_png(ByteView file) {
  constexpr std::array<std::string_view, 4> kNotes{"tEXt", "zTXt", "iTXt", "tIME"};
  Bytes kept = to_bytes(file.first(kPngSignature.size()));
  ByteView left = file.subspan(kPngSignature.size());
  while (left.size() >= kChunkFrame) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8 | left[i];
    if (length > left.size() - kChunkFrame) return std::nullopt;
    const ByteView chunk = left.first(length + kChunkFrame);
    left = left.subspan(chunk.size());
    const std::string_view type = as_text(chunk.subspan(4, 4));
    if (std::find(kNotes.begin(), kNotes.end(), type) != kNotes.end()) continue;
    kept.insert(kept.end(), chunk.begin(), chunk.end());
  }
  // What follows the last chunk belongs to nobody, and stays.
  kept.insert(kept.end(), left.begin(), left.end());
  return kept;
}

bool is_blank(std::uint8_t byte) {
  return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

// The head is words between blanks; a comment reaches from a '#' before one to the line's end.
std::optional<Bytes> kept_of_pnm(ByteView file) {
  const bool bitmap = file[1] == '1' || file[1] == '4';
  const std::size_t words = bitmap ? 3 : 4;
  Bytes kept;
  std::size_t at = 0;
  for (std::size_t word = 0; word < words; ++word) {
    while (at < file.size() && (is_blank(file[at]) || file[at] == '#')) {
      if (file[at] != '#') {
        kept.push_back(file[at++]);
        continue;
      }
      while (at < file.size() && file[at] != '\n') ++at;
      if (at < file.size()) ++at;
    }
    if (at == file.size()) return std::nullopt;
    while (at < file.size() && !is_blank(file[at])) kept.push_back(file[at++]);
  }
  kept.insert(kept.end(), file.begin() + static_cast<std::ptrdiff_t>(at), file.end());
  return kept;
}

}  // namespace

std::optional<Bytes> without_image_notes(ByteView file) {
  std::optional<Bytes> kept;
  if (as_text(file).starts_with(kPngSignature)) {
    kept = kept_of_png(file);
  } else if (file.size() > 2 && file[0] == 'P' && file[1] >= '1' && file[1] <= '6' &&
             is_blank(file[2])) {
    kept = kept_of_pnm(file);
  }
  if (!kept || kept->size() == file.size()) return std::nullopt;
  return kept;
}

}  // namespace shoal
