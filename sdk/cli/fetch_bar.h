#pragma once

#include <chrono>
#include <string>

#include "node/content/core/exchange.h"
#include "sdk/cli/settings.h"

namespace shoal::cli {

// "1.5 MiB"
std::string bytes_text(double bytes);
// `rate` in bytes a second; zero: not known yet.
std::string fetch_text(const ExchangeProgress& progress, double rate);

// How far a fetch is, on stderr, and only where that is a terminal.
class FetchBar {
 public:
  explicit FetchBar(const Settings& settings);
  ~FetchBar() { finish(); }
  FetchBar(const FetchBar&) = delete;
  FetchBar& operator=(const FetchBar&) = delete;
  void show(const ExchangeProgress& progress);
  // Leaves the line, so that something else can be said.
  void finish();

 private:
  bool visible_;
  bool drawn_ = false;
  double rate_ = 0;
  std::uint64_t bytes_then_ = 0;  // at `then_`
  std::chrono::steady_clock::time_point then_;
};

}  // namespace shoal::cli
