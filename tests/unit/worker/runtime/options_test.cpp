#include "worker/runtime/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "node/protocol/keys.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

using Arguments = std::vector<std::string>;

std::string a_ticket(const std::string& name = "garden") {
  std::array<std::uint8_t, KeyPair::kSeedBytes> seed{};
  seed.fill(static_cast<std::uint8_t>(name.size()));
  const KeyPair pool(seed);
  Ticket ticket;
  ticket.pool.bytes = pool.id().bytes;
  ticket.name = name;
  ticket.doors = {{pool.id(), "tcp://127.0.0.1:5000"}};
  return print_ticket(ticket, pool);
}

class OptionsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "shoal-options-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    environment_ = {{"HOME", (folder_ / "home").string()}};
  }
  void TearDown() override { fs::remove_all(folder_); }

  Result<WorkerOptions, EarlyEnd> parse(const Arguments& arguments) {
    return parse_worker_options(
        arguments,
        [this](const std::string& name) -> std::optional<std::string> {
          const auto found = environment_.find(name);
          return found == environment_.end() ? std::nullopt : std::optional(found->second);
        },
        "1.2.3");
  }
  WorkerOptions good(const Arguments& arguments) {
    auto options = parse(arguments);
    EXPECT_TRUE(options) << options.error().err;
    return options ? *options : WorkerOptions{};
  }
  // The error's text; it must be one of usage.
  std::string bad(const Arguments& arguments) {
    auto options = parse(arguments);
    EXPECT_FALSE(options);
    if (options) return {};
    EXPECT_EQ(options.error().exit_code, kExitUsage);
    EXPECT_EQ(options.error().out, "");
    return options.error().err;
  }
  std::string write(const std::string& name, const std::string& text) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }

  fs::path folder_;
  std::map<std::string, std::string> environment_;
};

TEST_F(OptionsTest, ATicketIsEnough) {
  const WorkerOptions options = good({"--ticket", a_ticket()});
  EXPECT_EQ(options.ticket.name, "garden");
  EXPECT_EQ(options.state, folder_ / "home/.local/state/shoal/worker");
  EXPECT_EQ(options.listen, "tcp://0.0.0.0:0");
  EXPECT_EQ(options.advertise, "");
  EXPECT_EQ(options.threads, usable_cores());
  EXPECT_EQ(options.memory_bytes, 0U);
  EXPECT_TRUE(options.trusted_submitters.empty());
  EXPECT_EQ(options.log_level, LogLevel::kInfo);
  environment_["XDG_STATE_HOME"] = "/var/states";
  EXPECT_EQ(good({"--ticket", a_ticket()}).state, "/var/states/shoal/worker");
}

TEST_F(OptionsTest, EveryFlagIsTaken) {
  const std::string key(64, 'a'), other(64, 'b');
  const WorkerOptions options =
      good({"--ticket",    a_ticket(),    "--state",     "/s",  "--listen",    "tcp://127.0.0.1:9",
            "--advertise", "example.org", "--threads",   "3",   "--memory",    "512M",
            "--trust",     key,           "--trust",     other, "--log-level", "debug",
            "--executor",  "/e",          "--owner-key", "/o"});
  EXPECT_EQ(options.state, "/s");
  EXPECT_EQ(options.listen, "tcp://127.0.0.1:9");
  EXPECT_EQ(options.advertise, "example.org");
  EXPECT_EQ(options.threads, 3U);
  EXPECT_EQ(options.memory_bytes, 512ULL << 20);
  EXPECT_EQ(options.trusted_submitters,
            (std::vector<NodeId>{*id_from_hex<NodeId>(key), *id_from_hex<NodeId>(other)}));
  EXPECT_EQ(options.log_level, LogLevel::kDebug);
  EXPECT_EQ(options.executor, "/e");
  EXPECT_EQ(options.owner_key, "/o");
  EXPECT_EQ(good({"--ticket", a_ticket(), "--quiet"}).log_level, LogLevel::kWarning);
}

