#include "sdk/cli/fetch_bar.h"

#include <gtest/gtest.h>

namespace shoal::cli {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr double kRate = 220.8 * kMiB;

TEST(FetchText, TheBarFillsUp) {
  ExchangeProgress progress{.bytes = 8 * kMiB, .bytes_here = 0, .sources = 1, .linked = 3};
  EXPECT_EQ(fetch_text(progress, 0, 79),
            "[" + std::string(24, ' ') + "] 0 B of 8.0 MiB, 1 of 3 sources");
  progress.bytes_here = 4 * kMiB;
  EXPECT_EQ(fetch_text(progress, 2 * kMiB, 119),
            "[" + std::string(12, '#') + std::string(12, ' ') +
                "] 4.0 MiB of 8.0 MiB, 1 of 3 sources, 2.0 MiB/s, 0:02 left");
  progress.bytes_here = progress.bytes;
  EXPECT_EQ(fetch_text(progress, 0, 79),
            "[" + std::string(24, '#') + "] 8.0 MiB of 8.0 MiB, 1 of 3 sources");
}

TEST(FetchText, IsNoLongerThanALineOfTheTerminal) {
  const ExchangeProgress progress{
      .bytes = 1000 * kMiB, .bytes_here = 500 * kMiB, .sources = 10, .linked = 64};
  const std::string figures = "500.0 MiB of 1000.0 MiB, 10 of 64 sources, 220.8 MiB/s, 0:02 left";
  EXPECT_EQ(fetch_text(progress, kRate, 79), "[#####      ] " + figures);
  EXPECT_EQ(fetch_text(progress, kRate, 70), figures) << "no room for a bar";
  EXPECT_EQ(fetch_text(progress, kRate, 40), figures.substr(0, 40));
}

}  // namespace
}  // namespace shoal::cli
