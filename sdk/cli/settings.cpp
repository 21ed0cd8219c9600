#include "sdk/cli/settings.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <map>
#include <system_error>
#include <utility>

#include "node/protocol/limits.h"
#include "node/state/key_file.h"
#include "sdk/src/places.h"

namespace shoal::cli {
namespace {

namespace fs = std::filesystem;

constexpr double kTimeoutMaxSeconds = 31'536'000;
constexpr std::size_t kTicketBytesMax = 64 * 1024;

// A setting before it is understood.
struct Said {
  std::string text;
  std::string origin;
};
using Layer = std::map<std::string, Said>;

constexpr std::array<std::pair<const char*, const char*>, 5> kNames{{
    {"ticket", "SHOAL_TICKET"},
    {"quorum", "SHOAL_QUORUM"},
    {"timeout", "SHOAL_TIMEOUT"},
    {"progress", "SHOAL_PROGRESS"},
    {"quiet", "SHOAL_QUIET"},
}};

bool is_setting(std::string_view name) {
  for (const auto& [known, variable] : kNames) {
    if (name == known) return true;
  }
  return false;
}

std::optional<std::string> text_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* number = node.as_floating_point()) return std::to_string(number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  return std::nullopt;
}

Result<Layer, Failure> file_layer(const fs::path& file) {
  const auto text = read_text_file(file);
  if (!text) return fail(kUsage, "The settings cannot be read: " + text.error().what + ".");
  const toml::parse_result parsed = toml::parse(*text);
  if (!parsed) {
    return fail(kUsage, file.string() + ", line " +
                            std::to_string(parsed.error().source().begin.line) + ": " +
                            std::string(parsed.error().description()) + ".");
  }
  Layer layer;
  for (const auto& [key, node] : parsed.table()) {
    const std::string name(key.str());
    const std::string where = file.string() + ", line " + std::to_string(key.source().begin.line);
    if (!is_setting(name)) {
      return fail(kUsage, where + ": there is no setting '" + name +
                              "'. It may hold ticket, quorum, timeout, progress and quiet.");
    }
    auto value = text_of(node);
    if (!value) return fail(kUsage, where + ": '" + name + "' cannot have such a value.");
    layer[name] = {std::move(*value), "'" + name + "' in " + file.string()};
  }
  return layer;
}

Layer environment_layer(const Environment& environment) {
  Layer layer;
  for (const auto& [name, variable] : kNames) {
    auto value = environment(variable);
    if (value && !value->empty()) layer[name] = {std::move(*value), variable};
  }
  return layer;
}

Layer flag_layer(const Flags& flags) {
  Layer layer;
  if (!flags.ticket.empty()) layer["ticket"] = {flags.ticket, "--ticket"};
  if (!flags.quorum.empty()) layer["quorum"] = {flags.quorum, "--quorum"};
  if (!flags.timeout.empty()) layer["timeout"] = {flags.timeout, "--timeout"};
  if (flags.no_progress) layer["progress"] = {"false", "--no-progress"};
  if (flags.quiet) layer["quiet"] = {"true", "--quiet"};
  return layer;
}

tl::unexpected<Failure> wrong(const Said& said, const std::string& expected) {
  return fail(kUsage, said.origin + " is '" + said.text + "', but must be " + expected + ".");
}

Result<bool, Failure> truth_of(const Said& said) {
  if (said.text == "true" || said.text == "1") return true;
  if (said.text == "false" || said.text == "0") return false;
  return wrong(said, "true or false");
}

// Nothing unless all of `text` is a number.
template <class T>
std::optional<T> number_of(std::string_view text) {
  T value{};
  const auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stopped != text.data() + text.size()) return std::nullopt;
  return value;
}

void apply_ticket(const Said& said, Settings& settings) {
  settings.ticket_origin = said.origin;
  if (!said.text.starts_with('@')) {
    settings.ticket = said.text;
    return;
  }
  auto text = read_text_file(said.text.substr(1), kTicketBytesMax);
  if (!text) {
    settings.ticket_fault =
        "The ticket that " + said.origin + " names cannot be read: " + text.error().what + ".";
    return;
  }
  settings.ticket = std::move(*text);
  settings.ticket_origin = said.text.substr(1);
}

Result<void, Failure> apply_layer(const Layer& layer, Settings& settings) {
  for (const auto& [name, said] : layer) {
    if (name == "ticket") {
      apply_ticket(said, settings);
    } else if (name == "quorum") {
      const auto value = number_of<unsigned>(said.text);
      if (!value || *value < 1 || *value > limits::kQuorumMax) {
        return wrong(said, "a number from 1 to " + std::to_string(limits::kQuorumMax));
      }
      settings.quorum = *value;
      settings.quorum_given = true;
    } else if (name == "timeout") {
      const auto value = number_of<double>(said.text);
      if (!value || !(*value >= 0.001) || *value > kTimeoutMaxSeconds) {
        return wrong(said, "a number of seconds above zero, and at most a year");
      }
      settings.timeout = std::chrono::milliseconds(std::llround(*value * 1000));
    } else {
      const auto value = truth_of(said);
      if (!value) return tl::unexpected(value.error());
      (name == "progress" ? settings.progress : settings.quiet) = *value;
    }
  }
  return {};
}

}  // namespace

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

Locations usual_locations() { return {config_folder() / "config.toml", default_ticket_file()}; }

Result<Settings, Failure> load_settings(const Flags& flags, const Environment& environment,
                                        const Locations& locations) {
  std::error_code ignored;
  Layer merged;
  if (fs::exists(locations.ticket_file, ignored)) {
    merged["ticket"] = {"@" + locations.ticket_file.string(), locations.ticket_file.string()};
  }
  // The usual file may be missing; one that was named must not.
  if (!flags.config.empty() || fs::exists(locations.config_file, ignored)) {
    auto layer = file_layer(flags.config.empty() ? locations.config_file : fs::path(flags.config));
    if (!layer) return tl::unexpected(layer.error());
    for (auto& [name, said] : *layer) merged[name] = std::move(said);
  }
  for (const Layer& layer : {environment_layer(environment), flag_layer(flags)}) {
    for (const auto& [name, said] : layer) merged[name] = said;
  }
  Settings settings;
  settings.json = flags.json;
  if (auto applied = apply_layer(merged, settings); !applied)
    return tl::unexpected(applied.error());
  return settings;
}

Result<Ticket, Failure> ticket_of(const Settings& settings) {
  if (!settings.ticket_fault.empty()) return fail(kUsage, settings.ticket_fault);
  if (!settings.ticket) {
    return fail(kUsage,
                "No pool is set. Give its ticket with --ticket or SHOAL_TICKET, or once and for "
                "all with 'shoal pool use TICKET'. 'shoal pool init' makes a pool of your own.");
  }
  auto ticket = parse_ticket(*settings.ticket, Ed25519Checker());
  if (!ticket) {
    std::string what = "The ticket (from " + settings.ticket_origin + "): " + ticket.error().what;
    std::error_code ignored;
    if (ticket.error().fault == TicketFault::kNotATicket &&
        std::filesystem::is_regular_file(*settings.ticket, ignored)) {
      what += " There is a file of that name: write @" + *settings.ticket + " to have it read.";
    }
    return fail(kUsage, std::move(what));
  }
  return std::move(*ticket);
}

}  // namespace shoal::cli
