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
#include "sdk/core/submitter.h"

// The tables behind submitter.h. One part a file: finding peers (submitter_peers.cpp), placing and
// holding jobs (submitter_jobs.cpp), receipts and outputs (submitter_results.cpp), questions to
// many (submitter_census.cpp).
namespace shoal {

// A node that was heard of, and how things stand with it.
struct Contact {
  std::optional<NodeRecord> record;    // checked; only of workers
  std::vector<std::string> endpoints;  // of a door or a remembered steward, before any record
  std::string address;                 // as seen on its link
  bool linked = false;
  bool worker = false;               // as it said on its link, or in its record
  std::optional<Instant> dial_ends;  // a dial is under way until then
  std::size_t dials = 0;             // picks among its endpoints
  std::string dialled;               // the endpoint of the last dial
  std::deque<JobId> status_asked;    // answers come in the order of the questions
};

// Looking for peers through the doors, while anybody here waits for some.
struct Search {
  bool active = false;
  Instant ends;                         // then those who wait are told that there is nobody
  std::optional<Instant> first_answer;  // since then, slow doors are waited for a little only
  std::optional<Instant> ask_again;
  std::set<NodeId> answered;
  std::set<NodeId> failed;
  std::string last_failure;
};

enum class JobStage : std::uint8_t {
  kSeeking,     // needs a steward, knows too few peers
  kOffering,    // dialling one, or handing the job over to it
  kLocating,    // attached, nobody known who leads it
  kConfirming,  // asking the remembered steward whether it leads the job
  kHeld,        // a steward has it durably
};

struct OpenJob {
  Signed signed_manifest;
  Manifest manifest;
  JobStage stage = JobStage::kSeeking;
  bool wait_for_quorum = false;
  bool told_waiting = false;
  std::optional<Ticket::Door> steward;
  std::set<NodeId> tried;                // asked in vain
  std::optional<SubmitOutcome> refusal;  // the last one of them said
  std::string refusal_detail;
  Instant give_up;               // unreachable stewards are not tried again after this
  std::optional<Instant> timer;  // what it is for follows from `stage`
  std::size_t redials = 0;
  std::string lost_why;

  bool wanted = false;  // receipts are to be delivered
  std::uint64_t credit_bytes = 0;
  std::uint64_t cursor = 0;       // the last sequence that came
  std::uint64_t asked_bytes = 0;  // credit in the last request that has not come yet
  std::deque<std::pair<std::uint64_t, std::uint64_t>> untaken;  // sequence, bytes
  std::uint64_t untaken_bytes = 0;
  RangeSet had;
  std::map<UnitIndex, std::pair<UnitIndex, Hash256>> ends;  // first -> last, root: the snapshot
  std::uint64_t verified = 0, failed = 0, disputed = 0;

  std::vector<Signed> controls;  // waiting for the link
  std::optional<Signed> over;    // the signed snapshot, waiting for the link
};

enum class CensusKind : std::uint8_t { kWorkers, kStatus };
struct Census {
  CensusKind kind = CensusKind::kWorkers;
  JobId job;         // kStatus
  NodeId submitter;  // kStatus
  bool begun = false;
  Instant ends;
  std::set<NodeId> pending;
  std::set<NodeId> asked;
  std::map<NodeId, WorkerStatus> statuses;
  std::map<JobId, JobStatus> jobs;
};

struct WantedOutput {
  std::set<JobId> jobs;
  std::map<NodeId, unsigned> holders;  // -> dials so far
};

struct Submitter::Impl {
  Impl(SubmitterConfig c, const Signer& s, const SignatureChecker& k, Rng r)
      : config(std::move(c)), signer(s), checker(k), rng(r), exchange(rng.fork()) {}

  // --- events (submitter.cpp) ---
  void on(const SubmitterStarted&);
  void on(const SubmitterDeadline&);
  void on(const LinkUp&);
  void on(const LinkLost&);
  void on(const Received&);
  void on(const ContentOpened&);
  void on(const BlockStored&);
  void on(BlockRead&);
  std::optional<Instant> next_deadline() const;
  // Messages; those that nobody should send here are ignored.
  template <class M>
  void heard(const NodeId&, M&) {}
  void heard(const NodeId& from, BlockRequest& m);
  void heard(const NodeId& from, Block& m);
  void send(const NodeId& to, const Message& message);
  void tell(std::string text) { out.push_back(Notice{std::move(text)}); }
  void pass(ExchangeActions actions);
  UnixMs unix_now() const { return config.unix_ms_at_zero + now.ns / 1'000'000; }
  // Between half of `d` and all of it, so that many who lost the same peer do not return at once.
  Duration jittered(Duration d);

