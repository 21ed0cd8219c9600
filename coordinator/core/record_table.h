#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "node/protocol/facts.h"
#include "node/protocol/rng.h"
#include "node/protocol/time.h"

// The records that a coordinator holds: one for each node, found by node, expired by time, drawn at
// random, and listed by when they changed. Some 700 bytes a record, its own bytes included. Not
// thread-safe.
namespace shoal {

class RecordTable {
 public:
  enum class Put : std::uint8_t {
    kTaken,
    kSame,         // these very bytes are held already
    kOlder,        // a newer record of the node is held
    kFull,         // the table refuses newcomers, never drops what it promised to keep
    kAddressFull,  // as many nodes from that address as there may be
  };

  // Changes are numbered from `first_change` on.
  RecordTable(std::size_t records_max, std::size_t records_per_address, std::uint64_t first_change);
  RecordTable(const RecordTable&) = delete;
  RecordTable& operator=(const RecordTable&) = delete;

  // What put() would answer; nothing is checked but that, so that a signature need not be verified
  // in vain. An exempt address may hold as many records as it likes.
  Put would_put(const Signed& record, UnixMs sequence, const std::string& address,
                bool exempt) const;
  // After would_put() said kTaken.
  void put(Signed record, UnixMs sequence, const std::string& address, Instant expires);
  bool remove(const NodeId& node);
  void expire(Instant now);

  std::size_t size() const { return records_.size(); }
  // Nothing changed after this number.
  std::uint64_t last_change() const { return next_change_ - 1; }
  struct Held {
    Signed record;
    std::string address;
  };
  std::optional<Held> held(const NodeId& node) const;
  // How long a node's record is still kept; zero if it is not.
  Duration time_left(const NodeId& node, Instant now) const;

  // Up to `count` different records, each set of them as likely as any other, without that of
  // `asker`. Time and memory follow `count`, not the table.
  std::vector<Signed> sample(std::size_t count, const NodeId& asker, Rng& rng);
  // The same among those that changed after `cookie`; all of them if they are few enough. Nothing
  // if the cookie is none of this table's: it is older than the table, or from elsewhere.
  std::optional<std::vector<Signed>> changed_since(std::uint64_t cookie, std::size_t count,
                                                   const NodeId& asker, Rng& rng) const;

  void check_invariants() const;

 private:
  struct Record;
  using Records = std::map<NodeId, Record>;
  using Addresses = std::map<std::string, std::size_t>;
  using Expiries = std::multimap<Instant, Records::value_type*>;
  struct Record {
    Bytes body;
    Signature signature;
    UnixMs sequence = 0;
    std::uint64_t change = 0;
    std::size_t slot = 0;
    Addresses::iterator address;
    Expiries::iterator expiry;
  };
  // Ordered by change; nothing where the record changed again, or went.
  struct Change {
    std::uint64_t number = 0;
    Records::value_type* record = nullptr;
  };

  static Signed signed_of(const Records::value_type& entry);
  void erase(Records::iterator it);
  void forget_change(std::uint64_t number);
  void note_change(Records::value_type& entry);
  std::vector<Change>::const_iterator first_after(std::uint64_t number) const;
  void count_address(Record& record, const std::string& address);
  void uncount_address(Record& record);

  const std::size_t records_max_;
  const std::size_t records_per_address_;
  const std::uint64_t first_change_;
  std::uint64_t next_change_;
  Records records_;
  Addresses addresses_;
  Expiries expiries_;
  std::vector<Records::value_type*> slots_;
  std::vector<Change> changes_;
};

}  // namespace shoal
