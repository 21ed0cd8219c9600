#pragma once

// The wire format under values.h. Nothing here is meant to be called from outside of it.

#ifndef MSGPACK_NO_BOOST
#define MSGPACK_NO_BOOST
#endif

#include <bit>
#include <cmath>
#include <complex>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <msgpack.hpp>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace shoal {
struct Nothing;
}

namespace shoal::wire {

static_assert(std::endian::native == std::endian::little,
              "runs of numbers are written as they lie in memory");

using Object = msgpack::object;

// How T is written and read. `read` says in `fault` what does not fit, and may leave the value half
// read.
template <class T>
struct Codec;

template <class T>
concept Travels = requires {
  sizeof(Codec<T>);
};

// Written as nothing at times: an optional of it could not be told from an empty one.
template <class T>
inline constexpr bool MayBeNil = std::is_same_v<T, Nothing>;
template <class T>
inline constexpr bool MayBeNil<std::optional<T>> = true;

template <class T>
inline constexpr bool IsComplex = false;
template <>
inline constexpr bool IsComplex<std::complex<float>> = true;
template <>
inline constexpr bool IsComplex<std::complex<double>> = true;

template <class T>
concept Float = std::is_same_v<T, float> || std::is_same_v<T, double>;
template <class T>
concept Integer = std::is_integral_v<T> && !std::is_same_v<T, bool> && sizeof(T) <= 8;
// Numbers whose vectors are one run of bytes.
template <class T>
concept Run = Float<T> || Integer<T> || IsComplex<T>;

template <Float F>
F canonical(F value) {
  return std::isnan(value) ? std::numeric_limits<F>::quiet_NaN() : value;
}

class Writer {
 public:
  explicit Writer(std::vector<std::uint8_t>& to) : sink_{to}, packer_(sink_) {}

  void nil() { packer_.pack_nil(); }
  void boolean(bool value) { value ? packer_.pack_true() : packer_.pack_false(); }
  void integer(std::uint64_t value) { packer_.pack_uint64(value); }
  void integer(std::int64_t value) { packer_.pack_int64(value); }
  // Not through the packer: it turns 1.0 into the integer 1, and -0.0 into 0.
  void number(double value) { number(std::bit_cast<std::uint64_t>(canonical(value)), 0xcb); }
  void number(float value) { number(std::bit_cast<std::uint32_t>(canonical(value)), 0xca); }
  void text(std::string_view value) {
    packer_.pack_str(size32(value.size()));
    packer_.pack_str_body(value.data(), static_cast<std::uint32_t>(value.size()));
  }
  void array(std::size_t size) { packer_.pack_array(size32(size)); }
  void map(std::size_t size) { packer_.pack_map(size32(size)); }
  // Makes room for a run of `size` bytes and says where it starts.
  std::uint8_t* run(std::size_t size) {
    packer_.pack_bin(size32(size));
    const std::size_t at = sink_.to.size();
    sink_.to.resize(at + size);
    return sink_.to.data() + at;
  }

 private:
  struct Sink {
    std::vector<std::uint8_t>& to;
    void write(const char* data, std::size_t size) {
      // Not insert(): of that GCC 12 warns, in programs that are built with -O3.
      const std::size_t at = to.size();
      to.resize(at + size);
      if (size > 0) std::memcpy(to.data() + at, data, size);
    }
  };

  template <std::unsigned_integral U>
  void number(U bits, unsigned tag) {
    char buffer[1 + sizeof(U)] = {static_cast<char>(tag)};
    for (std::size_t i = 0; i < sizeof(U); ++i) {
      buffer[1 + i] = static_cast<char>(bits >> (8 * (sizeof(U) - 1 - i)));
    }
    sink_.write(buffer, sizeof buffer);
  }
  static std::uint32_t size32(std::size_t size) {
    if (size > std::numeric_limits<std::uint32_t>::max()) {
      throw std::length_error("a value of 4 GiB or more cannot travel: split it");
    }
    return static_cast<std::uint32_t>(size);
  }

