#include "sdk/src/plain_text.h"

namespace shoal {

std::string plain_text(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
    if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {
      // U+0080 to U+009F, as UTF-8 writes them.
      plain += ' ';
      ++i;
    } else if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f) {
      plain += ' ';
    } else {
      plain += text[i];
    }
  }
  return plain;
}

}  // namespace shoal
