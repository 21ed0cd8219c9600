#pragma once

#include <concepts>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>

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
// `Params{0.5, "x"}` still works. A struct that inherits the line and adds members needs one of its
// own, which names those of both.
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

struct Anything {
  template <class T>
  operator T() const;
};
template <class Owner, class Fields>
std::type_identity<Owner> owner_of(Fields (Owner::*)() const);

// Whether T has its SHOAL_FIELDS from a base, and members beside that: they would be lost on the
// way without a word.
template <class T>
constexpr bool adds_to_inherited_fields() {
  if constexpr (requires { owner_of(&T::shoal_fields); }) {
    using Owner = typename decltype(owner_of(&T::shoal_fields))::type;
    if constexpr (std::is_same_v<Owner, T>) {
      return false;
    } else if constexpr (std::is_aggregate_v<T>) {
      return requires { T{Anything{}, Anything{}}; };  // a base, and one thing more
    } else {
      return sizeof(T) != sizeof(Owner);
    }
  } else {
    return false;
  }
}

}  // namespace detail
}  // namespace shoal
