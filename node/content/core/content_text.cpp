#include "node/content/core/content_text.h"

#include <charconv>

#include "node/protocol/hash.h"
#include "node/protocol/limits.h"

namespace shoal {

namespace {

constexpr std::string_view kFile = "file_";
constexpr std::string_view kFolder = "folder_";
constexpr std::size_t kHexDigits = 64;

}  // namespace

std::string to_text(const ContentText& content) {
  return std::string(content.folder ? kFolder : kFile) + to_hex(content.name.id) + "_" +
         std::to_string(content.name.length);
}

std::optional<ContentText> content_from_text(std::string_view text) {
  ContentText content;
  content.folder = text.starts_with(kFolder);
  if (!content.folder && !text.starts_with(kFile)) return std::nullopt;
  const std::string_view rest = text.substr(content.folder ? kFolder.size() : kFile.size());
  if (rest.size() <= kHexDigits + 1 || rest[kHexDigits] != '_') return std::nullopt;
  const auto id = id_from_hex<ContentId>(rest.substr(0, kHexDigits));
  if (!id) return std::nullopt;
  content.name.id = *id;
  const std::string_view length = rest.substr(kHexDigits + 1);
  const char* end = length.data() + length.size();
  const auto [stopped, error] = std::from_chars(length.data(), end, content.name.length);
  if (error != std::errc() || stopped != end || content.name.length > limits::kContentBytes) {
    return std::nullopt;
  }
  // Of no bytes there is one content.
  if (content.name.length == 0 && content.name.id != content_id({})) return std::nullopt;
  // One content has one name: no digits in capitals, no zeros in front.
  if (to_text(content) != text) return std::nullopt;
  return content;
}

}  // namespace shoal
