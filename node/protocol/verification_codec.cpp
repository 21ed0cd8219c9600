#include <algorithm>

#include "node/protocol/codec_detail.h"
#include "node/protocol/verification.capnp.h"

namespace shoal {
namespace codec {

static_assert(static_cast<int>(wire::FailureKind::REFUSED) ==
              static_cast<int>(FailureKind::kRefused));
static_assert(static_cast<int>(wire::RevealDetail::OUTPUTS) ==
              static_cast<int>(RevealDetail::kOutputs));

void write(StructBuilder any, const Commitment& from) {
  auto to = any.as<wire::Commitment>();
  to.setJob(raw(from.job));
  to.setWorker(raw(from.worker));
  to.setFirst(from.range.first);
  to.setLast(from.range.last);
  to.setSealed(raw(from.sealed));
}
void read(StructReader any, Commitment& to, Reading& reading) {
  auto from = any.as<wire::Commitment>();
  reading.id(from.getJob(), to.job, "commitment.job");
  reading.id(from.getWorker(), to.worker, "commitment.worker");
  reading.range(from.getFirst(), from.getLast(), to.range, "commitment.range",
                limits::kUnitsPerBatch);
  reading.id(from.getSealed(), to.sealed, "commitment.sealed");
}

namespace {

constexpr std::size_t kCostBytes = 16;

void write_cost(std::uint8_t* to, const UnitCost& cost) {
  for (const std::uint32_t number : {cost.wall_ms, cost.cpu_ms, cost.memory_kib}) {
    for (int i = 0; i < 4; ++i) *to++ = static_cast<std::uint8_t>(number >> (8 * i));
  }
  to[0] = cost.exit_status;
  to[1] = cost.signal;
}
UnitCost read_cost(const std::uint8_t* from) {
  UnitCost cost;
  for (std::uint32_t* number : {&cost.wall_ms, &cost.cpu_ms, &cost.memory_kib}) {
    for (int i = 0; i < 4; ++i) *number |= std::uint32_t{*from++} << (8 * i);
  }
  cost.exit_status = from[0];
  cost.signal = from[1];
  return cost;
}

}  // namespace

void write(StructBuilder any, const Failure& from) {
  auto to = any.as<wire::Failure>();
  to.setJob(raw(from.job));
  to.setWorker(raw(from.worker));
  to.setUnit(from.unit);
  to.setKind(static_cast<wire::FailureKind>(from.kind));
  to.setMessage(text(front_of(from.message, limits::kFailureTextBytes)));
  to.setStderrEnd(text(end_of(from.stderr_end, limits::kFailureTextBytes)));
  if (from.cost) write_cost(to.initCost(kCostBytes).begin(), *from.cost);
}
void read(StructReader any, Failure& to, Reading& reading) {
  auto from = any.as<wire::Failure>();
  reading.id(from.getJob(), to.job, "failure.job");
  reading.id(from.getWorker(), to.worker, "failure.worker");
  reading.unit(from.getUnit(), to.unit, "failure.unit");
  reading.enumerant(from.getKind(), to.kind, FailureKind::kRefused, "failure.kind");
  reading.text(from.getMessage(), to.message, "failure.message", limits::kFailureTextBytes);
  reading.text(from.getStderrEnd(), to.stderr_end, "failure.stderr_end", limits::kFailureTextBytes);
  const auto cost = from.getCost();
  if (cost.size() == 0) return;
  if (!reading.require(cost.size() == kCostBytes, "failure.cost", "has the wrong size")) return;
  to.cost = read_cost(cost.begin());
}

void write(StructBuilder any, const ComparisonVerdict& from) {
  auto to = any.as<wire::ComparisonVerdict>();
  to.setJob(raw(from.job));
  to.setWorker(raw(from.worker));
  to.setUnit(from.unit);
  to.setDigests(raw(from.digests));
  to.setAllMatch(from.all_match);
}
void read(StructReader any, ComparisonVerdict& to, Reading& reading) {
  auto from = any.as<wire::ComparisonVerdict>();
  reading.id(from.getJob(), to.job, "comparison.job");
  reading.id(from.getWorker(), to.worker, "comparison.worker");
  reading.unit(from.getUnit(), to.unit, "comparison.unit");
  reading.ids(from.getDigests(), to.digests, limits::kBatchesPerMessage, "comparison.digests");
  reading.require(!to.digests.empty(), "comparison.digests", "is empty");
  to.all_match = from.getAllMatch();
}

namespace {

void write_sizes(wire::PackedOutputs::Sizes::Builder to, const std::vector<std::uint64_t>& sizes) {
  const bool same = std::all_of(sizes.begin(), sizes.end(),
                                [&](std::uint64_t size) { return size == sizes.front(); });
  if (same) {
    to.setSame(sizes.empty() ? 0 : static_cast<std::uint32_t>(sizes.front()));
    return;
  }
  std::uint8_t* at = to.initEach(static_cast<unsigned>(4 * sizes.size())).begin();
  for (std::uint64_t size : sizes) {
    for (int i = 0; i < 4; ++i) *at++ = static_cast<std::uint8_t>(size >> (8 * i));
  }
}

void read_sizes(wire::PackedOutputs::Sizes::Reader from, std::size_t count,
                std::vector<std::uint64_t>& to, Reading& reading) {
  switch (from.which()) {
    case wire::PackedOutputs::Sizes::SAME:
      to.assign(count, from.getSame());
      return;
    case wire::PackedOutputs::Sizes::EACH: {
      auto each = from.getEach();
      if (!reading.require(each.size() == 4 * count, "outputs.sizes", "is not one a unit")) return;
      to.resize(count);
      const std::uint8_t* at = each.begin();
      for (std::uint64_t& size : to) {
        size = std::uint64_t{at[0]} | std::uint64_t{at[1]} << 8 | std::uint64_t{at[2]} << 16 |
               std::uint64_t{at[3]} << 24;
        at += 4;
      }
      return;
    }
  }
  reading.refuse(DecodeFault::kBadValue, "outputs.sizes", "are in a form we do not know");
}

}  // namespace

void write(StructBuilder any, const PackedOutputs& from) {
  auto to = any.as<wire::PackedOutputs>();
  to.setCount(list_size(from.sizes.size(), limits::kUnitsPerBatch));
  std::uint64_t size_max = 0;
  for (std::uint64_t size : from.sizes) size_max = std::max(size_max, size);
  check(size_max <= limits::kOutputBytes, "an output past its limit was to be sent");
  write_sizes(to.getSizes(), from.sizes);
  to.setInlineBytes(raw(from.inline_bytes));
  to.setLarge(raw(from.large));
  if (from.costs.empty()) return;
  check(from.costs.size() == from.sizes.size(), "costs that are not one a unit were to be sent");
  std::uint8_t* at = to.initCosts(static_cast<unsigned>(kCostBytes * from.costs.size())).begin();
  for (const UnitCost& cost : from.costs) {
    write_cost(at, cost);
    at += kCostBytes;
  }
}
void read(StructReader any, PackedOutputs& to, Reading& reading) {
  auto from = any.as<wire::PackedOutputs>();
  const std::size_t count = from.getCount();
  if (!reading.within(count, limits::kUnitsPerBatch, "outputs.count")) return;
  read_sizes(from.getSizes(), count, to.sizes, reading);
  reading.bytes(from.getInlineBytes(), to.inline_bytes, limits::kBatchInlineBytes,
                "outputs.inline_bytes");
  reading.ids(from.getLarge(), to.large, limits::kUnitsPerBatch, "outputs.large");
  std::uint64_t inline_bytes = 0;
  std::size_t large = 0;
  std::uint64_t size_max = 0;
  for (std::uint64_t size : to.sizes) {
    const bool is_large = size > limits::kInlineOutputBytes;
    large += is_large;
    inline_bytes += is_large ? 0 : size;
    size_max = std::max(size_max, size);
  }
  reading.within(size_max, limits::kOutputBytes, "outputs.sizes");
  reading.require(inline_bytes == to.inline_bytes.size() && large == to.large.size(), "outputs",
                  "do not have the sizes that they state");
  const auto costs = from.getCosts();
  if (costs.size() == 0) return;
  if (!reading.require(costs.size() == kCostBytes * count, "outputs.costs", "are not one a unit")) {
    return;
  }
  to.costs.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    to.costs.push_back(read_cost(costs.begin() + kCostBytes * i));
  }
}

void write(StructBuilder any, const CommitNotice& from) {
  auto to = any.as<wire::CommitNotice>();
  write_list(to.initCommitments(list_size(from.commitments.size(), limits::kBatchesPerMessage)),
             from.commitments);
  to.setJob(raw(from.job));
  to.setComputeNs(from.compute_ns);
}
void read(StructReader any, CommitNotice& to, Reading& reading) {
  auto from = any.as<wire::CommitNotice>();
  read_list(from.getCommitments(), to.commitments, reading, "commit_notice.commitments",
            limits::kBatchesPerMessage);
  reading.id(from.getJob(), to.job, "commit_notice.job");
  reading.number(from.getComputeNs(), to.compute_ns, kDurationNsMax, "commit_notice.compute_ns");
}

void write(StructBuilder any, const FailureNotice& from) {
  write_list(any.as<wire::FailureNotice>().initFailures(
                 list_size(from.failures.size(), limits::kBatchesPerMessage)),
             from.failures);
}
void read(StructReader any, FailureNotice& to, Reading& reading) {
  read_list(any.as<wire::FailureNotice>().getFailures(), to.failures, reading,
            "failure_notice.failures", limits::kBatchesPerMessage);
}

void write(StructBuilder any, const RevealRequest& from) {
  auto to = any.as<wire::RevealRequest>();
  to.setJob(raw(from.job));
  to.setRangeFirst(from.range.first);
  to.setRangeLast(from.range.last);
  to.setPartFirst(from.part.first);
  to.setPartLast(from.part.last);
  to.setDetail(static_cast<wire::RevealDetail>(from.detail));
}

namespace {

// A RevealRequest and a Reveal name the same batch and part in the same way.
template <class From, class To>
void read_part(From from, To& to, Reading& reading, const char* range, const char* part) {
  reading.range(from.getRangeFirst(), from.getRangeLast(), to.range, range, limits::kUnitsPerBatch);
  reading.range(from.getPartFirst(), from.getPartLast(), to.part, part, limits::kUnitsPerBatch);
  reading.require(to.range.contains(to.part), part, "is not within the batch");
}

}  // namespace

void read(StructReader any, RevealRequest& to, Reading& reading) {
  auto from = any.as<wire::RevealRequest>();
  reading.id(from.getJob(), to.job, "reveal_request.job");
  read_part(from, to, reading, "reveal_request.range", "reveal_request.part");
  reading.enumerant(from.getDetail(), to.detail, RevealDetail::kOutputs, "reveal_request.detail");
}

void write(StructBuilder any, const Reveal& from) {
  auto to = any.as<wire::Reveal>();
  to.setJob(raw(from.job));
  to.setRangeFirst(from.range.first);
  to.setRangeLast(from.range.last);
  to.setPartFirst(from.part.first);
  to.setPartLast(from.part.last);
  to.setSalt(raw(from.salt));
  to.setRoot(raw(from.root));
  check(from.digests.size() <= limits::kUnitsPerBatch, "digests past their limit");
  if (!from.digests.empty()) to.setDigests(raw(from.digests));
  if (from.outputs) write(to.initOutputs(), *from.outputs);
  check(from.proof.size() <= limits::kProofHashes, "a proof past its limit was to be sent");
  if (!from.proof.empty()) to.setProof(raw(from.proof));
  to.setLapsed(from.lapsed);
}
void read(StructReader any, Reveal& to, Reading& reading) {
  auto from = any.as<wire::Reveal>();
  reading.id(from.getJob(), to.job, "reveal.job");
  read_part(from, to, reading, "reveal.range", "reveal.part");
  reading.id(from.getSalt(), to.salt, "reveal.salt");
  reading.id(from.getRoot(), to.root, "reveal.root");
  reading.ids(from.getDigests(), to.digests, limits::kUnitsPerBatch, "reveal.digests");
  reading.require(to.digests.empty() || to.digests.size() == to.part.size(), "reveal.digests",
                  "are not one a unit");
  if (from.hasOutputs()) {
    read(from.getOutputs(), to.outputs.emplace(), reading);
    reading.require(to.outputs->sizes.size() == to.part.size(), "reveal.outputs",
                    "are not one a unit");
  }
  reading.ids(from.getProof(), to.proof, limits::kProofHashes, "reveal.proof");
  to.lapsed = from.getLapsed();
}

void write(StructBuilder any, const CompareRequest& from) {
  auto to = any.as<wire::CompareRequest>();
  to.setJob(raw(from.job));
  to.setUnit(from.unit);
  write(to.initCandidates(), from.candidates);
  write_list(to.initHolders(list_size(from.holders.size(), limits::kHoldersPerMessage)),
             from.holders);
}
void read(StructReader any, CompareRequest& to, Reading& reading) {
  auto from = any.as<wire::CompareRequest>();
  reading.id(from.getJob(), to.job, "compare_request.job");
  reading.unit(from.getUnit(), to.unit, "compare_request.unit");
  read(from.getCandidates(), to.candidates, reading);
  reading.within(to.candidates.sizes.size(), limits::kBatchesPerMessage,
                 "compare_request.candidates");
  reading.require(!to.candidates.sizes.empty(), "compare_request.candidates", "is empty");
  read_list(from.getHolders(), to.holders, reading, "compare_request.holders",
            limits::kHoldersPerMessage, limits::kRecordBytes);
}

void write(StructBuilder any, const CompareReply& from) {
  write(any.as<wire::CompareReply>().initVerdict(), from.verdict);
}
void read(StructReader any, CompareReply& to, Reading& reading) {
  read(any.as<wire::CompareReply>().getVerdict(), to.verdict, reading, "compare_reply.verdict");
}

}  // namespace codec

