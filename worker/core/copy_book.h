#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
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
    ContentId name = {};  // zeros: program and inputs
    std::vector<NodeId> holders;
    std::uint64_t outputs = 0;           // 0: program and inputs
    std::vector<NodeId> strangers = {};  // who were asked when no holder was left, and have nothing
    bool sought = false;                 // its submitter has asked who holds it
  };
  static constexpr std::uint64_t kInputs = 0;  // no receipt's sequence

  // What a lot is called by everybody: each steward counts its receipts for itself, cuts them as
  // its own evidence is cut, and may come to count anew after a crash. One output has its own name.
  static ContentId name_of(const std::vector<ContentId>& outputs);

  // Of each receipt that its steward keeps; those without large outputs are of no interest.
  void note(const Receipt&);
  // True: it is news.
  bool hold(std::uint64_t lot, const NodeId& holder);
  // As it was written down; the receipt that it was written for may not have got as far.
  void recall(std::uint64_t lot, const ContentId& name, const NodeId& holder);
  // It has said that it holds this output no more; zeros: program and inputs.
  void lose(const ContentId& output, const NodeId& holder);
  void note_stranger(std::uint64_t lot, const NodeId& worker) {
    lots_.at(lot).strangers.push_back(worker);
  }
  // True: not for the first time.
  bool note_sought(std::uint64_t lot) { return std::exchange(lots_.at(lot).sought, true); }
  void forget_inputs();  // the job is over

  const std::map<std::uint64_t, Lot>& lots() const { return lots_; }
  const std::map<NodeId, std::size_t>& holders() const { return holders_; }  // -> lots
  std::vector<NodeId> holders_of(const ContentId& output) const;
  std::optional<std::uint64_t> lot_of(const ContentId& output) const;
  // Units that come out the same are in as many lots of one name.
  std::vector<std::uint64_t> lots_named(const ContentId& name) const;
  std::uint64_t outputs() const { return lot_of_.size(); }

 private:
  std::map<std::uint64_t, Lot> lots_;
  std::map<NodeId, std::size_t> holders_;
  std::map<ContentId, std::uint64_t> lot_of_;  // by output
  std::map<ContentId, std::vector<std::uint64_t>> by_name_;
};

}  // namespace shoal
