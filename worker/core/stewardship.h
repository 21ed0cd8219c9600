#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "node/protocol/steward_choice.h"
#include "worker/core/admission.h"
#include "worker/core/custody.h"
#include "worker/core/in_vain.h"
#include "worker/core/job_led.h"
#include "worker/core/membership.h"

namespace shoal {

// The jobs that this node keeps: taking them over from their submitters, durably before it says so;
// keeping them over a restart; leading some, and following the leaders of others. Rules (why each
// is there; stewards.capnp has the conversation):
//
// - A follower reads the leader's receipts as they are made, and believes none that it has not
//   checked. So it can lead at any moment, and a leader that lies is noticed.
// - Leaders beat. Whose link is lost, or who is silent for too long, is followed by the next in
//   rank, under a higher epoch; each rank waits longer than the one before, so that as a rule one
//   alone tries. Who slept itself accuses nobody.
// - A beat is a promise: a leader whose disk does not answer, or fails, does not beat, since
// nothing
//   that it is told gets any further. A follower in the same trouble would do no better, and leaves
//   it to the others.
// - A leader that beats and does nothing else is noticed by the ledger, which stands still, and is
//   asked how it is: see stewardship_watch.cpp for what counts as nothing.
// - Of two terms the better one wins wherever they meet (terms.h). Who led under the other steps
//   down, and the leader reads from it what it lacks: ledgers merge by union.
// - After a restart a leader waits a moment for news before it leads again, and always under a new
//   epoch: its workers bring their leases anew.
// - A steward that stays away is replaced, with the consent of a majority.
class Stewardship {
 public:
  Stewardship(const PeerConfig& config, const Signer& signer, const SignatureChecker& checker,
              Membership& membership, Custody& custody, Rng rng);

  void recover(const std::vector<StoredFact>& facts);
  // After a restart: fetches what is missing, and goes on.
  void on_started(Instant now, Outbox&);

  void on_submit(Instant now, const NodeId& from, const Submit&, Outbox&);
  void on_content(Instant now, const ContentId&, const std::string& error, Outbox&);
  void on_stored(Instant now, const std::vector<StoredFact>& facts, const std::string& error,
                 Outbox&);
  // The disk has not answered a store since then; nothing: it has answered all.
  void disk_waits(std::optional<Instant> since) { disk_waits_ = since; }
  void on_status_request(Instant now, const NodeId& from, const JobStatusRequest&, Outbox&);
  void on_control(Instant now, const NodeId& from, const ControlRequest&, Outbox&);
  void on_job_over(const NodeId& from, const JobOver&, Outbox&);
  void on_link_up(Instant now, const NodeId&, Outbox&);
  void on_link_lost(Instant now, const LinkLost&, Outbox&);
  void on_deadline(Instant now, Outbox&);
  std::optional<Instant> next_deadline() const;

  // --- terms (stewardship_terms.cpp) ---
  void on_term_notice(Instant now, const NodeId& from, const TermNotice&, Outbox&);
  // Terms that came round, from whomever: a leader may have been followed by one that it has never
  // met, where a submitter that crashed had given the job to others before.
  void hear_of(Instant now, const JobId& id, const TermChain& terms, Outbox& out);
  void on_heartbeat(Instant now, const NodeId& from);
  // The notice of a job that this node keeps.
  TermNotice notice_of(const JobId&) const;

  // --- leaders that do nothing (stewardship_watch.cpp) ---
  // `in_vain`: what becomes of this node's own requests for units.
  void on_leader_status(Instant now, const NodeId& from, const JobStatus&, InVain in_vain, Outbox&);

  // --- ledgers of others (stewardship_ledgers.cpp) ---
  void on_results(Instant now, const NodeId& from, const Results&, Outbox&);
  // Who may read the ledger: the submitter, and those who keep the job as well.
  bool may_read(const JobId&, const NodeId& reader) const;

  // --- replacing stewards (stewardship_enlist.cpp) ---
  void on_enlist(const NodeId& from, const Enlist&, Outbox&);
  void on_enlist_reply(Instant now, const NodeId& from, const EnlistReply&, Outbox&);
  void on_endorse_request(const NodeId& from, const EndorseRequest&, Outbox&);
  void on_endorse(Instant now, const NodeId& from, const Endorse&, Outbox&);
  // The owner refuses other things than before: what he refuses is kept no more.
  void reconsider(Outbox&);

