#include <kj/io.h>

#include <algorithm>
#include <string_view>

#include "node/protocol/codec_detail.h"
#include "node/protocol/message.capnp.h"

namespace shoal {
namespace codec {

namespace {

// Whether a cut before words[at] would be in the middle of a character of UTF-8.
bool splits_character(const std::string& words, std::size_t at) {
  return at < words.size() && (static_cast<unsigned char>(words[at]) & 0xC0U) == 0x80U;
}
// The bytes of a character of UTF-8 after its first. More of them in a row are not UTF-8, and are
// cut wherever it comes.
constexpr int kCharacterTail = 3;

}  // namespace

std::string front_of(const std::string& words, std::size_t bytes_max) {
  if (words.size() <= bytes_max) return words;
  std::size_t end = bytes_max;
  for (int i = 0; i < kCharacterTail && end > 0 && splits_character(words, end); ++i) --end;
  return words.substr(0, end);
}

std::string end_of(const std::string& words, std::size_t bytes_max) {
  if (words.size() <= bytes_max) return words;
  std::size_t start = words.size() - bytes_max;
  for (int i = 0; i < kCharacterTail && splits_character(words, start); ++i) ++start;
  return words.substr(start);
}

kj::ArrayPtr<capnp::word> Arena::allocateSegment(unsigned words_min) {
  if (!first_used_ && words_min <= first_.size()) {
    first_used_ = true;
    words_ = first_.size();
    return first_;
  }
  // As much again as there is, so that a wrong guess costs a few segments and not thousands.
  const std::size_t words = std::max<std::size_t>(words_min, words_);
  auto segment = kj::heapArray<capnp::word>(words);
  std::memset(static_cast<void*>(segment.begin()), 0, words * sizeof(capnp::word));
  words_ += words;
  more_.push_back(kj::mv(segment));
  return more_.back();
}

Bytes copy_out(Arena& arena) {
  Bytes out(capnp::computeSerializedSizeInWords(arena) * sizeof(capnp::word));
  kj::ArrayOutputStream stream(kj::arrayPtr(out.data(), out.size()));
  capnp::writeMessage(stream, arena);
  return out;
}

Bytes finish_in_place(Arena& arena, Bytes out) {
  auto segments = arena.getSegmentsForOutput();
  const auto* in_place = as_words(out.data()) + 1;
  if (segments.size() != 1 || segments[0].begin() != in_place) return copy_out(arena);
  // The table of a frame with one segment: the number of segments less one, and its size in words.
  const auto words = static_cast<std::uint32_t>(segments[0].size());
  for (std::size_t i = 0; i < 4; ++i) {
    out[i] = 0;
    out[4 + i] = static_cast<std::uint8_t>(words >> (8 * i));
  }
  out.resize((1 + std::size_t{words}) * sizeof(capnp::word));
  return out;
}

void Reading::refuse(DecodeFault fault, const char* field, const char* why) {
  if (!fault_) fault_ = DecodeError{fault, std::string(field) + " " + why};
}

namespace {

// Every message once: its type, also that of its field in the envelope, and its place in the union.
#define SHOAL_MESSAGES(X)                       \
  X(Hello, HELLO)                               \
  X(Refused, REFUSED)                           \
  X(Announce, ANNOUNCE)                         \
  X(Announced, ANNOUNCED)                       \
  X(SampleRequest, SAMPLE_REQUEST)              \
  X(Sample, SAMPLE)                             \
  X(Leave, LEAVE)                               \
  X(Submit, SUBMIT)                             \
  X(SubmitReply, SUBMIT_REPLY)                  \
  X(JobStatusRequest, JOB_STATUS_REQUEST)       \
  X(JobStatusReply, JOB_STATUS_REPLY)           \
  X(ControlRequest, CONTROL_REQUEST)            \
  X(JobFind, JOB_FIND)                          \
  X(JobFound, JOB_FOUND)                        \
  X(WorkAvailable, WORK_AVAILABLE)              \
  X(WorkRequest, WORK_REQUEST)                  \
  X(LeaseGrant, LEASE_GRANT)                    \
  X(NoWork, NO_WORK)                            \
  X(LeaseReport, LEASE_REPORT)                  \
  X(LeaseRevoke, LEASE_REVOKE)                  \
  X(StealRequest, STEAL_REQUEST)                \
  X(StealReply, STEAL_REPLY)                    \
  X(TransferNotice, TRANSFER_NOTICE)            \
  X(TransferReply, TRANSFER_REPLY)              \
  X(CommitNotice, COMMIT_NOTICE)                \
  X(FailureNotice, FAILURE_NOTICE)              \
  X(RevealRequest, REVEAL_REQUEST)              \
  X(Reveal, REVEAL)                             \
  X(CompareRequest, COMPARE_REQUEST)            \
  X(CompareReply, COMPARE_REPLY)                \
  X(ResultsRequest, RESULTS_REQUEST)            \
  X(Results, RESULTS)                           \
  X(JobOver, JOB_OVER)                          \
  X(BlockRequest, BLOCK_REQUEST)                \
  X(Block, BLOCK)                               \
  X(WorkerStatusRequest, WORKER_STATUS_REQUEST) \
  X(WorkerStatus, WORKER_STATUS)                \
  X(TermNotice, TERM_NOTICE)                    \
  X(Heartbeat, HEARTBEAT)                       \
  X(Enlist, ENLIST)                             \
  X(EnlistReply, ENLIST_REPLY)                  \
  X(EndorseRequest, ENDORSE_REQUEST)            \
  X(Endorse, ENDORSE)                           \
  X(Rejoin, REJOIN)                             \
  X(RejoinReply, REJOIN_REPLY)                  \
  X(DialBackRequest, DIAL_BACK_REQUEST)         \
  X(DialBackReply, DIAL_BACK_REPLY)             \
  X(DialBack, DIAL_BACK)                        \
  X(Reserve, RESERVE)                           \
  X(Reserved, RESERVED)                         \
  X(Reverse, REVERSE)                           \
  X(CircuitOpen, CIRCUIT_OPEN)                  \
  X(CircuitAnswer, CIRCUIT_ANSWER)              \
  X(CircuitData, CIRCUIT_DATA)                  \
  X(CircuitEnd, CIRCUIT_END)                    \
  X(BlockCancel, BLOCK_CANCEL)                  \
  X(UnitState, UNIT_STATE)                      \
  X(Holdings, HOLDINGS)                         \
  X(HoldersRequest, HOLDERS_REQUEST)            \
  X(Holders, HOLDERS)                           \
  X(Keep, KEEP)                                 \
  X(Kept, KEPT)

#define SHOAL_PUT(Type, UNION_TAG) \
  void put(wire::Message::Builder to, const Type& from) { write(to.init##Type(), from); }
SHOAL_MESSAGES(SHOAL_PUT)
#undef SHOAL_PUT

#define SHOAL_NAME(Type, UNION_TAG) \
  constexpr std::string_view name(const Type&) { return #Type; }
SHOAL_MESSAGES(SHOAL_NAME)
#undef SHOAL_NAME

// False where the union holds something newer than this program.
bool take(wire::Message::Reader from, Message& to, Reading& reading) {
  switch (from.which()) {
#define SHOAL_TAKE(Type, UNION_TAG)                      \
  case wire::Message::UNION_TAG:                         \
    read(from.get##Type(), to.emplace<Type>(), reading); \
    return true;
    SHOAL_MESSAGES(SHOAL_TAKE)
#undef SHOAL_TAKE
  }
  return false;
}

#define SHOAL_COUNT(Type, UNION_TAG) +1
static_assert(std::variant_size_v<Message> == (SHOAL_MESSAGES(SHOAL_COUNT)));
#undef SHOAL_COUNT
#undef SHOAL_MESSAGES

// About how many bytes the variable parts of a message take, from above; small ones need no guess.
struct Guess {
  template <class T>
  std::size_t operator()(const T&) const {
    return 0;
  }
  std::size_t operator()(const Hello& m) const { return wire_bytes(m.record); }
  std::size_t operator()(const Announce& m) const { return wire_bytes(m.record); }
  std::size_t operator()(const Sample& m) const { return wire_bytes(m.records); }
  std::size_t operator()(const Submit& m) const {
    return wire_bytes(m.manifest) + wire_bytes(m.terms);
  }
  std::size_t operator()(const JobStatusReply& m) const {
    std::size_t bytes = 0;
    for (const JobStatus& job : m.jobs) {
      bytes += wire_bytes(job.name) + wire_bytes(job.waiting_for) + 32 * job.stewards.size() + 280;
    }
    return bytes;
  }
  std::size_t operator()(const Holdings& m) const { return wire_bytes(m.bits) + 96; }
  std::size_t operator()(const Holders& m) const { return wire_bytes(m.records) + 48; }
  std::size_t operator()(const JobFound& m) const {
    return wire_bytes(m.leader) + wire_bytes(m.terms) + wire_bytes(m.stewards) +
           wire_bytes(m.manifest);
  }
  std::size_t operator()(const WorkAvailable& m) const {
    return wire_bytes(m.leader) + wire_bytes(m.terms);
  }
  std::size_t operator()(const LeaseGrant& m) const {
    return wire_bytes(m.ranges) + wire_bytes(m.manifest) + wire_bytes(m.grant) +
           wire_bytes(m.terms);
  }
  std::size_t operator()(const NoWork& m) const {
    std::size_t bytes = wire_bytes(m.holders);
    for (const WorkAvailable& job : m.jobs) bytes += (*this)(job) + 64;
    return bytes;
  }
  std::size_t operator()(const LeaseReport& m) const {
    std::size_t bytes = wire_bytes(m.declines);
    for (const LeaseReport::Held& held : m.leases) bytes += wire_bytes(held.ranges) + 16;
    return bytes;
  }
  std::size_t operator()(const LeaseRevoke& m) const { return wire_bytes(m.ranges); }
  std::size_t operator()(const StealReply& m) const { return wire_bytes(m.transfer); }
  std::size_t operator()(const TransferNotice& m) const { return wire_bytes(m.by_victim); }
  std::size_t operator()(const TransferReply& m) const {
    return wire_bytes(m.ranges) + wire_bytes(m.grant);
  }
  std::size_t operator()(const TermNotice& m) const {
    return wire_bytes(m.terms) + wire_bytes(m.records);
  }
  std::size_t operator()(const Enlist& m) const {
    return wire_bytes(m.manifest) + wire_bytes(m.terms);
  }
  std::size_t operator()(const Keep& m) const {
    return wire_bytes(m.terms) + wire_bytes(m.receipt) + wire_bytes(m.holders);
  }
  std::size_t operator()(const EndorseRequest& m) const { return wire_bytes(m.term); }
  std::size_t operator()(const Rejoin& m) const {
    std::size_t bytes = 16;
    for (const auto& part : m.parts) bytes += wire_bytes(part.grant) + wire_bytes(part.held) + 16;
    return bytes;
  }
  std::size_t operator()(const RejoinReply& m) const {
    std::size_t bytes = wire_bytes(m.open);
    for (const auto& lease : m.leases) bytes += wire_bytes(lease.grant) + 32;
    return bytes;
  }
  std::size_t operator()(const ResultsRequest& m) const { return wire_bytes(m.have); }
  std::size_t operator()(const CommitNotice& m) const { return wire_bytes(m.commitments); }
  std::size_t operator()(const FailureNotice& m) const { return wire_bytes(m.failures); }
  std::size_t operator()(const Reveal& m) const {
    return wire_bytes(m.digests) + wire_bytes(m.proof) + (m.outputs ? wire_bytes(*m.outputs) : 0);
  }
  std::size_t operator()(const CompareRequest& m) const {
    return wire_bytes(m.candidates) + wire_bytes(m.holders);
  }
  std::size_t operator()(const CompareReply& m) const { return wire_bytes(m.verdict); }
  std::size_t operator()(const Results& m) const {
    std::size_t bytes = 0;
    for (const Bytes& receipt : m.receipts) bytes += wire_bytes(receipt) + 8;
    return bytes;
  }
  std::size_t operator()(const Block& m) const { return wire_bytes(m.bytes) + wire_bytes(m.proof); }
  std::size_t operator()(const CircuitData& m) const { return wire_bytes(m.sealed); }
};

// The envelope and the fixed part of any message, ids included.
constexpr std::size_t kFixedBytes = 320;

}  // namespace
}  // namespace codec

Bytes encode(const Message& message) {
  const std::size_t guess = codec::kFixedBytes + std::visit(codec::Guess{}, message);
  Bytes bytes = codec::build(guess, [&](codec::Arena& arena) {
    auto root = arena.initRoot<wire::Message>();
    std::visit([&](const auto& m) { codec::put(root, m); }, message);
  });
  check(bytes.size() <= limits::kMessageBytes, "a message past its limit was to be sent");
  return bytes;
}

Result<Message, DecodeError> decode(ByteView bytes) {
  Message message;
  bool known = true;
  auto fault =
      codec::read_frame(bytes, limits::kMessageBytes, "message",
                        [&](capnp::MessageReader& frame, codec::Reading& reading) {
                          known = codec::take(frame.getRoot<wire::Message>(), message, reading);
                        });
  if (fault) return tl::unexpected(std::move(*fault));
  if (!known) {
    return tl::unexpected(DecodeError{DecodeFault::kUnknown, "a newer kind of message"});
  }
  return message;
}

std::string_view name_of(const Message& message) {
  return std::visit([](const auto& m) { return codec::name(m); }, message);
}

}  // namespace shoal
