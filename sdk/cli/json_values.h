#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "node/protocol/bytes.h"
#include "node/protocol/result.h"

// Values of kernels whose types this program does not know: JSON on this side, the encoding of
// shoal/values.h on the other. Structs are written as maps from names to values, which
// shoal::decode takes too, and are read back as lists of fields, as shoal::encode writes them.
namespace shoal::cli {

// Or what is wrong with the text, and where. An object whose one member is "hex", with pairs of
// digits, stands for bytes, as it does in what is read back.
Result<Bytes, std::string> bytes_of_json(std::string_view text);
Bytes bytes_of_text(const std::string& text);

// What has no place in JSON: NaN and infinities are null, runs of numbers and what is not encoded
// at all are {"hex": "..."}. Total.
nlohmann::json json_of_bytes(ByteView bytes);

}  // namespace shoal::cli