  // --- copies of what is too large for a ledger (stewardship_copies.cpp) ---
  void on_own_receipts(Instant now, ReceiptsLoaded& loaded, Outbox&);
  void on_kept(Instant now, const NodeId& from, const Kept&, Outbox&);
  // Somebody asks who holds it.
  void on_sought(Instant now, const NodeId& from, const ContentId&, Outbox&);
  // As far as it is a content of a job that is kept here.
  std::set<NodeId> holders_of(const ContentId&) const;

  bool keeps(const JobId& id) const { return jobs_.contains(id); }
  // It kept the job until its owner refused it: others go on, so it is not over.
  bool left(const JobId& id) const { return left_.contains(id); }
  // A job that this node keeps, durably; and one that it leads. Nothing where it does not.
  JobLed* find(const JobId&);
  JobLed* led(const JobId&);
  std::vector<JobStatus> statuses(Instant now) const;
  // Jobs whose workers were not told yet who leads them.
  std::vector<JobId> take_news() { return std::exchange(news_, {}); }
  std::vector<JobId> running() const;

  std::vector<ContentNeed> take_content_needs() { return std::exchange(needs_, {}); }
  std::uint64_t jobs_led() const;
  // The contents of the jobs that are kept here.
  void add_needed(std::set<ContentId>& needed) const;
  void check_invariants() const;

 private:
  struct Reading {  // of another steward's ledger
    std::uint64_t cursor = 0;
    bool once = false;
    std::uint64_t bytes = 0;  // since more was asked for
  };
  struct Watch {                     // of a leader that is linked and beats
    std::uint64_t ended = 0;         // units in the ledger here, when the watch began
    std::optional<Instant> look_at;  // if it has not moved by then
    bool asked = false;              // how the leader is, and not answered yet
    bool suspected = false;          // its last answer told of nothing that it does
    std::uint32_t quiet = 0;         // answers in a row that had reasons for it to stand still
    std::uint32_t accusations = 0;   // since it moved
  };
  struct Enlisting {  // a worker that is to become a steward
    NodeId candidate;
    Instant since;
    std::optional<SignedTerm> proposal;  // once it is ready
  };
  struct Entry {
    std::unique_ptr<JobLed> job;
    std::set<ContentId> missing;
    bool durable = false;               // its manifest and terms are on disk
    bool begun = false;                 // and its content is here
    std::vector<NodeId> to_answer;      // sessions that wait for the acknowledgement
    std::optional<NodeId> enlisted_by;  // a leader that does
    TermChain kept_under;  // the last terms that named this node, where others are in force
    std::optional<Signed> snapshot;
    UnixMs ended = 0;                    // when; 0: it has not
    std::optional<Instant> resume_at;    // led before a restart: leads again then
    std::map<NodeId, Instant> away;      // fellow stewards that are not linked, since
    std::map<NodeId, Instant> resigned;  // and those that keep it no more, by their own word
    std::uint32_t contests = 0;          // elections won here since a leader was last linked
    std::map<NodeId, Reading> readings;  // by whose ledger it is
    Watch watch;
    std::optional<Enlisting> enlisting;
    std::map<NodeId, Instant> declined;     // workers that would not be stewards, since
    std::optional<Instant> fetch_again_at;  // content that nobody had
    std::map<NodeId, Instant> unwilling;    // workers that would not keep copies, since
    std::uint64_t copy_cursor = 0;          // the first lot that was not looked at yet
    bool sought_in_vain = false;            // its submitter does not reach who cannot be dialled
    std::uint32_t inputs_held = 0;          // as JobStatus has them, when they were last counted
    std::uint64_t thin_outputs = 0;
  };
  struct CopyAsk {  // a worker that is to keep a copy
    JobId job;
    std::uint64_t lot = 0;
    NodeId worker;
    Instant since;
    bool sent = false;  // else its receipt is being read from the disk
  };
  Entry* entry(const JobId&);
  const Entry* entry(const JobId&) const;
  void answer(const NodeId& to, const JobId&, SubmitOutcome, std::string detail, Outbox&);
  void answer_waiting(Entry&, SubmitOutcome, const std::string& detail, Outbox&);
  std::optional<Objection> objection(const Signed&, const Manifest&) const;
  Entry& add_entry(const Signed& manifest, Manifest what, TermChain terms);
  void make_durable(Entry&, Outbox&);
  void store_terms(const Entry&, Outbox&);
  void begin(Instant now, Entry&, Outbox&);
  void introduce_workers(Entry&);
  void make_room(Outbox&);
  void need_contents(Entry&);
  void note_end(Instant now, Entry&, Outbox&);
  void forget_expired(Instant now, Outbox&);
  JobStatus status_of(Instant now, const Entry&) const;
  UnixMs unix_ms(Instant now) const;
  UnixMs kept_until(const Entry&) const;

