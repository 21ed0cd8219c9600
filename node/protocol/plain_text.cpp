#include "node/protocol/plain_text.h"

namespace shoal {
namespace {

std::string without_controls(std::string_view text, bool one_line) {
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
    const bool layout = byte == '\n' || byte == '\t';
    if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {
      // U+0080 to U+009F, as UTF-8 writes them.
      plain += ' ';
      ++i;
    } else if (byte == 0x7f || (byte < 0x20 && (one_line || !layout))) {
      plain += ' ';
    } else {
      plain += text[i];
    }
  }
  return plain;
}

}  // namespace

std::string plain_text(std::string_view text) { return without_controls(text, false); }

std::string plain_line(std::string_view text) { return without_controls(text, true); }

}  // namespace shoal
