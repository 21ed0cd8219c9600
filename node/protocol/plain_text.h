#pragma once

#include <string>
#include <string_view>

namespace shoal {

// What others have sent, for people to read: a control character, save line ends and tabs, becomes
// a space. On a terminal it could clear the screen, or write over what was said before.
std::string plain_text(std::string_view text);
// The same within a line, of a log for instance: line ends and tabs become spaces as well.
std::string plain_line(std::string_view text);

}  // namespace shoal
