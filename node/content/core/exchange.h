#pragma once

#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "node/content/core/block_bits.h"
#include "node/content/core/block_check.h"
#include "node/content/core/block_dealer.h"
#include "node/content/core/content_actions.h"
#include "node/content/core/rate_limit.h"
#include "node/content/core/traffic.h"
#include "node/content/core/upload_queue.h"
#include "node/protocol/limits.h"
#include "node/protocol/range.h"
#include "node/protocol/rng.h"
#include "node/protocol/time.h"
#include "node/protocol/transport.h"

// The exchange of content as a state machine: fetches what its owner wants from any of several
// sources, block by block, checks every block against the id before it is stored, and serves the
// blocks that others ask for. Shared by workers and submitters.
//
// A swarm. Whoever fetches tells its sources which blocks it holds, and is told the same: then each
// is a source of the other. Of the blocks that a source holds, the one that the fewest others hold
// is asked for, so that what only one has is soon held by two. A source that holds everything is
// asked last: what anybody else has, and has time to send, is taken from him. When all is asked
// for, a block that does not come, or that another would send much sooner, is asked of a second
// source, and whoever is the slower is told so. A node that holds a content before the others come
// deals its blocks out among them (block_dealer.h), and so sends each of them once.
//
// What an attacker could try:
//  - wrong bytes: each block is checked by itself, so its sender is known, and out at once;
//  - to claim what it does not hold: each time costs it points, and after a few it is out;
//  - to claim nothing, or to be slow: others are asked; it holds back no more than its window;
//  - to promise and never to send: the same promise, or a link more, is no new hope for long;
//  - to name a content under a wrong length, so that nobody has it: another one counts as well,
//    until a block has shown which is right;
//  - to fill all places for sources with names, or with nodes that promise and send nothing: one
//    that is there takes the place of one that is not, or that was asked and was silent;
//  - to send what was not asked for: no more is taken than would have been asked for;
//  - to make tables grow: fans, sources and bits are bounded (limits.h, exchange_rules.h).
namespace shoal {

// Fetched and durable, or not to be had: `error` says what was asked and of whom.
struct ContentArrived {
  ContentId id;
  std::string error;
};

// "All of it is here", in as many messages as that takes.
std::vector<Holdings> holdings_of_all(const ContentId& id, std::uint64_t length);
// "It is here", for those who may be asked who has it. Of many blocks one is named, another one to
// each: who fetches it says so, and hears which it is to ask for.
Holdings holdings_for(const NodeId& to, const ContentId& id, std::uint64_t length);

// How far a fetch is.
struct ExchangeProgress {
  std::uint64_t bytes = 0;  // of the content, about
  std::uint64_t bytes_here = 0;
  std::size_t sources = 0;  // that blocks are under way from
  std::size_t linked = 0;   // sources that there is a link to
  std::string waits_for =
      {};  // it waits for others, since nobody has what is missing: who was asked
};

// How long a want whose sources are exhausted waits for others: where nothing of it is here, and
// where a part is, so that there must have been somebody who had it.
struct ExchangeWait {
  Duration for_first{};
  Duration for_rest{};
};

using ExchangeAction = std::variant<Send, OpenContent, StoreBlock, ReadBlock, ContentArrived>;
using ExchangeActions = std::vector<ExchangeAction>;

// Not thread-safe; never blocks. Each call returns all its actions.
class Exchange {
 public:
  // `check` says whether a block is the content's, and what its root is: the Merkle proof, save in
  // a simulation that would pay for hashing each byte a thousand times.
  using BlockCheck = std::optional<Hash256> (*)(const ContentId&, std::uint64_t length,
                                                const Block&);
  explicit Exchange(Rng rng, BlockCheck check = root_if_it_belongs);
  // In bytes a second, of the blocks alone; 0: no limit.
  void limit_rates(std::uint64_t upload, std::uint64_t download);
  // In bytes a month; what is over a cap is not sent, or not asked for.
  void limit_traffic(const TrafficCaps& caps, const Traffic& so_far, UnixMs unix_ms_at_zero);
  const Traffic& traffic() const { return meter_.traffic(); }

