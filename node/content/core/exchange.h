#pragma once

#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "node/content/core/content_actions.h"
#include "node/protocol/limits.h"
#include "node/protocol/range.h"
#include "node/protocol/rng.h"
#include "node/protocol/time.h"
#include "node/protocol/transport.h"

// The exchange of content as a state machine: fetches what its owner wants from any of several
// sources, block by block, checks every block against the id before it is stored, and serves the
// blocks that others ask for. Shared by workers and submitters.
namespace shoal {

// Fetched and durable, or not to be had: `error` says what was asked and of whom.
struct ContentArrived {
  ContentId id;
  std::string error;
};

using ExchangeAction = std::variant<Send, OpenContent, StoreBlock, ReadBlock, ContentArrived>;
using ExchangeActions = std::vector<ExchangeAction>;

// Not thread-safe; never blocks. Each call returns all its actions.
class Exchange {
 public:
  explicit Exchange(Rng rng);

  // Wants a content. Sources are added as they are learned; with none the want waits `patience`,
  // and fails when all sources that were tried are exhausted for as long. Wanting twice is once.
  ExchangeActions want(Instant now, const ContentId&, std::uint64_t length,
                       const std::vector<NodeId>& sources, Duration patience = 30s);
  ExchangeActions add_source(Instant now, const ContentId&, const NodeId&);
  void forget(const ContentId&);

  ExchangeActions link_up(Instant now, const NodeId&);
  ExchangeActions link_lost(Instant now, const NodeId&);
  // Serves. What may be read, and by whom, is the owner's to decide before it calls.
  ExchangeActions on_request(Instant now, const NodeId& from, const BlockRequest&);
  ExchangeActions on_block(Instant now, const NodeId& from, Block);
  ExchangeActions on_opened(Instant now, const ContentOpened&);
  ExchangeActions on_stored(Instant now, const BlockStored&);
  ExchangeActions on_read(Instant now, BlockRead);
  ExchangeActions on_deadline(Instant now);
  std::optional<Instant> next_deadline() const;
  bool wants(const ContentId&) const;
  // Sources that sent a block which does not belong to the content.
  const std::set<NodeId>& liars() const { return liars_; }
  void check_invariants() const;

 private:
  struct Asked {
    NodeId source;
    Instant at;
  };
  // One source of one want.
  struct Offer {
    unsigned refusals = 0;  // how often it said that it does not have it
    Instant away_until;     // after a refusal: not asked again before
  };
  // A block, counted in blocks and not in leaves, is either here, or in exactly one of `missing`,
  // `in_flight` and `storing`.
  struct Want {
    std::uint64_t order = 0;  // of arrival: wants of one source take turns in this order
    std::uint64_t length = 0;
    bool opened = false;    // the disk has said what is here
    bool reopened = false;  // and was asked a second time
    Duration patience{};
    Instant hope_at;              // the last moment that gave hope: a block, a new source
    std::uint64_t at_random = 0;  // blocks still to be picked at random
    unsigned liars = 0;           // sources dropped for wrong bytes
    std::map<NodeId, Offer> sources;
    RangeSet missing;
    std::map<std::uint64_t, Asked> in_flight;
    std::set<std::uint64_t> storing;
    std::optional<Instant> alarm;  // its entry in alarms_
  };
  // A node that is linked, or a source of a want, or both.
  struct Source {
    bool linked = false;
    unsigned late = 0;    // times in a row that it was silent for longer than its timeout
    Instant late_marked;  // when that was last counted
    Instant heard_at;     // its last good block, of any want
    std::set<ContentId> wants;
    std::set<std::pair<ContentId, std::uint64_t>> in_flight;
    std::set<std::pair<std::uint64_t, ContentId>> hungry;  // wants that it could be asked for more
    std::uint64_t last_served = 0;                         // order of the want asked for last
  };
  using Read = std::pair<NodeId, std::pair<ContentId, std::uint64_t>>;

  bool may_ask(const Want&) const;
  bool may_be_asked(Instant now, const ContentId&, const Want&, const NodeId&, const Offer&) const;
  std::optional<NodeId> best_source(Instant now, const ContentId&, const Want&);
  std::uint64_t pick_block(Want&);
  void ask(Instant now, const ContentId&, Want&, const NodeId&, ExchangeActions&);
  void request_more(Instant now, const ContentId&, Want&, ExchangeActions&);
  void feed(Instant now, const NodeId&, ExchangeActions&);
  void settle(Instant now, ExchangeActions&);
  void take_back(const ContentId&, Want&, std::uint64_t block);
  void take_back_all(const ContentId&, Want&, const NodeId&);
  void note_hunger(Instant now, const ContentId&, Want&);
  void set_alarm(Instant now, const ContentId&, Want&);
  Instant late_at(const Asked&) const;
  Instant hopeless_at(const Want&) const;
  void add_source_to(const ContentId&, Want&, const NodeId&);
  void drop_source_of(const ContentId&, Want&, const NodeId&);
  void remove(const ContentId&);
  void fail(const ContentId&, std::string why, ExchangeActions&);
  void expose(Instant now, const NodeId& liar, ExchangeActions&);
  void on_alarm(Instant now, const ContentId&, ExchangeActions&);
  std::string hopeless_text(const ContentId&, const Want&) const;

  Rng rng_;
  std::uint64_t wants_made_ = 0;
  Instant now_;  // of the last call that told it
  std::map<ContentId, Want> wants_;
  std::map<NodeId, Source> sources_;
  std::set<std::pair<Instant, ContentId>> alarms_;
  std::set<NodeId> freed_;  // sources with a place in their window that nobody has taken yet
  std::map<Read, std::uint64_t> reads_;  // what the disk was asked for -> length that was named
  std::set<NodeId> liars_;
};

}  // namespace shoal
