#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "node/protocol/result.h"
#include "node/protocol/transport.h"
#include "worker/core/peer.h"

// What a worker must not forget, in one SQLite file: the jobs that it keeps, their receipts, what
// it was given and has computed, its peers. A thread of its own writes, another reads, so that
// neither the network nor a reader ever waits for a disk to confirm a write.
namespace shoal {

enum class LedgerFault : std::uint8_t {
  kNotWritable,
  kDiskFull,
  kCorrupt,  // damaged, or not a ledger at all
  kTooNew,   // written by a newer version
  kInUse,    // locked by another process
  kSystem,
};
struct LedgerError {
  LedgerFault fault = LedgerFault::kSystem;
  std::string what;  // a sentence for people: what happened, and what to do
};

using LedgerWrite = std::variant<Store, Erase>;
using LedgerEvent = std::variant<StoreDone, ReceiptsLoaded, Tell>;

// Used by one thread, the network thread. Every StoreDone without an error means that its facts
// survive a power cut (WAL, synchronous=FULL).
class LedgerStore {
 public:
  // Opens or creates `file`, whose folder must exist.
  static Result<std::unique_ptr<LedgerStore>, LedgerError> open(const std::filesystem::path& file);
  // Finishes what was handed over, and waits for it.
  ~LedgerStore();

  // All facts, in order of kind, job and sequence. Blocks; before the first Store. Reading it all
  // is also the check for damage.
  Result<RecoveredState, LedgerError> recover();

  // Takes it up; it is written after flush(). All stores between two flushes are one transaction,
  // and so are those of several flushes that come while the disk is busy.
  void perform(Store);
  void perform(Erase);
  void flush();
  // Sees all stores whose StoreDone has been collected.
  void perform(LoadReceipts);

  // Readable when collect() has something that is awaited.
  int descriptor() const;
  // How long collect() may be put off; nothing: until the descriptor is readable. A thread that is
  // woken for what can wait is the dearest part of storing it.
  std::optional<Duration> next_timeout() const;
  // What has happened since the last call. Does not block.
  std::vector<LedgerEvent> collect();

 private:
  LedgerStore();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal
