#include "sdk/cli/fetch_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "sdk/cli/output.h"

namespace shoal::cli {
namespace {

constexpr std::size_t kBarColumns = 24;
constexpr std::size_t kBarColumnsMin = 4;  // a shorter one says nothing
constexpr std::size_t kAroundBar = 3;      // "[", "] "
// The latest moments count the most, and yet the figure can be read.
constexpr double kWeightOfLast = 0.2;

std::string time_text(double seconds) {
  if (seconds >= 3600) {
    return fmt::format("{}:{:02}:{:02}", static_cast<long>(seconds) / 3600,
                       static_cast<long>(seconds) / 60 % 60, static_cast<long>(seconds) % 60);
  }
  return fmt::format("{}:{:02}", static_cast<long>(seconds) / 60, static_cast<long>(seconds) % 60);
}

}  // namespace

std::string bytes_text(double bytes) {
  static constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < kUnits.size(); ++unit) bytes /= 1024;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

std::string fetch_text(const ExchangeProgress& progress, double rate, std::size_t columns) {
  std::string text = fmt::format(
      "{} of {}, {} of {} sources", bytes_text(static_cast<double>(progress.bytes_here)),
      bytes_text(static_cast<double>(progress.bytes)), progress.sources, progress.linked);
  if (rate > 0) {
    const double left = static_cast<double>(progress.bytes - progress.bytes_here) / rate;
    text += fmt::format(", {}/s, {} left", bytes_text(rate), time_text(left));
  }
  const std::size_t taken = text.size() + kAroundBar;
  if (columns < taken + kBarColumnsMin) return text.substr(0, columns);
  const std::size_t bar = std::min(kBarColumns, columns - taken);
  const double done = progress.bytes == 0 ? 1
                                          : static_cast<double>(progress.bytes_here) /
                                                static_cast<double>(progress.bytes);
  const auto full = static_cast<std::size_t>(done * static_cast<double>(bar));
  return fmt::format("[{}{}] {}", std::string(full, '#'), std::string(bar - full, ' '), text);
}

FetchBar::FetchBar(const Settings& settings)
    : visible_(settings.progress && !settings.quiet && ::isatty(STDERR_FILENO) == 1) {}

void FetchBar::show(const ExchangeProgress& progress) {
  if (!visible_) return;
  const auto now = std::chrono::steady_clock::now();
  if (drawn_ && progress.bytes_here >= last_.bytes_here) {
    const double seconds = std::max(std::chrono::duration<double>(now - then_).count(), 1e-3);
    const double rate = static_cast<double>(progress.bytes_here - last_.bytes_here) / seconds;
    rate_ = rate_ == 0 ? rate : (1 - kWeightOfLast) * rate_ + kWeightOfLast * rate;
  }
  last_ = progress;
  then_ = now;
  drawn_ = true;
  std::fprintf(stderr, "\r\033[K%s",
               fetch_text(progress, rate_, line_columns(STDERR_FILENO)).c_str());
}

void FetchBar::show_all() {
  if (!drawn_) return;
  ExchangeProgress all = last_;
  all.bytes_here = all.bytes;
  show(all);
}

void FetchBar::finish() {
  if (drawn_) std::fputc('\n', stderr);
  drawn_ = false;
}

}  // namespace shoal::cli
