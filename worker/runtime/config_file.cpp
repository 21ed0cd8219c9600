#include "worker/runtime/config_file.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "node/state/key_file.h"

namespace shoal {

namespace {

constexpr std::array<std::string_view, 4> kLists{"trust", "readable", "pin", "kinds"};

std::optional<std::string> text_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  if (const auto* list = node.as_array()) {
    std::vector<std::string> items;
    for (const toml::node& item : *list) {
      const auto* text = item.as_string();
      if (text == nullptr) return std::nullopt;
      items.push_back(text->get());
    }
    return join_list(items);
  }
  return std::nullopt;
}

}  // namespace

Result<Settings, std::string> read_config_file(const std::filesystem::path& file) {
  const auto text = read_text_file(file);
  if (!text) return tl::unexpected(text.error().what);
  const toml::parse_result parsed = toml::parse(*text);
  if (!parsed) {
    return tl::unexpected(file.string() + ", line " +
                          std::to_string(parsed.error().source().begin.line) + ": " +
                          std::string(parsed.error().description()));
  }
  Settings settings;
  const auto& names = setting_names();
  for (const auto& [key, node] : parsed.table()) {
    const std::string name(key.str());
    const std::string where = file.string() + ", line " + std::to_string(key.source().begin.line);
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      return tl::unexpected(where + ": there is no setting '" + name +
                            "'; `shoal-worker --help` lists them");
    }
    auto value = text_of(node);
    if (!value ||
        (node.is_array() && std::find(kLists.begin(), kLists.end(), name) == kLists.end())) {
      return tl::unexpected(where + ": '" + name + "' cannot have such a value");
    }
    settings[name] = {std::move(*value), "'" + name + "' in " + file.string()};
  }
  if (settings.contains("ticket") && settings.contains("ticket_file")) {
    return tl::unexpected(file.string() + " holds both a ticket and a ticket file; keep one");
  }
  return settings;
}

}  // namespace shoal
