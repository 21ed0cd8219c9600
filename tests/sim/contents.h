#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "node/content/core/content_actions.h"
#include "node/protocol/hash.h"

// The simulated content stores. Bytes that many nodes hold exist once, in the library; each node
// only knows which blocks of them it has.
namespace shoal::sim {

class ContentLibrary {
 public:
  struct Volume {
    Bytes bytes;
    std::vector<Hash256> leaves;  // of contents above one leaf
  };
  ContentId put(Bytes bytes);
  // Nothing where nobody ever had it.
  const Volume* find(const ContentId&) const;
  // As a holder would send it: bytes and the proof of their place.
  Block block_of(const ContentId&, std::uint64_t first_leaf) const;

 private:
  std::map<ContentId, Volume> volumes_;
};

// What one node holds. What it has acknowledged survives a crash.
class NodeContents {
 public:
  void hold_whole(const ContentId& id) { held_[id].complete = true; }
  bool holds(const ContentId& id) const;
  std::size_t blocks_of(const ContentId& id) const;  // of one that is here in part
  void drop(const ContentId& id) { held_.erase(id); }
  void fill_up() { full_ = true; }     // from now on nothing can be stored,
  void make_room() { full_ = false; }  // until now

  ContentOpened perform(const OpenContent&, const ContentLibrary&);
  // A block that is not the content's is a fault of the exchange: `fault` says so.
  BlockStored perform(const StoreBlock&, const ContentLibrary&, std::string& fault);
  BlockRead perform(const ReadBlock&, const ContentLibrary&) const;

 private:
  struct Held {
    bool complete = false;
    std::set<std::uint64_t> blocks;
  };
  std::map<ContentId, Held> held_;
  bool full_ = false;
};

}  // namespace shoal::sim
