#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "node/protocol/terms.h"
#include "worker/core/custody.h"
#include "worker/core/in_vain.h"
#include "worker/core/membership.h"
#include "worker/core/outbox.h"

namespace shoal {

// How long a victim may take to answer before the next one is asked.
inline constexpr Duration kStealPatience = 3s;
inline constexpr std::size_t kChunksMax = 256;
// With less than this to do, a thread's worth, a worker asks for more.
inline constexpr Duration kPrefetchWork = 300ms;
// Of one job: more than a report could list is more than anybody should be given.
inline constexpr std::size_t kLeasesMax = 1024;
inline constexpr std::size_t kItemsMax = 16'384;
// Outputs that were committed and may have to be shown: past this, one job starts no more.
inline constexpr std::uint64_t kHeldBytesMax = 64 << 20;

// What a worker does with units: asks leaders for leases, feeds its executor, commits what it
// computed and shows it when asked, takes half of what others hold when it has run dry, and gives
// half of its own away. Rules (why each is there):
//
// - Verifying comes before first replicas: it ends units, and it is bound to this worker. What
// others
//   have in hand too comes last: it may be what nobody comes to an end with.
// - One finished chunk is one commitment. Chunks hold about `batch_target` of one thread's work, so
// a
//   crash costs little and a signature covers much; their bounds lie on powers of two, so that two
//   workers' batches tend to match.
// - It asks for more before it runs dry, and not much before: what waits here behind a long unit is
//   begun sooner elsewhere. It remembers who asked it in vain.
// - A leader is believed by its terms. When another one leads, or when either side was restarted,
// it
//   shows the new leader the papers of its leases, and commits again to what it has kept. Nothing
//   of that depends on the old leader.
// - What it was given and what it committed is on disk a moment later, so that a crash costs what
//   was running, and little else.
class Labor {
 public:
  Labor(const PeerConfig& config, const Signer& signer, const SignatureChecker& checker,
        Membership& membership, Custody& custody, Rng rng);

  void recover(const std::vector<StoredFact>& facts);
  void on_started(Instant now, Outbox&);

  // --- jobs ---
  // `from` told it, who need not be the leader. False: nothing new.
  bool hear_of(Instant now, const NodeId& from, const WorkAvailable& news, Outbox&);
  void on_term_notice(Instant now, const NodeId& from, const TermNotice&, Outbox&);
  void on_job_found(Instant now, const JobFound&, Outbox&);
  // The terms of a job, where they outrank those that somebody told.
  std::optional<TermNotice> better_than(const WorkAvailable& news) const;
  // What it knows of who keeps a job, for those who ask.
  void tell(const JobFind&, JobFound&) const;
  std::vector<WorkAvailable> jobs_heard_of() const;
  std::optional<NodeId> leader_of(const JobId&) const;
  // Has been given units of it, and it is not over.
  bool works_for(const JobId&) const;
  // What its leader makes of this worker's requests.
  InVain asks_in_vain(const JobId&) const;
  // `job`'s content is here, or never will be.
  void on_content(Instant now, const ContentId&, const std::string& error, Outbox&);
  // They are fetched again, and what was to be started waits for them.
  void on_contents_lost(Instant now, const JobId&, Outbox&);
  // Which contents a granted job needs; the peer fetches them.
  std::vector<ContentNeed> take_content_needs() { return std::exchange(needs_, {}); }

  // --- messages ---
  void on_grant(Instant now, const NodeId& from, LeaseGrant, Outbox&);
  void on_no_work(Instant now, const NodeId& from, const NoWork&, Outbox&);
  void on_revoke(const NodeId& from, const LeaseRevoke&, Outbox&);
  // Whoever brings it. The leader may be gone, and nobody leads a job that is cancelled.
  void on_control(const Signed& control, Outbox&);
  void on_steal_request(Instant now, const NodeId& from, const StealRequest&, Outbox&);
  void on_steal_reply(Instant now, const NodeId& from, const StealReply&, Outbox&);
  void on_transfer_reply(const NodeId& from, const TransferReply&, Outbox&);
  void on_rejoin_reply(Instant now, const NodeId& from, const RejoinReply&, Outbox&);
  void on_reveal_request(const NodeId& from, const RevealRequest&, Outbox&);
  void on_compare_request(Instant now, const NodeId& from, const CompareRequest&, Outbox&);

  // --- the donor (labor_lending.cpp) ---
  void lend(Lend::What what, Outbox&);
  // The owner refuses other things than before: jobs are left, or taken up again.
  void reconsider(Outbox&);
  bool nothing_in_hand() const;

  // --- its executor ---
  void on_state_saved(StateSaved saved, Outbox&);
  void on_state(const NodeId& from, UnitState state, Outbox&);
  void on_compute_done(Instant now, ComputeDone, Outbox&);
  void on_compare_done(const CompareDone&, Outbox&);

  void on_link_up(Instant now, const NodeId&, Outbox&);
  void on_link_lost(Instant now, const NodeId&, Outbox&);
  // Starts what can be started and asks for what is missing. Once, at the end of every step.
  void advance(Instant now, Outbox&);
  // Stores what it would store soon in any case: for when something else is being stored now, since
  // a transaction costs much more than what is in it.
  void flush_saved(Outbox&);
  std::optional<Instant> next_deadline() const;

