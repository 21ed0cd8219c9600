#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "node/content/core/exchange.h"
#include "node/protocol/range.h"
#include "node/protocol/record_dates.h"
#include "node/protocol/steward_choice.h"
#include "node/protocol/terms.h"
#include "node/reach/core/reach.h"
#include "sdk/core/submitter.h"

// The tables behind submitter.h. One part a file: finding peers (submitter_peers.cpp), opening jobs
// and steering them (submitter_jobs.cpp), giving them to stewards (submitter_place.cpp), finding
// the stewards of others (submitter_locate.cpp), staying with them (submitter_hold.cpp), receipts
// and outputs (submitter_results.cpp), contents without a job (submitter_content.cpp) and whom to
// be linked with for them (submitter_sources.cpp), questions to many (submitter_census.cpp).
namespace shoal {

struct StatusQuestion {
  JobId job;
  bool after_over = false;  // behind a JobOver: whoever answers this has read that
};

// A node that was heard of, and how things stand with it.
struct Contact {
  std::optional<NodeRecord> record;  // checked
  NodeId owner;                      // of a record
  std::optional<Signed> signed_record;
  NodeId told_by;                    // who told of it; zero: it did itself, or it was needed here
  std::optional<NodeId> session_of;  // whose session it is, where it came here
  bool of_content = false;           // no worker: it fetches or shares a content, as this node does
  std::vector<std::string> endpoints;  // of a door or a remembered steward, before any record
  std::string address;                 // as seen on its link
  bool linked = false;
  LinkPath path = LinkPath::kDirect;
  Instant linked_at;                        // the last time
  bool worker = false;                      // as it said on its link, or in its record
  std::optional<Instant> dial_ends;         // a dial is under way until then
  std::size_t dials = 0;                    // picks among its endpoints
  std::string dialled;                      // the endpoint of the last dial
  std::optional<Instant> missed;            // a dial that led nowhere
  Instant asked;                            // or dialled to be, who keeps a job that is lost
  std::deque<StatusQuestion> status_asked;  // answers come in the order of the questions
};

// Looking for peers through the doors, while anybody here waits for some. Where the doors do not
// answer, any worker that was met before is as good.
struct Search {
  bool active = false;
  Instant began;
  Instant ends;                         // then those who wait are told that there is nobody
  bool extended = false;                // for a door that is slow to answer
  std::optional<Instant> first_answer;  // since then, slow doors are waited for a little only
  std::optional<Instant> ask_again;
  std::set<NodeId> peers;  // workers that are asked in place of doors
  std::set<NodeId> answered;
  std::set<NodeId> failed;
  std::size_t stale_samples = 0;  // in a row that told of nobody new
  std::string last_failure;
};

enum class JobStage : std::uint8_t {
  kSeeking,   // needs stewards, knows too few peers
  kPlacing,   // its seats are dialled, or the job is being handed over to them
  kLocating,  // attached, or forgotten by its stewards: nobody here has confirmed that he keeps it
  kHeld,      // stewards have it durably
};

// One to whom a job is being handed over.
struct Seat {
  NodeId node;
  bool durable = false;       // it has acknowledged the job
  bool acknowledged = false;  // since the term was last changed
  Instant heard;              // its silence is counted from here
  std::size_t breaks = 0;     // of its link, before it had acknowledged
  std::optional<Instant> redial_at = {};
};

// One of those who keep a job, as its reader sees it.
struct Keeper {
  bool asked = false;        // for receipts, on the link that stands
  std::uint64_t cursor = 0;  // the last of its sequences that came on it
  bool questioned = false;   // whether it keeps the job, on the link that stands
  bool forgot = false;       // it says that it does not have the job
  bool lied = false;         // it sent a receipt that does not hold
};

struct OpenJob {
  std::optional<Signed> signed_manifest;  // none: attached, and not yet found
  Manifest manifest;
  JobStage stage = JobStage::kSeeking;
  bool accepted = false;   // and the application was told so
  bool from_pool = false;  // the manifest was
  TermChain chain;         // the best that was seen; may be empty after AttachJob
  std::vector<NodeId>
      stewards;  // by the chain, the leader first; without one, as remembered or told
  std::map<NodeId, Keeper> keepers;  // of `stewards`
  std::optional<Instant> timer;      // what it is for follows from `stage`
  std::string lost_why;

