#include "node/protocol/ticket.h"

#include <sodium.h>

#include <algorithm>
#include <array>

#include "node/protocol/hash.h"
#include "node/protocol/limits.h"

// The body: version (1 byte, 1), length of the whole body (2), pool (32), length of the name (1),
// name, flags (1: bit 0 is native_from_anyone), number of doors (1), and for each door node (32),
// length of the endpoint (2), endpoint. Numbers are little-endian; there is one encoding for each
// ticket. The body's length is redundant on purpose: where it and the lengths inside disagree, the
// ticket was mistyped; where they agree on more than there is, it was cut off.
namespace shoal {
namespace {

constexpr std::string_view kPrefix = "shoal1";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kNameBytes = 128;
constexpr std::size_t kDoors = 16;
constexpr std::size_t kIdBytes = 32;
constexpr std::size_t kBodyHeadBytes = 3;
constexpr std::size_t kSignatureBytes = 64;
constexpr std::size_t kChecksumBytes = 4;
constexpr std::size_t kTailBytes = kSignatureBytes + kChecksumBytes;
constexpr int kBase64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

// Reads fields one after another; once a field is past the end, everything after it is too.
class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}

  ByteView take(std::size_t size) {
    if (size > bytes_.size() - at_) {
      overrun_ = true;
      at_ = bytes_.size();
      return {};
    }
    at_ += size;
    return bytes_.subspan(at_ - size, size);
  }
  std::size_t number(std::size_t size) {
    std::size_t value = 0;
    const ByteView field = take(size);
    for (std::size_t i = 0; i < field.size(); ++i) value |= std::size_t{field[i]} << (8 * i);
    return value;
  }
  template <class I>
  I id() {
    return I::from_bytes(take(kIdBytes)).value_or(I{});
  }
  std::size_t read() const { return at_; }
  bool overrun() const { return overrun_; }
  bool at_end() const { return !overrun_ && at_ == bytes_.size(); }

 private:
  ByteView bytes_;
  std::size_t at_ = 0;
  bool overrun_ = false;
};

// Whether people can be shown the name as it is: UTF-8 (or else JSON output breaks), and no control
// characters (or else a ticket could steer the terminal that shows it).
bool is_plain_text(std::string_view text) {
  const ByteView bytes = as_bytes(text);
  std::size_t i = 0;
  while (i < bytes.size()) {
    const std::uint8_t lead = bytes[i++];
    if (lead < 0x80) {
      if (lead < 0x20 || lead == 0x7f) return false;
      continue;
    }
    if (lead < 0xc2 || lead > 0xf4) return false;
    const std::size_t more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (bytes.size() - i < more) return false;
    std::uint32_t point = lead & (0x3fU >> more);
    for (std::size_t end = i + more; i < end; ++i) {
      if ((bytes[i] & 0xc0) != 0x80) return false;
      point = point << 6 | (bytes[i] & 0x3fU);
    }
    const bool overlong = (more == 2 && point < 0x800) || (more == 3 && point < 0x10000);
    const bool surrogate = point >= 0xd800 && point <= 0xdfff;
    const bool control = point >= 0x80 && point <= 0x9f;
    if (overlong || surrogate || control || point > 0x10ffff) return false;
  }
  return true;
}

