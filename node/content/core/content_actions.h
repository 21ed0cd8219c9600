#pragma once

#include <string>
#include <vector>

#include "node/protocol/messages.h"

// What the content exchange asks of the disk, and what the disk answers.
namespace shoal {

// --- actions ---
struct OpenContent {  // is it here? Answered by ContentOpened; a partial one resumes
  ContentId id;
  std::uint64_t length = 0;
};
struct StoreBlock {  // already checked against the id; answered by BlockStored
  ContentId id;
  std::uint64_t length = 0;
  std::uint64_t first_leaf = 0;
  Bytes bytes;
};
struct ReadBlock {  // for `reader`; answered by BlockRead
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
