#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/runtime/options.h"

// Settings before they are understood: name -> text, and where it came from.
namespace shoal {

struct Setting {
  std::string text;
  std::string origin;  // "--threads", "SHOAL_THREADS", "threads in worker.toml": for error messages
};
// By the name that the TOML file uses. Lists are joined by commas.
using Settings = std::map<std::string, Setting>;

const std::vector<std::string>& setting_names();
// What the variables SHOAL_TICKET, SHOAL_LOG_LEVEL ... say; an empty one counts as none.
Settings settings_of_environment(const Environment&);
// `more` wins. A ticket replaces a ticket file, and the other way round.
void overlay(Settings& settings, const Settings& more);

std::string join_list(const std::vector<std::string>& items);
std::vector<std::string> split_list(std::string_view text);

}  // namespace shoal
