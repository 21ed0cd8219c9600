#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "node/protocol/messages.h"

namespace shoal {

// Who holds the contents of one job, as its stewards know it: those who computed an output hold it,
// and so do those who said that they keep a copy. Whether they are there is another question.
// Counts up to limits::kOutputsWatched outputs; of what is beyond nobody makes copies.
class CopyBook {
 public:
  // Contents that are held together: the outputs of one receipt, under its sequence, or program and
  // inputs.
  struct Lot {
    std::vector<NodeId> holders;
    std::uint64_t outputs = 0;           // 0: program and inputs
    std::vector<NodeId> strangers = {};  // who were asked when no holder was left, and have nothing
  };
  static constexpr std::uint64_t kInputs = 0;  // no receipt's sequence

  // Of each receipt that its steward keeps; those without large outputs are of no interest.
  void note(const Receipt&);
  // True: it is news.
  bool hold(std::uint64_t lot, const NodeId& holder);
  // Who has said that it holds them no more.
  void lose(std::uint64_t lot, const NodeId& holder);
  void note_stranger(std::uint64_t lot, const NodeId& worker) {
    lots_.at(lot).strangers.push_back(worker);
  }
  void forget_inputs();  // the job is over

  const std::map<std::uint64_t, Lot>& lots() const { return lots_; }
  const std::map<NodeId, std::size_t>& holders() const { return holders_; }  // -> lots
  std::vector<NodeId> holders_of(const ContentId& output) const;
  std::optional<std::uint64_t> lot_of(const ContentId& output) const;
  std::uint64_t outputs() const { return lot_of_.size(); }

 private:
  std::map<std::uint64_t, Lot> lots_;
  std::map<NodeId, std::size_t> holders_;
  std::map<ContentId, std::uint64_t> lot_of_;
};

}  // namespace shoal
