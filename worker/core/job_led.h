#pragma once

#include <algorithm>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "node/protocol/terms.h"
#include "worker/core/batches.h"
#include "worker/core/copy_book.h"
#include "worker/core/delivery.h"
#include "worker/core/lease_book.h"
#include "worker/core/outbox.h"
#include "worker/core/unit_map.h"
#include "worker/core/unit_states.h"
#include "worker/core/usage_tally.h"

namespace shoal {

// A worker says how many it has; nobody has more.
inline constexpr std::uint32_t kThreadsMax = 1024;
// Of one job, that have failed on somebody and have not ended: each failure is kept as it was
// signed, with what the kernel said.
inline constexpr std::size_t kFailingUnitsMax = 16'384;

// What all jobs of one steward share. References outlive the job.
struct StewardContext {
  NodeId self;
  const PeerConfig& config;
  const Signer& signer;
  const SignatureChecker& checker;
};

// One job, from a steward's side: which units have ended, and how. That is its ledger, which it
// keeps whether it leads the job or follows another. While it leads, also: who computes which
// units, and what they committed and showed. Rules (why each is there):
//
// - A first replica is leased in long runs and may be stolen. A further replica is leased only once
//   somebody committed, in the same runs, so that two batches usually have the same bounds and
//   comparing two roots is enough.
// - Nobody chooses what he verifies: the leader picks from a random place. Only workers that were
//   given a unit count as evidence for it.
// - Batches are opened when enough replicas have committed, never earlier; outputs travel once.
// - Where digests differ, only those units get another replica, up to kExtraReplicas.
// - The leader does not verify in its own job as long as anybody else can; where it must, the
//   evidence says so (`unblinded`).
// - A worker on which units fail that others compute is at fault itself. It rests for a while, so
// that
//   it does not go through the whole job.
// - What is waited for must come to an end: a worker that holds nothing and says nothing for longer
//   than a unit may take is nobody that a unit could wait for.
// - Ledgers merge by union: a receipt proves itself, wherever it came from, and the first end of a
//   unit stands. Leases and evidence of a leader die with it; workers bring theirs to the next one,
//   with the papers (Grant) that show they were given in order.
class JobLed {
 public:
  JobLed(const StewardContext& context, Signed manifest, Manifest what, Rng rng);

  const JobId& id() const { return id_; }
  const Manifest& manifest() const { return *manifest_; }
  const Signed& signed_manifest() const { return signed_manifest_; }
  JobPhase phase() const { return phase_; }
  // Receipts that were stored before a restart, in any order.
  void recover(const Receipt& receipt);
  void recover_control(const Signed& control, const Control& what);
  // Program and inputs are here.
  void start(Outbox&);
  // Leads from now on, under this epoch: hands out what has not ended.
  void lead(Instant now, std::uint64_t epoch, Outbox&);
  // Leads no more: forgets leases and evidence, keeps the ledger.
  void follow();
  bool leading() const { return leading_; }
  // Who keeps it; empty where the submitter named nobody.
  const TermChain& terms() const { return terms_; }
  const Term& term() const { return term_; }
  void set_terms(TermChain terms);
  // Has units that have not ended, and is not cancelled.
  bool active() const { return phase_ == JobPhase::kRunning || phase_ == JobPhase::kPaused; }
  // Nothing of it will be computed any more. Neither: its program is still being fetched.
  bool over() const {
    return phase_ == JobPhase::kDone || phase_ == JobPhase::kCancelled || units_.all_ended();
  }
  bool wants_workers() const { return leading_ && phase_ == JobPhase::kRunning; }
  // The epoch of its leases: when it began to lead.
  std::uint64_t epoch() const { return epoch_; }
  Instant leads_since() const { return leads_since_; }
  const RangeSet& ended() const { return units_.ended(); }
  // A receipt of another steward's, which was checked. False: nothing in it is new.
  bool merge(Receipt receipt, Outbox&);

  // A worker that may take part; `address` is where it was seen. Itself included.
  void worker_here(const NodeId& worker, std::uint32_t threads, const std::string& address,
                   const std::optional<Signed>& record);
  // Its link was away: what it was asked meanwhile, and has not answered, is asked again.
  void worker_back(const NodeId& worker, Outbox&);
  // False: it had no part in the job.
  bool worker_gone(Instant now, const NodeId& worker);
  // It will compute none of its units, and says why.
  void worker_declines(Instant now, const NodeId& worker, const std::string& why);