TEST_F(OptionsTest, ARouterIsAskedUnlessThatIsPointlessOrUnwanted) {
  const std::string ticket = a_ticket();
  EXPECT_TRUE(good({"--ticket", ticket}).maps_ports);
  EXPECT_TRUE(good({"--ticket", ticket, "--port-mapping", "auto"}).maps_ports);
  EXPECT_FALSE(good({"--ticket", ticket, "--port-mapping", "off"}).maps_ports);
  EXPECT_FALSE(good({"--ticket", ticket, "--listen", "tcp://127.0.0.1:0"}).maps_ports);
  EXPECT_FALSE(good({"--ticket", ticket, "--listen", "tcp://127.0.0.1:0", "--port-mapping", "auto"})
                   .maps_ports);
  EXPECT_FALSE(good({"--ticket", ticket, "--advertise", "example.org"}).maps_ports);
  environment_["SHOAL_PORT_MAPPING"] = "off";
  EXPECT_FALSE(good({"--ticket", ticket}).maps_ports);
  EXPECT_THAT(bad({"--ticket", ticket, "--port-mapping", "on"}), HasSubstr("auto or off"));
}

TEST_F(OptionsTest, ToSuperviseIsAFlagAndNoSetting) {
  EXPECT_FALSE(good({"--ticket", a_ticket()}).supervise);
  EXPECT_TRUE(good({"--ticket", a_ticket(), "--supervise"}).supervise);
  // The worker that is started inherits the environment: it must not supervise another.
  environment_["SHOAL_SUPERVISE"] = "true";
  EXPECT_FALSE(good({"--ticket", a_ticket()}).supervise);
}

TEST_F(OptionsTest, AFlagWinsOverTheEnvironmentAndThatOverTheFile) {
  const std::string config =
      write("my.toml", "threads = 2\nmemory = \"1G\"\nlog_level = \"error\"\ntrust = [\"" +
                           std::string(64, '1') + "\"]\nstate = \"/from/file\"\n");
  environment_["SHOAL_MEMORY"] = "2G";
  environment_["SHOAL_LOG_LEVEL"] = "warning";
  environment_["SHOAL_TICKET"] = a_ticket();
  const WorkerOptions options = good({"--config", config, "--log-level", "debug"});
  EXPECT_EQ(options.threads, 2U);
  EXPECT_EQ(options.memory_bytes, 2ULL << 30);
  EXPECT_EQ(options.log_level, LogLevel::kDebug);
  EXPECT_EQ(options.state, "/from/file");
  EXPECT_EQ(options.trusted_submitters.size(), 1U);
  environment_["SHOAL_CONFIG"] = config;
  EXPECT_EQ(good({}).threads, 2U);
}

TEST_F(OptionsTest, KindsAreAllUntilTheOwnerNamesThem) {
  using Kinds = std::set<KernelKind>;
  environment_["SHOAL_TICKET"] = a_ticket();
  EXPECT_EQ(good({}).kinds, (Kinds{KernelKind::kShipped, KernelKind::kWasm, KernelKind::kNative,
                                   KernelKind::kProgram}));
  const std::string config = write("kinds.toml", "kinds = [\"native\", \"program\"]\n");
  EXPECT_EQ(good({"--config", config}).kinds, (Kinds{KernelKind::kNative, KernelKind::kProgram}));
  environment_["SHOAL_KINDS"] = "wasm, shipped,wasm";
  EXPECT_EQ(good({"--config", config}).kinds, (Kinds{KernelKind::kShipped, KernelKind::kWasm}));
  EXPECT_EQ(good({"--config", config, "--kinds", "program"}).kinds, Kinds{KernelKind::kProgram});
}

TEST_F(OptionsTest, AnUnknownKindAndAListOfNoneAreErrorsThatNameAllFour) {
  const std::string four = "one or more of shipped, wasm, native, program";
  environment_["SHOAL_TICKET"] = a_ticket();
  EXPECT_THAT(bad({"--kinds", "shipped,wsam"}),
              AllOf(HasSubstr("--kinds is 'wsam'"), HasSubstr(four)));
  for (const char* none : {"", ",", " "}) {
    EXPECT_THAT(bad({"--kinds", none}), AllOf(HasSubstr("--kinds"), HasSubstr(four))) << none;
  }
  environment_["SHOAL_KINDS"] = "Program";
  EXPECT_THAT(bad({}), AllOf(HasSubstr("SHOAL_KINDS is 'Program'"), HasSubstr(four)));
  environment_.erase("SHOAL_KINDS");
  for (const char* wrong : {"kinds = []\n", "kinds = \"all\"\n"}) {
    EXPECT_THAT(bad({"--config", write("kinds.toml", wrong)}),
                AllOf(HasSubstr("'kinds' in "), HasSubstr(four)));
  }
}

