#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "node/protocol/executor_messages.h"
#include "node/protocol/facts.h"
#include "node/protocol/input_pack.h"
#include "node/protocol/keys.h"
#include "node/protocol/limits.h"
#include "node/protocol/messages.h"
#include "node/protocol/program_output.h"
#include "node/protocol/program_spec.h"
#include "node/protocol/result.h"
#include "node/protocol/terms.h"
#include "node/protocol/ticket.h"

// The first byte of an input chooses the decoder, the rest is what it decodes.
namespace shoal {
namespace {

// A frame may point twice to the same bytes, and then says more than it is long. What fills its
// limit that way cannot be encoded again; inputs well below the limits keep clear of that.
constexpr std::size_t kBytesTried = limits::kMessageBytes / 8;
constexpr std::size_t kSpecBytesTried = limits::kParameterBytes / 8;
constexpr std::size_t kRecordBytesTried = limits::kRecordBytes / 4;

// What is accepted must be said again and mean the same.
template <class Decode>
void round_trip(ByteView bytes, Decode decode) {
  const auto first = decode(bytes);
  if (!first) return;
  const auto second = decode(encode(*first));
  check(second.has_value(), "what was decoded and encoded does not decode again");
  check(*second == *first, "what was decoded and encoded decodes to something else");
}

// Believes every signature, so that the fuzzer gets past it to the body.
class Gullible final : public SignatureChecker {
 public:
  bool holds(const NodeId&, Purpose, ByteView, const Signature&) const override { return true; }
};

void try_ticket(ByteView bytes) {
  const auto ticket = parse_ticket(as_text(bytes), Gullible{});
  if (ticket) {
    check(ticket->doors.size() <= bytes.size(), "a ticket has more doors than bytes");
  } else {
    check(!ticket.error().what.empty(), "a ticket is refused without a reason");
  }
}

void try_input_pack(ByteView bytes) {
  const auto pack = InputPack::open(bytes);
  if (!pack) return;
  std::uint64_t total = 0;
  for (UnitIndex unit = 0; unit < pack->units(); ++unit) {
    const ByteView input = pack->input(unit);
    total += input.size();
    // Reads the ends, so that a view outside the pack is seen by the address sanitizer.
    if (!input.empty()) total += (input.front() ^ input.back()) & 0U;
  }
  check(total <= bytes.size(), "a pack's inputs are more than the pack");
}

void try_program_output(ByteView bytes) {
  const auto output = decode_program_output(bytes);
  if (!output) return;
  const Bytes again = encode(*output);
  check(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()),
        "a program's output has two encodings");
}

void try_chain(ByteView bytes) {
  const auto chain = decode_chain(bytes);
  if (!chain) return;
  check(chain->size() <= limits::kTermsPerChain, "a chain of terms is past its limit");
  const auto job = last_term(*chain);
  if (!job) return;
  const auto in_force = term_in_force(*chain, job->job, chain->front().term.signer, Gullible{});
  check(!in_force || *in_force == *job, "a chain ends in another term than its last");
}

// The first byte is how much arrives at once.
void try_frames(ByteView bytes) {
  if (bytes.empty()) return;
  const std::size_t piece = std::size_t{1} + bytes.front();
  bytes = bytes.subspan(1);
  FrameSplitter splitter;
  std::size_t bodies = 0;
  while (!bytes.empty()) {
    const std::size_t now = std::min(piece, bytes.size());
    const auto room = splitter.room(now);
    check(room.size() >= now, "a splitter has less room than was asked for");
    std::copy_n(bytes.begin(), now, room.begin());
    splitter.filled(now);
    bytes = bytes.subspan(now);
    for (;;) {
      const auto body = splitter.next();
      if (!body) return;  // it cannot be followed any more
      if (!*body) break;
      bodies += (**body).size();
      static_cast<void>(decode_executor_body(**body).has_value());
    }
  }
  check(bodies <= kBytesTried, "frames are more than the bytes that they came in");
}

void fuzz(std::uint8_t choice, ByteView bytes) {
  switch (choice % 20) {
    case 0:
      return round_trip(bytes, decode);
    case 1:
      return round_trip(bytes.first(std::min(bytes.size(), kRecordBytesTried)), decode_record);
    case 2:
      return round_trip(bytes, decode_manifest);
    case 3:
      return round_trip(bytes, decode_commitment);
    case 4:
      return round_trip(bytes, decode_failure);
    case 5:
      return round_trip(bytes, decode_transfer);
    case 6:
      return round_trip(bytes, decode_control);
    case 7:
      return round_trip(bytes, decode_snapshot);
    case 8:
      return round_trip(bytes, decode_comparison_verdict);
    case 9:
      return round_trip(bytes, decode_receipt);
    case 10:
      return try_ticket(bytes);
    case 11:
      return try_input_pack(bytes);
    case 12:
      return round_trip(bytes, decode_grant);
    case 13:
      return round_trip(bytes, decode_term);
    case 14:
      return try_chain(bytes);
    case 15:
      return round_trip(bytes.first(std::min(bytes.size(), kSpecBytesTried)), decode_program_spec);
    case 16:
      return round_trip(bytes, decode_program_unit);
    case 17:
      return try_program_output(bytes);
    case 18:
      return static_cast<void>(decode_executor_body(bytes).has_value());
    case 19:
      return try_frames(bytes);
  }
}

}  // namespace
}  // namespace shoal

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > shoal::kBytesTried) return 0;
  shoal::fuzz(data[0], {data + 1, size - 1});
  return 0;
}