  void on_work_request(Instant now, const NodeId& from, const WorkRequest&, Outbox&);
  // False: it is about leases of another epoch, of which this leader knows nothing.
  bool on_report(Instant now, const NodeId& from, const LeaseReport&, Outbox&);
  void on_rejoin(Instant now, const NodeId& from, const Rejoin&, Outbox&);
  void on_transfer(Instant now, const NodeId& from, const TransferNotice&, Outbox&);
  void on_commit(Instant now, const NodeId& from, const CommitNotice&, Outbox&);
  void on_state(const NodeId& from, UnitState state, Outbox&);
  void on_failure(Instant now, const NodeId& from, const Signed& failure, Outbox&);
  void on_reveal(Instant now, const NodeId& from, Reveal, Outbox&);
  void on_verdict(Instant now, const NodeId& from, const Signed& verdict, Outbox&);
  // True: it is news.
  bool on_control(Instant now, const Signed& control, Outbox&);
  // The submitter's last word on whether it goes on, and on its priority: neither hides the other.
  std::vector<Signed> controls() const;
  std::optional<Signed> cancelled_by() const {
    return phase_ == JobPhase::kCancelled ? on_going_on_.control : std::nullopt;
  }
  void on_deadline(Instant now, Outbox&);
  std::optional<Instant> next_deadline() const;

  Delivery& delivery() { return delivery_; }
  CopyBook& copies() { return copies_; }
  const CopyBook& copies() const { return copies_; }
  // It was given units of this job, by this leader.
  bool has_part(const NodeId& worker) const {
    const auto member = members_.find(worker);
    return member != members_.end() && member->second.knows_manifest;
  }
  JobStatus status(Instant now) const;
  void storage_trouble(std::string what) { storage_trouble_ = std::move(what); }
  void check_invariants() const;

 private:
  struct Member {
    std::uint32_t threads = 1;
    std::uint64_t unit_ns = 0;
    std::string address;
    std::optional<Signed> record;
    bool linked = false;
    bool asked = false;  // has asked for units of this job
    bool knows_manifest = false;
    bool hungry = false;          // went away empty-handed
    bool sent_to_steal = false;   // and was told whom to ask, since it was last given units
    bool has_replicas = false;    // or had: whoever is to verify them must not be of its block
    std::uint64_t delivered = 0;  // units that it has committed, and did not fail to show
    std::uint32_t refuted = 0;    // units that failed here alone, since it last committed any
    std::string declined;         // why its owner will have nothing to do with it
    Instant rests_until;          // it is given nothing before
    Instant heard;                // it asked, or did something with what it was given
    Instant committed;            // the last time: then it began what it holds next
    Instant progressed;           // the last time, to what it had been given
    Instant gone;                 // its link was lost then, and what was under way on it
    bool to_show = false;         // since then it has shown no papers
    bool stalled = false;         // some of its replicas may be kStalled
  };
  // A run of ranges that is about to be leased to one worker.
  struct Pick {
    LeaseKind kind = LeaseKind::kPrimary;
    std::vector<Range> ranges;
    std::uint64_t units = 0;
  };

  // --- ledger (job_led.cpp) ---
  void count_ends(const Receipt& receipt);

  // --- a leader that is new to its workers (job_rejoin.cpp) ---
  std::optional<RejoinReply::Lease> rejoin_part(Instant now, const NodeId& from,
                                                const Rejoin::Part&, std::size_t& room);
  std::optional<Grant> checked_paper(const NodeId& from, const Signed& paper) const;
  RangeSet take_over(const NodeId& from, std::uint64_t lease, LeaseKind, const RangeSet& held,
                     std::size_t ranges_max);
  std::vector<Range> open_ranges() const;
  Signed paper_for(const NodeId& worker, std::uint64_t lease, LeaseKind,
                   const std::vector<Range>& ranges) const;

  // --- which units (job_picks.cpp) ---
  std::uint64_t allowance(const NodeId& worker, const Member& member) const;
  Pick pick_for(Instant now, const NodeId& worker, const Member& member);
  Pick pick_fresh(const NodeId& worker, const Member& member);
  Pick pick_verify(const NodeId& worker, const Member& member);
  Pick pick_half_leased(Instant now, const NodeId& worker, const Member& member);
  Duration patience_with(std::uint64_t unit_ns) const;
  bool all_late(Instant now, const UnitMap::Segment&) const;
  bool eligible(const UnitMap::Segment&, const NodeId& worker, const Member&) const;
  bool leader_must_verify(const UnitMap::Segment&) const;
  bool blind_verifiers_suffice() const;
  std::uint64_t unit_ns_of(const Member&) const;
  Duration longest_primary() const;
  std::uint64_t units_for(const Member&, Duration) const;
  // Takes a member out of the counts before it is changed (-1), and back in afterwards (+1): with
  // thousands of members nobody counts them anew for each.
  void count(const NodeId& worker, const Member& member, int sign);
  // It is here, and no unit may wait for it, until it asks again.
  void count_out(const NodeId& worker, Member& member);
  std::uint64_t threads_here() const { return std::max<std::uint64_t>(threads_here_, 1); }

