#pragma once

#include <capnp/any.h>
#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/array.h>
#include <kj/exception.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "node/protocol/limits.h"
#include "node/protocol/messages.h"

// What the *_codec.cpp files share; nobody else includes this. No generated header is needed here:
// the messages of a conversation pass between files as AnyStruct, which costs nothing at run time.
namespace shoal::codec {

// The end of the year 9999, and three years: far enough for any use, and small enough that sums of
// a few of them, in milliseconds or nanoseconds each, cannot overflow in whoever reads them.
inline constexpr std::int64_t kUnixMsMax = 253'402'300'799'999;
inline constexpr std::uint64_t kDurationMsMax = 100'000'000'000;
inline constexpr std::uint64_t kDurationNsMax = kDurationMsMax * 1'000'000;
// Counts that are kept in databases as signed numbers.
inline constexpr std::uint64_t kSequenceMax = (std::uint64_t{1} << 63) - 1;

inline capnp::Data::Reader raw(ByteView bytes) {
  // An empty vector may have no address, and memcpy wants one even for nothing.
  static constexpr std::uint8_t kNothing = 0;
  return {bytes.empty() ? &kNothing : bytes.data(), bytes.size()};
}
template <class Tag>
capnp::Data::Reader raw(const Id<Tag>& id) {
  return {id.bytes.data(), id.bytes.size()};
}
template <class Tag>
capnp::Data::Reader raw(const std::vector<Id<Tag>>& ids) {
  static_assert(sizeof(Id<Tag>) == 32 && std::is_trivially_copyable_v<Id<Tag>>);
  return raw(ByteView(reinterpret_cast<const std::uint8_t*>(ids.data()), 32 * ids.size()));
}

// A name, by which something is looked up: past its limit it would be another name.
inline capnp::Text::Reader text(const std::string& name, std::size_t bytes_max) {
  check(name.size() <= bytes_max, "a text past its limit was to be sent");
  return {name.c_str(), name.size()};
}
// A text for people. It may come from anywhere, so one that is too long is cut and not our bug.
// These return what must outlive the call that sets it.
std::string front_of(const std::string& text, std::size_t bytes_max);
std::string end_of(const std::string& text, std::size_t bytes_max);
inline capnp::Text::Reader text(const std::string& words) { return {words.c_str(), words.size()}; }

inline unsigned list_size(std::size_t size, std::size_t size_max) {
  check(size <= size_max, "a list past its limit was to be sent");
  return static_cast<unsigned>(size);
}

// Where a message is built. The caller gives zeroed memory that should hold all of it; if it does
// not, more is taken from the heap and the message has several segments.
class Arena final : public capnp::MessageBuilder {
 public:
  explicit Arena(kj::ArrayPtr<capnp::word> first) : first_(first) {}
  kj::ArrayPtr<capnp::word> allocateSegment(unsigned words_min) override;

