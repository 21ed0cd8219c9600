#include "sdk/cli/quantities.h"

#include <charconv>
#include <utility>

namespace shoal::cli {
namespace {

constexpr double kSecondsMax = 86'400.0 * 1000;

// The number at the front of `text`, which is then only what follows it.
template <class Number>
std::optional<Number> take_number(std::string_view& text) {
  Number value{};
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto number = take_number<double>(text);
  double scale = 0;
  if (text.empty() || text == "s") scale = 1;
  if (text == "m" || text == "min") scale = 60;
  if (text == "h") scale = 3600;
  if (text == "d") scale = 86'400;
  // A NaN is in no range.
  if (!number || scale == 0 || !(*number > 0 && *number * scale <= kSecondsMax)) {
    return std::nullopt;
  }
  const auto ms = static_cast<std::int64_t>(*number * scale * 1000);
  if (ms == 0) return std::nullopt;
  return std::chrono::milliseconds(ms);
}

std::string duration_text(std::chrono::seconds duration) {
  const std::int64_t seconds = duration.count();
  constexpr std::pair<std::int64_t, const char*> kScales[] = {
      {86'400, "d"}, {3600, "h"}, {60, "m"}};
  for (const auto& [scale, letter] : kScales) {
    if (seconds >= scale && seconds % scale == 0) return std::to_string(seconds / scale) + letter;
  }
  return std::to_string(seconds) + "s";
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  auto number = take_number<std::uint64_t>(text);
  if (!number || *number == 0) return std::nullopt;
  if (text.ends_with('B') && text.size() > 1) text.remove_suffix(1);
  if (text.ends_with('i') && text.size() > 1) text.remove_suffix(1);
  constexpr std::string_view kScales = "KMGT";
  if (text.empty()) return number;
  const std::size_t scale = text.size() == 1 ? kScales.find(text[0]) : std::string_view::npos;
  if (scale == std::string_view::npos) return std::nullopt;
  const auto bits = static_cast<unsigned>(10 * (scale + 1));
  if (*number > (UINT64_MAX >> bits)) return std::nullopt;
  return *number << bits;
}

}  // namespace shoal::cli