  // --- which units once more, near the end (job_stragglers.cpp) ---
  struct Late {
    Duration more{};  // that the run is expected to take from now on
    UnitIndex first = 0;
    bool spare = false;  // more replicas are under way than it needs
  };
  void double_stragglers(Instant now, Outbox& out);
  std::list<Late> longest_to_go(Instant now);
  bool some_will_be_lost(Instant now, const std::list<Late>&) const;
  struct InHand {
    Instant begun;            // with the first of them
    std::uint64_t units = 0;  // that a worker is to compute, as far as they were counted
  };
  Instant begun_at(Instant now, const NodeId& worker) const;
  Duration more_time(Instant now, const Replica&, const InHand&) const;
  bool may_double(UnitIndex first, const NodeId& worker, const Member&) const;
  bool stands_still(Instant now, const NodeId& worker, const Member&) const;
  std::string what_never_ends(Instant now) const;

  // --- leasing (job_leasing.cpp) ---
  bool serve(Instant now, const NodeId& worker, Member& member, Outbox& out);
  void serve_hungry(Instant now, Outbox& out);
  void grant(Instant now, const NodeId& worker, Member& member, const Pick& pick, Outbox& out);
  void introduce(const NodeId& worker, Member& member, Outbox& out);
  void send_controls(const NodeId& worker, Outbox& out) const;
  bool offer_holders(const NodeId& worker, Member& member, Outbox& out);
  struct Stolen {
    std::vector<Range> moved;
    RangeSet stranded;  // signed away by the victim, and not for this thief
  };
  Stolen take_from_victim(const Transfer&, const Lease& lent, const Member& thief);
  void lend_stolen(Instant now, const Transfer&, std::uint32_t moves,
                   const std::vector<Range>& moved, Member& thief, Outbox&);
  void lapse(std::uint64_t lease, const RangeSet& units);
  void reject_stalled(Instant now, const NodeId& worker, Outbox& out);
  void reject_withheld(Instant now, std::uint64_t batch, Outbox& out);
  bool forgive_stalled(const NodeId& worker, Member&);
  void forgive_who_waits(Instant now, Outbox& out);
  void lapse_all(const NodeId& worker, Instant granted_by);
  void lapse_forgotten(const NodeId& worker, Member&);
  bool lapse_lost(Instant now, Outbox& out);
  Duration longest_lease() const;
  bool count_out_silent(Instant now);
  void fewer_are_left(Instant now);
  void forget_absent();

  // --- how far units have come (job_states.cpp) ---
  void send_states(const NodeId& worker, Member& member, const std::vector<Range>& ranges,
                   const NodeId& before, Outbox& out);
  bool may_go_on(UnitIndex unit, const NodeId& worker, const NodeId& before);

  // --- outputs that differ and may yet agree (job_equivalence.cpp) ---
  void ask_equivalence(Instant now, Range run, const std::vector<std::uint64_t>& batches,
                       Outbox& out);
  CompareRequest question_to_judges(UnitIndex unit,
                                    const std::vector<std::uint64_t>& batches) const;
  void ask_judge_again(const NodeId& worker, Outbox& out);
  void judges_are_late(Instant now, UnitIndex unit, Outbox& out);
  bool may_ask_more_equivalence() const;
  void ask_more_equivalence(Instant now, Outbox& out);

  // --- failures (job_failures.cpp) ---
  void blame(Instant now, const UnitMap::Segment&, Outbox& out);
  void fail_if_hopeless(UnitIndex unit, Outbox& out);
  void weigh_failures(Instant now, Outbox& out);

