#include "node/state/home_folder.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

namespace shoal {

std::filesystem::path home_folder() {
  if (const char* text = std::getenv("HOME"); text != nullptr && *text == '/') return text;
  const passwd* entry = getpwuid(getuid());
  return entry != nullptr && entry->pw_dir != nullptr ? entry->pw_dir : "/";
}

}  // namespace shoal
