#include "worker/runtime/traffic_file.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>

#include "node/state/key_file.h"

namespace shoal {
namespace {

constexpr std::uint64_t kPartOfCap = 100;
constexpr std::uint64_t kWorthWritingMin = 64 << 10;
constexpr std::uint64_t kWorthWritingMax = 64 << 20;

}  // namespace

TrafficFile::TrafficFile(std::filesystem::path file, const TrafficCaps& caps)
    : file_(std::move(file)), worth_writing_(kWorthWritingMax) {
  for (const std::uint64_t cap : {caps.sent, caps.fetched}) {
    if (cap > 0) worth_writing_ = std::min(worth_writing_, cap / kPartOfCap);
  }
  worth_writing_ = std::max(worth_writing_, kWorthWritingMin);
}

Traffic TrafficFile::load() {
  written_ = {};
  const auto text = read_text_file(file_);
  int year = 0;
  unsigned month = 0;
  unsigned long long sent = 0, fetched = 0;
  if (!text || std::sscanf(text->c_str(), "%d-%u %llu %llu", &year, &month, &sent, &fetched) != 4 ||
      year < 1970 || year > 9999 || month < 1 || month > 12) {
    return {};
  }
  written_ = {static_cast<std::uint32_t>(12 * (year - 1970)) + month - 1, sent, fetched};
  return written_;
}

void TrafficFile::note(const Traffic& traffic, bool at_end) {
  if (traffic == written_) return;
  const bool grown = traffic.month != written_.month ||
                     traffic.sent - written_.sent >= worth_writing_ ||
                     traffic.fetched - written_.fetched >= worth_writing_;
  if (!grown && !at_end) return;
  const std::string month = std::to_string(traffic.month % 12 + 1);
  const std::string text =
      std::to_string(1970 + traffic.month / 12) + "-" + (month.size() < 2 ? "0" : "") + month +
      " " + std::to_string(traffic.sent) + " " + std::to_string(traffic.fetched) + "\n";
  if (write_text_file(file_, text)) written_ = traffic;
}

}  // namespace shoal