  // Wants a content. Sources are added as they are learned; with none the want waits `patience`,
  // and fails when all sources that were tried are exhausted for as long. One that is linked and
  // says that it holds what is missing is waited for longer: it may be slow, or its machine busy.
  // Wanting twice is once. Whoever wants it first may name a wrong length: as long as no block has
  // shown which is right, the last one counts.
  ExchangeActions want(Instant now, const ContentId&, std::uint64_t length,
                       const std::vector<NodeId>& sources, Duration patience = 30s);
  // One who is said to hold a part of it, by somebody who need not know.
  ExchangeActions add_hearsay(Instant now, const ContentId&, const NodeId&);
  // A source that is of no use any more, so that another can have its place.
  ExchangeActions leave_source(Instant now, const ContentId&, const NodeId&);
  // Somebody may yet be reached who has it: the want's patience begins anew.
  void hope(Instant now, const ContentId&);
  void forget(const ContentId&);
  // Sources that come meanwhile are asked as ever; it fails when none has come.
  void wait_for_others(const ContentId&, ExchangeWait);

  // `near`: it is in the same network, and asked before others are.
  ExchangeActions link_up(Instant now, const NodeId&, bool near = false);
  ExchangeActions link_lost(Instant now, const NodeId&);
  // Serves. What may be read, and by whom, is the owner's to decide before it calls.
  ExchangeActions on_request(Instant now, const NodeId& from, const BlockRequest&);
  void on_cancel(const NodeId& from, const BlockCancel&);
  // The transport has passed on one block that was sent to `reader`.
  ExchangeActions on_bulk_sent(Instant now, const NodeId& reader);
  ExchangeActions on_block(Instant now, const NodeId& from, Block);
  // As with requests, it is the owner's to decide whether `from` may know.
  ExchangeActions on_holdings(Instant now, const NodeId& from, const Holdings&);
  ExchangeActions on_opened(Instant now, const ContentOpened&);
  ExchangeActions on_stored(Instant now, const BlockStored&);
  ExchangeActions on_read(Instant now, BlockRead);
  ExchangeActions on_deadline(Instant now);
  std::optional<Instant> next_deadline() const;
  bool wants(const ContentId&) const;
  void add_wanted(std::set<ContentId>& wanted) const;
  std::optional<ExchangeProgress> progress(const ContentId&) const;
  // Who is known here to hold a part of it or to be about to, for those who ask.
  std::vector<NodeId> holders_of(const ContentId&) const;
  std::vector<NodeId> sources_of(const ContentId&) const;  // of a want
  // Of these, those that are linked and say that they hold what is missing.
  std::size_t suppliers_of(const ContentId&) const;
  // Whether `node` is a source of it, or would be if it were added.
  bool takes(const ContentId&, const NodeId& node) const;
  // A source that has what is missing here, or has not said yet.
  bool is_useful(const ContentId&, const NodeId&) const;
  // A source that was asked for blocks, and has sent nothing for longer than that should take.
  bool is_silent(const ContentId&, const NodeId&) const;
  bool has_sent(const ContentId&, const NodeId&) const;  // a block, and it is a source
  std::set<ContentId> wanted_of(const NodeId&) const;    // of which it is a source
  // Sources that sent a block which does not belong to the content.
  const std::set<NodeId>& liars() const { return liars_; }
  // Whether the answer to such a request is still waited for.
  bool is_asked(const NodeId& source, const BlockRequest&) const;
  void check_invariants() const;

