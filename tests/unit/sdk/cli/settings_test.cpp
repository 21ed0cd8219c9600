#include "sdk/cli/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>

namespace shoal::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string a_ticket(std::uint8_t fill) {
  std::array<std::uint8_t, KeyPair::kSeedBytes> seed{};
  seed.fill(fill);
  const KeyPair pool(seed);
  Ticket ticket;
  ticket.pool.bytes = pool.id().bytes;
  ticket.name = "garden " + std::to_string(fill);
  ticket.doors = {{pool.id(), "tcp://127.0.0.1:1"}};
  return print_ticket(ticket, pool);
}

class SettingsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "shoal-settings-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }
  Result<Settings, Failure> load(const Flags& flags = {}) const {
    const auto environment = [this](const std::string& name) -> std::optional<std::string> {
      const auto it = variables_.find(name);
      if (it == variables_.end()) return std::nullopt;
      return it->second;
    };
    return load_settings(flags, environment, {folder_ / "config.toml", folder_ / "pool"});
  }
  void expect_usage(const Flags& flags, const std::string& what) const {
    const auto settings = load(flags);
    ASSERT_FALSE(settings);
    EXPECT_EQ(settings.error().exit_code, kUsage);
    EXPECT_THAT(settings.error().what, HasSubstr(what));
  }

  fs::path folder_;
  std::map<std::string, std::string> variables_;
};

TEST_F(SettingsTest, WithNothingSetThereAreDefaultsAndNoTicket) {
  const auto settings = load();
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->quorum, 2U);
  EXPECT_FALSE(settings->timeout);
  EXPECT_TRUE(settings->progress);
  EXPECT_FALSE(settings->quiet);
  const auto ticket = ticket_of(*settings);
  ASSERT_FALSE(ticket);
  EXPECT_EQ(ticket.error().exit_code, kUsage);
}

TEST_F(SettingsTest, AFlagWinsOverTheEnvironmentAndThatOverTheFile) {
  write("config.toml",
        "quorum = 3\ntimeout = 30\nprogress = false\nquiet = true\nticket = '" + a_ticket(1) + "'");
  auto settings = load();
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->quorum, 3U);
  EXPECT_EQ(settings->timeout, std::chrono::seconds(30));
  EXPECT_FALSE(settings->progress);
  EXPECT_TRUE(settings->quiet);
  EXPECT_EQ(ticket_of(*settings)->name, "garden 1");

  variables_ = {{"SHOAL_QUORUM", "4"},
                {"SHOAL_TIMEOUT", "0.5"},
                {"SHOAL_PROGRESS", "true"},
                {"SHOAL_QUIET", "0"},
                {"SHOAL_TICKET", a_ticket(2)}};
  settings = load();
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->quorum, 4U);
  EXPECT_EQ(settings->timeout, std::chrono::milliseconds(500));
  EXPECT_TRUE(settings->progress);
  EXPECT_FALSE(settings->quiet);
  EXPECT_EQ(ticket_of(*settings)->name, "garden 2");

  Flags flags;
  flags.quorum = "5";
  flags.timeout = "7";
  flags.no_progress = true;
  flags.quiet = true;
  flags.ticket = a_ticket(3);
  settings = load(flags);
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->quorum, 5U);
  EXPECT_EQ(settings->timeout, std::chrono::seconds(7));
  EXPECT_FALSE(settings->progress);
  EXPECT_TRUE(settings->quiet);
  EXPECT_EQ(ticket_of(*settings)->name, "garden 3");
}

TEST_F(SettingsTest, TheUsualPoolCountsWhereNothingElseNamesOne) {
  write("pool", a_ticket(4) + "\n");
  EXPECT_EQ(ticket_of(*load())->name, "garden 4");
  write("config.toml", "ticket = '" + a_ticket(1) + "'");
  EXPECT_EQ(ticket_of(*load())->name, "garden 1");
}

TEST_F(SettingsTest, AnEmptyVariableCountsAsNone) {
  write("pool", a_ticket(4));
  variables_ = {{"SHOAL_TICKET", ""}, {"SHOAL_QUORUM", ""}};
  const auto settings = load();
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->quorum, 2U);
  EXPECT_EQ(ticket_of(*settings)->name, "garden 4");
}

TEST_F(SettingsTest, ATicketMayBeInAFile) {
  Flags flags;
  flags.ticket = "@" + write("elsewhere", "\n" + a_ticket(5) + "\n").string();
  const auto settings = load(flags);
  ASSERT_TRUE(settings);
  EXPECT_EQ(ticket_of(*settings)->name, "garden 5");
}

TEST_F(SettingsTest, AFileWithATicketThatIsMissingMattersOnlyToWhomNeedsATicket) {
  variables_["SHOAL_TICKET"] = "@" + (folder_ / "missing").string();
  const auto settings = load();
  ASSERT_TRUE(settings) << "it may be the pool that `shoal pool init` is about to make";
  const auto ticket = ticket_of(*settings);
  ASSERT_FALSE(ticket);
  EXPECT_EQ(ticket.error().exit_code, kUsage);
  EXPECT_THAT(ticket.error().what, HasSubstr("missing"));
  EXPECT_THAT(ticket.error().what, HasSubstr("SHOAL_TICKET"));
}

TEST_F(SettingsTest, AMistypedTicketIsUsageAndSaysWhereItCameFrom) {
  variables_["SHOAL_TICKET"] = a_ticket(1);
  variables_["SHOAL_TICKET"][25] ^= 1;
  const auto ticket = ticket_of(*load());
  ASSERT_FALSE(ticket);
  EXPECT_EQ(ticket.error().exit_code, kUsage);
  EXPECT_THAT(ticket.error().what, HasSubstr("SHOAL_TICKET"));
}

TEST_F(SettingsTest, ANamedFileMustBeThere) {
  Flags flags;
  flags.config = (folder_ / "mine.toml").string();
  expect_usage(flags, "mine.toml");
  write("mine.toml", "quorum = 9");
  EXPECT_EQ(load(flags)->quorum, 9U);
}

TEST_F(SettingsTest, WhatIsWrongIsNamedWithItsPlace) {
  write("config.toml", "quorum = 2\nquourm = 3");
  expect_usage({}, "line 2");
  write("config.toml", "quorum = [");
  expect_usage({}, "line 1");
  write("config.toml", "quorum = 17");
  expect_usage({}, "'quorum' in");
  write("config.toml", "");
  variables_["SHOAL_TIMEOUT"] = "soon";
  expect_usage({}, "SHOAL_TIMEOUT is 'soon'");
  variables_["SHOAL_TIMEOUT"] = "nan";
  expect_usage({}, "SHOAL_TIMEOUT");
  variables_.clear();
  Flags flags;
  flags.quorum = "0";
  expect_usage(flags, "--quorum is '0'");
}

}  // namespace
}  // namespace shoal::cli
