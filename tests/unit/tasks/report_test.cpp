#include "tasks/front/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace shoal::front {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::size_t count_of(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

Progress ended(std::uint64_t verified, std::uint64_t failed) {
  Progress progress;
  progress.units = verified + failed;
  progress.verified = verified;
  progress.failed = failed;
  return progress;
}

TEST(Report, NeedsNothingFromElsewhere) {
  Report report("Shoal: align");
  report.verified(0.1);
  EXPECT_THAT(report.html(ended(1, 0)),
              AllOf(Not(HasSubstr("<script")), Not(HasSubstr("http")), Not(HasSubstr("src="))));
}

TEST(Report, EscapesWhatOthersWrote) {
  Report report("a <b> & \"c\"");
  report.fact("Command", "<i>");
  report.failed(0.1, 7, {FailureReason::kThrew, "<script>alert(1)</script>", 3, "x < y\n"});
  report.table({"<caption>", {"<column>"}, {{"<cell>"}}, {false}});
  const std::string html = report.html(ended(0, 1));
  EXPECT_THAT(html, AllOf(HasSubstr("a &lt;b&gt; &amp; &quot;c&quot;"), HasSubstr("&lt;i&gt;"),
                          HasSubstr("&lt;script&gt;"), HasSubstr("x &lt; y")));
  EXPECT_THAT(html, AllOf(Not(HasSubstr("<script")), Not(HasSubstr("<cell>")),
                          Not(HasSubstr("<column>")), Not(HasSubstr("<caption>"))));
}

TEST(Report, ShowsUnitsByStateAndReason) {
  Report report("x");
  report.verified(0.1);
  report.failed(0.2, 1, {FailureReason::kCrashed, "signal 11", 3, ""});
  Progress progress = ended(1, 1);
  progress.units = 4;
  const std::string html = report.html(progress);
  EXPECT_THAT(html, HasSubstr("<td>verified</td><td class=\"n\">1</td><td class=\"n\">25 %</td>"));
  EXPECT_THAT(html, HasSubstr("<td>failed</td><td class=\"n\">1</td>"));
  EXPECT_THAT(html, HasSubstr("<td>not ended</td><td class=\"n\">2</td>"));
  EXPECT_THAT(html, AllOf(HasSubstr("crashed"), HasSubstr("signal 11")));
}

TEST(Report, ShowsVerifiedReplicasByWorker) {
  Report report("x");
  const std::string one(64, 'a');
  const std::string two(64, 'b');
  report.verified(0.1, {one, two});
  report.verified(0.2, {two, std::string(64, 'c')});
  const std::string html = report.html(ended(2, 0));
  const auto row = [](const char* id, const char* rest) {
    return std::string("<tr><td>") + id + "</td><td class=\"n\">" + rest;
  };
  EXPECT_THAT(html, AllOf(HasSubstr("Units by worker"), HasSubstr("3 workers"),
                          HasSubstr(row("bbbbbbbb", "2</td><td class=\"n\">50 %</td>")),
                          HasSubstr(row("aaaaaaaa", "1</td><td class=\"n\">25 %</td>"))));
  EXPECT_LT(html.find("bbbbbbbb"), html.find("aaaaaaaa"));
}

TEST(Report, SaysNothingOfWorkersWhereThereWereNone) {
  Report report("x");
  report.verified(0.1);
  EXPECT_THAT(report.html(ended(1, 0)), Not(HasSubstr("Units by worker")));
}

TEST(Report, DrawsTheRunningTotal) {
  Report report("x");
  report.verified(0.01);
  report.failed(0.06, 1, {FailureReason::kThrew, "no", 1, ""});
  report.verified(0.07);
  report.verified(0.12);
  EXPECT_THAT(report.html(ended(3, 1)), HasSubstr("points=\"0,160 300,120 600,40 900,0\"/>"));
}

TEST(Report, StaysSmallHoweverLongTheJobIs) {
  Report report("x");
  for (int i = 0; i < 100'000; ++i) report.verified(i * 1.0);
  for (int i = 0; i < 1'000; ++i) report.failed(100'000, 1, {FailureReason::kThrew, "no", 1, ""});
  Table table{"t", {"a"}, {}, {true}};
  for (int i = 0; i < 5'000; ++i) table.rows.push_back({"row"});
  report.table(table);
  const std::string html = report.html(ended(100'000, 1'000));
  EXPECT_LT(html.size(), 100'000u);
  EXPECT_LE(count_of(html, "<rect"), 200u);
  EXPECT_GE(count_of(html, "<rect"), 25u);
  EXPECT_THAT(html, HasSubstr("of 5000."));
}

// However the steps were widened on the way, none may be lost: the columns' heights say so.
TEST(Report, CountsEveryUnitOnceInTime) {
  Report report("x");
  for (int i = 0; i < 64; ++i) report.verified(i < 63 ? 0.01 : 400.0);
  const std::string html = report.html(ended(64, 0));
  EXPECT_THAT(html, HasSubstr("the highest has 63 units"));
}

}  // namespace
}  // namespace shoal::front
