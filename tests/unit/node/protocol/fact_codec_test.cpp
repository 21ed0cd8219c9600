#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "node/protocol/facts.h"
#include "node/protocol/hash.h"
#include "node/protocol/limits.h"
#include "tests/unit/node/protocol/receipts.h"
#include "tests/unit/node/protocol/specimens.h"

namespace shoal {
namespace {

using specimens::id;

template <class T>
auto decode_again(const T& fact, Result<T, DecodeError> (*decode)(ByteView)) {
  return decode(encode(fact));
}
template <class T>
DecodeFault fault_of(const T& fact, Result<T, DecodeError> (*decode)(ByteView)) {
  auto decoded = decode_again(fact, decode);
  EXPECT_FALSE(decoded.has_value());
  return decoded ? DecodeFault::kUnknown : decoded.error().fault;
}
template <class Change>
DecodeFault manifest_fault(Change change) {
  Manifest manifest = specimens::manifest();
  change(manifest);
  return fault_of(manifest, decode_manifest);
}
template <class Change>
DecodeFault receipt_fault(Receipt receipt, Change change) {
  change(receipt);
  return fault_of(receipt, decode_receipt);
}

TEST(FactCodec, GivesBackEveryFieldOfEveryFactAndReceipt) {
  for (const specimens::Specimen& specimen : specimens::all()) {
    EXPECT_TRUE(specimen.decodes_to_it(specimen.bytes)) << specimen.name;
  }
}

TEST(FactCodec, GivesBackWhatIsAbsentAsAbsent) {
  Manifest manifest;
  manifest.units = 1;
  EXPECT_TRUE(decode_again(manifest, decode_manifest).value() == manifest);
  EXPECT_TRUE(decode_again(NodeRecord{}, decode_record).value() == NodeRecord{});
  EXPECT_TRUE(decode_again(Failure{}, decode_failure).value() == Failure{});
  EXPECT_TRUE(decode_again(Transfer{}, decode_transfer).value() == Transfer{});
  EXPECT_TRUE(decode_again(Control{}, decode_control).value() == Control{});
  EXPECT_TRUE(decode_again(Snapshot{}, decode_snapshot).value() == Snapshot{});
}

TEST(FactCodec, RefusesOneFactAsAnother) {
  const Bytes control = encode(specimens::control());
  EXPECT_FALSE(decode_record(control).has_value());
  EXPECT_FALSE(decode_manifest(control).has_value());
  EXPECT_FALSE(decode_commitment(control).has_value());
  EXPECT_FALSE(decode_snapshot(control).has_value());
}

TEST(FactCodec, RefusesManifestsThatMakeNoSense) {
  EXPECT_EQ(manifest_fault([](auto& m) { m.units = 0; }), DecodeFault::kBadValue);
  EXPECT_EQ(manifest_fault([](auto& m) { m.units = limits::kUnitsPerJob + 1; }),
            DecodeFault::kBadValue);
  EXPECT_EQ(manifest_fault([](auto& m) { m.quorum = 0; }), DecodeFault::kBadValue);
  EXPECT_EQ(manifest_fault([](auto& m) { m.quorum = limits::kQuorumMax + 1; }),
            DecodeFault::kBadValue);
  EXPECT_EQ(manifest_fault([](auto& m) { m.max_attempts = 0; }), DecodeFault::kBadValue);
  EXPECT_EQ(manifest_fault([](auto& m) { m.max_attempts = 65; }), DecodeFault::kBadValue);
  EXPECT_EQ(manifest_fault([](auto& m) { m.program.reset(); }), DecodeFault::kBadValue);
  EXPECT_EQ(manifest_fault([](auto& m) { m.kernel_kind = KernelKind::kShipped; }),
            DecodeFault::kBadValue);
  EXPECT_EQ(manifest_fault([](auto& m) { m.kernel_kind = static_cast<KernelKind>(4); }),
            DecodeFault::kBadValue);
  EXPECT_EQ(manifest_fault([](auto& m) { m.comparison = static_cast<Comparison>(2); }),
            DecodeFault::kBadValue);
  EXPECT_EQ(manifest_fault([](auto& m) { m.created = -1; }), DecodeFault::kBadValue);
  EXPECT_EQ(manifest_fault([](auto& m) { m.unit_wall_ms = UINT64_MAX; }), DecodeFault::kBadValue);
}

TEST(FactCodec, RefusesManifestsPastTheLimits) {
  EXPECT_EQ(manifest_fault([](auto& m) { m.kernel.assign(limits::kTextBytes + 1, 'k'); }),
            DecodeFault::kTooLarge);
  EXPECT_EQ(manifest_fault([](auto& m) { m.parameters.resize(limits::kParameterBytes + 1); }),
            DecodeFault::kTooLarge);
  EXPECT_EQ(manifest_fault([](auto& m) { m.parameters.resize(limits::kManifestBytes); }),
            DecodeFault::kTooLarge);
  EXPECT_EQ(manifest_fault([](auto& m) { m.program_bytes = limits::kContentBytes + 1; }),
            DecodeFault::kBadValue);
  EXPECT_EQ(manifest_fault([](auto& m) { m.inputs_bytes = limits::kContentBytes + 1; }),
            DecodeFault::kBadValue);
  EXPECT_EQ(manifest_fault([](auto& m) { m.output_bytes_max = limits::kOutputBytes + 1; }),
            DecodeFault::kBadValue);
  Manifest full = specimens::manifest();
  full.parameters.assign(limits::kParameterBytes, 7);
  full.kernel.assign(limits::kTextBytes, 'k');
  EXPECT_TRUE(decode_again(full, decode_manifest).value() == full);
}

TEST(FactCodec, RefusesRecordsWithValuesOutsideTheirDomain) {
  NodeRecord record = specimens::record();
  record.role = static_cast<Role>(3);
  EXPECT_EQ(fault_of(record, decode_record), DecodeFault::kBadValue);
  record = specimens::record();
  record.sequence = INT64_MAX;
  EXPECT_EQ(fault_of(record, decode_record), DecodeFault::kBadValue);
  auto decoded = decode_record(Bytes(limits::kRecordBytes + 8, 0));
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().fault, DecodeFault::kTooLarge);
}

TEST(FactCodec, RefusesBatchesAndUnitsPastTheLimits) {
  Commitment commitment = specimens::commitment();
  commitment.range.last += 1;
  EXPECT_EQ(fault_of(commitment, decode_commitment), DecodeFault::kTooLarge);
  commitment.range.last = commitment.range.first;
  EXPECT_EQ(fault_of(commitment, decode_commitment), DecodeFault::kBadValue);
  Failure failure = specimens::failure();
  failure.unit = limits::kUnitsPerJob;
  EXPECT_EQ(fault_of(failure, decode_failure), DecodeFault::kBadValue);
  failure = specimens::failure();
  failure.kind = static_cast<FailureKind>(6);
  EXPECT_EQ(fault_of(failure, decode_failure), DecodeFault::kBadValue);
  ComparisonVerdict verdict = specimens::comparison_verdict();
  verdict.digests.clear();
  EXPECT_EQ(fault_of(verdict, decode_comparison_verdict), DecodeFault::kBadValue);
  verdict.digests.resize(limits::kBatchesPerMessage + 1);
  EXPECT_EQ(fault_of(verdict, decode_comparison_verdict), DecodeFault::kTooLarge);
  Transfer transfer = specimens::transfer();
  transfer.ranges.push_back({9, 9});
  EXPECT_EQ(fault_of(transfer, decode_transfer), DecodeFault::kBadValue);
  Control control = specimens::control();
  control.command = static_cast<ControlCommand>(4);
  EXPECT_EQ(fault_of(control, decode_control), DecodeFault::kBadValue);
}

TEST(FactCodec, CutsWhatAKernelSaid) {
  Failure failure = specimens::failure();
  failure.message = std::string(limits::kFailureTextBytes, 'm') + "tail";
  failure.stderr_end = "head" + std::string(limits::kFailureTextBytes, 'e');
  const Failure decoded = decode_again(failure, decode_failure).value();
  EXPECT_EQ(decoded.message, std::string(limits::kFailureTextBytes, 'm'));
  EXPECT_EQ(decoded.stderr_end, std::string(limits::kFailureTextBytes, 'e'));
}

TEST(FactCodec, RefusesReceiptsWhosePartsDoNotFitTogether) {
  const Receipt verified = specimens::verified_receipt();
  EXPECT_EQ(receipt_fault(verified, [](auto& r) { r.range.last += 1; }), DecodeFault::kBadValue);
  EXPECT_EQ(receipt_fault(verified, [](auto& r) { r.range.last = r.range.first; }),
            DecodeFault::kBadValue);
  EXPECT_EQ(receipt_fault(verified, [](auto& r) { r.supports[1].digests.pop_back(); }),
            DecodeFault::kBadValue);
  EXPECT_EQ(receipt_fault(verified, [](auto& r) { r.outputs.large.clear(); }),
            DecodeFault::kBadValue);
  EXPECT_EQ(receipt_fault(verified, [](auto& r) { r.outputs = {}; }), DecodeFault::kBadValue);
  EXPECT_EQ(receipt_fault(verified, [](auto& r) { r.sequence = UINT64_MAX; }),
            DecodeFault::kBadValue);
  EXPECT_EQ(
      receipt_fault(specimens::failed_receipt(), [](auto& r) { r.end = static_cast<UnitEnd>(3); }),
      DecodeFault::kBadValue);
}

// The third of `supports` gets the digests of the second: its pointer goes to the same bytes.
Bytes with_shared_digests(Receipt receipt) {
  const Bytes bytes = encode(receipt);
  std::vector<std::uint64_t> words(bytes.size() / sizeof(std::uint64_t));
  std::memcpy(words.data(), bytes.data(), bytes.size());
  const std::uint64_t length = receipt.supports[1].digests.size() * sizeof(Hash256::bytes);
  const std::uint64_t list_of_bytes = length << 3 | 2;
  std::vector<std::size_t> pointers;
  for (std::size_t i = 1; i < words.size(); ++i) {
    if ((words[i] & 3) == 1 && words[i] >> 32 == list_of_bytes) pointers.push_back(i);
  }
  check(pointers.size() == 2, "the digests of two supports are one list each");
  const std::size_t third = 2 * pointers[1] - pointers[0];
  const std::uint64_t target = pointers[1] + ((words[pointers[1]] & 0xffffffff) >> 2);
  words[third] = list_of_bytes << 32 | (target - third) << 2 | 1;
  Bytes shared(bytes.size());
  std::memcpy(shared.data(), words.data(), bytes.size());
  return shared;
}

TEST(FactCodec, RefusesReceiptsThatSayMoreThanTheyAreLong) {
  Receipt receipt = specimens::disputed_receipt();
  receipt.supports.assign(3, receipt.supports.front());
  for (Support& support : receipt.supports) support.digests.clear();
  // Twice 256 KiB, and three times where they are shared: that fits.
  receipt.range = {0, limits::kUnitsPerBatch / 2};
  for (int i : {0, 1}) receipt.supports[i].digests.resize(receipt.range.size());
  const auto fits = decode_receipt(with_shared_digests(receipt));
  ASSERT_TRUE(fits.has_value()) << fits.error().what;
  EXPECT_EQ(fits->supports[2].digests.size(), receipt.range.size());
  // Twice 512 KiB fits, three times does not.
  receipt.range = {0, limits::kUnitsPerBatch};
  for (int i : {0, 1}) receipt.supports[i].digests.resize(receipt.range.size());
  const auto refused = decode_receipt(with_shared_digests(receipt));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().fault, DecodeFault::kTooLarge);
}

