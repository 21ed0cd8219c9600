#include "node/link/bulk_window.h"

#include <algorithm>

namespace shoal {
namespace {

using Seconds = std::chrono::duration<double>;

// By which bulk may lengthen a round trip; on a far path by a part of it, where growing by so
// little would take long.
constexpr std::chrono::microseconds kQueueTime{15'000};
constexpr int kQueueShare = 4;
// A round trip that is longer by less than this part of the above tells of no queue.
constexpr int kNoticed = 4;
constexpr std::size_t kPartBytesMax = 64 << 10;
constexpr std::size_t kPartBytesMin = 16 << 10;
constexpr std::size_t kPartsPerWindow = 4;
constexpr std::uint64_t kWindowMin = 64 << 10;
constexpr std::uint64_t kWindowMax = 4 << 20;
// With fewer under way the far end waits a while before it acknowledges one.
constexpr std::uint64_t kSegmentsMin = 4;
constexpr double kGrowthMax = 1.5;
constexpr double kShrinkMax = 0.7;
constexpr std::chrono::microseconds kInstant{1};  // no path is faster
constexpr std::chrono::microseconds kMeasuredOver{10'000};
// Until the owner looks again (link.cpp, kBulkPauseMax): so long must last what lies in this
// machine.
constexpr std::chrono::microseconds kPause{4'000};

std::uint64_t without(std::uint64_t all, std::uint64_t part) { return all > part ? all - part : 0; }

}  // namespace

std::size_t BulkWindow::part_bytes() const {
  return std::clamp<std::size_t>(bytes_ / kPartsPerWindow, kPartBytesMin, kPartBytesMax);
}

bool BulkWindow::is_open_for(std::size_t bytes, std::uint64_t handed_over, const Path& path,
                             Time now) {
  adapt(path, now);
  const std::uint64_t under_way = without(handed_over, path.acknowledged);
  if (under_way == 0) return true;
  if (under_way + bytes > bytes_) {
    if (!full_since_) {
      full_since_ = now;
      acknowledged_then_ = path.acknowledged;
    }
    return false;
  }
  const std::uint64_t here = without(handed_over, path.departed);
  const double round_trips =
      Seconds(kPause) / std::max<Seconds>(path.shortest_round_trip, kInstant);
  return here == 0 ||
         static_cast<double>(here + bytes) <=
             std::max(static_cast<double>(part_bytes()), static_cast<double>(bytes_) * round_trips);
}

void BulkWindow::adapt(const Path& path, Time now) {
  const std::uint64_t least = std::clamp(kSegmentsMin * path.segment_bytes, kWindowMin, kWindowMax);
  bytes_ = std::max(bytes_, least);
  if (!full_since_ || now < *full_since_ + std::max(kMeasuredOver, path.round_trip)) return;
  const auto acknowledged = static_cast<double>(without(path.acknowledged, acknowledged_then_));
  const double rate = acknowledged / Seconds(now - *full_since_).count();
  full_since_.reset();
  bytes_a_second_ = bytes_a_second_ == 0 ? rate : (bytes_a_second_ + rate) / 2;
  const auto queue = std::max(kQueueTime, path.shortest_round_trip / kQueueShare);
  const auto window = static_cast<double>(bytes_);
  const bool no_queue = path.round_trip < path.shortest_round_trip + queue / kNoticed;
  const Seconds round_trip(path.shortest_round_trip + queue);
  const double fits = bytes_a_second_ * round_trip.count();
  // On a far path, where one step more is many bytes, by less.
  const double growth =
      std::min(kGrowthMax, round_trip / std::max<Seconds>(path.shortest_round_trip, kInstant));
  const double next =
      no_queue ? growth * window : std::clamp(fits, kShrinkMax * window, kGrowthMax * window);
  bytes_ = std::clamp(static_cast<std::uint64_t>(next), least, kWindowMax);
}

}  // namespace shoal
