#include "sdk/cli/output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace shoal::cli {
namespace {

TEST(TableTest, ColumnsStandUnderTheirHeadings) {
  Table table({"worker", "doing"});
  table.add({"ab", "nothing"});
  table.add({"größere", "ising"});
  EXPECT_EQ(table.text(),
            "worker   doing\n"
            "ab       nothing\n"
            "größere  ising");
}

TEST(TableTest, TextOfOthersDoesNotSteerTheTerminal) {
  Table table({"doing"});
  table.add({"a\x1b[31mb\nc"});
  EXPECT_EQ(table.text(), "doing\na [31mb c");
}

TEST(SayTest, TextOfOthersDoesNotSteerTheTerminal) {
  testing::internal::CaptureStderr();
  say("it waits: \x1b[2Ja\rb\n  | \xc3\xa9\tc");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "it waits:  [2Ja b\n  | \xc3\xa9\tc\n");
}

TEST(ProgressTest, TheBarFillsUp) {
  EXPECT_EQ(progress_text({10, 5, 0, 0}, 2.04),
            "[" + std::string(15, '#') + std::string(15, ' ') + "] 5/10 verified, 0 not, 2.0 s");
  EXPECT_EQ(progress_text({10, 8, 1, 1}, 3),
            "[" + std::string(30, '#') + "] 8/10 verified, 2 not, 3.0 s");
  EXPECT_EQ(progress_text({}, 0), "[" + std::string(30, '#') + "] 0/0 verified, 0 not, 0.0 s");
}

// What a bar that is shown and left writes to the stderr of this process.
std::string bar_on_stderr(const Settings& settings) {
  testing::internal::CaptureStderr();
  ProgressBar bar(settings);
  bar.show({10, 5, 0, 0});
  bar.finish();
  std::fflush(stderr);
  return testing::internal::GetCapturedStderr();
}

TEST(ProgressTest, NothingIsDrawnWithoutATerminal) { EXPECT_EQ(bar_on_stderr({}), ""); }

// Of a descriptor that becomes another one, for as long as this lives.
class Moved {
 public:
  Moved(int fd, int to) : to_(to), before_(::dup(to)) { ::dup2(fd, to); }
  ~Moved() {
    ::dup2(before_, to_);
    ::close(before_);
  }
  Moved(const Moved&) = delete;
  Moved& operator=(const Moved&) = delete;

 private:
  int to_;
  int before_;
};

// What is written to a terminal of so many columns; nothing where this machine gives none.
std::optional<std::string> on_terminal(unsigned short columns, const std::function<void()>& write) {
  const int reader = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (reader < 0) return std::nullopt;
  ::grantpt(reader);
  ::unlockpt(reader);
  const int terminal = ::open(::ptsname(reader), O_RDWR | O_NOCTTY);
  if (terminal < 0) return std::nullopt;
  winsize size{};
  size.ws_row = 24;
  size.ws_col = columns;
  ::ioctl(terminal, TIOCSWINSZ, &size);
  std::fflush(stdout);
  {
    const Moved err(terminal, STDERR_FILENO);
    const Moved out(terminal, STDOUT_FILENO);
    write();
    std::fflush(stderr);
    std::fflush(stdout);
  }
  ::close(terminal);
  std::string drawn;
  char some[256];
  // Ends with an error, since nobody has the terminal any more.
  for (ssize_t got = 0; (got = ::read(reader, some, sizeof some)) > 0;) {
    drawn.append(some, static_cast<std::size_t>(got));
  }
  ::close(reader);
  return drawn;
}

std::optional<std::string> bar_on_terminal(const Settings& settings) {
  return on_terminal(80, [&] {
    ProgressBar bar(settings);
    bar.show({10, 5, 0, 0});
    bar.finish();
  });
}

