#include "tests/sim/contents.h"

#include <algorithm>

#include "node/protocol/limits.h"

namespace shoal::sim {
namespace {

constexpr std::uint64_t kBlockBytes = limits::kBlockLeaves * kContentLeafBytes;

std::uint64_t blocks_in(std::uint64_t length) {
  return std::max<std::uint64_t>(1, (length + kBlockBytes - 1) / kBlockBytes);
}

}  // namespace

ContentId ContentLibrary::put(Bytes bytes) {
  const ContentId id = content_id(bytes);
  Volume& volume = volumes_[id];
  if (!volume.bytes.empty() || bytes.empty()) return id;
  volume.bytes = std::move(bytes);
  if (volume.bytes.size() <= kContentLeafBytes) return id;
  const ByteView all = volume.bytes;
  for (std::size_t at = 0; at < all.size(); at += kContentLeafBytes) {
    volume.leaves.push_back(
        content_leaf(all.subspan(at, std::min(kContentLeafBytes, all.size() - at))));
  }
  return id;
}

const ContentLibrary::Volume* ContentLibrary::find(const ContentId& id) const {
  const auto found = volumes_.find(id);
  return found == volumes_.end() ? nullptr : &found->second;
}

Block ContentLibrary::block_of(const ContentId& id, std::uint64_t first_leaf) const {
  Block block;
  block.content = id;
  block.first_leaf = first_leaf;
  const Volume* volume = find(id);
  const std::uint64_t at = first_leaf * kContentLeafBytes;
  if (volume == nullptr || (at != 0 && at >= volume->bytes.size())) {
    block.missing = true;
    return block;
  }
  const ByteView all = volume->bytes;
  block.bytes = to_bytes(all.subspan(at, std::min<std::size_t>(kBlockBytes, all.size() - at)));
  if (!volume->leaves.empty()) {
    const std::uint64_t last =
        std::min<std::uint64_t>(first_leaf + limits::kBlockLeaves, volume->leaves.size());
    block.proof = merkle_range_proof(volume->leaves, first_leaf, last);
  }
  return block;
}

bool NodeContents::holds(const ContentId& id) const {
  const auto found = held_.find(id);
  return found != held_.end() && found->second.complete;
}

std::size_t NodeContents::blocks_of(const ContentId& id) const {
  const auto found = held_.find(id);
  return found == held_.end() ? 0 : found->second.blocks.size();
}

ContentOpened NodeContents::perform(const OpenContent& open, const ContentLibrary&) {
  ContentOpened opened;
  opened.id = open.id;
  opened.length = open.length;
  opened.for_reader = open.for_reader;
  const auto found = held_.find(open.id);
  if (found == held_.end()) return opened;
  opened.complete = found->second.complete;
  if (!opened.complete) {
    opened.blocks_held.assign(found->second.blocks.begin(), found->second.blocks.end());
  }
  return opened;
}

BlockStored NodeContents::perform(const StoreBlock& store, const ContentLibrary& library,
                                  std::string& fault) {
  BlockStored stored;
  stored.id = store.id;
  stored.first_leaf = store.first_leaf;
  if (full_) {
    stored.error = "no space left on the disk";
    return stored;
  }
  const ContentLibrary::Volume* volume = library.find(store.id);
  const std::uint64_t at = store.first_leaf * kContentLeafBytes;
  const bool right = volume != nullptr && volume->bytes.size() == store.length &&
                     at + store.bytes.size() <= volume->bytes.size() &&
                     std::equal(store.bytes.begin(), store.bytes.end(),
                                volume->bytes.begin() + static_cast<std::ptrdiff_t>(at));
  if (!right) {
    fault = "stored a block that does not belong to content " + short_hex(store.id);
    stored.error = "the block is wrong";
    return stored;
  }
  Held& held = held_[store.id];
  held.blocks.insert(store.first_leaf);
  if (held.blocks.size() == blocks_in(store.length)) {
    held.complete = true;
    held.blocks.clear();
  }
  stored.complete = held.complete;
  return stored;
}

BlockRead NodeContents::perform(const ReadBlock& read, const ContentLibrary& library) const {
  BlockRead answer;
  answer.reader = read.reader;
  const auto part = held_.find(read.id);
  if (part != held_.end() &&
      (part->second.complete || part->second.blocks.contains(read.first_leaf))) {
    answer.block = library.block_of(read.id, read.first_leaf);
    return answer;
  }
  answer.block.content = read.id;
  answer.block.first_leaf = read.first_leaf;
  answer.block.missing = true;
  return answer;
}

}  // namespace shoal::sim
