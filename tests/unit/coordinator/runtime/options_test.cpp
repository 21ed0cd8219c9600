#include "coordinator/runtime/options.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>

namespace shoal {
namespace {

namespace fs = std::filesystem;

KeyPair key_of(std::uint8_t n) {
  std::array<std::uint8_t, KeyPair::kSeedBytes> seed{};
  seed.fill(n);
  return KeyPair(seed);
}

std::string ticket_for(const NodeId& door) {
  const KeyPair pool = key_of(1);
  Ticket ticket;
  ticket.pool = *PoolId::from_bytes(pool.id().view());
  ticket.name = "a pool";
  ticket.doors = {{door, "tcp://192.0.2.7:4242"}};
  return print_ticket(ticket, pool);
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class CoordinatorIdentity : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "shoal-coordinator-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder = name;
    options.state = name;
  }
  void TearDown() override { fs::remove_all(folder); }

  fs::path folder;
  CoordinatorOptions options;
};

TEST_F(CoordinatorIdentity, ComesFromItsKeyAndTheTicketBesideIt) {
  const KeyPair key = key_of(2);
  ASSERT_TRUE(store_key(folder / "coordinator.key", key));
  ASSERT_TRUE(write_text_file(folder / "ticket", ticket_for(key.id()) + "\n"));
  const auto identity = load_identity(options);
  ASSERT_TRUE(identity) << identity.error();
  EXPECT_EQ(identity->key.id(), key.id());
  EXPECT_EQ(identity->ticket.name, "a pool");
}

TEST_F(CoordinatorIdentity, TheTicketMayBeInAnotherFile) {
  const KeyPair key = key_of(2);
  ASSERT_TRUE(store_key(folder / "coordinator.key", key));
  ASSERT_TRUE(write_text_file(folder / "elsewhere", ticket_for(key.id()) + "\n"));
  options.ticket = "@" + (folder / "elsewhere").string();
  const auto identity = load_identity(options);
  ASSERT_TRUE(identity) << identity.error();
  EXPECT_EQ(identity->key.id(), key.id());
}

TEST_F(CoordinatorIdentity, WithoutATicketItNamesItsDoorAndKeepsTheKey) {
  const auto first = load_identity(options);
  ASSERT_FALSE(first);
  const auto key = load_key(folder / "coordinator.key");
  ASSERT_TRUE(key) << key.error().what;
  EXPECT_TRUE(has(first.error(), "no ticket")) << first.error();
  EXPECT_TRUE(has(first.error(), to_hex(key->id()) + "@tcp://")) << first.error();

  options.ticket = ticket_for(key->id());
  const auto second = load_identity(options);
  ASSERT_TRUE(second) << second.error();
  EXPECT_EQ(second->key.id(), key->id());
}

TEST_F(CoordinatorIdentity, ATicketWithOtherDoorsIsRefused) {
  options.ticket = ticket_for(key_of(3).id());
  const auto identity = load_identity(options);
  ASSERT_FALSE(identity);
  const auto key = load_key(folder / "coordinator.key");
  ASSERT_TRUE(key);
  EXPECT_TRUE(has(identity.error(), "names no door")) << identity.error();
  EXPECT_TRUE(has(identity.error(), to_hex(key->id()))) << identity.error();
}

TEST_F(CoordinatorIdentity, AMistypedTicketIsRefused) {
  options.ticket = ticket_for(key_of(2).id());
  char& c = options.ticket[20];
  c = c == 'a' ? 'b' : 'a';
  const auto identity = load_identity(options);
  ASSERT_FALSE(identity);
  EXPECT_FALSE(identity.error().empty());
}

TEST_F(CoordinatorIdentity, TwoDoNotShareAFolder) {
  const KeyPair key = key_of(2);
  ASSERT_TRUE(store_key(folder / "coordinator.key", key));
  options.ticket = ticket_for(key.id());
  const auto first = load_identity(options);
  ASSERT_TRUE(first);
  const auto second = load_identity(options);
  ASSERT_FALSE(second);
  EXPECT_TRUE(has(second.error(), "in use by another process")) << second.error();
}

TEST(CoordinatorOptionsTest, WrongUsageEndsWithTwo) {
  const std::array<const char*, 1> bare{"shoal-coordinator"};
  const ParsedOptions none = parse_options(static_cast<int>(bare.size()), bare.data(), "1.2.3");
  EXPECT_FALSE(none.options);
  EXPECT_EQ(none.exit_code, 2);
  const std::array<const char*, 2> help{"shoal-coordinator", "--help"};
  EXPECT_EQ(parse_options(static_cast<int>(help.size()), help.data(), "1.2.3").exit_code, 0);
}

TEST(CoordinatorOptionsTest, FlagsAreRead) {
  const std::array<const char*, 5> flags{"shoal-coordinator", "--state", "/x", "--listen",
                                         "tcp://0.0.0.0:0"};
  const ParsedOptions parsed = parse_options(static_cast<int>(flags.size()), flags.data(), "1.2.3");
  ASSERT_TRUE(parsed.options);
  EXPECT_EQ(parsed.options->state, "/x");
  EXPECT_EQ(parsed.options->listen, "tcp://0.0.0.0:0");
  EXPECT_EQ(parsed.options->memory_bytes, 4ULL << 30);
  EXPECT_FALSE(parsed.options->supervise);
}

TEST(CoordinatorOptionsTest, ALimitOnMemoryIsANumberOfBytes) {
  const auto limit = [](const char* text) {
    const std::array<const char*, 6> flags{"shoal-coordinator", "--state",        "/x",
                                           "--supervise",       "--memory-limit", text};
    return parse_options(static_cast<int>(flags.size()), flags.data(), "1.2.3");
  };
  EXPECT_EQ(limit("512M").options->memory_bytes, 512ULL << 20);
  EXPECT_EQ(limit("2G").options->memory_bytes, 2ULL << 30);
  EXPECT_EQ(limit("0").options->memory_bytes, 0U);
  EXPECT_TRUE(limit("0").options->supervise);
  for (const char* wrong : {"much", "-1", "2 oxen"}) {
    EXPECT_FALSE(limit(wrong).options) << wrong;
    EXPECT_EQ(limit(wrong).exit_code, 2) << wrong;
  }
}

}  // namespace
}  // namespace shoal
