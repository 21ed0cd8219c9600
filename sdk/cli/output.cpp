#include "sdk/cli/output.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
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
constexpr std::size_t kBarColumnsMin = 4;  // a shorter one says nothing
constexpr std::size_t kAroundBar = 3;      // "[", "] "
constexpr std::size_t kUsualColumns = 80;
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

std::size_t line_columns(int terminal) {
  winsize size{};
  const bool known = ::ioctl(terminal, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  return (known ? size.ws_col : kUsualColumns) - 1;
}

std::string progress_text(const Tally& tally, double seconds, std::size_t columns) {
  const std::string text = fmt::format("{}/{} verified, {} not, {:.1f} s", tally.verified,
                                       tally.units, tally.failed + tally.disputed, seconds);
  const std::size_t taken = text.size() + kAroundBar;
  if (columns < taken + kBarColumnsMin) return text.substr(0, columns);
  const std::size_t bar = std::min(kBarColumns, columns - taken);
  const std::uint64_t ended = std::min(tally.ended(), tally.units);
  const std::size_t full =
      tally.units == 0
          ? bar
          : static_cast<std::size_t>(static_cast<double>(bar) * static_cast<double>(ended) /
                                     static_cast<double>(tally.units));
  return fmt::format("[{}{}] {}", std::string(full, '#'), std::string(bar - full, ' '), text);
}

ProgressBar::ProgressBar(const Settings& settings)
    : visible_(settings.progress && !settings.quiet && ::isatty(STDERR_FILENO) == 1),
      shares_(visible_ && ::isatty(STDOUT_FILENO) == 1) {}

void ProgressBar::draw() {
  if (in_line_) std::fputc('\n', stderr);  // or the bar would be written over what was printed
  in_line_ = false;
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const std::string text = progress_text(last_, seconds, line_columns(STDERR_FILENO));
  // Blanks take away what is left of a longer one, on any kind of terminal.
  std::fprintf(stderr, "\r%s%s", text.c_str(),
               std::string(std::max(drawn_columns_, text.size()) - text.size(), ' ').c_str());
  drawn_columns_ = text.size();
  drawn_ = true;
}

void ProgressBar::show(const Tally& tally, bool now) {
  if (!visible_) return;
  last_ = tally;
  const auto time = std::chrono::steady_clock::now();
  if (time - shown_ < kDrawEvery && (drawn_ || !now)) return;
  shown_ = time;
  draw();
}

void ProgressBar::make_way() {
  if (!drawn_ || !shares_) return;
  std::fprintf(stderr, "\r%s\r", std::string(drawn_columns_, ' ').c_str());
  drawn_ = false;
  drawn_columns_ = 0;
}

void ProgressBar::print(std::string_view text) {
  if (text.empty()) return;
  make_way();
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (!shares_) return;
  std::fflush(stdout);  // before the bar is back
  in_line_ = text.back() != '\n';
}

void ProgressBar::finish() {
  if (drawn_) draw();
  if (drawn_ || in_line_) std::fputc('\n', stderr);
  drawn_ = false;
  drawn_columns_ = 0;
  in_line_ = false;
}

std::function<void(const std::string& line)> notices(const Settings& settings, ProgressBar& bar) {
  if (settings.quiet) return {};
  return [&bar](const std::string& line) {
    bar.finish();
    say("shoal: " + plain_line(line));
  };
}

}  // namespace shoal::cli