bool is_endpoint(std::string_view text) {
  return !text.empty() && text.size() <= limits::kEndpointBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

bool within_limits(const Ticket& ticket) {
  return ticket.name.size() <= kNameBytes && is_plain_text(ticket.name) &&
         ticket.doors.size() <= kDoors &&
         std::all_of(ticket.doors.begin(), ticket.doors.end(),
                     [](const Ticket::Door& door) { return is_endpoint(door.endpoint); });
}

void append(Bytes& to, ByteView bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

void append_number(Bytes& to, std::size_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) to.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

Bytes encode_body(const Ticket& ticket) {
  Bytes body;
  body.push_back(kVersion);
  append_number(body, 0, 2);
  append(body, ticket.pool.view());
  append_number(body, ticket.name.size(), 1);
  append(body, as_bytes(ticket.name));
  body.push_back(ticket.native_from_anyone ? 1 : 0);
  append_number(body, ticket.doors.size(), 1);
  for (const Ticket::Door& door : ticket.doors) {
    append(body, door.node.view());
    append_number(body, door.endpoint.size(), 2);
    append(body, as_bytes(door.endpoint));
  }
  body[1] = static_cast<std::uint8_t>(body.size());
  body[2] = static_cast<std::uint8_t>(body.size() >> 8);
  return body;
}

std::optional<Ticket> decode_body(ByteView body) {
  Reader reader(body);
  if (reader.number(1) != kVersion || reader.number(2) != body.size()) return std::nullopt;
  Ticket ticket;
  ticket.pool = reader.id<PoolId>();
  ticket.name = as_text(reader.take(reader.number(1)));
  const std::size_t flags = reader.number(1);
  const std::size_t doors = reader.number(1);
  if (flags > 1 || doors > kDoors) return std::nullopt;
  ticket.native_from_anyone = flags == 1;
  for (std::size_t i = 0; i < doors; ++i) {
    Ticket::Door door;
    door.node = reader.id<NodeId>();
    door.endpoint = as_text(reader.take(reader.number(2)));
    ticket.doors.push_back(std::move(door));
  }
  if (!reader.at_end() || !within_limits(ticket)) return std::nullopt;
  return ticket;
}

// The length that the fields inside a body lead to; nothing where they lead past the end.
std::optional<std::size_t> walked_length(ByteView body) {
  Reader reader(body);
  reader.take(kBodyHeadBytes + kIdBytes);
  reader.take(reader.number(1));
  reader.take(1);
  const std::size_t doors = reader.number(1);
  for (std::size_t i = 0; i < doors && !reader.overrun(); ++i) {
    reader.take(kIdBytes);
    reader.take(reader.number(2));
  }
  if (reader.overrun()) return std::nullopt;
  return reader.read();
}

// Whether bytes whose checksum does not hold look like the beginning of a longer ticket. `raw` may
// lack the last byte or two of the `available` ones.
bool is_cut_off(ByteView raw, std::size_t available) {
  if (available < kBodyHeadBytes + kTailBytes) return true;
  Reader reader(raw);
  if (reader.number(1) != kVersion) return false;
  const std::size_t declared = reader.number(2);
  if (declared + kTailBytes <= available) return false;
  const auto walked = walked_length(raw);
  return !walked || *walked == declared;
}

// The bytes of `text`, whose characters are all of the alphabet; nothing where their number or the
// last one's spare bits are wrong.
std::optional<Bytes> from_base64(std::string_view text) {
  Bytes bytes(text.size() / 4 * 3 + 3);
  std::size_t size = 0;
  if (sodium_base642bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr, &size,
                        nullptr, kBase64) != 0) {
    return std::nullopt;
  }
  bytes.resize(size);
  return bytes;
}

std::string to_base64(ByteView bytes) {
  std::string text(sodium_base64_encoded_len(bytes.size(), kBase64), '\0');
  sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(), kBase64);
  text.pop_back();  // the terminator
  return text;
}

