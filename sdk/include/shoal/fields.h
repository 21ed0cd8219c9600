#pragma once

#include <concepts>
#include <cstddef>
#include <string_view>
#include <tuple>

// Inside a plain struct, names the members that make up its value, in their order:
//
//   struct Params {
//     double step = 0.1;
//     std::string name;
//     SHOAL_FIELDS(step, name)
//   };
//
// A member that is not named does not travel: it has its default value wherever the struct arrives.
// The struct stays what it was: the line adds no data and no virtual function, and
// `Params{0.5, "x"}` still works.
#define SHOAL_FIELDS(...)                                     \
  auto shoal_fields() { return std::tie(__VA_ARGS__); }       \
  auto shoal_fields() const { return std::tie(__VA_ARGS__); } \
  static constexpr std::string_view shoal_field_names() { return #__VA_ARGS__; }

namespace shoal {

// A struct with SHOAL_FIELDS.
template <class T>
concept HasFields = requires(T& value, const T& constant) {
  value.shoal_fields();
  constant.shoal_fields();
  { T::shoal_field_names() } -> std::convertible_to<std::string_view>;
};

namespace detail {

// The name of field `index` in a list such as "step, name"; empty past the end.
constexpr std::string_view field_name(std::string_view list, std::size_t index) {
  for (; index > 0; --index) {
    const auto comma = list.find(',');
    if (comma == std::string_view::npos) return {};
    list.remove_prefix(comma + 1);
  }
  list = list.substr(0, list.find(','));
  while (!list.empty() && (list.front() == ' ' || list.front() == '\t')) list.remove_prefix(1);
  while (!list.empty() && (list.back() == ' ' || list.back() == '\t')) list.remove_suffix(1);
  return list;
}

}  // namespace detail
}  // namespace shoal