  Sink sink_;
  msgpack::packer<Sink> packer_;
};

// At most 64 characters, and none that would disturb a terminal.
inline std::string printable(std::string_view text) {
  std::string out(text.substr(0, 64));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return out;
}

inline std::string_view name_of(msgpack::type::object_type type) {
  switch (type) {
    case msgpack::type::NIL:
      return "nothing";
    case msgpack::type::BOOLEAN:
      return "true or false";
    case msgpack::type::POSITIVE_INTEGER:
    case msgpack::type::NEGATIVE_INTEGER:
      return "an integer";
    case msgpack::type::FLOAT32:
    case msgpack::type::FLOAT64:
      return "a floating-point number";
    case msgpack::type::STR:
      return "text";
    case msgpack::type::BIN:
      return "bytes";
    case msgpack::type::ARRAY:
      return "a list";
    case msgpack::type::MAP:
      return "a map";
    case msgpack::type::EXT:
      return "an extension";
  }
  return "unknown";
}

// Both return false, for `return expected(...)`.
inline bool expected(std::string_view what, const Object& object, std::string& fault) {
  fault = "must be " + std::string(what) + ", is " + std::string(name_of(object.type));
  return false;
}
inline bool within(const std::string& where, std::string& fault) {
  const bool nested = !fault.empty() && (fault.front() == '.' || fault.front() == '[');
  if (fault.size() < 512) fault = where + (nested ? "" : " ") + fault;
  return false;
}

// Refuses what unpacking would need too much memory or stack for: an array says how many items it
// has before they come, and memory is taken for all of them at once. Every item is at least a byte.
class Bounds : public msgpack::null_visitor {
 public:
  static constexpr unsigned kDepthMax = 128;

  explicit Bounds(std::size_t bytes) : items_left_(bytes) {}
  bool start_array(std::uint32_t items) { return enter(items); }
  bool start_map(std::uint32_t pairs) { return enter(2 * std::uint64_t{pairs}); }
  bool end_array() { return leave(); }
  bool end_map() { return leave(); }
  bool visit_ext(const char*, std::uint32_t) { return false; }

 private:
  bool enter(std::uint64_t items) {
    if (items > items_left_ || ++depth_ > kDepthMax) return false;
    items_left_ -= items;
    return true;
  }
  bool leave() {
    --depth_;
    return true;
  }