  void fill(WorkerStatus&) const;
  // The contents of the jobs that it works for.
  void add_needed(std::set<ContentId>& needed) const;
  void check_invariants() const;

 private:
  // A submitter that lost its steward before the acknowledgement may have given one job to two:
  // they cost double work, so a job is known by its leader too.
  using JobKey = std::pair<JobId, NodeId>;
  // A run of units that has not been started.
  struct Item {
    Range range;
    std::uint64_t lease = 0;
    LeaseKind kind = LeaseKind::kPrimary;
  };
  struct Held {  // a batch that was committed and may have to be shown
    Range range;
    Signed commitment;
    Hash256 salt;
    Hash256 root;
    PackedOutputs outputs;
    bool shown = false;
    std::uint64_t bytes() const;  // that it takes here
  };
  struct Paper {              // a lease that it was given, as the leader signed it
    std::uint64_t place = 0;  // on disk, where there are few of each job
    std::uint64_t epoch = 0;
    std::uint64_t lease = 0;
    std::vector<Range> ranges;
    Signed grant;
  };
  enum class State : std::uint8_t { kHeardOf, kFetching, kReady, kRefused, kOver };
  struct Job {
    JobId id;
    NodeId leader;
    Signed leader_record;
    NodeId submitter;
    State state = State::kHeardOf;
    std::shared_ptr<const Manifest> manifest;
    Signed signed_manifest;
    TermChain terms;  // checked, beside the manifest
    std::set<ContentId> missing;
    std::uint64_t epoch = 0;
    std::deque<Item> to_verify;
    std::deque<Item> primaries;                   // may be stolen from the far end
    std::deque<Item> doubles;                     // of what others have in hand too
    std::map<std::uint64_t, RangeSet> leases;     // what is still held of each
    std::set<std::uint64_t> stolen;               // those of them that came by theft
    std::map<std::uint64_t, RangeSet> unsettled;  // stolen, not confirmed: victim's lease -> ranges
    std::map<UnitIndex, Held> batches;
    std::deque<UnitIndex> batch_order;  // of `batches`, the oldest first
    std::uint64_t held_bytes = 0;
    std::uint64_t unit_ns = 0;
    std::uint64_t unit_stray_ns = 0;  // how far units are from that, a running mean
    std::uint64_t unit_bytes = 0;
    std::uint64_t chunk_units = 1;
    std::size_t running = 0;          // chunks
    unsigned losses = 0;              // of its contents, since it computed anything
    std::optional<Instant> asked;     // the leader, not answered yet
    std::uint32_t unanswered = 0;     // requests in a row, over one link
    bool hungry = false;              // the leader knows that we wait
    Instant hungry_since;             // it said so
    bool stood_down = false;          // the leader knows that the owner lends nothing more
    std::vector<NodeId> victims;      // still to be asked for half of what they hold
    std::optional<Instant> stealing;  // from victims.back(), since
    std::vector<NodeId> thieves;      // who went away from here empty-handed
    std::deque<Message> for_leader;   // until the link is there
    Instant report_at;
    std::set<std::uint64_t> robbed;  // leases that a thief took of since the last report
    std::deque<Paper> papers;        // the oldest first
    std::deque<Item> rejoining;  // what was not started when papers were shown: with which lease?
    std::size_t rejoins = 0;     // that are not answered yet
    Instant rejoined;            // when they were sent
    int seeks = 0;               // in a row, in vain
    std::optional<Instant> seek_at;  // its leader is away: other stewards are asked then
    bool saved = false;              // it is on disk
    // The submitter's words of each kind that were heard last, by their numbers; and what he said.
    std::uint64_t heard_of_going_on = 0, heard_of_priority = 0;
    std::optional<std::int32_t> new_priority;
    std::int32_t priority() const { return new_priority.value_or(manifest->priority); }
    JobKey key() const { return {id, leader}; }
    // What it must verify goes on all the same: that is what lets batches be shown, and then
    // forgotten.
    bool is_full() const { return held_bytes > kHeldBytesMax; }
    std::array<std::deque<Item>*, 3> queues() { return {&to_verify, &primaries, &doubles}; }
    std::deque<Item>& queue_of(LeaseKind);
    // Where the next chunk is cut. Nothing: none is to be begun.
    std::deque<Item>* next_queue();
    std::uint64_t unstarted() const;
  };
  // A comparison that was asked for, until it is answered.
  struct Comparing {
    CompareRequest request;
    std::set<ContentId> missing;  // candidates that are still being fetched
  };
  struct Chunk {
    JobKey job;
    Item item;
    Instant since;
    bool cancelled = false;
  };

