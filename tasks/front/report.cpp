#include "tasks/front/report.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace shoal::front {
namespace {

constexpr const char* kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; --ok: #2b7a4b; --bad: #b3392f; --open: #8a8a8a; --line: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .2rem .8rem .2rem 0; text-align: left; border-bottom: 1px solid var(--line);
         vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.bar { display: flex; height: 1.4rem; border-radius: .3rem; overflow: hidden;
       background: var(--line); }
.bar span { display: block; } .ok { background: var(--ok); } .bad { background: var(--bad); }
.open { background: var(--open); } pre { margin: 0; white-space: pre-wrap; font-size: .8rem; }
.total { fill: none; stroke: currentColor; stroke-width: 1.5; opacity: .6; }
.facts td:first-child { opacity: .7; } code { overflow-wrap: anywhere; }
</style>
)";

constexpr std::size_t kRowsShown = 200;  // of one table
constexpr std::size_t kIdDigits = 8;     // of a worker's id, as `shoal workers` shows it
constexpr double kChartWidth = 900;
constexpr double kChartHeight = 160;

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4g", value);
  return text.data();
}

std::string table_html(const Table& table) {
  const auto cell = [&](const char* tag, std::size_t column, const std::string& text) {
    const bool right = column < table.numeric.size() && table.numeric[column];
    return std::string("<") + tag + (right ? " class=\"n\">" : ">") + escaped(text) + "</" + tag +
           ">";
  };
  std::string html = "<h2>" + escaped(table.caption) + "</h2>\n<table><tr>";
  for (std::size_t i = 0; i < table.columns.size(); ++i) html += cell("th", i, table.columns[i]);
  html += "</tr>\n";
  const std::size_t shown = std::min(table.rows.size(), kRowsShown);
  for (std::size_t r = 0; r < shown; ++r) {
    const auto& row = table.rows[r];
    html += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) html += cell("td", i, row[i]);
    html += "</tr>\n";
  }
  html += "</table>\n";
  if (shown < table.rows.size()) {
    html += "<p>The first " + std::to_string(shown) + " of " + std::to_string(table.rows.size()) +
            ".</p>\n";
  }
  return html;
}

}  // namespace

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

const char* name_of(FailureReason reason) {
  switch (reason) {
    case FailureReason::kThrew:
      return "threw";
    case FailureReason::kCrashed:
      return "crashed";
    case FailureReason::kTimedOut:
      return "timed out";
    case FailureReason::kOutOfMemory:
      return "out of memory";
    case FailureReason::kBadAnswer:
      return "bad answer";
    case FailureReason::kRefused:
      return "refused";
    case FailureReason::kDisputed:
      return "disputed";
  }
  return "unknown";
}

Report::Step& Report::step_at(double seconds) {
  const double at = std::max(seconds, 0.0);
  while (at >= step_seconds_ * kStepsMax) {
    // Twice the width, half as many.
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const Step step = steps_[i];
      steps_[i] = {};
      steps_[i / 2].verified += step.verified;
      steps_[i / 2].failed += step.failed;
    }
    steps_.resize((steps_.size() + 1) / 2);
    step_seconds_ *= 2;
  }
  const auto index = std::min(static_cast<std::size_t>(at / step_seconds_), kStepsMax - 1);
  if (steps_.size() <= index) steps_.resize(index + 1);
  return steps_[index];
}

void Report::verified(double seconds, const std::vector<std::string>& workers) {
  ++step_at(seconds).verified;
  for (const std::string& worker : workers) ++replicas_[worker];
}

void Report::failed(double seconds, std::uint64_t unit, const UnitError& error) {
  ++step_at(seconds).failed;
  ++failure_count_;
  ++reasons_[error.kind];
  if (failures_.size() < kFailuresShown) failures_.push_back({unit, error});
}

std::string Report::states(const Progress& progress) const {
  const std::uint64_t ended = progress.verified + progress.failed + progress.disputed;
  const std::uint64_t open = progress.units - std::min(progress.units, ended);
  std::string bar = "<h2>Units by state</h2>\n<div class=\"bar\">";
  Table table{"", {"state", "units", "share"}, {}, {false, true, true}};
  const auto add = [&](const char* name, const char* style, std::uint64_t count) {
    const double share =
        progress.units == 0 ? 0 : 100.0 * static_cast<double>(count) / double(progress.units);
    bar +=
        std::string("<span class=\"") + style + "\" style=\"width:" + number(share) + "%\"></span>";
    table.rows.push_back({name, std::to_string(count), number(share) + " %"});
  };
  add("verified", "ok", progress.verified);
  add("failed", "bad", progress.failed);
  add("disputed", "bad", progress.disputed);
  add("not ended", "open", open);
  std::string html = table_html(table);
  html.erase(0, html.find("<table>"));
  return bar + "</div>\n" + html;
}