 private:
  struct Source;
  struct Asked {
    NodeId source;
    const Source* state;  // of `source`
    Instant at;
    std::size_t ahead = 0;  // blocks that were asked of `source` before it, and had not come
  };
  // One source of one want.
  struct Offer {
    Source* source = nullptr;            // whose it is; outlives it
    unsigned refusals = 0;               // how often it said that it does not have it
    Instant away_until = {};             // after a refusal: not asked again before
    std::optional<BlockBits> held = {};  // nothing: it has not said, and may hold all
    std::uint64_t useful = 0;            // blocks in `missing` that `held` has
    int score = 0;
    unsigned taken_back = 0;  // how often it said that what it held is no more to be had of it
    unsigned links = 0;       // since its last good block
    bool greeted = false;     // it was told what is here, on the link that stands
    std::optional<Instant> asked_holders = {};
  };
  // A block, counted in blocks and not in leaves, is either here, or in exactly one of `missing`,
  // `in_flight` and `storing`. One that is in flight may be asked of a second source, too.
  struct Want {
    std::uint64_t order = 0;  // of arrival: wants of one source take turns in this order
    std::uint64_t length = 0;
    bool length_shown = false;  // by a block
    std::optional<std::uint64_t> length_before = {};
    bool opened = false;    // the disk has said what is here
    bool reopened = false;  // and was asked a second time
    Duration patience{};
    Instant hope_at;  // the last moment that gave hope: a block, a new source
    ExchangeWait wait = {};
    std::optional<Instant> waits_since = {};
    std::string waits_for = {};
    std::uint64_t at_random = 0;  // blocks still to be picked at random
    unsigned liars = 0;           // sources dropped for wrong bytes
    unsigned in_vain = 0;         // sources dropped for what they claimed, and did not send
    unsigned left = 0;            // sources that had nothing, and were left for others
    std::map<NodeId, Offer> sources;
    std::set<NodeId> out;  // no sources any more: they claimed too often what they had not
    RangeSet missing;
    std::map<std::uint64_t, Asked> in_flight;
    std::map<std::uint64_t, Asked> asked_again;  // of those in flight
    std::set<std::uint64_t> storing;
    BlockBits here;                     // stored
    std::vector<std::uint16_t> copies;  // of each block, among the sources that have said
    std::optional<Instant> alarm;       // its entry in alarms_
  };
  // A node that is linked, or a source of a want, or both.
  struct Source {
    bool linked = false;
    bool missed = false;  // its link has ended, or it was dialled in vain, since the last one
    bool near = false;
    unsigned late = 0;    // times in a row that it was silent for longer than its timeout
    Instant late_marked;  // when that was last counted
    Instant heard_at;     // its last good block, of any want
    std::set<ContentId> wants;
    std::set<std::pair<ContentId, std::uint64_t>> in_flight;
    std::set<std::pair<std::uint64_t, ContentId>> hungry;  // wants that it could be asked for more
    std::uint64_t last_served = 0;                         // order of the want asked for last
    // Its rate, in bytes a second, measured while there was something to send.
    double rate = 0;
    Instant measured_from = {};
    std::uint64_t measured_bytes = 0;
    std::size_t window = limits::kContentWindow;
    std::size_t window_aim = limits::kContentWindow;
  };
  struct Question {  // the disk was asked what is here
    std::uint64_t length = 0;
    bool holds_some = false;  // who asks holds a part already
  };
  // Who has said something about a content.
  struct Fans {
    std::set<NodeId> fetching;  // they are told what comes
    std::set<NodeId> holding;   // all that they will ever hold
    std::map<NodeId, Question> unanswered;
    std::optional<BlockDealer> dealer;  // if it was whole here when they came
    bool empty() const { return fetching.empty() && holding.empty(); }
  };
  using Read = std::pair<NodeId, std::pair<ContentId, std::uint64_t>>;