TEST(Facts, SealDependsOnEverythingItIsMadeOf) {
  const auto seal = [](std::uint8_t job, std::uint8_t worker, Range range, std::uint8_t salt,
                       std::uint8_t root) {
    return commitment_seal(id<JobId>(job), id<NodeId>(worker), range, id<Hash256>(salt),
                           id<Hash256>(root));
  };
  const Hash256 sealed = seal(1, 2, {3, 4}, 5, 6);
  EXPECT_EQ(sealed, seal(1, 2, {3, 4}, 5, 6));
  EXPECT_NE(sealed, seal(9, 2, {3, 4}, 5, 6));
  EXPECT_NE(sealed, seal(1, 9, {3, 4}, 5, 6));
  EXPECT_NE(sealed, seal(1, 2, {2, 4}, 5, 6));
  EXPECT_NE(sealed, seal(1, 2, {3, 9}, 5, 6));
  EXPECT_NE(sealed, seal(1, 2, {3, 4}, 9, 6));
  EXPECT_NE(sealed, seal(1, 2, {3, 4}, 5, 9));
}

TEST(Facts, SealIsTheHashThatTheSchemaStates) {
  Bytes stated = to_bytes(as_bytes("shoal-commit"));
  const auto add = [&](ByteView bytes) { stated.insert(stated.end(), bytes.begin(), bytes.end()); };
  const Bytes first = {0x02, 0x01, 0, 0, 0, 0, 0, 0};
  const Bytes last = {0x03, 0x01, 0, 0, 0, 0, 0, 0};
  add(id<JobId>(1).view());
  add(id<NodeId>(2).view());
  add(first);
  add(last);
  add(id<Hash256>(5).view());
  add(id<Hash256>(6).view());
  EXPECT_EQ(
      commitment_seal(id<JobId>(1), id<NodeId>(2), {0x102, 0x103}, id<Hash256>(5), id<Hash256>(6)),
      sha256(stated));
}

