#include "node/protocol/ticket.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <array>
#include <set>

#include "node/protocol/hash.h"
#include "node/protocol/limits.h"
#include "node/protocol/rng.h"

namespace shoal {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// The ticket of sample(), from an independent implementation of the form described in ticket.cpp.
constexpr char kGolden[] =
    "shoal1AaAAA6EHv_"
    "POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbgIdGhlIHBvb2wBAhERERERERERERERERERERERERERERER"
    "ERERERERERERFgB0Y3A6Ly8yMDMuMC4xMTMuNzo3NDAxIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIYAHRjcD"
    "ovL1"
    "syMDAxOmRiODo6MV06NzQwMe6GeEPaTM5WYsL04w7OD10wCV6UMUiVdOCBW7EB85Biwo9SoAkvduPyQfzLuSMRlpo60fyJ"
    "jMZV"
    "VdXpcuyDywd64d4D";

KeyPair pool_key() {
  std::array<std::uint8_t, KeyPair::kSeedBytes> seed;
  for (std::size_t i = 0; i < seed.size(); ++i) seed[i] = static_cast<std::uint8_t>(i);
  return KeyPair(seed);
}

NodeId node(std::uint8_t byte) {
  NodeId id;
  id.bytes.fill(byte);
  return id;
}

Ticket sample() {
  Ticket ticket;
  ticket.pool.bytes = pool_key().id().bytes;
  ticket.name = "the pool";
  ticket.doors = {{node(0x11), "tcp://203.0.113.7:7401"}, {node(0x22), "tcp://[2001:db8::1]:7401"}};
  ticket.native_from_anyone = true;
  return ticket;
}

Result<Ticket, TicketError> parse(std::string_view text) {
  return parse_ticket(text, Ed25519Checker{});
}

// The fault, with its sentence checked to be one; nothing where the text is a good ticket.
std::optional<TicketFault> fault_of(std::string_view text) {
  const auto ticket = parse(text);
  if (ticket) return std::nullopt;
  EXPECT_GT(ticket.error().what.size(), 40U);
  return ticket.error().fault;
}

// A body with a right signature and checksum, whatever is in it.
std::string wrap(Bytes raw) {
  const Signature signature = pool_key().sign(Purpose::kTicket, raw);
  raw.insert(raw.end(), signature.bytes.begin(), signature.bytes.end());
  const Hash256 hash = sha256(raw);
  raw.insert(raw.end(), hash.bytes.begin(), hash.bytes.begin() + 4);
  std::string text(raw.size() * 2 + 4, '\0');
  sodium_bin2base64(text.data(), text.size(), raw.data(), raw.size(),
                    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  return "shoal1" + std::string(text.c_str());
}

// A body as ticket.cpp describes it, with the fields that a test wants to be wrong.
struct Body {
  std::uint8_t version = 1;
  int length_error = 0;
  std::string name = "n";
  std::uint8_t flags = 0;
  int doors_error = 0;
  std::vector<std::string> endpoints{"tcp://a:1"};
  std::string extra{};

  std::string text() const {
    Bytes body{version, 0, 0};
    const NodeId pool = pool_key().id();
    body.insert(body.end(), pool.bytes.begin(), pool.bytes.end());
    body.push_back(static_cast<std::uint8_t>(name.size()));
    body.insert(body.end(), name.begin(), name.end());
    body.push_back(flags);
    body.push_back(static_cast<std::uint8_t>(static_cast<int>(endpoints.size()) + doors_error));
    for (const std::string& endpoint : endpoints) {
      body.insert(body.end(), 32, 0x33);
      body.push_back(static_cast<std::uint8_t>(endpoint.size()));
      body.push_back(static_cast<std::uint8_t>(endpoint.size() >> 8));
      body.insert(body.end(), endpoint.begin(), endpoint.end());
    }
    body.insert(body.end(), extra.begin(), extra.end());
    const std::size_t length = body.size() + static_cast<std::size_t>(length_error);
    body[1] = static_cast<std::uint8_t>(length);
    body[2] = static_cast<std::uint8_t>(length >> 8);
    return wrap(body);
  }
};

TEST(Ticket, IsPrintedInItsFixedForm) { EXPECT_EQ(print_ticket(sample(), pool_key()), kGolden); }

TEST(Ticket, ComesBackWhole) {
  const auto read = parse(kGolden);
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_EQ(*read, sample());

  Ticket least;
  least.pool = sample().pool;
  EXPECT_EQ(*parse(print_ticket(least, pool_key())), least);

  Ticket most = sample();
  most.name = std::string(126, 'x') + "\u00e9";
  most.doors.assign(16, {node(0x44), "tcp://" + std::string(limits::kEndpointBytes - 6, 'h')});
  EXPECT_EQ(*parse(print_ticket(most, pool_key())), most);
}

TEST(Ticket, WhiteSpaceAroundItIsIgnored) {
  EXPECT_FALSE(fault_of(" \t\r\n" + std::string(kGolden) + "\r\n  \v\f"));
}

TEST(Ticket, WithoutItsFirstLettersItIsNotATicket) {
  for (std::string_view text :
       {"", "   ", "shoal", "SHOAL1AAAA", "shoal2AAAA", "hello", "Shoal1"}) {
    EXPECT_EQ(fault_of(text), TicketFault::kNotATicket) << text;
  }
  EXPECT_EQ(fault_of(std::string_view(kGolden).substr(1)), TicketFault::kNotATicket);
}

TEST(Ticket, ACharacterThatNoTicketHoldsIsNamed) {
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    if (kAlphabet.find(c) != std::string_view::npos) continue;
    std::string text = kGolden;
    text[99] = c;
    EXPECT_EQ(fault_of(text), TicketFault::kBadCharacter) << i;
    EXPECT_NE(parse(text).error().what.find("place 100"), std::string::npos);
  }
  std::string wrapped = kGolden;
  wrapped.insert(80, "\n");
  EXPECT_EQ(fault_of(wrapped), TicketFault::kBadCharacter);
  EXPECT_NE(parse(wrapped).error().what.find("line break"), std::string::npos);
  // What is shown to people never carries a control character on to their terminal.
  std::string hostile = kGolden;
  hostile[50] = '\x1b';
  EXPECT_EQ(parse(hostile).error().what.find('\x1b'), std::string::npos);
}

TEST(Ticket, EveryTruncationIsNamed) {
  const std::string whole = kGolden;
  for (std::size_t size = 6; size < whole.size(); ++size) {
    EXPECT_EQ(fault_of(whole.substr(0, size)), TicketFault::kTooShort) << size;
  }
}

TEST(Ticket, EveryMistypedCharacterIsNamed) {
  for (std::size_t i = 6; i < sizeof kGolden - 1; ++i) {
    for (char c : kAlphabet) {
      if (c == kGolden[i]) continue;
      std::string text = kGolden;
      text[i] = c;
      ASSERT_EQ(fault_of(text), TicketFault::kBadChecksum) << "at " << i << ": " << c;
    }
  }
}

TEST(Ticket, SwappedNeighboursAndAddedCharactersAreNamed) {
  for (std::size_t i = 6; i + 2 < sizeof kGolden; ++i) {
    std::string text = kGolden;
    std::swap(text[i], text[i + 1]);
    if (text == kGolden) continue;
    EXPECT_EQ(fault_of(text), TicketFault::kBadChecksum) << i;
  }
  std::string longer = kGolden;
  for (int i = 0; i < 8; ++i) {
    longer += 'x';
    EXPECT_EQ(fault_of(longer), TicketFault::kBadChecksum) << i;
  }
}

TEST(Ticket, OneThatThePoolDidNotSignIsRefused) {
  // Signs with a key of its own in the pool's name.
  class Impostor final : public Signer {
   public:
    NodeId id() const override { return pool_key().id(); }
    Signature sign(Purpose purpose, ByteView body) const override {
      return KeyPair({}).sign(purpose, body);
    }
    Hash256 secret_hash(ByteView) const override { return {}; }
    std::optional<Hash256> shared_secret(const NodeId&) const override { return {}; }
  };
  EXPECT_EQ(fault_of(print_ticket(sample(), Impostor{})), TicketFault::kBadSignature);
}

TEST(Ticket, ABodyThatDoesNotHoldTogetherIsRefused) {
  EXPECT_EQ(fault_of(Body{}.text()), std::nullopt);
  EXPECT_EQ(fault_of(Body{.version = 2}.text()), TicketFault::kBadBody);
  EXPECT_EQ(fault_of(Body{.version = 0}.text()), TicketFault::kBadBody);
  EXPECT_EQ(fault_of(Body{.length_error = 1}.text()), TicketFault::kBadBody);
  EXPECT_EQ(fault_of(Body{.length_error = -1}.text()), TicketFault::kBadBody);
  EXPECT_EQ(fault_of(Body{.flags = 2}.text()), TicketFault::kBadBody);
  EXPECT_EQ(fault_of(Body{.doors_error = 1}.text()), TicketFault::kBadBody);
  EXPECT_EQ(fault_of(Body{.doors_error = -1}.text()), TicketFault::kBadBody);
  EXPECT_EQ(fault_of(Body{.extra = "x"}.text()), TicketFault::kBadBody);
  EXPECT_EQ(fault_of(wrap({})), TicketFault::kTooShort);
  EXPECT_EQ(fault_of(wrap(Bytes{1, 3, 0})), TicketFault::kBadBody);
}

TEST(Ticket, LimitsHoldForWhatIsRead) {
  EXPECT_EQ(fault_of(Body{.name = std::string(128, 'x')}.text()), std::nullopt);
  EXPECT_EQ(fault_of(Body{.name = std::string(129, 'x')}.text()), TicketFault::kBadBody);
  EXPECT_EQ(fault_of(Body{.endpoints = {16, "tcp://a:1"}}.text()), std::nullopt);
  EXPECT_EQ(fault_of(Body{.endpoints = {17, "tcp://a:1"}}.text()), TicketFault::kBadBody);
  EXPECT_EQ(fault_of(Body{.endpoints = {std::string(256, 'x')}}.text()), std::nullopt);
  EXPECT_EQ(fault_of(Body{.endpoints = {std::string(257, 'x')}}.text()), TicketFault::kBadBody);
}

TEST(Ticket, NamesAndEndpointsCanBeShownAsTheyAre) {
  for (std::string_view good : {"", "Ol\u00e1", "\u6c60", "\U0001F41F", "a b"}) {
    EXPECT_EQ(fault_of(Body{.name = std::string(good)}.text()), std::nullopt) << good;
  }
  for (std::string_view bad :
       {"a\nb", "\x1b[2J", "\x7f", "\xc2\x9b", "\xff", "\xc3", "\xc3(", "\x80", "\xc0\xaf",
        "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf0\x80\x80\xaf", "\xe6\xb1"}) {
    EXPECT_EQ(fault_of(Body{.name = std::string(bad)}.text()), TicketFault::kBadBody)
        << to_hex(as_bytes(bad));
  }
  for (std::string_view bad : {"", "tcp://a b:1", "tcp://a:1\n", "tcp://\xc3\xa9:1"}) {
    EXPECT_EQ(fault_of(Body{.endpoints = {std::string(bad)}}.text()), TicketFault::kBadBody) << bad;
  }
}

// Every fault is brought about once, and no two are told with the same words.
TEST(Ticket, EachFaultHasItsOwnSentence) {
  std::string mistyped = kGolden;
  mistyped[60] = mistyped[60] == 'A' ? 'B' : 'A';
  std::set<std::string> sentences;
  std::set<TicketFault> faults;
  const std::string bad_body = Body{.version = 9}.text();
  for (const std::string& text : {std::string("hello"), std::string("shoal1*"),
                                  std::string("shoal1AaAA"), mistyped, bad_body}) {
    const auto ticket = parse(text);
    ASSERT_FALSE(ticket);
    sentences.insert(ticket.error().what);
    faults.insert(ticket.error().fault);
  }
  class TrustsNobody final : public SignatureChecker {
   public:
    bool holds(const NodeId&, Purpose, ByteView, const Signature&) const override { return false; }
  };
  const auto ticket = parse_ticket(kGolden, TrustsNobody{});
  ASSERT_FALSE(ticket);
  sentences.insert(ticket.error().what);
  faults.insert(ticket.error().fault);
  EXPECT_EQ(sentences.size(), 6U);
  EXPECT_EQ(faults.size(), 6U);
}

TEST(Ticket, AnyTextGivesATicketOrAFault) {
  Rng rng(31);
  for (int round = 0; round < 20'000; ++round) {
    std::string text = "shoal1";
    for (std::uint64_t n = rng.below(400); n > 0; --n) text += kAlphabet[rng.below(64)];
    EXPECT_TRUE(fault_of(text).has_value());
  }
}

TEST(TicketDeathTest, APoolSignsItsOwnTicketsAlone) {
  EXPECT_DEATH(print_ticket(sample(), KeyPair({})), "internal error");
}

TEST(TicketDeathTest, ATicketThatNobodyCouldReadIsNotPrinted) {
  Ticket ticket = sample();
  ticket.name = std::string(129, 'x');
  EXPECT_DEATH(print_ticket(ticket, pool_key()), "internal error");
  ticket = sample();
  ticket.doors.assign(17, ticket.doors[0]);
  EXPECT_DEATH(print_ticket(ticket, pool_key()), "internal error");
}

}  // namespace
}  // namespace shoal