  // --- evidence (job_evidence.cpp) ---
  // More evidence than a receipt has room for is no better evidence.
  bool has_enough(const UnitMap::Segment& segment) const {
    return segment.count(ReplicaState::kCommitted) + segment.count(ReplicaState::kCompared) >=
           manifest_->quorum + limits::kExtraReplicas;
  }
  bool commit_one(Instant now, const NodeId& from, const Signed& commitment, Outbox& out);
  std::vector<Range> awaited_of(const NodeId& worker, Range range) const;
  void open_or_compare(Instant now, Range range, Outbox& out);
  bool request_reveals(Instant now, UnitIndex first, const UnitMap::Segment&, Outbox& out);
  using BatchesToShow = std::map<NodeId, std::set<std::uint64_t>>;
  RevealDetail detail_beside(const Batch& outputs_of, const Batch& batch, Range run) const;
  std::size_t shown_at_once(const NodeId& worker) const;
  BatchesToShow::const_iterator next_to_show() const;
  void ask_more_reveals(Instant now, Outbox& out);
  void ask_reveal(Instant now, std::uint64_t batch, RevealDetail, Outbox& out);
  void compare(Instant now, Range run, Outbox& out);
  void settle_run(Instant now, Range run, const std::vector<std::uint64_t>& batches,
                  const std::vector<std::size_t>& group, std::size_t best, std::size_t best_size,
                  Outbox& out);
  void fill_digests(const std::vector<Batch*>& batches);
  void compare_units(Instant now, Range run, const std::vector<std::uint64_t>& ids,
                     const std::vector<Batch*>& batches, Outbox& out);
  void need_another(Range run, const std::vector<std::uint64_t>& batches, std::uint32_t agreed,
                    Outbox& out);
  void weigh_stuck(Instant now, Outbox& out);
  bool anyone_left(const UnitMap::Segment&) const;
  void weigh_again(Instant now, Range range, Outbox& out);
  Receipt next_receipt(Range run, UnitEnd end);
  void accept(Range run, const std::vector<std::uint64_t>& agreeing, std::uint64_t outputs_from,
              std::vector<Signed> comparisons, Outbox& out);
  std::vector<std::uint64_t> two_that_differ(Range run, const std::vector<std::uint64_t>& batches);
  void dispute(Range run, const std::vector<std::uint64_t>& batches, Outbox& out);
  void reject_batch(Instant now, std::uint64_t batch, ReplicaState state, Outbox& out);
  void end_run(Range run, Receipt receipt, Outbox& out);
  void revoke(const NodeId& worker, const std::vector<Range>& ranges, Outbox& out);
  void finish_if_done(Outbox& out);

  StewardContext context_;
  JobId id_;
  Signed signed_manifest_;
  std::shared_ptr<const Manifest> manifest_;
  Rng rng_;
  TermChain terms_;
  Term term_;  // the last of them
  JobPhase phase_ = JobPhase::kFetching;
  bool paused_ = false;
  bool leading_ = false;
  UnitMap units_;
  LeaseBook leases_;
  Batches batches_;
  Delivery delivery_;
  CopyBook copies_;
  UnitStates states_;
  UsageTally usage_;
  std::map<NodeId, Member> members_;
  std::map<NodeId, Instant> lost_;  // whose link was lost, since; they may come back
  std::uint64_t gone_ = 0;          // times that a worker did not, and what it held went elsewhere
  std::uint64_t threads_here_ = 0;  // of all members that are linked
  std::uint32_t askers_ = 0;        // members other than the leader that are linked and have asked
  std::uint32_t others_here_ = 0;   // the same, whether they have asked or not
  bool weigh_stalled_ = false;      // who else is there for what is kStalled may have changed
  std::optional<Instant> weigh_waiting_;  // fewer are left for what waits: it may wait in vain
  std::deque<NodeId> hungry_;             // in the order in which they went away
  std::map<UnitIndex, std::vector<Signed>> failures_;
  // Batches to be shown as soon as their worker has answered what it was asked before.
  BatchesToShow to_show_;
  // Units whose outputs differ and are judged, by everybody who computed them: one judge alone
  // could be the one who is wrong.
  struct Judging {
    Instant due;
    std::vector<Hash256> digests;       // what they were asked about
    std::map<NodeId, Signed> verdicts;  // that all match
  };
  std::map<UnitIndex, Judging> comparing_;
  RangeSet to_compare_;  // when fewer are judged at once
  // Outputs that were to agree had to be judged: those of other units will differ as well.
  bool outputs_differ_ = false;
  std::uint64_t epoch_ = 0;
  Instant leads_since_;
  std::uint64_t next_sequence_ = 1;
  struct Word {
    std::uint64_t sequence = 0;
    std::optional<Signed> control;
  };
  Word& last_word(ControlCommand command) {
    return command == ControlCommand::kPriority ? on_priority_ : on_going_on_;
  }
  Word on_going_on_, on_priority_;
  std::int32_t priority_ = 0;
  std::uint64_t verified_ = 0, failed_ = 0, disputed_ = 0, moved_ = 0, replicas_ = 0,
                unblinded_ = 0;
  std::uint64_t job_unit_ns_ = 0;  // a running mean over all workers
  std::optional<Instant> next_straggler_look_;
  std::optional<Instant> rest_ends_;     // of the first one that rests
  std::optional<Instant> silence_look_;  // then silent workers are counted out
  // At first, a worker that is here and has not asked yet is believed to be about to.
  std::optional<Instant> settling_until_;
  std::string storage_trouble_;
};

}  // namespace shoal