  // kSeeking, kPlacing
  bool wait_for_quorum = false;
  std::size_t stewards_wanted = limits::kStewards;
  bool told_waiting = false;
  bool retrying = false;                 // nobody could be reached: until `timer`
  std::set<NodeId> tried;                // asked in vain; kLocating: asked
  std::optional<SubmitOutcome> refusal;  // the last one of them said
  std::string refusal_detail;
  std::size_t called_invalid = 0;  // times
  bool doors_asked_again = false;  // as some of those that were known could not be reached
  Instant give_up;                 // those who cannot be reached are not tried after this
  std::vector<Seat> seats;         // the leader first
  TermChain offered;               // one term, signed here, that names them
  std::uint64_t epoch = 0;         // of the last term signed here, or of a better one
  bool some_durable = false;       // a seat
  Instant last_durable;

  // kLocating
  std::optional<NodeId> other_key;  // that a manifest from the pool is signed with
  bool asking_all = false;          // not the remembered stewards alone
  bool kept = false;  // a steward said that it has the job, but its manifest is not here

  // kHeld
  std::size_t redials = 0;
  bool told_lost = false;
  std::optional<NodeId> reader;  // the steward that receipts are read from
  std::optional<Instant> look;   // when to ask the others what they have
  Duration look_wait{};
  Instant last_receipt;

  bool wanted = false;  // receipts are to be delivered
  std::uint64_t credit_bytes = 0;
  std::uint64_t asked_bytes = 0;  // credit in the last request to `reader` that has not come yet
  std::uint64_t delivered = 0;    // receipts
  std::deque<std::pair<std::uint64_t, std::uint64_t>> untaken;  // number, bytes
  std::uint64_t untaken_bytes = 0;
  RangeSet had;
  std::map<UnitIndex, std::pair<UnitIndex, Hash256>> ends;  // first -> last, root: the snapshot
  std::uint64_t verified = 0, failed = 0, disputed = 0;

  std::vector<Signed> controls;  // for every steward that comes: the last of each kind
  std::optional<Signed> over;    // the signed snapshot, waiting for the link
};

enum class CensusKind : std::uint8_t { kWorkers, kStatus };
struct Census {
  CensusKind kind = CensusKind::kWorkers;
  JobId job;         // kStatus
  NodeId submitter;  // kStatus
  std::vector<NodeId> also;
  bool begun = false;
  bool followers_asked = false;  // kStatus, as the leader does not answer
  bool of_all_jobs() const { return kind == CensusKind::kStatus && job.is_zero(); }
  Instant ends;
  std::set<NodeId> pending;
  std::set<NodeId> asked;
  std::map<NodeId, std::size_t> missed;  // dials in vain of those that are pending
  std::map<NodeId, WorkerStatus> statuses;
  std::map<JobId, JobStatus> jobs;
};

struct WantedOutput {
  std::set<JobId> jobs;
  std::map<NodeId, unsigned> holders;  // -> dials so far
  std::uint64_t length = 0;
  Instant wanted_at = {};
  Instant look_at = {};  // whether somebody sends it
};

// One who may have a content, or know who has it.
struct Candidate {
  bool named = false;     // as a holder, by somebody who may know
  bool answered = false;  // on the link that stands: who else has it
  std::size_t dials = 0;  // in a row that led to no link
  Instant dial_at = {};   // not before
};

// A content that is shared, or fetched for its own sake.
struct LooseContent {
  std::uint64_t length = 0;
  bool fetching = false;
  std::map<NodeId, Candidate> candidates = {};
  std::set<NodeId> fetchers = {};  // too; as they have said
  std::set<NodeId> passers = {};   // that fetch, or have: they leave when they have all of it
  std::optional<Instant> passes_on_since = {};  // all of it is here, and others lack some
  Instant passed_on = {};                       // somebody asked for something, or was sent it
  bool supplied = false;   // one that is linked has what is missing, or may have it
  bool delivered = false;  // one that is linked has sent a block
  // Whoever tells of candidates has a turn at being dialled for, and the next no sooner than this.
  std::map<NodeId, std::uint64_t> turns = {};
  std::uint64_t turn = 0;      // the last
  Instant more_at = {};        // where none has, one more than usual is dialled then
  Instant told = {};           // the application, how far it is
  std::string waits_for = {};  // ExchangeProgress has it
};

struct Submitter::Impl {
  Impl(SubmitterConfig c, const Signer& s, const SignatureChecker& k, Rng r)
      : config(std::move(c)),
        signer(s),
        checker(k),
        rng(r),
        exchange(rng.fork()),
        reach(reach_config(), s, rng.fork()) {}

