#include "sdk/src/places.h"

#include <cstdlib>

#include "node/state/home_folder.h"

namespace shoal {
namespace {

std::filesystem::path folder(const char* variable, const char* below_home) {
  const char* text = std::getenv(variable);
  // The rules say that a relative path is to be ignored.
  const std::filesystem::path base =
      text != nullptr && *text == '/' ? std::filesystem::path(text) : home_folder() / below_home;
  return base / "shoal";
}

}  // namespace

std::filesystem::path config_folder() { return folder("XDG_CONFIG_HOME", ".config"); }
std::filesystem::path state_folder() { return folder("XDG_STATE_HOME", ".local/state"); }
std::filesystem::path cache_folder() { return folder("XDG_CACHE_HOME", ".cache"); }

}  // namespace shoal
