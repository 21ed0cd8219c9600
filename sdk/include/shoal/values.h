#pragma once

#include <array>
#include <cmath>
#include <complex>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <tl/expected.hpp>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "shoal/fields.h"
#include "shoal/values_wire.h"

// How values travel. shoal::encode turns a value into bytes (MessagePack), shoal::decode turns
// bytes into a value. You rarely call either: kernels and results do.
//
// What can travel:
//
//   bool, integers, enums, float, double, std::complex, std::string
//   std::vector, std::array, std::pair, std::tuple, std::map, std::set, std::optional of these
//   shoal::Nothing, and structs with a SHOAL_FIELDS line (fields.h), nested as you like
//
// Two values that are equal have the same bytes, on every machine: workers' outputs are compared by
// them. Hence there is no std::unordered_map (no order), every NaN is written as one and the same
// NaN, and floating-point numbers keep all their bits otherwise (-0.0 stays -0.0).
//
// Vectors and arrays of numbers are written as one run of little-endian bytes: a million doubles
// take 8 MB and no time to speak of. A struct is written as the list of its fields, without names;
// decode also takes a map from names to values, where missing names keep their defaults, so that
// parameters can be written by hand as JSON.
//
// shoal::Bytes as a whole parameter, input or output is not encoded at all: it is passed as it is.
namespace shoal {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

// For a kernel that takes no parameters.
struct Nothing {
  friend bool operator==(const Nothing&, const Nothing&) = default;
};

struct DecodeFailure {
  std::string what;  // which field, and what is wrong with it
};

// A type that can travel.
template <class T>
concept Value = requires(wire::Writer& writer, const wire::Object& object, T& value,
                         const T& constant, std::string& fault) {
  wire::Codec<T>::write(writer, constant);
  { wire::Codec<T>::read(object, value, fault) } -> std::same_as<bool>;
};

// Appends the encoded value to `to`. Throws std::length_error where one piece of it has 4 GiB or
// more.
template <Value T>
void encode_to(Bytes& to, const T& value) {
  if constexpr (std::is_same_v<T, Bytes>) {
    to.insert(to.end(), value.begin(), value.end());
  } else {
    wire::Writer writer(to);
    wire::Codec<T>::write(writer, value);
  }
}

template <Value T>
[[nodiscard]] Bytes encode(const T& value) {
  Bytes bytes;
  encode_to(bytes, value);
  return bytes;
}

// Total: any bytes give a value or a failure. Takes memory in proportion to bytes.size().
template <Value T>
requires std::default_initializable<T>
[[nodiscard]] tl::expected<T, DecodeFailure> decode(ByteView bytes) {
  if constexpr (std::is_same_v<T, Bytes>) {
    return T(bytes.begin(), bytes.end());
  } else {
    T value{};
    std::string fault;
    const bool fits = wire::parse(bytes, fault, [&](const wire::Object& object) {
      return wire::Codec<T>::read(object, value, fault);
    });
    if (!fits) return tl::unexpected(DecodeFailure{std::move(fault)});
    return value;
  }
}

}  // namespace shoal