  // --- links (submitter.cpp): each of them passes through `reach` ---
  ReachConfig reach_config() const;
  void take(LinkUp& up) { reach.on(now, std::move(up)); }
  void take(LinkLost& lost) { reach.on(now, std::move(lost)); }
  void take(Probed& probed) { reach.on(now, probed); }
  template <class Event>
  void take(Event& event) {
    on(event);
  }
  SubmitterActions actions_of_step();

  // --- events (submitter.cpp) ---
  void on(const SubmitterStarted&);
  void on(const SubmitterDeadline&);
  void on(const LinkUp&);
  void on(const LinkLost&);
  void on(const Received&);
  void on(const ContentOpened&);
  void on(const BlockStored&);
  void on(BlockRead&);
  void on(const BulkSent&);
  std::optional<Instant> next_deadline() const;
  // Messages; those that nobody should send here are ignored.
  template <class M>
  void heard(const NodeId& from, M& m) {
    if constexpr (requires { reach.heard(now, from, m); }) reach.heard(now, from, m);
  }
  void heard(const NodeId& from, BlockRequest& m);
  void heard(const NodeId& from, Block& m);
  void heard(const NodeId& from, BlockCancel& m) { exchange.on_cancel(from, m); }
  void send(const NodeId& to, const Message& message);
  void tell(std::string text) { out.push_back(Notice{std::move(text)}); }
  bool letting_go = false;  // links end because it wants them to: nothing to tell anybody of
  void pass(ExchangeActions actions);
  UnixMs unix_now() const { return config.unix_ms_at_zero + now.ns / 1'000'000; }
  // Between half of `d` and all of it, so that many who lost the same peer do not return at once.
  Duration jittered(Duration d);

  // --- peers (submitter_peers.cpp) ---
  void heard(const NodeId& from, Sample& m);
  bool absorb(const Signed& record, const NodeId& told_by);
  bool is_door(const NodeId&) const;  // or a worker that is asked in place of one
  // Makes one, that `told_by` told of; nothing where the table is full and that one has told of
  // as many as any other. Who is needed here, told of by nobody, has a place as long as there is
  // one whom nothing is under way with.
  Contact* contact(const NodeId&, const std::optional<NodeId>& told_by = {});
  bool make_room(const std::optional<NodeId>& told_by);
  void count_told(const NodeId& by, bool one_more);
  void note_teller(Contact&, const NodeId& told_by);
  bool reachable(const Contact&) const;
  bool valid_worker(const Contact&) const;
  void dial(const NodeId&);
  static std::vector<std::string> endpoints_of(const Contact&);
  static std::size_t ways_to(const Contact&);
  void link_gone(const NodeId&, const std::string& why);
  bool nobody_to_ask() const;
  void begin_search();  // or, if one is under way, gives it its full time again
  void ask_doors();
  void ask_for_peers(const Ticket::Door&);
  void ask_remembered();
  void end_search(bool goes_on);
  bool settled() const;
  bool door_on_its_way() const;
  bool sampled_enough() const;
  bool any_door_answered() const { return !search.answered.empty(); }
  void review();  // those who wait for peers look again
  void search_deadline();
  bool somebody_waits() const;
  std::pair<JobRefused::Why, std::string> nobody_found() const;

