#include "node/protocol/codec_detail.h"
#include "node/protocol/results.capnp.h"

namespace shoal {
namespace codec {

static_assert(static_cast<int>(wire::UnitEnd::FAILED) == static_cast<int>(UnitEnd::kFailed));

namespace {

// Workers heard about one run of units. Far above what a quorum and its further replicas make; the
// size of a message is what really bounds a receipt.
constexpr std::size_t kWitnesses = limits::kBatchesPerMessage;
// What a message can carry of receipts beside its own fields.
constexpr std::size_t kReceiptBytes = limits::kMessageBytes - 1024;

void write_support(wire::Support::Builder to, const Support& from) {
  write(to.initCommitment(), from.commitment);
  to.setSalt(raw(from.salt));
  to.setRoot(raw(from.root));
  if (!from.digests.empty()) to.setDigests(raw(from.digests));
  check(from.proof.size() <= limits::kProofHashes, "a proof past its limit was to be sent");
  if (!from.proof.empty()) to.setProof(raw(from.proof));
  to.setUnblinded(from.unblinded);
}
void read_support(wire::Support::Reader from, Support& to, std::uint64_t units, Reading& reading) {
  read(from.getCommitment(), to.commitment, reading, "support.commitment");
  reading.id(from.getSalt(), to.salt, "support.salt");
  reading.id(from.getRoot(), to.root, "support.root");
  reading.ids(from.getDigests(), to.digests, limits::kUnitsPerBatch, "support.digests");
  reading.require(to.digests.empty() || to.digests.size() == units, "support.digests",
                  "are not one a unit");
  reading.ids(from.getProof(), to.proof, limits::kProofHashes, "support.proof");
  to.unblinded = from.getUnblinded();
}

void read_outputs(wire::Receipt::Reader from, Receipt& to, Reading& reading) {
  if (from.hasOutputs()) read(from.getOutputs(), to.outputs, reading);
  const std::uint64_t outputs = to.end == UnitEnd::kVerified ? to.range.size() : 0;
  reading.require(to.outputs.sizes.size() == outputs, "receipt.outputs",
                  "are not one for each verified unit");
}

void read_differing(wire::Receipt::Reader from, Receipt& to, Reading& reading) {
  auto differing = from.getDiffering();
  const bool none = differing.size() == 0;
  const bool two = differing.size() == 2 && to.end == UnitEnd::kDisputed;
  if (!reading.require(none || two, "receipt.differing", "are not two of a dispute")) return;
  to.differing.resize(differing.size());
  for (unsigned i = 0; i < differing.size(); ++i) {
    read(differing[i], to.differing[i], reading);
    reading.require(to.differing[i].sizes.size() == to.range.size(), "receipt.differing",
                    "are not one a unit");
  }
}

}  // namespace

void write(StructBuilder any, const Receipt& from) {
  auto to = any.as<wire::Receipt>();
  to.setSequence(from.sequence);
  to.setFirst(from.range.first);
  to.setLast(from.range.last);
  to.setEnd(static_cast<wire::UnitEnd>(from.end));
  if (from.end == UnitEnd::kVerified) write(to.initOutputs(), from.outputs);
  auto supports = to.initSupports(list_size(from.supports.size(), kWitnesses));
  for (unsigned i = 0; i < supports.size(); ++i) write_support(supports[i], from.supports[i]);
  write_list(to.initFailures(list_size(from.failures.size(), kWitnesses)), from.failures);
  write_list(to.initComparisons(list_size(from.comparisons.size(), kWitnesses)), from.comparisons);
  auto differing = to.initDiffering(list_size(from.differing.size(), 2));
  for (unsigned i = 0; i < differing.size(); ++i) write(differing[i], from.differing[i]);
}
void read(StructReader any, Receipt& to, Reading& reading) {
  auto from = any.as<wire::Receipt>();
  reading.number(from.getSequence(), to.sequence, kSequenceMax, "receipt.sequence");
  reading.range(from.getFirst(), from.getLast(), to.range, "receipt.range", limits::kUnitsPerBatch);
  reading.enumerant(from.getEnd(), to.end, UnitEnd::kFailed, "receipt.end");
  read_outputs(from, to, reading);
  auto supports = from.getSupports();
  if (reading.within(supports.size(), kWitnesses, "receipt.supports")) {
    to.supports.resize(supports.size());
    for (unsigned i = 0; i < supports.size(); ++i) {
      read_support(supports[i], to.supports[i], to.range.size(), reading);
    }
  }
  read_list(from.getFailures(), to.failures, reading, "receipt.failures", kWitnesses);
  read_list(from.getComparisons(), to.comparisons, reading, "receipt.comparisons", kWitnesses);
  read_differing(from, to, reading);
}

void write(StructBuilder any, const Snapshot& from) {
  auto to = any.as<wire::Snapshot>();
  to.setJob(raw(from.job));
  to.setVerified(from.verified);
  to.setFailed(from.failed);
  to.setDisputed(from.disputed);
  to.setResults(raw(from.results));
}
void read(StructReader any, Snapshot& to, Reading& reading) {
  auto from = any.as<wire::Snapshot>();
  reading.id(from.getJob(), to.job, "snapshot.job");
  reading.number(from.getVerified(), to.verified, limits::kUnitsPerJob, "snapshot.verified");
  reading.number(from.getFailed(), to.failed, limits::kUnitsPerJob, "snapshot.failed");
  reading.number(from.getDisputed(), to.disputed, limits::kUnitsPerJob, "snapshot.disputed");
  reading.id(from.getResults(), to.results, "snapshot.results");
}

void write(StructBuilder any, const ResultsRequest& from) {
  auto to = any.as<wire::ResultsRequest>();
  to.setJob(raw(from.job));
  to.setCursor(from.cursor);
  to.setCreditBytes(from.credit_bytes);
  auto have = to.initHave(list_size(from.have.size(), limits::kHaveRanges));
  for (unsigned i = 0; i < have.size(); ++i) {
    auto range = have[i];
    range.setFirst(from.have[i].first);
    range.setLast(from.have[i].last);
  }
  to.setOnce(from.once);
}
void read(StructReader any, ResultsRequest& to, Reading& reading) {
  auto from = any.as<wire::ResultsRequest>();
  reading.id(from.getJob(), to.job, "results_request.job");
  reading.number(from.getCursor(), to.cursor, kSequenceMax, "results_request.cursor");
  to.credit_bytes = from.getCreditBytes();
  to.once = from.getOnce();
  auto have = from.getHave();
  if (!reading.within(have.size(), limits::kHaveRanges, "results_request.have")) return;
  to.have.resize(have.size());
  for (unsigned i = 0; i < have.size(); ++i) {
    auto range = have[i];
    reading.range(range.getFirst(), range.getLast(), to.have[i], "results_request.have");
  }
}

void write(StructBuilder any, const Results& from) {
  auto to = any.as<wire::Results>();
  to.setJob(raw(from.job));
  auto receipts = to.initReceipts(list_size(from.receipts.size(), limits::kReceiptsPerMessage));
  for (unsigned i = 0; i < receipts.size(); ++i) receipts.set(i, raw(from.receipts[i]));
  to.setEnd(from.end);
}
void read(StructReader any, Results& to, Reading& reading) {
  auto from = any.as<wire::Results>();
  reading.id(from.getJob(), to.job, "results.job");
  to.end = from.getEnd();
  auto receipts = from.getReceipts();
  if (!reading.within(receipts.size(), limits::kReceiptsPerMessage, "results.receipts")) return;
  to.receipts.resize(receipts.size());
  for (unsigned i = 0; i < receipts.size(); ++i) {
    reading.bytes(receipts[i], to.receipts[i], limits::kMessageBytes, "results.receipts");
  }
}

void write(StructBuilder any, const JobOver& from) {
  write(any.as<wire::JobOver>().initSnapshot(), from.snapshot);
}
void read(StructReader any, JobOver& to, Reading& reading) {
  read(any.as<wire::JobOver>().getSnapshot(), to.snapshot, reading, "job_over.snapshot");
}

}  // namespace codec

namespace {

std::size_t size_guess(const Receipt& receipt) {
  std::size_t guess = codec::wire_bytes(receipt.outputs) + codec::wire_bytes(receipt.failures) +
                      codec::wire_bytes(receipt.comparisons) + 128;
  for (const PackedOutputs& outputs : receipt.differing) guess += codec::wire_bytes(outputs);
  for (const Support& support : receipt.supports) {
    guess += codec::wire_bytes(support.commitment) + codec::wire_bytes(support.digests) +
             codec::wire_bytes(support.proof) + 136;
  }
  return guess;
}

Bytes encode_any(const Receipt& receipt) {
  return codec::encode_root<wire::Receipt>(receipt, size_guess(receipt));
}

}  // namespace

Bytes encode(const Receipt& receipt) {
  Bytes bytes = encode_any(receipt);
  check(bytes.size() <= codec::kReceiptBytes, "a receipt that fits no message was to be stored");
  return bytes;
}
Bytes encode(const Snapshot& snapshot) { return codec::encode_root<wire::Snapshot>(snapshot); }

// A frame may point twice to the same bytes, and then says more than it is long. Whoever keeps a
// receipt writes it anew, so that it has to fit into a message then as well.
Result<Receipt, DecodeError> decode_receipt(ByteView bytes) {
  auto receipt = codec::decode_root<wire::Receipt, Receipt>(bytes, "receipt", codec::kReceiptBytes);
  if (receipt && size_guess(*receipt) > codec::kReceiptBytes / 2 &&
      encode_any(*receipt).size() > codec::kReceiptBytes) {
    return tl::unexpected(DecodeError{DecodeFault::kTooLarge, "receipt: says more than it may"});
  }
  return receipt;
}
Result<Snapshot, DecodeError> decode_snapshot(ByteView bytes) {
  return codec::decode_root<wire::Snapshot, Snapshot>(bytes, "snapshot", codec::kSmallFactBytes);
}

}  // namespace shoal