namespace shoal::wire {

template <>
struct Codec<Nothing> {
  static void write(Writer& writer, const Nothing&) { writer.nil(); }
  static bool read(const Object& object, Nothing&, std::string& fault) {
    // JSON by hand: an object of no fields.
    if (object.type == msgpack::type::MAP && object.via.map.size == 0) return true;
    return object.type == msgpack::type::NIL || expected("nothing", object, fault);
  }
};

template <class T>
requires std::is_enum_v<T>
struct Codec<T> {
  using Number = std::underlying_type_t<T>;
  static void write(Writer& writer, const T& value) {
    Codec<Number>::write(writer, static_cast<Number>(value));
  }
  static bool read(const Object& object, T& value, std::string& fault) {
    Number number{};
    if (!Codec<Number>::read(object, number, fault)) return false;
    value = static_cast<T>(number);
    return true;
  }
};

// Anything that is a run of items of one type and of any length.
template <class T>
struct VectorCodec {
  static void write(Writer& writer, const std::vector<T>& values) {
    if constexpr (Run<T>) {
      write_run(writer, values.data(), values.size());
    } else {
      writer.array(values.size());
      for (std::size_t i = 0; i < values.size(); ++i) Codec<T>::write(writer, values[i]);
    }
  }
  static bool read(const Object& object, std::vector<T>& values, std::string& fault) {
    if constexpr (Run<T>) {
      if (object.type == msgpack::type::BIN) return read_run(object, values, fault);
    }
    if (object.type != msgpack::type::ARRAY) return expected("a list", object, fault);
    values.clear();
    values.reserve(object.via.array.size);
    for (std::uint32_t i = 0; i < object.via.array.size; ++i) {
      T item{};
      if (!Codec<T>::read(object.via.array.ptr[i], item, fault)) {
        return within("[" + std::to_string(i) + "]", fault);
      }
      values.push_back(std::move(item));
    }
    return true;
  }
};
template <class T>
requires Travels<T>
struct Codec<std::vector<T>> : VectorCodec<T> {
};

template <class T, std::size_t N>
requires Travels<T>
struct Codec<std::array<T, N>> {
  static void write(Writer& writer, const std::array<T, N>& values) {
    if constexpr (Run<T>) {
      write_run(writer, values.data(), N);
    } else {
      writer.array(N);
      for (const T& value : values) Codec<T>::write(writer, value);
    }
  }
  static bool read(const Object& object, std::array<T, N>& values, std::string& fault) {
    std::vector<T> items;
    if (!VectorCodec<T>::read(object, items, fault)) return false;
    if (items.size() != N) {
      fault = "has " + std::to_string(items.size()) + " items, not " + std::to_string(N);
      return false;
    }
    for (std::size_t i = 0; i < N; ++i) values[i] = std::move(items[i]);
    return true;
  }
};

template <class Tuple>
inline constexpr bool AllTravel = false;
template <class... T>
inline constexpr bool AllTravel<std::tuple<T...>> = (Travels<std::remove_cvref_t<T>> && ...);

// One of another fixed list of types: structs, pairs and tuples.
template <class Tuple>
void write_tuple(Writer& writer, const Tuple& fields) {
  static_assert(AllTravel<Tuple>,
                "a field of this struct cannot travel: see shoal/values.h for what can (neither "
                "std::variant nor std::unordered_map nor pointers)");
  if constexpr (AllTravel<Tuple>) {
    writer.array(std::tuple_size_v<Tuple>);
    std::apply(
        [&](const auto&... field) {
          (Codec<std::remove_cvref_t<decltype(field)>>::write(writer, field), ...);
        },
        fields);
  }
}

// `fields` is a tuple of references. `names` gives the names by which a map may bring them.
template <class Tuple, std::size_t... I>
bool read_tuple(const Object& object, Tuple&& fields, std::string_view names, std::string& fault,
                std::index_sequence<I...>) {
  const auto name_of = [&](std::size_t i) {
    const auto name = detail::field_name(names, i);
    return name.empty() ? "[" + std::to_string(i) + "]" : "." + std::string(name);
  };
  const auto read_field = [&]<std::size_t i>(std::integral_constant<std::size_t, i>,
                                             const Object& item) {
    using T = std::remove_cvref_t<decltype(std::get<i>(fields))>;
    return Codec<T>::read(item, std::get<i>(fields), fault) || within(name_of(i), fault);
  };
  if (object.type == msgpack::type::MAP && !names.empty()) {
    for (std::uint32_t k = 0; k < object.via.map.size; ++k) {
      const auto& entry = object.via.map.ptr[k];
      std::string key;
      if (!Codec<std::string>::read(entry.key, key, fault)) return within("(a name)", fault);
      bool known = false;
      bool good = true;
      ((detail::field_name(names, I) == key
            ? (known = true,
               good = good && read_field(std::integral_constant<std::size_t, I>{}, entry.val))
            : false),
       ...);
      if (!known) {
        fault = "there is no field \"" + printable(key) + "\", only " + std::string(names);
        return false;
      }
      if (!good) return false;
    }
    return true;
  }
  if (object.type != msgpack::type::ARRAY) return expected("a list of fields", object, fault);
  if (object.via.array.size != sizeof...(I)) {
    fault = "has " + std::to_string(object.via.array.size) + " fields, not " +
            std::to_string(sizeof...(I));
    return false;
  }
  return (read_field(std::integral_constant<std::size_t, I>{}, object.via.array.ptr[I]) && ...);
}

template <HasFields T>
struct Codec<T> {
  static_assert(!detail::adds_to_inherited_fields<T>(),
                "this struct inherits SHOAL_FIELDS and adds members, which would not travel: give "
                "it a SHOAL_FIELDS line that names its own and its base's");
  static void write(Writer& writer, const T& value) { write_tuple(writer, value.shoal_fields()); }
  static bool read(const Object& object, T& value, std::string& fault) {
    auto fields = value.shoal_fields();
    if constexpr (AllTravel<decltype(fields)>) {  // or write_tuple says what is wrong
      return read_tuple(object, fields, T::shoal_field_names(), fault,
                        std::make_index_sequence<std::tuple_size_v<decltype(fields)>>{});
    } else {
      return false;
    }
  }
};

template <class... T>
requires(Travels<T>&&...) struct Codec<std::tuple<T...>> {
  static void write(Writer& writer, const std::tuple<T...>& value) { write_tuple(writer, value); }
  static bool read(const Object& object, std::tuple<T...>& value, std::string& fault) {
    return read_tuple(object, value, {}, fault, std::index_sequence_for<T...>{});
  }
};

template <class A, class B>
requires(Travels<A>&& Travels<B>) struct Codec<std::pair<A, B>> {
  static void write(Writer& writer, const std::pair<A, B>& value) {
    write_tuple(writer, std::tie(value.first, value.second));
  }
  static bool read(const Object& object, std::pair<A, B>& value, std::string& fault) {
    return read_tuple(object, value, {}, fault, std::make_index_sequence<2>{});
  }
};

template <class T>
requires(Travels<T> && !MayBeNil<T>) struct Codec<std::optional<T>> {
  static void write(Writer& writer, const std::optional<T>& value) {
    if (value) {
      Codec<T>::write(writer, *value);
    } else {
      writer.nil();
    }
  }
  static bool read(const Object& object, std::optional<T>& value, std::string& fault) {
    value.reset();
    if (object.type == msgpack::type::NIL) return true;
    T item{};
    if (!Codec<T>::read(object, item, fault)) return false;
    value = std::move(item);
    return true;
  }
};

template <class K, class V>
requires(Travels<K>&& Travels<V>) struct Codec<std::map<K, V>> {
  static void write(Writer& writer, const std::map<K, V>& values) {
    writer.map(values.size());
    for (const auto& [key, value] : values) {
      Codec<K>::write(writer, key);
      Codec<V>::write(writer, value);
    }
  }
  static bool read(const Object& object, std::map<K, V>& values, std::string& fault) {
    if (object.type != msgpack::type::MAP) return expected("a map", object, fault);
    values.clear();
    for (std::uint32_t i = 0; i < object.via.map.size; ++i) {
      const auto& entry = object.via.map.ptr[i];
      K key{};
      V value{};
      if (!Codec<K>::read(entry.key, key, fault)) return within("(a key)", fault);
      if (!Codec<V>::read(entry.val, value, fault)) return within("(a value)", fault);
      if (!values.emplace(std::move(key), std::move(value)).second) {
        fault = "has one key twice";
        return false;
      }
    }
    return true;
  }
};

template <class T>
requires Travels<T>
struct Codec<std::set<T>> {
  static void write(Writer& writer, const std::set<T>& values) {
    writer.array(values.size());
    for (const T& value : values) Codec<T>::write(writer, value);
  }
  static bool read(const Object& object, std::set<T>& values, std::string& fault) {
    if (object.type != msgpack::type::ARRAY) return expected("a list", object, fault);
    values.clear();
    for (std::uint32_t i = 0; i < object.via.array.size; ++i) {
      T item{};
      if (!Codec<T>::read(object.via.array.ptr[i], item, fault)) {
        return within("[" + std::to_string(i) + "]", fault);
      }
      values.insert(std::move(item));
    }
    return true;
  }
};

}  // namespace shoal::wire