  Job* find(const JobKey&);
  Job* led_by(const JobId& id, const NodeId& leader) { return find({id, leader}); }
  // Of several leaders of one job the first; nothing where `fits` holds for none.
  template <class Fits>
  Job* find_any(const JobId& id, Fits fits) {
    for (auto it = jobs_.lower_bound({id, NodeId{}}); it != jobs_.end() && it->first.first == id;
         ++it) {
      if (fits(it->second)) return &it->second;
    }
    return nullptr;
  }
  // --- leaders come and go (labor_leaders.cpp) ---
  Job* known(const JobId&);  // whose manifest is here
  // The same, of the submitter whose terms these are; without any, of whomever.
  Job* known(const JobId&, const TermChain& terms);
  bool better_terms(Instant now, Job&, const TermChain&, const Signed* record, Outbox&);
  void migrate(Instant now, Job&, const NodeId& leader, Outbox&);
  void settle_rivals(Instant now, const JobId&, const NodeId& leader, const TermChain&, Outbox&);
  void take_paper(Job&, const std::optional<Signed>& grant);
  void prune_papers(Job&);
  void rejoin(Instant now, Job&, Outbox&);
  void drop_unsettled(Job&);
  void hold_again(Job&, const Grant&);
  void commit_again(Instant now, Job&, const std::vector<Range>& open, Outbox&);
  void seek_leader(Instant now, Job&, Outbox&);

  // --- on disk (labor_saved.cpp) ---
  void save_task(Job&);
  void save(StoredFact fact) { unsaved_.push_back(std::move(fact)); }
  void recover_job(const StoredFact& task);
  void resume_leases(Job&);

  // --- comparing outputs (labor_comparing.cpp) ---
  std::size_t comparisons() const;
  void start_comparing(const JobKey&, const Comparing&, Outbox&);
  void on_candidate(const ContentId&, const std::string& error, Outbox&);
  void judge(const NodeId& asker, const CompareRequest&, bool all_match, const std::string& error,
             Outbox&);
  void add_compared(std::set<ContentId>& needed) const;

  void drop_cancelled(Job&);
  static void unqueue(Job&, Range);
  bool forget_one_unproven();
  static bool has_room(const Job& job) {
    return job.leases.size() + job.unsettled.size() < kLeasesMax &&
           job.to_verify.size() + job.primaries.size() + job.doubles.size() < kItemsMax;
  }
  bool leader_linked(const Job&) const;
  void to_leader(Instant now, Job&, Message, Outbox&);
  void accept_manifest(Job&, const Signed&, const TermChain&, Outbox&);
  void fetch_contents(Job&);
  void put_off(Instant now, Job&, const std::string& why, Outbox&);
  static void list_leases(const Job&, LeaseReport&);
  LeaseReport empty_report(const Job&) const;
  void stand_down(Outbox&);
  void give_back(Job&, std::uint64_t lease, Outbox&);
  void put_back(Job&, bool what_runs_too, Outbox&);
  void leave(Job&, const std::string& why, Outbox&);
  void stop_all(const JobKey&, Outbox&);
  void decline(const Job&, Outbox&) const;
  void drop_job(Job&, Outbox&);
  void start_chunks(Instant now, Outbox&);
  Job* next_to_run();
  bool start_one(Instant now, Job&, Outbox&);
  Range cut_chunk(Job&, std::deque<Item>& queue, Item& item);
  std::size_t chunks_wanted(const Job&) const;
  void commit(Instant now, Job&, const Item&, std::vector<ComputeDone::Run> runs,
              std::uint64_t compute_ns, Outbox&);
  Signed commit_run(Job&, Range, PackedOutputs, std::vector<Message>& shown);
  void keep(Job&, Held);
  static void forget_shown(Job&);
  Reveal show(const Job&, const Held&) const;
  void note_failures(const Job&, const ComputeDone&, Outbox&);
  void learn_speed(Job&, std::uint64_t units, std::uint64_t bytes, std::uint64_t compute_ns);
  void release(Job&, Range);
  void ask_for_work(Instant now, Outbox&);
  bool goes_before_what_waits(const Job&) const;
  void try_next_victim(Instant now, Job&, Outbox&);
  bool give_half(Instant now, Job&, const NodeId& thief, Outbox&);
  void feed_thieves(Instant now, Job&, Outbox&);
  void report(Instant now, Job&, Outbox&);
  std::optional<Instant> dry_from(Instant now) const;

  const PeerConfig& config_;
  const Signer& signer_;
  const SignatureChecker& checker_;
  Membership& membership_;
  Custody& custody_;
  Rng rng_;
  std::map<JobKey, Job> jobs_;
  std::deque<JobKey> over_;  // the latest that ended, so that old news does not bring them back
  std::map<std::uint64_t, Chunk> chunks_;
  std::uint64_t next_chunk_ = 1;
  std::vector<ContentNeed> needs_;
  std::map<JobKey, std::map<UnitIndex, Comparing>> comparing_;
  std::optional<JobKey> last_run_;
  std::vector<StoredFact> unsaved_;
  std::optional<Instant> save_at_;
  Lend::What lending_ = Lend::What::kAll;
  struct Failing {
    std::uint64_t units;  // in a row
    std::string why;
  };
  std::optional<Failing> failing_;
  Instant advanced_;
  std::uint64_t computed_ = 0, stolen_ = 0, failed_ = 0;
};

}  // namespace shoal