TEST_F(OptionsTest, TheUsualFileIsReadWhereItIs) {
  write("home/.config/shoal/worker.toml", "ticket = \"" + a_ticket() + "\"\nthreads = 5\n");
  EXPECT_EQ(good({}).threads, 5U);
  EXPECT_EQ(good({}).ticket.name, "garden");
}

TEST_F(OptionsTest, ATicketMayComeFromAFileAndAFlagReplacesEither) {
  const std::string file = write("ticket", a_ticket("orchard") + "\n");
  EXPECT_EQ(good({"--ticket-file", file}).ticket.name, "orchard");
  EXPECT_EQ(good({"--ticket", "@" + file}).ticket.name, "orchard");
  environment_["SHOAL_TICKET"] = a_ticket("garden");
  EXPECT_EQ(good({"--ticket-file", file}).ticket.name, "orchard");
  environment_ = {{"HOME", "/h"}, {"SHOAL_TICKET_FILE", file}};
  EXPECT_EQ(good({"--ticket", a_ticket("garden")}).ticket.name, "garden");
  EXPECT_THAT(bad({"--ticket", a_ticket(), "--ticket-file", file}), HasSubstr("one of them"));
}

TEST_F(OptionsTest, AMistypedTicketIsAnErrorOfUsageWithTheFaultsOwnSentence) {
  std::string mistyped = a_ticket();
  mistyped[20] = mistyped[20] == 'A' ? 'B' : 'A';
  const auto fault = parse_ticket(mistyped, Ed25519Checker());
  ASSERT_FALSE(fault);
  EXPECT_THAT(bad({"--ticket", mistyped}), HasSubstr(fault.error().what));
  EXPECT_THAT(bad({"--ticket", "hello"}),
              HasSubstr(parse_ticket("hello", Ed25519Checker()).error().what));
  EXPECT_THAT(bad({}), AllOf(HasSubstr("no ticket"), HasSubstr("--ticket")));
  EXPECT_THAT(bad({"--ticket-file", "/nowhere/ticket"}), HasSubstr("/nowhere/ticket"));
}

TEST_F(OptionsTest, UnknownFlagsAndArgumentsAreErrorsOfUsage) {
  EXPECT_THAT(bad({"--ticket", a_ticket(), "--thread", "3"}),
              AllOf(HasSubstr("--thread"), HasSubstr("--help")));
  EXPECT_THAT(bad({"--ticket", a_ticket(), "surplus"}), HasSubstr("surplus"));
  EXPECT_THAT(bad({"--ticket"}), HasSubstr("--ticket"));
}

TEST_F(OptionsTest, AWrongValueIsNamedWithWhereItCameFrom) {
  const std::string ticket = a_ticket();
  for (const char* threads : {"0", "-1", "x", "1.5", "99999"}) {
    EXPECT_THAT(bad({"--ticket", ticket, "--threads", threads}),
                AllOf(HasSubstr("--threads"), HasSubstr("a number from 1")));
  }
  EXPECT_THAT(bad({"--ticket", ticket, "--memory", "lots"}), HasSubstr("512M"));
  EXPECT_THAT(bad({"--ticket", ticket, "--trust", "abc"}), HasSubstr("64 hexadecimal digits"));
  EXPECT_THAT(bad({"--ticket", ticket, "--listen", "tcp://example.org:0"}),
              HasSubstr("an IP address"));
  EXPECT_THAT(bad({"--ticket", ticket, "--listen", "0.0.0.0:7"}), HasSubstr("tcp://"));
  EXPECT_THAT(bad({"--ticket", ticket, "--log-level", "loud"}), HasSubstr("warning"));
  EXPECT_THAT(bad({"--ticket", ticket, "--advertise", "tcp://h"}), HasSubstr("HOST"));
  environment_["SHOAL_THREADS"] = "many";
  EXPECT_THAT(bad({"--ticket", ticket}), HasSubstr("SHOAL_THREADS is 'many'"));
}

