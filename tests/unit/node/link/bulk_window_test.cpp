#include "node/link/bulk_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

namespace shoal {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;
using Time = BulkWindow::Time;

constexpr double kMegabit = 1e6 / 8;  // bytes

// One who has always more to send, and a wire with a buffer without end before it.
class Wire {
 public:
  Wire(double bytes_a_second, microseconds round_trip)
      : rate_(bytes_a_second), round_trip_(round_trip) {
    path_.segment_bytes = 1448;
    path_.round_trip = path_.shortest_round_trip = round_trip;
  }

  void set_rate(double bytes_a_second) { rate_ = bytes_a_second; }
  void run(microseconds span) {
    for (const Time end = now_ + span; now_ < end; now_ += 1ms) {
      for (; !under_way_.empty() && under_way_.front().back <= now_; under_way_.pop_front()) {
        const Segment& segment = under_way_.front();
        path_.acknowledged += segment.bytes;
        const auto took = std::chrono::duration_cast<microseconds>(segment.back - segment.sent);
        path_.round_trip = (7 * path_.round_trip + took) / 8;  // as TCP does
      }
      while (window_.is_open_for(window_.part_bytes(), handed_over_, path_, now_)) send();
      longest_wait_ = std::max(longest_wait_, free_ - now_);
    }
  }
  std::uint64_t acknowledged() const { return path_.acknowledged; }
  // That something sent then would have had to wait before the wire.
  double longest_wait_ms() const {
    return std::chrono::duration<double>(longest_wait_).count() * 1e3;
  }
  void forget_waits() { longest_wait_ = {}; }
  BulkWindow& window() { return window_; }

 private:
  struct Segment {
    std::uint64_t bytes;
    Time sent, back;
  };
  void send() {
    for (std::uint64_t left = window_.part_bytes(); left > 0;) {
      const std::uint64_t bytes = std::min(left, path_.segment_bytes);
      const std::chrono::duration<double> takes(static_cast<double>(bytes) / rate_);
      free_ = std::max(free_, now_) + std::chrono::duration_cast<Time::duration>(takes);
      under_way_.push_back({bytes, now_, free_ + round_trip_});
      handed_over_ += bytes;
      left -= bytes;
    }
    path_.departed = handed_over_;
  }

  double rate_;
  microseconds round_trip_;
  Path path_;
  BulkWindow window_;
  Time now_{1h}, free_{1h};
  Time::duration longest_wait_{};
  std::uint64_t handed_over_ = 0;
  std::deque<Segment> under_way_;
};

TEST(BulkWindow, FillsAPathAndLetsNobodyWaitLong) {
  const std::vector<std::pair<double, microseconds>> paths{
      {50, 20ms}, {100, 20ms}, {20, 40ms}, {1000, 2ms}, {300, 60ms}};
  for (const auto& [megabits, round_trip] : paths) {
    Wire wire(megabits * kMegabit, round_trip);
    wire.run(1s);
    const std::uint64_t before = wire.acknowledged();
    wire.run(2s);
    const double carried = static_cast<double>(wire.acknowledged() - before) / 2 / kMegabit;
    EXPECT_GT(carried, 0.95 * megabits) << megabits << " Mbit/s, " << round_trip.count() << " us";
    // From the first moment on; on a far path it takes longer to see that a queue grows.
    const double far_ms = std::chrono::duration<double, std::milli>(round_trip).count() / 3;
    EXPECT_LT(wire.longest_wait_ms(), 20 + far_ms)
        << megabits << " Mbit/s, " << round_trip.count() << " us";
  }
}

TEST(BulkWindow, FollowsAPathThatGetsSlowerAndFasterAgain) {
  Wire wire(100 * kMegabit, 20ms);
  wire.run(1s);
  wire.set_rate(40 * kMegabit);
  wire.run(1s);
  wire.forget_waits();
  wire.run(1s);
  EXPECT_LT(wire.longest_wait_ms(), 25);
  wire.set_rate(100 * kMegabit);
  wire.run(1s);
  const std::uint64_t before = wire.acknowledged();
  wire.run(1s);
  EXPECT_GT(static_cast<double>(wire.acknowledged() - before), 95 * kMegabit);
}

// TCP sends ten segments at first, whatever it is given.
TEST(BulkWindow, LeavesLittleToWaitInThisMachine) {
  BulkWindow window;
  Path path{0, 0, 1448, 40ms, 40ms};
  std::uint64_t handed_over = 0;
  const Time now{1h};
  while (window.is_open_for(window.part_bytes(), handed_over, path, now)) {
    handed_over += window.part_bytes();
    path.departed = std::min<std::uint64_t>(handed_over, 10 * path.segment_bytes);
  }
  EXPECT_LT(handed_over - path.departed, 2 * window.part_bytes());
  EXPECT_LT(handed_over, window.bytes()) << "the window is not what held it back";
}

TEST(BulkWindow, OfOneWhoHasLittleToSendIsNoMeasure) {
  Wire wire(100 * kMegabit, 20ms);
  wire.run(1s);
  const std::uint64_t bytes = wire.window().bytes();
  BulkWindow& window = wire.window();
  Path path{0, 0, 1448, 20ms, 20ms};
  std::uint64_t handed_over = 0;
  for (Time now{2h}; now < Time{2h} + 5s; now += 100ms) {
    while (window.is_open_for(window.part_bytes(), handed_over, path, now)) {
      handed_over += window.part_bytes();
    }
    path.acknowledged = path.departed = handed_over;  // slowly
    window.ran_dry();
  }
  EXPECT_GE(window.bytes(), bytes);
}

}  // namespace
}  // namespace shoal
