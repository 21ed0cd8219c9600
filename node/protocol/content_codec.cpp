#include "node/protocol/codec_detail.h"
#include "node/protocol/content.capnp.h"
#include "node/protocol/hash.h"

namespace shoal::codec {
namespace {

constexpr std::uint64_t kLeavesMax = limits::kContentBytes / kContentLeafBytes;
constexpr std::uint64_t kBlockBytes = limits::kBlockLeaves * kContentLeafBytes;
constexpr std::uint64_t kBlocksMax = limits::kContentBytes / kBlockBytes;

}  // namespace

void write(StructBuilder any, const BlockRequest& from) {
  auto to = any.as<wire::BlockRequest>();
  to.setContent(raw(from.content));
  to.setLength(from.length);
  to.setFirstLeaf(from.first_leaf);
}
void read(StructReader any, BlockRequest& to, Reading& reading) {
  auto from = any.as<wire::BlockRequest>();
  reading.id(from.getContent(), to.content, "block_request.content");
  reading.number(from.getLength(), to.length, limits::kContentBytes, "block_request.length");
  reading.number(from.getFirstLeaf(), to.first_leaf, kLeavesMax, "block_request.first_leaf");
  reading.require(to.first_leaf % limits::kBlockLeaves == 0, "block_request.first_leaf",
                  "is not the beginning of a block");
  // The first leaf of nothing is there, and empty.
  reading.require(to.first_leaf == 0 || to.first_leaf * kContentLeafBytes < to.length,
                  "block_request.first_leaf", "is past the end");
}

void write(StructBuilder any, const Block& from) {
  auto to = any.as<wire::Block>();
  to.setContent(raw(from.content));
  to.setFirstLeaf(from.first_leaf);
  check(from.bytes.size() <= limits::kBlockLeaves * kContentLeafBytes, "a block past its limit");
  to.setBytes(raw(from.bytes));
  check(from.proof.size() <= limits::kProofHashes, "a proof past its limit was to be sent");
  if (!from.proof.empty()) to.setProof(raw(from.proof));
  to.setMissing(from.missing);
}
void read(StructReader any, Block& to, Reading& reading) {
  auto from = any.as<wire::Block>();
  reading.id(from.getContent(), to.content, "block.content");
  reading.number(from.getFirstLeaf(), to.first_leaf, kLeavesMax, "block.first_leaf");
  reading.bytes(from.getBytes(), to.bytes, limits::kBlockLeaves * kContentLeafBytes, "block.bytes");
  reading.ids(from.getProof(), to.proof, limits::kProofHashes, "block.proof");
  to.missing = from.getMissing();
}

void write(StructBuilder any, const BlockCancel& from) {
  auto to = any.as<wire::BlockCancel>();
  to.setContent(raw(from.content));
  to.setFirstLeaf(from.first_leaf);
}
void read(StructReader any, BlockCancel& to, Reading& reading) {
  auto from = any.as<wire::BlockCancel>();
  reading.id(from.getContent(), to.content, "block_cancel.content");
  reading.number(from.getFirstLeaf(), to.first_leaf, kLeavesMax, "block_cancel.first_leaf");
  reading.require(to.first_leaf % limits::kBlockLeaves == 0, "block_cancel.first_leaf",
                  "is not the beginning of a block");
}

void write(StructBuilder any, const Holdings& from) {
  auto to = any.as<wire::Holdings>();
  to.setContent(raw(from.content));
  to.setLength(from.length);
  to.setFirstBlock(from.first_block);
  check(from.bits.size() <= limits::kHoldingsBytes, "holdings past their limit");
  to.setBits(raw(from.bits));
  to.setFetching(from.fetching);
}
void read(StructReader any, Holdings& to, Reading& reading) {
  auto from = any.as<wire::Holdings>();
  reading.id(from.getContent(), to.content, "holdings.content");
  reading.number(from.getLength(), to.length, limits::kContentBytes, "holdings.length");
  reading.number(from.getFirstBlock(), to.first_block, kBlocksMax, "holdings.first_block");
  reading.require(to.first_block % 8 == 0, "holdings.first_block", "is not a multiple of 8");
  reading.bytes(from.getBits(), to.bits, limits::kHoldingsBytes, "holdings.bits");
  // A bit for what is not there would make a table of ours as large as the sender likes.
  const std::uint64_t blocks = (to.length + kBlockBytes - 1) / kBlockBytes;
  reading.require(to.bits.empty() || to.first_block + 8 * (to.bits.size() - 1) < blocks,
                  "holdings.bits", "are past the end");
  to.fetching = from.getFetching();
}

void write(StructBuilder any, const HoldersRequest& from) {
  auto to = any.as<wire::HoldersRequest>();
  to.setContent(raw(from.content));
  to.setLength(from.length);
}
void read(StructReader any, HoldersRequest& to, Reading& reading) {
  auto from = any.as<wire::HoldersRequest>();
  reading.id(from.getContent(), to.content, "holders_request.content");
  reading.number(from.getLength(), to.length, limits::kContentBytes, "holders_request.length");
}

void write(StructBuilder any, const Holders& from) {
  auto to = any.as<wire::Holders>();
  to.setContent(raw(from.content));
  write_list(to.initRecords(list_size(from.records.size(), limits::kHoldersPerMessage)),
             from.records);
}
void read(StructReader any, Holders& to, Reading& reading) {
  auto from = any.as<wire::Holders>();
  reading.id(from.getContent(), to.content, "holders.content");
  read_list(from.getRecords(), to.records, reading, "holders.records", limits::kHoldersPerMessage,
            limits::kRecordBytes);
}

}  // namespace shoal::codec
