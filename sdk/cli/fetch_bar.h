#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "node/content/core/exchange.h"
#include "sdk/cli/settings.h"

namespace shoal::cli {

// "1.5 MiB"
std::string bytes_text(double bytes);
// `rate` in bytes a second; zero: not known yet. No longer than `columns`: the bar takes what the
// figures leave.
std::string fetch_text(const ExchangeProgress& progress, double rate, std::size_t columns);

// How far a fetch is, on stderr, and only where that is a terminal.
class FetchBar {
 public:
  explicit FetchBar(const Settings& settings);
  ~FetchBar() { finish(); }
  FetchBar(const FetchBar&) = delete;
  FetchBar& operator=(const FetchBar&) = delete;
  void show(const ExchangeProgress& progress);
  // It has come; nothing where it came before anything was shown.
  void show_all();
  // Leaves the line, so that something else can be said.
  void finish();

 private:
  bool visible_;
  bool drawn_ = false;
  double rate_ = 0;
  ExchangeProgress last_;  // at `then_`
  std::chrono::steady_clock::time_point then_;
};

}  // namespace shoal::cli