 private:
  kj::ArrayPtr<capnp::word> first_;
  bool first_used_ = false;
  std::size_t words_ = 0;
  std::vector<kj::Array<capnp::word>> more_;
};

inline capnp::word* as_words(std::uint8_t* bytes) {
  return static_cast<capnp::word*>(static_cast<void*>(bytes));
}

// The message as one stream frame.
Bytes copy_out(Arena& arena);
// The same where the message was built at `out` + 8 and is all there; else copies.
Bytes finish_in_place(Arena& arena, Bytes out);

inline constexpr std::size_t kScratchBytes = 1024;

// `fill(arena)` builds the message. `bytes_guess` should be no less than what it takes: then a
// large message is built where it will stay, and a small one on the stack, to be copied once into
// exactly as many bytes as it has.
template <class Fill>
Bytes build(std::size_t bytes_guess, Fill fill) {
  if (bytes_guess <= kScratchBytes) {
    alignas(capnp::word) std::uint8_t scratch[kScratchBytes] = {};
    Arena arena(kj::arrayPtr(as_words(scratch), kScratchBytes / sizeof(capnp::word)));
    fill(arena);
    return copy_out(arena);
  }
  const std::size_t words = bytes_guess / sizeof(capnp::word) + 1;
  Bytes out((1 + words) * sizeof(capnp::word));
  Arena arena(kj::arrayPtr(as_words(out.data()) + 1, words));
  fill(arena);
  return finish_in_place(arena, std::move(out));
}

// What these take on the wire, from above, without the struct that they are in.
inline std::size_t wire_bytes(ByteView bytes) { return bytes.size() + 8; }
inline std::size_t wire_bytes(const std::string& text) { return text.size() + 16; }
inline std::size_t wire_bytes(const Signed& fact) { return fact.body.size() + 144; }
inline std::size_t wire_bytes(const std::optional<Signed>& fact) {
  return fact ? wire_bytes(*fact) : 0;
}
inline std::size_t wire_bytes(const std::vector<Range>& ranges) { return 16 * ranges.size() + 24; }
inline std::size_t wire_bytes(const std::vector<Hash256>& hashes) { return 32 * hashes.size() + 8; }
inline std::size_t wire_bytes(const PackedOutputs& outputs) {
  return 4 * outputs.sizes.size() + outputs.inline_bytes.size() + 32 * outputs.large.size() +
         16 * outputs.costs.size() + 88;
}
inline std::size_t wire_bytes(const std::vector<Signed>& facts) {
  std::size_t bytes = 16;
  for (const Signed& fact : facts) bytes += wire_bytes(fact);
  return bytes;
}
inline std::size_t wire_bytes(const TermChain& terms) {
  std::size_t bytes = 16;
  for (const SignedTerm& term : terms) {
    bytes += wire_bytes(term.term) + 136 * term.endorsements.size() + 32;
  }
  return bytes;
}

// Takes values over from a message, checks them, and remembers the first fault. After a fault
// reading goes on, which is harmless because whatever is past a limit is not taken over.
class Reading {
 public:
  const std::optional<DecodeError>& fault() const { return fault_; }

  void refuse(DecodeFault fault, const char* field, const char* why);
  // `holds`, having refused the message where it does not.
  bool require(bool holds, const char* field, const char* why) {
    if (!holds) refuse(DecodeFault::kBadValue, field, why);
    return holds;
  }
  bool within(std::uint64_t size, std::uint64_t size_max, const char* field) {
    if (size > size_max) refuse(DecodeFault::kTooLarge, field, "is past its limit");
    return size <= size_max;
  }

  template <std::size_t N>
  void exactly(capnp::Data::Reader from, std::array<std::uint8_t, N>& to, const char* field) {
    if (require(from.size() == N, field, "has the wrong size")) {
      std::memcpy(to.data(), from.begin(), N);
    }
  }
  template <class Tag>
  void id(capnp::Data::Reader from, Id<Tag>& to, const char* field) {
    exactly(from, to.bytes, field);
  }
  template <class Tag>
  void ids(capnp::Data::Reader from, std::vector<Id<Tag>>& to, std::size_t count_max,
           const char* field) {
    if (!require(from.size() % 32 == 0, field, "is not a whole number of hashes")) return;
    if (!within(from.size() / 32, count_max, field) || from.size() == 0) return;
    to.resize(from.size() / 32);
    std::memcpy(static_cast<void*>(to.data()), from.begin(), from.size());
  }
  void bytes(capnp::Data::Reader from, Bytes& to, std::size_t bytes_max, const char* field) {
    if (within(from.size(), bytes_max, field)) to.assign(from.begin(), from.end());
  }
  void text(capnp::Text::Reader from, std::string& to, const char* field,
            std::size_t bytes_max = limits::kTextBytes) {
    if (within(from.size(), bytes_max, field)) to.assign(from.begin(), from.size());
  }
  void number(std::uint64_t from, std::uint64_t& to, std::uint64_t max, const char* field) {
    if (require(from <= max, field, "is out of range")) to = from;
  }
  void unix_ms(std::int64_t from, UnixMs& to, const char* field) {
    if (require(0 <= from && from <= kUnixMsMax, field, "is no time we know")) to = from;
  }
  void unit(std::uint64_t from, UnitIndex& to, const char* field) {
    number(from, to, limits::kUnitsPerJob - 1, field);
  }
  // Neither empty, nor past the end of any job, nor of more than `units_max` units.
  void range(std::uint64_t first, std::uint64_t last, Range& to, const char* field,
             std::uint64_t units_max = limits::kUnitsPerJob) {
    if (!require(first < last && last <= limits::kUnitsPerJob, field, "is no range")) return;
    if (within(last - first, units_max, field)) to = {first, last};
  }
  // `last` is the last enumerator that `to` has.
  template <class Wire, class Enum>
  void enumerant(Wire from, Enum& to, Enum last, const char* field) {
    const auto value = static_cast<std::uint16_t>(from);
    if (require(value <= static_cast<std::uint16_t>(last), field, "has an unknown value")) {
      to = static_cast<Enum>(value);
    }
  }