TEST_F(OptionsTest, AMistakeInTheFileIsNamedWithItsLine) {
  const std::string ticket = a_ticket();
  const auto with = [&](const std::string& text) {
    return bad({"--ticket", ticket, "--config", write("w.toml", text)});
  };
  EXPECT_THAT(with("threads = 2\nthread = 3\n"), AllOf(HasSubstr("line 2"), HasSubstr("'thread'")));
  EXPECT_THAT(with("threads = \n"), HasSubstr("w.toml, line "));
  EXPECT_THAT(with("threads = { a = 1 }\n"), HasSubstr("'threads'"));
  EXPECT_THAT(with("trust = [1]\n"), HasSubstr("'trust'"));
  EXPECT_THAT(with("threads = 0\n"), HasSubstr("'threads' in "));
  EXPECT_THAT(bad({"--ticket", ticket, "--config", "/nowhere.toml"}), HasSubstr("/nowhere.toml"));
}

TEST_F(OptionsTest, HelpAndVersionEndCleanly) {
  const auto help = parse({"--help"});
  ASSERT_FALSE(help);
  EXPECT_EQ(help.error().exit_code, kExitClean);
  for (const char* part : {"--ticket", "--trust", "--kinds", "worker.toml", "SHOAL_MEMORY",
                           "SHOAL_KINDS", "Exit codes"}) {
    EXPECT_THAT(help.error().out, HasSubstr(part));
  }
  const auto version = parse({"--version"});
  ASSERT_FALSE(version);
  EXPECT_EQ(version.error().exit_code, kExitClean);
  EXPECT_EQ(version.error().out, "shoal-worker 1.2.3\n");
}

TEST_F(OptionsTest, WithoutAHomeTheStateMustBeNamed) {
  environment_.clear();
  EXPECT_THAT(bad({"--ticket", a_ticket()}), HasSubstr("--state"));
  EXPECT_EQ(good({"--ticket", a_ticket(), "--state", "/s"}).state, "/s");
}

TEST_F(OptionsTest, FindsTheExecutorBesideTheProgramOrInLibexec) {
  const fs::path bin = folder_ / "bin";
  fs::create_directories(bin);
  const auto none = find_executor({}, bin);
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error(), AllOf(HasSubstr((bin / "shoal-executor").string()),
                                  HasSubstr("libexec/shoal"), HasSubstr("--executor")));
  const fs::path installed = write("libexec/shoal/shoal-executor", "");
  ::chmod(installed.c_str(), 0700);
  EXPECT_EQ(find_executor({}, bin), installed);
  const fs::path beside = write("bin/shoal-executor", "");
  EXPECT_EQ(find_executor({}, bin), installed) << "a file that cannot be run is no program";
  ::chmod(beside.c_str(), 0700);
  EXPECT_EQ(find_executor({}, bin), beside);
  EXPECT_FALSE(find_executor(folder_ / "other", bin));
  EXPECT_FALSE(find_executor(folder_, bin)) << "a folder is no program";
}

TEST(ByteCount, UnderstandsPowersOf1024) {
  EXPECT_EQ(parse_byte_count("1"), 1U);
  EXPECT_EQ(parse_byte_count("4k"), 4096U);
  EXPECT_EQ(parse_byte_count("512M"), 512ULL << 20);
  EXPECT_EQ(parse_byte_count("2G"), 2ULL << 30);
  EXPECT_EQ(parse_byte_count("2GiB"), 2ULL << 30);
  EXPECT_EQ(parse_byte_count("1T"), 1ULL << 40);
  for (const char* wrong : {"", "0", "M", "1.5G", "-1", "2X", "2GB2", "99999999999999T", " 1"}) {
    EXPECT_EQ(parse_byte_count(wrong), std::nullopt) << wrong;
  }
}

}  // namespace
}  // namespace shoal
