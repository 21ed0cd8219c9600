#include "node/protocol/codec_detail.h"
#include "node/protocol/content.capnp.h"
#include "node/protocol/hash.h"

namespace shoal::codec {
namespace {

constexpr std::uint64_t kLeavesMax = limits::kContentBytes / kContentLeafBytes;

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

}  // namespace shoal::codec