bool is_base64(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

bool is_white(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_white(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_white(text.back())) text.remove_suffix(1);
  return text;
}

std::array<std::uint8_t, kChecksumBytes> checksum_of(ByteView body_and_signature) {
  std::array<std::uint8_t, kChecksumBytes> checksum;
  const Hash256 hash = sha256(body_and_signature);
  std::copy_n(hash.bytes.begin(), kChecksumBytes, checksum.begin());
  return checksum;
}

TicketError error_of(TicketFault fault) {
  switch (fault) {
    case TicketFault::kNotATicket:
      return {fault,
              "This is not a ticket: a ticket begins with \"shoal1\". Ask whoever runs the pool "
              "for its ticket and give the whole of it."};
    case TicketFault::kBadCharacter:
      return {
          fault,
          "The ticket holds a character that no ticket does. Copy it again as one unbroken line "
          "of letters, digits, '-' and '_'."};
    case TicketFault::kTooShort:
      return {fault,
              "The ticket is cut off: some of its characters are missing. Copy it again from the "
              "first character to the last."};
    case TicketFault::kBadChecksum:
      return {fault,
              "The ticket was mistyped or damaged: its checksum does not fit the rest. Copy and "
              "paste it instead of typing it."};
    case TicketFault::kBadSignature:
      return {fault,
              "The ticket was changed after its pool signed it, and cannot be trusted. Get it "
              "again from whoever runs the pool, by another way if need be."};
    case TicketFault::kBadBody:
      return {fault,
              "The ticket was copied correctly, but this program cannot read what is in it: it was "
              "made by a newer version of Shoal or by a broken program. Update Shoal, or ask for a "
              "new ticket."};
  }
  return {fault, "The ticket cannot be read. Ask whoever runs the pool for a new one."};
}

TicketError bad_character(std::string_view text, std::size_t at) {
  const char c = text[at];
  TicketError error = error_of(TicketFault::kBadCharacter);
  error.what += " (At place " + std::to_string(at + 1) + ": ";
  if (is_white(c)) {
    error.what += "a space or a line break.)";
  } else if (c > ' ' && c < 0x7f) {
    error.what += std::string("'") + c + "'.)";
  } else {
    error.what += "not a printable ASCII character.)";
  }
  return error;
}

tl::unexpected<TicketError> refused(TicketFault fault) { return tl::unexpected(error_of(fault)); }

}  // namespace

std::string print_ticket(const Ticket& ticket, const Signer& pool_key) {
  check(pool_key.id().bytes == ticket.pool.bytes, "a ticket is signed by the key of its own pool");
  check(within_limits(ticket),
        "a ticket holds at most 16 doors with plain endpoints, and a name of at most 128 bytes of "
        "UTF-8 without control characters");
  Bytes raw = encode_body(ticket);
  append(raw, pool_key.sign(Purpose::kTicket, raw).bytes);
  append(raw, checksum_of(raw));
  return std::string(kPrefix) + to_base64(raw);
}

Result<Ticket, TicketError> parse_ticket(std::string_view text, const SignatureChecker& checker) {
  text = trimmed(text);
  if (text.substr(0, kPrefix.size()) != kPrefix) return refused(TicketFault::kNotATicket);
  const std::string_view encoded = text.substr(kPrefix.size());
  const auto stranger = std::find_if_not(encoded.begin(), encoded.end(), is_base64);
  if (stranger != encoded.end()) {
    const auto at = static_cast<std::size_t>(stranger - encoded.begin()) + kPrefix.size();
    return tl::unexpected(bad_character(text, at));
  }

  const auto raw = from_base64(encoded);
  if (!raw || raw->size() < kBodyHeadBytes + kTailBytes) {
    // Whole groups of four characters always decode, so the beginning of a ticket can be looked at.
    const auto whole = from_base64(encoded.substr(0, encoded.size() / 4 * 4)).value_or(Bytes{});
    const bool cut = is_cut_off(whole, whole.size() + encoded.size() % 4 * 3 / 4);
    return refused(cut ? TicketFault::kTooShort : TicketFault::kBadChecksum);
  }
  const ByteView all = *raw;
  const ByteView checked = all.first(all.size() - kChecksumBytes);
  const auto checksum = checksum_of(checked);
  if (!std::equal(checksum.begin(), checksum.end(), all.last(kChecksumBytes).begin())) {
    const bool cut = is_cut_off(all, all.size());
    return refused(cut ? TicketFault::kTooShort : TicketFault::kBadChecksum);
  }

  const ByteView body = checked.first(checked.size() - kSignatureBytes);
  auto ticket = decode_body(body);
  if (!ticket) return refused(TicketFault::kBadBody);
  Signature signature;
  std::copy_n(checked.last(kSignatureBytes).begin(), kSignatureBytes, signature.bytes.begin());
  const NodeId pool_key{ticket->pool.bytes};
  if (!checker.holds(pool_key, Purpose::kTicket, body, signature)) {
    return refused(TicketFault::kBadSignature);
  }
  return std::move(*ticket);
}

}  // namespace shoal
