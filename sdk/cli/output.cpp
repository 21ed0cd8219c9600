#include "sdk/cli/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "node/protocol/plain_text.h"

namespace shoal::cli {
namespace {

constexpr std::size_t kBarColumns = 30;
constexpr std::chrono::milliseconds kDrawEvery{100};

// Columns on a terminal, counting a character of UTF-8 as one.
std::size_t columns(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

}  // namespace

bool wants_colour(int fd, const Environment& environment) {
  const auto no_colour = environment("NO_COLOR");
  return ::isatty(fd) == 1 && (!no_colour || no_colour->empty());
}

std::string painted(const std::string& text, Colour colour) {
  switch (colour) {
    case Colour::kNone:
      return text;
    case Colour::kGreen:
      return "\033[32m" + text + "\033[0m";
    case Colour::kYellow:
      return "\033[33m" + text + "\033[0m";
    case Colour::kRed:
      return "\033[31m" + text + "\033[0m";
  }
  return text;
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns(row[i]));
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += plain_line(row[i]);
      if (i + 1 < row.size()) line.append(widths[i] - columns(row[i]) + 2, ' ');
    }
    text += line + "\n";
  }
  if (!text.empty()) text.pop_back();
  return text;
}

std::string local_time(UnixMs at) {
  const std::time_t seconds = at / 1000;
  std::tm parts{};
  char text[32] = "";
  if (at <= 0 || ::localtime_r(&seconds, &parts) == nullptr) return "-";
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts);
  return text;
}

std::string json_line(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void print(const std::string& line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
}

void say(const std::string& line) { std::fprintf(stderr, "%s\n", plain_text(line).c_str()); }

Result<void, Failure> flush_output() {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return {};
  if (errno == EBADF) return fail(kError, "What was found cannot be written: stdout is closed.");
  return fail(kError, std::string("What was found could not be written to stdout") +
                          (errno != 0 ? std::string(": ") + std::strerror(errno) : "") +
                          ". Free some space there, or write it elsewhere.");
}

std::string tally_text(const Tally& tally) {
  return fmt::format("{} of {} units verified, {} failed, {} disputed", tally.verified, tally.units,
                     tally.failed, tally.disputed);
}

std::string progress_text(const Tally& tally, double seconds) {
  const std::uint64_t ended = std::min(tally.ended(), tally.units);
  const std::size_t full =
      tally.units == 0
          ? kBarColumns
          : static_cast<std::size_t>(static_cast<double>(kBarColumns) * static_cast<double>(ended) /
                                     static_cast<double>(tally.units));
  return fmt::format("[{}{}] {}/{} verified, {} not, {:.1f} s", std::string(full, '#'),
                     std::string(kBarColumns - full, ' '), tally.verified, tally.units,
                     tally.failed + tally.disputed, seconds);
}

ProgressBar::ProgressBar(const Settings& settings)
    : visible_(settings.progress && !settings.quiet && ::isatty(STDERR_FILENO) == 1) {}

void ProgressBar::show(const Tally& tally) {
  if (!visible_) return;
  const auto now = std::chrono::steady_clock::now();
  last_ = tally;
  if (drawn_ && now - shown_ < kDrawEvery) return;
  shown_ = now;
  drawn_ = true;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  std::fprintf(stderr, "\r%s ", progress_text(tally, seconds).c_str());
}

void ProgressBar::finish() {
  if (!drawn_) return;
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  std::fprintf(stderr, "\r%s \n", progress_text(last_, seconds).c_str());
  drawn_ = false;
}

std::function<void(const std::string& line)> notices(const Settings& settings, ProgressBar& bar) {
  if (settings.quiet) return {};
  return [&bar](const std::string& line) {
    bar.finish();
    say("shoal: " + plain_line(line));
  };
}

}  // namespace shoal::cli