  // --- peers (submitter_peers.cpp) ---
  void heard(const NodeId& from, Sample& m);
  bool absorb(const Signed& record);
  bool is_door(const NodeId&) const;
  Contact* contact(const NodeId&);  // makes one; nothing where the table is full
  bool reachable(const Contact&) const;
  bool valid_worker(const Contact&) const;
  void dial(const NodeId&);
  void link_gone(const NodeId&, const std::string& why);
  void begin_search();  // or, if one is under way, gives it its full time again
  void ask_doors();
  void end_search();
  bool settled() const;
  bool any_door_answered() const { return !search.answered.empty(); }
  void review();  // those who wait for peers look again
  void search_deadline();
  bool somebody_waits() const;
  std::pair<JobRefused::Why, std::string> nobody_found() const;

  // --- jobs (submitter_jobs.cpp) ---
  void on(SubmitJob&);
  void on(AttachJob&);
  void on(const ControlJob&);
  void heard(const NodeId& from, SubmitReply& m);
  void heard(const NodeId& from, JobFound& m);
  bool open_manifest(const Signed& manifest, const JobId& id, OpenJob& job);
  std::vector<NodeId> eligible(const OpenJob&) const;
  bool place(const JobId&, OpenJob&);  // false: the job was refused, and is gone
  std::optional<NodeId> choose(const OpenJob&, const std::vector<NodeId>& among);
  void offer(const JobId&, OpenJob&, const NodeId& steward);
  void locate(const JobId&, OpenJob&);
  void hold(const JobId&, OpenJob&);
  void refuse(JobId, JobRefused::Why, std::string what);  // by value: the job's own key goes
  void refuse_exhausted(const JobId&, const OpenJob&, std::size_t workers);
  void refuse_unknown_kernel(const JobId&, const OpenJob&);
  void steward_linked(const JobId&, OpenJob&);
  void steward_status(const NodeId& from, const JobId& asked, const JobStatusReply& reply);
  void job_link_up(const NodeId&);
  void job_link_lost(const NodeId&, const std::string& why);
  void job_deadline(const JobId&);
  void redial_later(OpenJob&);
  void ask_status(const NodeId& to, const JobId& job, const NodeId& submitter);
  Ticket::Door door_of(const NodeId&) const;

  // --- results (submitter_results.cpp) ---
  void on(const WantReceipts&);
  void on(const TakenReceipts&);
  void on(const WantOutput&);
  void on(const CloseJob&);
  void heard(const NodeId& from, Results& m);
  void take_receipt(const JobId&, OpenJob&, const Bytes& encoded);
  void ask_receipts(const JobId&, OpenJob&);
  void start_over(OpenJob&);  // for one who attaches again to a job that is open here
  void say_over(const JobId&);
  void close_job(JobId);
  void dial_holders();
  void output_arrived(const ContentArrived&);
  bool serves(const ContentId&) const;

  // --- census (submitter_census.cpp) ---
  void on(const WantStatus&);
  void on(const WantWorkers&);
  void heard(const NodeId& from, JobStatusReply& m);
  void heard(const NodeId& from, WorkerStatus& m);
  bool begin_census(Census&);  // false: it must wait for peers
  void census_link_up(const NodeId&);
  void census_link_lost(const NodeId&);
  void census_ask(Census&, const NodeId&);
  void finish_censuses();
  void answer(const Census&);
  void drop_strangers(const Census&);

  SubmitterConfig config;
  const Signer& signer;
  const SignatureChecker& checker;
  Rng rng;
  Exchange exchange;
  Instant now;
  SubmitterActions out;  // of the step under way
  Search search;
  std::uint64_t nodes_known = 0;
  std::set<NodeId> coordinators_up;  // doors that answered in the last search
  std::map<NodeId, Contact> contacts;
  std::map<JobId, OpenJob> jobs;
  std::vector<Census> censuses;
  std::map<ContentId, WantedOutput> outputs;
};

}  // namespace shoal