  // --- jobs (submitter_jobs.cpp) ---
  void on(SubmitJob&);
  void on(AttachJob&);
  void on(const ControlJob&);
  void send_controls(const OpenJob&, const std::vector<Signed>& controls);
  void heard(const NodeId& from, TermNotice& m);
  bool open_manifest(const Signed& manifest, const JobId& id, OpenJob& job);
  // Takes the chain where it holds and is better than the job's; the stewards follow from it.
  bool adopt(const JobId&, OpenJob&, const TermChain& chain);
  void set_stewards(OpenJob&, std::vector<NodeId> stewards);
  bool keeps_a_job(const NodeId&) const;
  std::vector<Ticket::Door> doors_of(const OpenJob&) const;
  void remember_door(const Ticket::Door&);
  void refuse(JobId, JobRefused::Why, std::string what);  // by value: the job's own key goes
  void job_link_up(const NodeId&);
  void job_link_lost(const NodeId&, const std::string& why, bool was_linked);
  void job_deadline(const JobId&);
  void ask_status(const NodeId& to, const JobId& job, const NodeId& submitter,
                  bool after_over = false);

  // --- giving a job to stewards (submitter_place.cpp); false: it was refused, and is gone ---
  void heard(const NodeId& from, SubmitReply& m);
  std::vector<NodeId> eligible(const OpenJob&) const;
  bool place(const JobId&, OpenJob&);
  bool lacks_quorum(const JobId&, OpenJob&, std::size_t workers);
  bool waits_for_more(OpenJob&, std::size_t workers);
  void ask_doors_again(OpenJob&);
  void fill_seats(OpenJob&);
  void issue_term(const JobId&, OpenJob&);
  bool vacate(const JobId&, OpenJob&, NodeId, const std::string& why);
  void seat_lost(const JobId&, OpenJob&, const NodeId&, const std::string& why, bool was_linked);
  void check_seats(const JobId&, OpenJob&);  // accepted by all of them? else, until when to wait
  Instant patience_ends(const OpenJob&, const Seat&) const;
  void seats_deadline(const JobId&, OpenJob&);
  StewardCandidate candidate(const NodeId&) const;
  void refuse_exhausted(const JobId&, const OpenJob&, std::size_t workers);
  void refuse_unknown_kernel(const JobId&, const OpenJob&);

  // --- finding who keeps a job (submitter_locate.cpp) ---
  void heard(const NodeId& from, JobFound& m);
  void locate(const JobId&, OpenJob&);                     // by asking everybody
  void ask_keeper(const JobId&, OpenJob&, const NodeId&);  // dials it where there is no link
  void keeper_silent(const JobId&, OpenJob&);              // one of them
  bool keepers_may_answer(const OpenJob&) const;
  void locate_deadline(const JobId&, OpenJob&);
  bool learn_manifest(const JobId&, OpenJob&, const Signed& manifest);  // false: it was refused

  // --- staying with those who keep it (submitter_hold.cpp) ---
  void hold(const JobId&, OpenJob&);
  void steward_linked(const JobId&, OpenJob&, const NodeId&);
  void steward_status(const NodeId& from, const StatusQuestion&, const JobStatusReply& reply);
  void steward_lost(const JobId&, OpenJob&, const NodeId&, const std::string& why, bool was_linked);
  std::optional<NodeId> best_linked(const OpenJob&) const;
  void read_on(const JobId&, OpenJob&);  // from the steward that is best to read from now
  void redial(const JobId&, OpenJob&);
  void look_around(const JobId&, OpenJob&);
  void redial_later(OpenJob&);
  std::vector<NodeId> strangers_of(const OpenJob&) const;