// Stands in for a key; hands its input back through SHA-256, so that the test sees what went in.
class TransparentSigner final : public Signer {
 public:
  NodeId id() const override { return {}; }
  Signature sign(Purpose, ByteView) const override { return {}; }
  Hash256 secret_hash(ByteView input) const override { return sha256(input); }
  std::optional<Hash256> shared_secret(const NodeId&) const override { return {}; }
};

TEST(Facts, SaltIsOfTheJobAndTheBatch) {
  const TransparentSigner signer;
  const Hash256 salt = commitment_salt(signer, id<JobId>(1), {3, 4});
  EXPECT_EQ(salt, commitment_salt(signer, id<JobId>(1), {3, 4}));
  EXPECT_NE(salt, commitment_salt(signer, id<JobId>(2), {3, 4}));
  EXPECT_NE(salt, commitment_salt(signer, id<JobId>(1), {2, 4}));
  EXPECT_NE(salt, commitment_salt(signer, id<JobId>(1), {3, 5}));
}

TEST(Facts, AManifestThatNamesItsSubmitterIsNobodyElses) {
  const KeyPair submitter = key_of(3), stranger = key_of(4);
  Manifest manifest = specimens::manifest();
  manifest.submitter = submitter.id();
  const auto by = [&](const Signer& signer) {
    return sign_fact(signer, Purpose::kManifest, encode(manifest));
  };
  EXPECT_TRUE(signed_by_submitter(Ed25519Checker(), by(submitter), manifest));
  EXPECT_FALSE(signed_by_submitter(Ed25519Checker(), by(stranger), manifest));
  Signed claimed = by(stranger);
  claimed.signer = submitter.id();
  EXPECT_FALSE(signed_by_submitter(Ed25519Checker(), claimed, manifest));
  manifest.submitter.reset();
  EXPECT_TRUE(signed_by_submitter(Ed25519Checker(), by(stranger), manifest)) << "as they once were";
}