  std::uint64_t items_left_;
  unsigned depth_ = 0;
};

// Calls read(object) with the parsed bytes. False, with `fault` set, unless all of them are one
// value and `read` is content with it.
template <class Read>
bool parse(std::span<const std::uint8_t> bytes, std::string& fault, const Read& read) {
  const char* data = reinterpret_cast<const char*>(bytes.data());
  std::size_t offset = 0;
  try {
    Bounds bounds(bytes.size());
    if (bytes.empty() || !msgpack::parse(data, bytes.size(), offset, bounds) ||
        offset != bytes.size()) {
      fault = bytes.empty() ? "there are no bytes" : "the bytes are not one encoded value";
      return false;
    }
    // Text and runs refer to `bytes` instead of being copied.
    const auto refer = [](msgpack::type::object_type, std::size_t, void*) { return true; };
    msgpack::zone zone;
    bool referenced = false;
    offset = 0;
    const Object object = msgpack::unpack(zone, data, bytes.size(), offset, referenced, refer);
    return read(object);
  } catch (const msgpack::unpack_error& e) {
    fault = std::string("the bytes are not one encoded value: ") + e.what();
    return false;
  }
}

template <>
struct Codec<bool> {
  static void write(Writer& writer, bool value) { writer.boolean(value); }
  static bool read(const Object& object, bool& value, std::string& fault) {
    if (object.type != msgpack::type::BOOLEAN) return expected("true or false", object, fault);
    value = object.via.boolean;
    return true;
  }
};

template <Integer T>
struct Codec<T> {
  static void write(Writer& writer, const T& value) {
    if constexpr (std::is_signed_v<T>) {
      writer.integer(static_cast<std::int64_t>(value));
    } else {
      writer.integer(static_cast<std::uint64_t>(value));
    }
  }
  static bool read(const Object& object, T& value, std::string& fault) {
    using Limits = std::numeric_limits<T>;
    if (object.type == msgpack::type::POSITIVE_INTEGER) {
      if (object.via.u64 <= static_cast<std::uint64_t>(Limits::max())) {
        value = static_cast<T>(object.via.u64);
        return true;
      }
    } else if (object.type == msgpack::type::NEGATIVE_INTEGER) {
      if (std::is_signed_v<T> && object.via.i64 >= static_cast<std::int64_t>(Limits::min())) {
        value = static_cast<T>(object.via.i64);
        return true;
      }
    } else {
      return expected("an integer", object, fault);
    }
    fault = "is an integer out of range";
    return false;
  }
};

template <Float T>
struct Codec<T> {
  static void write(Writer& writer, const T& value) { writer.number(value); }
  static bool read(const Object& object, T& value, std::string& fault) {
    switch (object.type) {
      case msgpack::type::FLOAT32:
      case msgpack::type::FLOAT64:
        value = static_cast<T>(object.via.f64);
        return true;
      case msgpack::type::POSITIVE_INTEGER:
        value = static_cast<T>(object.via.u64);
        return true;
      case msgpack::type::NEGATIVE_INTEGER:
        value = static_cast<T>(object.via.i64);
        return true;
      default:
        return expected("a number", object, fault);
    }
  }
};

template <class T>
requires IsComplex<T>
struct Codec<T> {
  using Part = typename T::value_type;
  static void write(Writer& writer, const T& value) {
    writer.array(2);
    writer.number(value.real());
    writer.number(value.imag());
  }
  static bool read(const Object& object, T& value, std::string& fault) {
    if (object.type != msgpack::type::ARRAY || object.via.array.size != 2) {
      return expected("a complex number", object, fault);
    }
    Part real{};
    Part imaginary{};
    if (!Codec<Part>::read(object.via.array.ptr[0], real, fault) ||
        !Codec<Part>::read(object.via.array.ptr[1], imaginary, fault)) {
      return false;
    }
    value = {real, imaginary};
    return true;
  }
};

template <>
struct Codec<std::string> {
  static void write(Writer& writer, const std::string& value) { writer.text(value); }
  static bool read(const Object& object, std::string& value, std::string& fault) {
    if (object.type != msgpack::type::STR) return expected("text", object, fault);
    value.assign(object.via.str.ptr, object.via.str.size);
    return true;
  }
};

template <Float F>
void canonicalise(std::uint8_t* bytes, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i, bytes += sizeof(F)) {
    F value;
    std::memcpy(&value, bytes, sizeof value);
    if (!std::isnan(value)) continue;
    value = canonical(value);
    std::memcpy(bytes, &value, sizeof value);
  }
}

template <Run T>
void write_run(Writer& writer, const T* values, std::size_t count) {
  std::uint8_t* bytes = writer.run(count * sizeof(T));
  if (count != 0) std::memcpy(bytes, values, count * sizeof(T));
  if constexpr (IsComplex<T>) {
    canonicalise<typename T::value_type>(bytes, 2 * count);
  } else if constexpr (Float<T>) {
    canonicalise<T>(bytes, count);
  }
}

template <Run T>
bool read_run(const Object& object, std::vector<T>& values, std::string& fault) {
  const std::size_t size = object.via.bin.size;
  if (size % sizeof(T) != 0) {
    fault = "has " + std::to_string(size) + " bytes, which is no whole number of " +
            std::to_string(sizeof(T)) + "-byte items";
    return false;
  }
  values.resize(size / sizeof(T));
  if (size != 0) std::memcpy(values.data(), object.via.bin.ptr, size);
  return true;
}

}  // namespace shoal::wire