 private:
  std::optional<DecodeError> fault_;
};

// Opens `bytes` as one frame and calls `use(message, reading)`. Total: every exception of capnp
// ends here as kMalformed. `name` is what the bytes ought to be.
template <class Use>
std::optional<DecodeError> read_frame(ByteView bytes, std::size_t bytes_max, const char* name,
                                      Use use) {
  Reading reading;
  if (!reading.within(bytes.size(), bytes_max, name)) return reading.fault();
  const std::size_t words = bytes.size() / sizeof(capnp::word);
  if (bytes.empty() || bytes.size() % sizeof(capnp::word) != 0) {
    reading.refuse(DecodeFault::kMalformed, name, "is cut off or has a tail");
    return reading.fault();
  }
  try {
    // Frames out of a network buffer may lie anywhere; capnp reads whole words.
    kj::Array<capnp::word> aligned;
    const void* start = bytes.data();
    if (reinterpret_cast<std::uintptr_t>(start) % alignof(capnp::word) != 0) {
      aligned = kj::heapArray<capnp::word>(words);
      std::memcpy(static_cast<void*>(aligned.begin()), bytes.data(), bytes.size());
      start = aligned.begin();
    }
    const auto frame = kj::arrayPtr(static_cast<const capnp::word*>(start), words);
    // Under the default limits a few hundred bytes of pointers to each other keep a core busy for
    // a tenth of a second. An honest message is read once.
    capnp::ReaderOptions options;
    options.traversalLimitInWords = 2 * words + 64;
    options.nestingLimit = 16;
    capnp::FlatArrayMessageReader message(frame, options);
    if (message.getEnd() != frame.end()) {
      reading.refuse(DecodeFault::kMalformed, name, "has a tail");
      return reading.fault();
    }
    use(message, reading);
  } catch (const kj::Exception& e) {
    return DecodeError{DecodeFault::kMalformed,
                       std::string(name) + ": " + e.getDescription().cStr()};
  } catch (const std::exception& e) {
    return DecodeError{DecodeFault::kMalformed, std::string(name) + ": " + e.what()};
  }
  return reading.fault();
}

using StructBuilder = capnp::AnyStruct::Builder;
using StructReader = capnp::AnyStruct::Reader;

// The AnyStruct is of the generated type that has the message's name.
#define SHOAL_CODEC(Type)                   \
  void write(StructBuilder, const Type&);   \
  void read(StructReader, Type&, Reading&); \
  static_assert(true)

SHOAL_CODEC(Hello);  // rendezvous_codec.cpp
SHOAL_CODEC(Refused);
SHOAL_CODEC(Announce);
SHOAL_CODEC(Announced);
SHOAL_CODEC(SampleRequest);
SHOAL_CODEC(Sample);
SHOAL_CODEC(Leave);
SHOAL_CODEC(NodeRecord);

SHOAL_CODEC(Submit);  // jobs_codec.cpp
SHOAL_CODEC(SubmitReply);
SHOAL_CODEC(JobStatusRequest);
SHOAL_CODEC(JobStatusReply);
SHOAL_CODEC(ControlRequest);
SHOAL_CODEC(JobFind);
SHOAL_CODEC(JobFound);
SHOAL_CODEC(Manifest);
SHOAL_CODEC(Control);

SHOAL_CODEC(WorkAvailable);  // work_codec.cpp
SHOAL_CODEC(WorkRequest);
SHOAL_CODEC(LeaseGrant);
SHOAL_CODEC(NoWork);
SHOAL_CODEC(LeaseReport);
SHOAL_CODEC(LeaseRevoke);
SHOAL_CODEC(StealRequest);
SHOAL_CODEC(StealReply);
SHOAL_CODEC(TransferNotice);
SHOAL_CODEC(TransferReply);
SHOAL_CODEC(Rejoin);
SHOAL_CODEC(RejoinReply);
SHOAL_CODEC(Grant);
SHOAL_CODEC(WorkerStatusRequest);
SHOAL_CODEC(WorkerStatus);
SHOAL_CODEC(Transfer);

SHOAL_CODEC(CommitNotice);  // verification_codec.cpp
SHOAL_CODEC(FailureNotice);
SHOAL_CODEC(RevealRequest);
SHOAL_CODEC(PackedOutputs);
SHOAL_CODEC(Reveal);
SHOAL_CODEC(CompareRequest);
SHOAL_CODEC(CompareReply);
SHOAL_CODEC(Commitment);
SHOAL_CODEC(Failure);
SHOAL_CODEC(ComparisonVerdict);

SHOAL_CODEC(ResultsRequest);  // results_codec.cpp
SHOAL_CODEC(Results);
SHOAL_CODEC(JobOver);
SHOAL_CODEC(Receipt);
SHOAL_CODEC(Snapshot);

SHOAL_CODEC(BlockRequest);  // content_codec.cpp
SHOAL_CODEC(Block);
SHOAL_CODEC(BlockCancel);
SHOAL_CODEC(UnitState);
SHOAL_CODEC(Holdings);
SHOAL_CODEC(HoldersRequest);
SHOAL_CODEC(Holders);

SHOAL_CODEC(TermNotice);  // stewards_codec.cpp
SHOAL_CODEC(Heartbeat);
SHOAL_CODEC(Enlist);
SHOAL_CODEC(EnlistReply);
SHOAL_CODEC(EndorseRequest);
SHOAL_CODEC(Endorse);
SHOAL_CODEC(Keep);
SHOAL_CODEC(Kept);
SHOAL_CODEC(SignedTerm);
SHOAL_CODEC(Term);

SHOAL_CODEC(DialBackRequest);  // reach_codec.cpp
SHOAL_CODEC(DialBackReply);
SHOAL_CODEC(DialBack);
SHOAL_CODEC(Reserve);
SHOAL_CODEC(Reserved);
SHOAL_CODEC(Reverse);
SHOAL_CODEC(CircuitOpen);
SHOAL_CODEC(CircuitAnswer);
SHOAL_CODEC(CircuitData);
SHOAL_CODEC(CircuitEnd);

#undef SHOAL_CODEC

// rendezvous_codec.cpp. A fact's limit depends on what it is a fact about.
void write(StructBuilder, const Signed&);
void read(StructReader, Signed&, Reading&, const char* field,
          std::size_t body_max = limits::kMessageBytes);

// stewards_codec.cpp. `List` is of wire::SignedTerm.
template <class List>
void write_terms(List to, const TermChain& from) {
  for (unsigned i = 0; i < to.size(); ++i) write(StructBuilder(to[i]), from[i]);
}
template <class List>
void read_terms(List from, TermChain& to, Reading& reading, const char* field) {
  if (!reading.within(from.size(), limits::kTermsPerChain, field)) return;
  to.resize(from.size());
  for (unsigned i = 0; i < from.size(); ++i) read(StructReader(from[i]), to[i], reading);
}

template <class List>
void write_list(List to, const std::vector<Signed>& from) {
  for (unsigned i = 0; i < to.size(); ++i) write(to[i], from[i]);
}
template <class List>
void read_list(List from, std::vector<Signed>& to, Reading& reading, const char* field,
               std::size_t count_max, std::size_t body_max = limits::kMessageBytes) {
  if (!reading.within(from.size(), count_max, field)) return;
  to.resize(from.size());
  for (unsigned i = 0; i < from.size(); ++i) read(from[i], to[i], reading, field, body_max);
}

// A frame may carry words that nothing refers to. A fact is kept and sent on as it came, so that
// one which is padded would fill the messages and tables of others.
inline constexpr std::size_t kSmallFactBytes = 512;

// A fact or receipt by itself: a frame whose root is `Wire`.
template <class Wire, class T>
Bytes encode_root(const T& from, std::size_t bytes_guess = 0) {
  return build(bytes_guess, [&](Arena& arena) { write(arena.initRoot<Wire>(), from); });
}
template <class Wire, class T>
Result<T, DecodeError> decode_root(ByteView bytes, const char* name,
                                   std::size_t bytes_max = limits::kMessageBytes) {
  T value;
  auto fault = read_frame(bytes, bytes_max, name, [&](capnp::MessageReader& m, Reading& reading) {
    read(m.getRoot<Wire>(), value, reading);
  });
  if (fault) return tl::unexpected(std::move(*fault));
  return value;
}

}  // namespace shoal::codec
