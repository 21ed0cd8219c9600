#pragma once

#include <optional>
#include <string>
#include <vector>

#include "node/protocol/messages.h"

// What the content exchange asks of the disk, and what the disk answers.
namespace shoal {

// --- actions ---
struct OpenContent {  // is it here? Answered by ContentOpened; a partial one resumes
  ContentId id;
  std::uint64_t length = 0;
  // Somebody else wants to know. It must cost next to nothing: what is not here under this length
  // is not here, and a partial one of an earlier run is not looked for.
  bool for_reader = false;
};
struct StoreBlock {  // already checked against the id; answered by BlockStored
  ContentId id;
  std::uint64_t length = 0;
  std::uint64_t first_leaf = 0;
  Bytes bytes;
  std::vector<Hash256> proof = {};   // as it came with the block: who reads it gets it with it
  std::optional<Hash256> root = {};  // of its leaves, from when it was checked
};
struct ReadBlock {  // for `reader`, also of a partial content; answered by BlockRead
  ContentId id;
  std::uint64_t first_leaf = 0;
  NodeId reader;
};

// --- events ---
struct ContentOpened {
  ContentId id;
  std::uint64_t length = 0;
  bool complete = false;
  std::vector<std::uint64_t> blocks_held;  // first leaves of the blocks here, if not complete
  bool for_reader = false;                 // as it was asked
};
struct BlockStored {
  ContentId id;
  std::uint64_t first_leaf = 0;
  bool complete = false;  // this was the last one: the content is whole and durable
  std::string error;      // not empty: it could not be stored (disk full)
};
struct BlockRead {
  NodeId reader;
  Block block;
};

}  // namespace shoal
