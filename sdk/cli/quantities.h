#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Quantities as people write them. Nothing where the text is none, or too large for any use.
namespace shoal::cli {

// "90", "90s", "1.5m", "2h", "1d"; without a letter it is seconds.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
// In the largest letter that leaves no fraction: "30d", "36h", "90s".
std::string duration_text(std::chrono::seconds duration);
// "512M", "2G", "1073741824"; K, M, G and T are powers of 1024.
std::optional<std::uint64_t> parse_bytes(std::string_view text);

}  // namespace shoal::cli