std::string Report::workers() const {
  if (replicas_.empty()) return {};
  std::vector<std::pair<std::string, std::uint64_t>> by_count(replicas_.begin(), replicas_.end());
  std::stable_sort(by_count.begin(), by_count.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::uint64_t all = 0;
  for (const auto& [worker, count] : by_count) all += count;
  Table table{"Units by worker", {"worker", "verified replicas", "share"}, {}, {false, true, true}};
  for (const auto& [worker, count] : by_count) {
    const double share = 100.0 * static_cast<double>(count) / static_cast<double>(all);
    table.rows.push_back(
        {worker.substr(0, kIdDigits), std::to_string(count), number(share) + " %"});
  }
  return table_html(table) + "<p>" + std::to_string(by_count.size()) +
         " workers. Each verified unit counts once for every worker that signed for its "
         "output.</p>\n";
}

// All that had ended by each moment, as a line from nothing to `ended` at the top.
std::string Report::running_total(std::uint64_t ended) const {
  const double column = kChartWidth / static_cast<double>(steps_.size());
  std::string points = "0," + number(kChartHeight);
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    so_far += steps_[i].verified + steps_[i].failed;
    const double share = static_cast<double>(so_far) / static_cast<double>(ended);
    points += " " + number(column * static_cast<double>(i + 1)) + "," +
              number(kChartHeight * (1 - share));
  }
  return "<polyline class=\"total\" points=\"" + points + "\"/>";
}

std::string Report::chart() const {
  if (steps_.empty()) return {};
  std::uint64_t highest = 1;
  std::uint64_t ended = 0;
  for (const Step& step : steps_) {
    highest = std::max(highest, step.verified + step.failed);
    ended += step.verified + step.failed;
  }
  const double column = kChartWidth / static_cast<double>(steps_.size());
  const double scale = kChartHeight / static_cast<double>(highest);
  std::string svg =
      "<h2>Units by time</h2>\n<svg viewBox=\"0 0 900 180\" width=\"100%\" role=\"img\" "
      "aria-label=\"units that ended, over time\">";
  const auto rectangle = [&](std::size_t i, double from, double size, const char* colour) {
    if (size <= 0) return;
    svg += "<rect x=\"" + number(column * static_cast<double>(i)) + "\" y=\"" +
           number(kChartHeight - from - size) + "\" width=\"" + number(column * 0.9) +
           "\" height=\"" + number(size) + "\" style=\"fill:var(" + colour + ")\"/>";
  };
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const double good = static_cast<double>(steps_[i].verified) * scale;
    rectangle(i, 0, good, "--ok");
    rectangle(i, good, static_cast<double>(steps_[i].failed) * scale, "--bad");
  }
  svg += running_total(ended);
  const double seconds = step_seconds_ * static_cast<double>(steps_.size());
  svg += "<text x=\"0\" y=\"176\" font-size=\"12\" fill=\"currentColor\">0 s</text>";
  svg += "<text x=\"900\" y=\"176\" font-size=\"12\" text-anchor=\"end\" fill=\"currentColor\">" +
         number(seconds) + " s</text></svg>\n";
  return svg + "<p>Each column is " + number(step_seconds_) +
         " s, counted where the results arrive; the highest has " + std::to_string(highest) +
         " units. The line is all that had ended by then, " + std::to_string(ended) +
         " at its top.</p>\n";
}

std::string Report::failures() const {
  if (failure_count_ == 0) return {};
  Table table{"Units without a value", {"reason", "units"}, {}, {false, true}};
  for (const auto& [reason, count] : reasons_) {
    table.rows.push_back({name_of(reason), std::to_string(count)});
  }
  std::string html = table_html(table);
  html +=
      "<table><tr><th class=\"n\">unit</th><th>reason</th><th>message</th>"
      "<th class=\"n\">workers</th><th>end of stderr</th></tr>\n";
  for (const Failure& failure : failures_) {
    html += "<tr><td class=\"n\">" + std::to_string(failure.unit) + "</td><td>" +
            name_of(failure.error.kind) + "</td><td>" + escaped(failure.error.message) +
            "</td><td class=\"n\">" + std::to_string(failure.error.attempts) + "</td><td><pre>" +
            escaped(failure.error.stderr_end) + "</pre></td></tr>\n";
  }
  html += "</table>\n";
  if (failure_count_ > failures_.size()) {
    html += "<p>The first " + std::to_string(failures_.size()) + " of " +
            std::to_string(failure_count_) + ".</p>\n";
  }
  return html;
}

std::string Report::html(const Progress& progress) const {
  std::string html = kHead;
  html += "<title>" + escaped(title_) + "</title></head><body>\n<h1>" + escaped(title_) +
          "</h1>\n<table class=\"facts\">\n";
  for (const auto& [name, value] : facts_) {
    html += "<tr><td>" + escaped(name) + "</td><td><code>" + escaped(value) + "</code></td></tr>\n";
  }
  html += "</table>\n" + states(progress) + workers() + chart() + failures();
  for (const Table& table : tables_) html += table_html(table);
  return html + "</body></html>\n";
}

}  // namespace shoal::front