TEST(Facts, ANodeIsWhoseItsOwnerSaysThatItIs) {
  const KeyPair node = key_of(3), owner = key_of(4);
  NodeRecord record = specimens::record();
  record.node = node.id();
  EXPECT_EQ(owner_of(record, Ed25519Checker()), node.id()) << "nobody has said";
  const auto mark = [&](const Signer& by, const NodeId& of, const PoolId& pool) {
    return OwnerMark{owner.id(), by.sign(Purpose::kOwner, owner_body(of, pool))};
  };
  record.owner = mark(owner, node.id(), record.pool);
  EXPECT_EQ(owner_of(record, Ed25519Checker()), owner.id());
  record.owner = mark(node, node.id(), record.pool);
  EXPECT_EQ(owner_of(record, Ed25519Checker()), node.id()) << "signed by itself in his name";
  record.owner = mark(owner, key_of(5).id(), record.pool);
  EXPECT_EQ(owner_of(record, Ed25519Checker()), node.id()) << "another of his nodes";
  record.owner = mark(owner, node.id(), specimens::id<PoolId>(99));
  EXPECT_EQ(owner_of(record, Ed25519Checker()), node.id()) << "in another pool";
}

TEST(Facts, JobIdIsTheHashOfTheManifestAsSent) {
  const Bytes body = encode(specimens::manifest());
  EXPECT_EQ(job_id_of(body).bytes, sha256(body).bytes);
  Manifest other = specimens::manifest();
  other.nonce[0] ^= 1;
  EXPECT_NE(job_id_of(body), job_id_of(encode(other)));
}

}  // namespace
}  // namespace shoal
