#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "node/protocol/time.h"
#include "sdk/cli/settings.h"

// stdout carries data, and nothing else; progress and what is told to people go to stderr.
namespace shoal::cli {

// Whether to colour what goes to this descriptor: a terminal, and NO_COLOR is not set.
bool wants_colour(int fd, const Environment& environment);
enum class Colour : std::uint8_t { kNone, kGreen, kYellow, kRed };
std::string painted(const std::string& text, Colour colour);

// Columns under their headings, as wide as they must be.
class Table {
 public:
  explicit Table(std::vector<std::string> headings) { rows_.push_back(std::move(headings)); }
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "2026-02-28 17:05" by this machine's clock; "-" for never.
std::string local_time(UnixMs at);

// One line; text that is not UTF-8 is mended rather than refused, since it may come from others.
std::string json_line(const nlohmann::json& json);

void print(const std::string& line);  // to stdout, with a line's end
void say(const std::string& line);    // to stderr, with a line's end
// What was printed is out; or the reason why not, as of a disk that is full.
Result<void, Failure> flush_output();

// Units of a job, as far as it is known here.
struct Tally {
  std::uint64_t units = 0;
  std::uint64_t verified = 0;
  std::uint64_t failed = 0;
  std::uint64_t disputed = 0;
  std::uint64_t ended() const { return verified + failed + disputed; }
  int exit_code() const { return verified >= units ? kSuccess : kError; }
};
std::string tally_text(const Tally& tally);
// In so many columns; the bar itself is left out where they are too few for it.
std::string progress_text(const Tally& tally, double seconds, std::size_t columns = 79);
// What a line on this terminal may have: one less than there are, since a line that fills the last
// column is two on some, and the next would not be written over it.
std::size_t line_columns(int terminal);

// On stderr, and only where that is a terminal.
class ProgressBar {
 public:
  explicit ProgressBar(const Settings& settings);
  ~ProgressBar() { finish(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  // Not each time, unless `now` says that nothing else will be shown for a while.
  void show(const Tally& tally, bool now = false);
  // Before something is printed to stdout: takes the bar away where both are on a terminal.
  void make_way();
  // To stdout as it is, whether it ends its line or not.
  void print(std::string_view text);
  // Leaves the line, so that something else can be said.
  void finish();
  bool visible() const { return visible_; }

 private:
  void draw();

  bool visible_;
  bool shares_;  // its terminal with stdout
  bool drawn_ = false;
  std::size_t drawn_columns_ = 0;
  bool in_line_ = false;  // what was printed has not ended its line
  Tally last_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point shown_;
};

// Says lines beside a bar, which must outlive it; empty with --quiet.
std::function<void(const std::string& line)> notices(const Settings& settings, ProgressBar& bar);

}  // namespace shoal::cli
