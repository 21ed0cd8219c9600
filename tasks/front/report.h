#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "shoal/job.h"

namespace shoal::front {

// A table of text; numbers stand to the right.
struct Table {
  std::string caption;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
  std::vector<bool> numeric;  // by column
};

// What a job did, as one HTML page that needs nothing from elsewhere: no scripts, no fonts, no
// pictures of other sites. Units are counted in steps of time, so that a page stays small however
// many there are.
class Report {
 public:
  explicit Report(std::string title) : title_(std::move(title)) {}

  // `seconds` since the job was handed over, not falling from call to call.
  // `workers` as UnitResult::workers() has them.
  void verified(double seconds, const std::vector<std::string>& workers = {});
  void failed(double seconds, std::uint64_t unit, const UnitError& error);
  void fact(std::string name, std::string value) {
    facts_.emplace_back(std::move(name), std::move(value));
  }
  void table(Table table) { tables_.push_back(std::move(table)); }
  std::string html(const Progress& progress) const;

 private:
  struct Step {
    std::uint64_t verified = 0;
    std::uint64_t failed = 0;
  };
  struct Failure {
    std::uint64_t unit = 0;
    UnitError error;
  };
  static constexpr std::size_t kStepsMax = 100;
  static constexpr std::size_t kFailuresShown = 200;

  Step& step_at(double seconds);
  std::string states(const Progress& progress) const;
  std::string workers() const;
  std::string chart() const;
  std::string running_total(std::uint64_t ended) const;
  std::string failures() const;

  std::string title_;
  std::vector<std::pair<std::string, std::string>> facts_;
  std::vector<Table> tables_;
  std::vector<Step> steps_;
  double step_seconds_ = 0.05;
  std::map<std::string, std::uint64_t> replicas_;  // that were verified, by worker
  std::vector<Failure> failures_;
  std::uint64_t failure_count_ = 0;
  std::map<FailureReason, std::uint64_t> reasons_;
};

std::string escaped(const std::string& text);  // for HTML
const char* name_of(FailureReason reason);

}  // namespace shoal::front