  bool fellow(const Entry&, const NodeId&) const;  // another steward of the term in force
  bool has_kept(const Entry&, const NodeId&, const TermChain& by) const;
  void present_to(const NodeId& steward, const Entry&, Outbox&) const;
  bool leads_by_term(const Entry&) const;
  // A fellow, or this node, that can be counted on.
  bool steward_here(const Entry&, const NodeId&) const;
  void leave_again(const NodeId& fellow, const JobId&, Outbox&) const;
  void on_declined(Instant now, Entry&, const NodeId& from, const std::string& why, Outbox&);
  void take_lead(Instant now, Entry&, Outbox&);
  void elect_self(Instant now, Entry&, const std::string& why, Outbox&);
  void adopt_terms(Instant now, Entry&, TermChain, Outbox&);
  void meet_fellows(Instant now, Entry&, Outbox&);
  void note_away(Instant now, Entry&, const LinkLost&);
  void tell_fellows(Entry&, const Message&, Outbox&);
  TermNotice notice_of(const Entry&) const;
  std::optional<Instant> takeover_at(const Entry&) const;
  void pardon(Instant then, Entry&);
  void tick(Instant now, Outbox&);
  bool disk_answers(Instant now) const;

  static void watch_anew(Entry&);
  void watch_leader(Instant now, Entry&, Outbox&);
  Duration patience_of(const Entry&) const;
  bool does_nothing(Entry&, const JobStatus&, InVain, Outbox&);
  void accuse(Instant now, Entry&, const std::string& why, Outbox&);

  void read_from(Entry&, const NodeId& keeper, Outbox&);

  void look_for_steward(Instant now, Entry&, Outbox&);
  std::optional<NodeId> steward_candidate(Instant now, const Entry&);
  StewardCandidate candidate_of(const NodeId& node) const;
  void propose(Entry&, Outbox&);

  bool sees_to_copies(const Entry&) const;
  bool given_up(Instant now, const NodeId& holder) const;
  bool note_absence(Instant now, const NodeId& holder);
  void look_for_copies(Instant at);
  void see_to_copies(Instant now, Outbox&);
  std::size_t holders_here(Instant now, const CopyBook::Lot&) const;
  void count_copies(Instant now, Entry&);
  void ask_for_copies(Instant now, Entry&, Outbox&);
  bool searching(Instant now, const Entry&) const;
  bool out_of_reach(Instant now, const Entry&, std::uint64_t lot) const;
  std::optional<NodeId> copy_candidate(Instant now, const Entry&, const CopyBook::Lot&,
                                       bool dialable);
  void ask_to_keep(Instant now, const Entry&, CopyAsk&, Bytes receipt, Outbox&);
  void note_holder(Entry&, std::uint64_t lot, const NodeId& holder, Outbox&);
  void forget_asks_of(const NodeId& worker);
  void admit_if_endorsed(Instant now, Entry&, Outbox&);

  const PeerConfig& config_;
  const Signer& signer_;
  const SignatureChecker& checker_;
  Membership& membership_;
  Custody& custody_;
  Rng rng_;
  StewardContext context_;
  std::map<JobId, Entry> jobs_;
  // Jobs that it left and for what reason, for fellows who were not there then.
  std::map<JobId, std::string> left_;
  std::map<NodeId, Instant> heard_;   // stewards that are linked: their last sign of life
  std::optional<Instant> tick_at_;    // while a job with fellow stewards is active
  std::map<NodeId, Instant> absent_;  // holders that are not linked -> when they are given up
  std::vector<CopyAsk> asks_;
  std::optional<Instant> copies_at_;  // when to count again
  std::optional<Instant> disk_waits_;
  bool disk_fails_ = false;  // what is to be kept could not be stored, and nothing was since
  std::vector<JobId> news_;
  std::vector<ContentNeed> needs_;
};

}  // namespace shoal