  // --- results (submitter_results.cpp) ---
  void on(const WantReceipts&);
  void on(const TakenReceipts&);
  void on(const WantOutput&);
  void on(const CloseJob&);
  void heard(const NodeId& from, Results& m);
  void take_receipt(const JobId&, OpenJob&, const NodeId& from, const Bytes& encoded);
  void deliver(const JobId&, OpenJob&, const NodeId& from, Receipt receipt, const Hash256& root,
               std::uint64_t bytes);
  void ask_receipts(const JobId&, OpenJob&);
  void ask_receipts_of(const JobId&, OpenJob&, const NodeId&, bool once);
  void start_over(OpenJob&);  // for one who attaches again to a job that is open here
  void say_over(const JobId&);
  void close_job(JobId);
  void dial_holders();
  void output_arrived(const ContentArrived&);
  void outputs_deadline();
  void seek_output(const ContentId&, WantedOutput&);
  bool serves(const ContentId&) const;

  // --- contents without a job (submitter_content.cpp) ---
  void on(const ShareContent&);
  void on(const FetchContent&);
  void on(const LeavePool&);
  void heard(const NodeId& from, Holdings& m);
  void heard(const NodeId& from, HoldersRequest& m);
  void heard(const NodeId& from, Holders& m);
  void dial_for_contents();
  void note_candidates(const ContentId&, LooseContent&);
  void dial_candidates(const ContentId&, LooseContent&);
  std::size_t count_links(const ContentId&, LooseContent&);
  bool takes_part(const ContentId&, const LooseContent&, const NodeId&) const;
  void make_place(const ContentId&, LooseContent&);
  bool near(const Contact&) const;
  bool may_yet_be_reached(const LooseContent&) const;
  bool fetch_waits() const;        // for somebody who has what it lacks
  bool fetch_still_waits() const;  // after it was said that nobody has it
  void announce_to(const NodeId& door);
  bool say_farewell(const NodeId& door);
  bool exchanges(const Contact&) const;
  void content_link_up(const NodeId&);
  void content_arrived(const ContentArrived&);
  void contents_deadline();
  void tell_progress(const ContentId&);
  void tell_who_waits();
  bool absorb_holder(const Signed& record, const NodeId& told_by);
  bool passes_on(const ContentId& content, const LooseContent& what) const;
  static Instant passed_on_at(const LooseContent& what);
  void note_passing_on(const NodeId& to);
  void end_passing_on();
  std::optional<NodeId> session_here_of(const NodeId& key) const;

  // --- census (submitter_census.cpp) ---
  void on(const WantStatus&);
  void on(const WantWorkers&);
  void heard(const NodeId& from, JobStatusReply& m);
  void heard(const NodeId& from, WorkerStatus& m);
  std::vector<NodeId> whom_to_ask(const OpenJob&) const;
  bool begin_census(Census&);  // false: it must wait for peers
  void census_link_up(const NodeId&);
  void census_link_lost(const NodeId&);
  void census_ask(Census&, const NodeId&);
  void finish_censuses();
  bool ask_followers(Census&);
  void answer(const Census&);
  void drop_strangers(const std::set<NodeId>& asked);

  SubmitterConfig config;
  const Signer& signer;
  const SignatureChecker& checker;
  Rng rng;
  Exchange exchange;
  Reach reach;
  Instant now;
  SubmitterActions out;  // of the step under way
  Search search;
  bool door_answered = false;                     // in any search
  std::optional<Instant> searched;                // the end of the last search
  std::size_t told_stewards = limits::kStewards;  // of a job: fewer are told of once
  std::uint64_t nodes_known = 0;
  std::set<NodeId> coordinators_up;  // doors that answered in the last search
  std::map<NodeId, Contact> contacts;
  std::map<NodeId, std::size_t> told_of;  // Contact::told_by -> of how many
  std::map<JobId, OpenJob> jobs;
  std::vector<Census> censuses;
  std::map<ContentId, WantedOutput> outputs;
  Instant output_came;  // the last one
  std::map<ContentId, LooseContent> loose;
  std::set<NodeId> announced;  // coordinators that keep the record
  bool leaving = false;
  std::optional<Instant> look_for_holders;  // workers come and go: who does not know yet?
  std::optional<Instant> dial_holders_at;   // a candidate of a content
};

}  // namespace shoal
