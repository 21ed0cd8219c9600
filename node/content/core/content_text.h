#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "node/protocol/facts.h"

// A content as people pass it on: `file_HEX_LENGTH` or `folder_HEX_LENGTH`. The id alone would not
// say how much there is to fetch, nor what is to become of it; and a word without punctuation is
// picked up whole by a double click.
namespace shoal {

struct ContentText {
  ContentName name;
  bool folder = false;
  friend bool operator==(const ContentText&, const ContentText&) = default;
};
std::string to_text(const ContentText& content);
// Nothing where it is not exactly what to_text() makes.
std::optional<ContentText> content_from_text(std::string_view text);

}  // namespace shoal
