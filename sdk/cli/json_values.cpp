#include "sdk/cli/json_values.h"

#include <cmath>

#include "node/protocol/ids.h"
#include "shoal/values.h"

namespace shoal::cli {
namespace {

using nlohmann::json;

json hex_of(ByteView bytes) { return {{"hex", to_hex(bytes)}}; }

json json_of(const msgpack::object& object) {
  switch (object.type) {
    case msgpack::type::NIL:
      return nullptr;
    case msgpack::type::BOOLEAN:
      return object.via.boolean;
    case msgpack::type::POSITIVE_INTEGER:
      return object.via.u64;
    case msgpack::type::NEGATIVE_INTEGER:
      return object.via.i64;
    case msgpack::type::FLOAT32:
    case msgpack::type::FLOAT64:
      return std::isfinite(object.via.f64) ? json(object.via.f64) : json(nullptr);
    case msgpack::type::STR:
      return std::string(object.via.str.ptr, object.via.str.size);
    case msgpack::type::BIN:
      return hex_of(as_bytes({object.via.bin.ptr, object.via.bin.size}));
    case msgpack::type::EXT:
      return nullptr;  // wire::parse lets none through
    case msgpack::type::ARRAY: {
      json list = json::array();
      for (std::uint32_t i = 0; i < object.via.array.size; ++i) {
        list.push_back(json_of(object.via.array.ptr[i]));
      }
      return list;
    }
    case msgpack::type::MAP: {
      json map = json::object();
      for (std::uint32_t i = 0; i < object.via.map.size; ++i) {
        const auto& entry = object.via.map.ptr[i];
        const json key = json_of(entry.key);
        const std::string name = key.is_string()
                                     ? key.get<std::string>()
                                     : key.dump(-1, ' ', false, json::error_handler_t::replace);
        map[name] = json_of(entry.val);
      }
      return map;
    }
  }
  return nullptr;
}

// What hex_of() has written is given back as it was.
void take_hex(json& value) {
  if (value.is_object() && value.size() == 1 && value.begin().key() == "hex" &&
      value.begin()->is_string()) {
    const auto& digits = value.begin()->get_ref<const std::string&>();
    if (auto bytes = from_hex(digits, digits.size() / 2)) value = json::binary(std::move(*bytes));
    return;
  }
  if (!value.is_structured()) return;
  for (json& part : value) take_hex(part);
}

}  // namespace

Result<Bytes, std::string> bytes_of_json(std::string_view text) {
  try {
    json value = json::parse(text);
    take_hex(value);
    return json::to_msgpack(value);
  } catch (const json::exception& error) {
    return tl::unexpected(std::string(error.what()));
  }
}

Bytes bytes_of_text(const std::string& text) { return encode(text); }

json json_of_bytes(ByteView bytes) {
  json value;
  std::string fault;
  const bool whole = wire::parse(bytes, fault, [&](const msgpack::object& object) {
    value = json_of(object);
    return true;
  });
  return whole ? value : hex_of(bytes);
}

}  // namespace shoal::cli
