#include "worker/runtime/settings.h"

#include <algorithm>

namespace shoal {

const std::vector<std::string>& setting_names() {
  static const std::vector<std::string> names{
      "ticket",      "ticket_file",   "state",      "listen",       "advertise", "threads",
      "memory",      "trust",         "log_level",  "executor",     "quiet",     "scratch",
      "sandbox",     "readable",      "cpu_share",  "port_mapping", "pin",       "cache",
      "upload_rate", "download_rate", "upload_cap", "download_cap", "kinds",     "owner_key"};
  return names;
}

Settings settings_of_environment(const Environment& environment) {
  Settings settings;
  for (const std::string& name : setting_names()) {
    std::string variable = "SHOAL_";
    for (const char c : name) {
      variable += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    const auto value = environment(variable);
    if (value && !value->empty()) settings[name] = {*value, variable};
  }
  return settings;
}

void overlay(Settings& settings, const Settings& more) {
  if (more.contains("ticket")) settings.erase("ticket_file");
  if (more.contains("ticket_file")) settings.erase("ticket");
  for (const auto& [name, setting] : more) settings[name] = setting;
}

std::string join_list(const std::vector<std::string>& items) {
  std::string joined;
  for (const std::string& item : items) joined += (joined.empty() ? "" : ",") + item;
  return joined;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, comma);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (!item.empty()) items.emplace_back(item);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return items;
}

}  // namespace shoal
