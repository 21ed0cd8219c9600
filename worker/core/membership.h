#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "node/protocol/rng.h"
#include "worker/core/node_bag.h"
#include "worker/core/outbox.h"
#include "worker/core/own_records.h"

namespace shoal {

// Which other nodes this one knows, and which it is linked to. A node dials a coordinator,
// announces itself, learns a sample and leaves; it keeps links to a handful of workers, and dials
// others when there is something to say to them. Peers found once are remembered, so that a node
// finds its way back when every coordinator is gone.
//
// A network that is cut in two fills up on both sides: each node finds its handful on its own side,
// and when the cut heals nobody is short of peers. So each dials somebody at random now and then
// whom it does not need, beside its handful, and keeps those few that turn out to be of use.
class Membership {
 public:
  struct LinkState {
    Role role = Role::kWorker;
    NodeId node;  // whose session it is; else the peer itself
    std::string address;
    LinkPath path = LinkPath::kDirect;
    bool announced = false;  // coordinators: what we came for
    bool sampled = false;
    bool left = false;       // dropped; the transport is still to tell
    bool farewell = false;   // has been told to forget us, and drops the link when it has
    std::uint64_t told = 0;  // the change of the own record that it was last told of
    Instant used;            // when it last said something
  };

  Membership(const PeerConfig& config, const Signer& signer, const SignatureChecker& checker,
             Rng rng);

  // A record from the disk, and its place there; nothing: it has none, as in earlier versions.
  void recover(const Signed& record, std::optional<std::uint64_t> place);
  void on_started(Instant now, Outbox&);
  void on_link_up(Instant now, const LinkUp&, Outbox&);
  void on_link_lost(Instant now, const LinkLost&, Outbox&);
  void on_announced(Instant now, const NodeId& from, Outbox&);
  // A coordinator does not take this node's record.
  void on_refused(Instant now, const NodeId& from, const Refused&, Outbox&);
  void on_sample(Instant now, const NodeId& from, const Sample&, Outbox&);
  void on_sample_request(Instant now, const NodeId& from, const SampleRequest&, Outbox&);
  void on_deadline(Instant now, Outbox&);
  std::optional<Instant> next_deadline() const;

  // Takes in a record that somebody sent. False: it does not hold, or is of another pool.
  bool learn(Instant now, const Signed& record, Outbox&);
  // Dials `node` unless it is linked, being dialled, unknown, or was out of reach a moment ago.
  void reach(Instant now, const NodeId& node, Outbox&);
  // Those to ask for what `node` has: itself, dialled if need be, and the sessions of it that have
  // come by themselves; then there is nobody to dial.
  std::vector<NodeId> reach_all(Instant now, const NodeId& node, Outbox&);
  bool linked(const NodeId& node) const { return links_.contains(node); }
  // `node` has said something. False: it is not linked.
  bool note_use(Instant now, const NodeId& node);
  bool reachable(const NodeId& node) const;
  // As its record says, or what this node knows of itself: not through relays alone.
  bool dialable(const NodeId& node) const;
  const std::map<NodeId, LinkState>& links() const { return links_; }
  // The node whose key stands behind `peer`.
  const NodeId& node_of(const NodeId& peer) const;
  std::vector<NodeId> linked_workers() const;
  std::optional<Signed> record_of(const NodeId& node) const;
  const std::optional<NodeRecord> what_of(const NodeId& node) const;
  Signed own_record(Instant now);
  // The relays through which this node can be reached; others are told.
  void set_via(Instant now, const std::vector<Via>& via, Outbox&);
  const std::vector<Via>& via() const { return via_; }
  // Its links, by the way they go.
  void fill(WorkerStatus&) const;
  // While another process has this node's key, and was heard of lately: what to do about that.
  std::string twin_text(Instant now) const;
  // The own record has changed: others are told.
  void announce(Instant now, Outbox&);
  // This node is about to end: the coordinators that have its record are told to forget it, and
  // nobody is looked for any more.
  void leave(Outbox&);
  // Nobody is left to tell.
  bool has_left() const;
  void check_invariants() const;

 private:
  struct Contact {
    std::optional<Signed> record;
    NodeRecord what;  // of the record; for a door without one, only endpoints
    bool door = false;
    bool announced = false;      // coordinators: it has our record
    std::uint32_t failures = 0;  // in a row: dials, and links that broke soon after they were up
    std::size_t way = 0;         // the one to try: stays where it was of use
    Instant up_since;
    Instant not_before;                  // when it may be dialled again
    std::optional<std::uint64_t> place;  // of its record, on disk
  };
  UnixMs unix_ms(Instant now) const;
  // A record of this node that somebody had: is it this process's own?
  void look_at_own(Instant now, const Signed& record, const NodeRecord& what, Outbox& out);
  void show_other_record(const LinkUp& up, Outbox& out) const;
  void dial(const NodeId& node, Contact& contact, Outbox& out);
  void dial_doors(Instant now, Outbox& out);
  void keep_active(Instant now, Outbox& out);
  struct Candidates {
    std::vector<NodeId> now;
    bool some_later = false;  // who was out of reach a moment ago
  };
  Candidates candidates(Instant now) const;
  void look_further(Instant now, Outbox& out);
  void end_visit(const NodeId& node, Outbox& out);
  void say_farewell(const NodeId& node, Contact& contact, Outbox& out);
  void note_if_idle(const NodeId& node);
  Duration door_pause() const;
  Duration jittered(Duration d);
  void make_room();
  void forget(std::map<NodeId, Contact>::iterator contact);
  void keep_on_disk(Contact& contact, Outbox& out);

  const PeerConfig& config_;
  const Signer& signer_;
  const SignatureChecker& checker_;
  Rng rng_;
  std::map<NodeId, Contact> contacts_;
  std::set<std::uint64_t> free_places_;  // on disk, where there are kKnownPeers
  std::map<NodeId, LinkState> links_;
  // Contacts that may be forgotten: who leads a job may know thousands of others, all linked, and
  // is told of one more again and again.
  NodeBag idle_;
  std::set<NodeId> dialling_;  // dialled, and not answered yet
  std::map<NodeId, std::uint64_t> cookies_;
  std::optional<Instant> announce_at_;
  std::optional<Instant> active_at_;   // when to look for more peers
  std::optional<Instant> further_at_;  // when to dial somebody beside the handful
  std::vector<NodeId> further_;        // those that were, the oldest first
  Duration visits_every_;              // to the doors
  std::uint32_t door_failures_ = 0;
  std::uint32_t lonely_ = 0;  // visits to the doors in a row that led to nobody
  std::optional<Signed> own_;
  UnixMs own_sequence_ = 0;
  OwnRecords own_records_;
  struct Twin {
    std::string endpoint;
    Instant heard_of;
    Instant told;  // people, and the others
  };
  std::optional<Twin> twin_;
  std::optional<Instant> refusal_told_;
  bool leaving_ = false;
  std::uint64_t changes_ = 0;  // of what it says, not of its age alone
  std::vector<Via> via_;
};

}  // namespace shoal