  bool may_ask(const Want&) const;
  bool may_be_asked(Instant now, const ContentId&, const Want&, const Offer&) const;
  std::optional<NodeId> best_source(Instant now, const ContentId&, const Want&,
                                    const std::set<NodeId>& not_these);
  bool has_place(const Source&) const;
  bool others_can_send(Instant now, const ContentId&, const Want&, const NodeId& but,
                       std::uint64_t block) const;
  std::optional<std::uint64_t> pick_block(Instant now, const ContentId&, Want&, const NodeId&);
  std::optional<std::uint64_t> rarest_block(const Want&, const Offer&, bool any);
  bool ask(Instant now, const ContentId&, Want&, const NodeId&, ExchangeActions&);
  void request(Instant now, const ContentId&, const Want&, std::uint64_t block, const NodeId&,
               ExchangeActions&);
  Asked asked_now(Instant now, const NodeId&) const;
  static Duration time_for(const Source&, std::size_t blocks);
  static Instant due_at(const Asked&);
  std::optional<NodeId> second_source(Instant now, const Want&, std::uint64_t block,
                                      const Asked&) const;
  void ask_again(Instant now, const ContentId&, Want&, ExchangeActions&);
  void drop_second(const ContentId&, Want&, std::uint64_t block, const NodeId* told,
                   ExchangeActions*);
  std::uint64_t blocks_under_way() const;  // of all wants, from all sources
  void no_more_missing(Want&, std::uint64_t block);
  void missing_again(Want&, std::uint64_t block);
  void measure(Instant now, Source&, std::size_t bytes);
  void request_more(Instant now, const ContentId&, Want&, ExchangeActions&);
  void feed(Instant now, const NodeId&, ExchangeActions&);
  void settle(Instant now, ExchangeActions&);
  void take_back(const ContentId&, Want&, std::uint64_t block);
  void take_back_all(const ContentId&, Want&, const NodeId&);
  void note_hunger(Instant now, const ContentId&, Want&);
  void note_hunger_for(Instant now, const ContentId&, const Want&, const Offer&);
  void set_alarm(Instant now, const ContentId&, Want&);
  void set_alarms(Instant now);
  Instant late_at(const Asked&) const;
  Instant hopeless_at(const Want&) const;
  static Duration wait_of(const Want&);
  bool begin_to_wait(Instant now, const ContentId&, Want&);
  void begin_anew(Instant now, const ContentId&, std::uint64_t length, ExchangeActions&);
  void add_source_to(const ContentId&, Want&, const NodeId&);
  void drop_source_of(const ContentId&, Want&, const NodeId&);
  void remove(const ContentId&);
  void arrived(const ContentId&, std::uint64_t length, std::optional<std::uint64_t> last_block,
               ExchangeActions&);
  void fail(const ContentId&, std::string why, ExchangeActions&);
  void expose(Instant now, const NodeId& liar, ExchangeActions&);
  void on_alarm(Instant now, const ContentId&, ExchangeActions&);
  // --- exchange_serving.cpp ---
  void read_next(Instant now, ExchangeActions&);
  Send nothing_for(const NodeId& reader, const BlockRequest&) const;
  void forget_reader(const NodeId&);
  // --- exchange_swarm.cpp ---
  void greet(Instant now, const ContentId&, Want&, ExchangeActions&);
  void greet_one(Instant now, const ContentId&, Want&, const NodeId&, ExchangeActions&);
  bool take_holdings(const ContentId&, Want&, const NodeId&, const Holdings&);
  void hand_back(const ContentId&, const Want&, const NodeId&, const Holdings&,
                 ExchangeActions&) const;
  void take_handed_back(const NodeId& fan, const Holdings&, ExchangeActions&);
  void forget_holdings(Want&, Offer&);
  void claimed_in_vain(const ContentId&, Want&, const NodeId&, std::uint64_t block);
  void blame(const ContentId&, Want&, const NodeId&);
  void take_all_back(const ContentId&, Want&, const NodeId&);
  bool sends_any(Instant now, std::uint64_t length) const;
  void tell_fans(const ContentId&, std::uint64_t length, std::uint64_t block, bool fetching,
                 ExchangeActions&);
  void note_untold_fans(const ContentOpened&);
  void answer_fans(const ContentOpened&, ExchangeActions&);
  void deal(const ContentId& id, std::uint64_t length, const NodeId& fan,
            const std::vector<std::uint64_t>& blocks, ExchangeActions&) const;
  void tell_idle_fans(Instant now, ExchangeActions&);
  const Offer* offer_of(const ContentId&, const NodeId&) const;
  static bool is_silent(const Offer& offer) {
    return offer.source->linked && offer.source->late > 0 && offer.score <= 0;
  }
  // Whose place among the sources another can have.
  std::optional<NodeId> one_to_leave_for(const Want&, const NodeId& newcomer) const;
  bool note_fan(const NodeId&, const Holdings&);
  void forget_fan(const NodeId&, const ContentId&);
  std::string hopeless_text(const ContentId&, const Want&) const;

  Rng rng_;
  BlockCheck check_;
  std::uint64_t wants_made_ = 0;
  Instant now_;  // of the last call that told it
  std::map<ContentId, Want> wants_;
  std::map<NodeId, Source> sources_;
  std::set<std::pair<Instant, ContentId>> alarms_;
  std::set<ContentId> stale_alarms_;  // of wants that changed in this call
  std::set<NodeId> freed_;  // sources with a place in their window that nobody has taken yet
  std::map<ContentId, Fans> fans_;
  std::set<ContentId> dealing_;                 // fans have a dealer
  std::map<NodeId, std::set<ContentId>> said_;  // who is a fan of what
  std::map<Read, std::uint64_t> reads_;  // what the disk was asked for -> length that was named
  UploadQueue uploads_;
  RateLimit download_;
  TrafficMeter meter_;
  bool starved_ = false;  // a block was not asked for because of that
  std::set<NodeId> liars_;
};

}  // namespace shoal