Bytes encode(const Commitment& commitment) {
  return codec::encode_root<wire::Commitment>(commitment);
}
Bytes encode(const Failure& failure) {
  const std::size_t texts =
      codec::wire_bytes(failure.message) + codec::wire_bytes(failure.stderr_end);
  return codec::encode_root<wire::Failure>(failure, texts + 256);
}
Bytes encode(const ComparisonVerdict& verdict) {
  return codec::encode_root<wire::ComparisonVerdict>(verdict,
                                                     codec::wire_bytes(verdict.digests) + 256);
}

Result<Commitment, DecodeError> decode_commitment(ByteView bytes) {
  return codec::decode_root<wire::Commitment, Commitment>(bytes, "commitment",
                                                          codec::kSmallFactBytes);
}
Result<Failure, DecodeError> decode_failure(ByteView bytes) {
  return codec::decode_root<wire::Failure, Failure>(
      bytes, "failure", 2 * limits::kFailureTextBytes + codec::kSmallFactBytes);
}
Result<ComparisonVerdict, DecodeError> decode_comparison_verdict(ByteView bytes) {
  return codec::decode_root<wire::ComparisonVerdict, ComparisonVerdict>(
      bytes, "comparison", 32 * limits::kBatchesPerMessage + codec::kSmallFactBytes);
}

}  // namespace shoal