// What can be read on it in the end: a carriage return goes back, and what follows is written over.
std::vector<std::string> screen(const std::string& written) {
  std::vector<std::string> lines{""};
  std::size_t at = 0;
  for (const char c : written) {
    if (c == '\r') {
      at = 0;
    } else if (c == '\n') {
      lines.emplace_back();
      at = 0;
    } else {
      std::string& line = lines.back();
      if (at == line.size()) line += ' ';
      line[at++] = c;
    }
  }
  for (std::string& line : lines) line.erase(line.find_last_not_of(' ') + 1);
  return lines;
}

TEST(ProgressTest, WhatIsPrintedHasLinesOfItsOwn) {
  const auto written = on_terminal(80, [] {
    ProgressBar bar({});
    bar.show({3, 1, 0, 0}, true);
    bar.print("one\n");
    bar.show({3, 2, 0, 0}, true);
    bar.print("two");  // as of printf
    bar.show({3, 3, 0, 0}, true);
    bar.print("");
    bar.finish();
  });
  if (!written) GTEST_SKIP() << "this machine gives no terminal";
  const auto lines = screen(*written);
  ASSERT_EQ(lines.size(), 4U) << *written;
  EXPECT_EQ(lines[0], "one");
  EXPECT_EQ(lines[1], "two");
  EXPECT_EQ(lines[2].substr(0, 45), "[" + std::string(30, '#') + "] 3/3 verified");
  EXPECT_EQ(lines[3], "");
}

TEST(ProgressTest, WhatIsPrintedLastEndsItsLine) {
  const auto written = on_terminal(80, [] {
    ProgressBar bar({});
    bar.print("all");
    bar.finish();
    say("done");
  });
  if (!written) GTEST_SKIP() << "this machine gives no terminal";
  EXPECT_EQ(screen(*written), (std::vector<std::string>{"all", "done", ""}));
}

TEST(ProgressTest, ABarIsNoLongerThanALineOfTheTerminal) {
  for (const unsigned short columns : {1, 20, 40, 80}) {
    const auto written = on_terminal(columns, [] {
      ProgressBar bar({});
      bar.show({1000, 5, 0, 0});
      bar.finish();
    });
    if (!written) GTEST_SKIP() << "this machine gives no terminal";
    const auto lines = screen(*written);
    EXPECT_LT(lines[0].size(), columns == 1 ? 80U : columns) << *written;
    EXPECT_NE(lines[0].find("5/1000"), std::string::npos) << *written;
  }
}

TEST(ProgressTest, ABarIsDrawnOnATerminalUnlessNobodyWantsIt) {
  const auto drawn = bar_on_terminal({});
  if (!drawn) GTEST_SKIP() << "this machine gives no terminal";
  EXPECT_EQ(drawn->substr(0, 2), "\r[");
  EXPECT_NE(drawn->find("5/10 verified"), std::string::npos) << *drawn;
  Settings settings;
  settings.quiet = true;
  EXPECT_EQ(bar_on_terminal(settings), "") << "--quiet";
  settings.quiet = false;
  settings.progress = false;
  EXPECT_EQ(bar_on_terminal(settings), "") << "--no-progress";
}

TEST(TallyTest, OnlyAJobWithEveryUnitVerifiedIsASuccess) {
  EXPECT_EQ((Tally{10, 10, 0, 0}.exit_code()), kSuccess);
  EXPECT_EQ((Tally{10, 9, 1, 0}.exit_code()), kError);
  EXPECT_EQ((Tally{10, 9, 0, 1}.exit_code()), kError);
}

TEST(ColourTest, NoneWithoutATerminalOrWithNoColor) {
  const auto none = [](const std::string&) { return std::optional<std::string>(); };
  const auto no_color = [](const std::string& name) {
    return name == "NO_COLOR" ? std::optional<std::string>("1") : std::nullopt;
  };
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  EXPECT_FALSE(wants_colour(pipe_ends[1], none));
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);

  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0) GTEST_SKIP() << "this machine gives no terminal";
  EXPECT_TRUE(wants_colour(terminal, none));
  EXPECT_FALSE(wants_colour(terminal, no_color));
  ::close(terminal);
}

}  // namespace
}  // namespace shoal::cli
