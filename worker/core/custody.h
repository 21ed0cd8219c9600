#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "worker/core/outbox.h"

namespace shoal {

// Which contents this node holds for which jobs, and until when: program and inputs of those that
// it has a part in, the large outputs that it computed for them, and copies of either that a
// steward asked for. Rules (why each is there; stewards.capnp has the conversation):
//
// - A copy is made only for a job that this node has a part in, and only of what demonstrably
//   belongs to it: its manifest names the inputs, and a receipt that holds names the outputs. So
//   nobody fills a donor's disk with what is not his job's.
// - It is written down what a copy is for before it is promised.
// - All of it stays until the job is over here and as long after that as its manifest says; then it
//   goes, unless another job needs it or the donor pinned it. What is not written down any more is
//   left to the store's quota.
// - Copies are fetched a few at a time, and few requests are taken on at once; who asks for more is
//   refused, and asks somebody else.
class Custody {
 public:
  // Whether this node still keeps the job, or works for it.
  using Busy = std::function<bool(const JobId&)>;

  Custody(const PeerConfig& config, const SignatureChecker& checker, const NodeId& self);

  void recover(const std::vector<StoredFact>& facts);
  // Jobs that were over when nobody could be told so any more.
  void on_started(const Busy& busy);

  // --- what this node does of its own accord ---
  void take_part(const JobId&, const Signed& manifest);
  void made(const JobId&, const std::vector<ContentId>& outputs);
  // It is over here. Its time ends then: `until`, or as long from now as its manifest says.
  void over(const JobId&, std::optional<UnixMs> until = {});

  // --- copies ---
  void on_keep(const NodeId& from, const Keep&, Outbox&);
  void on_content(const ContentId&, const std::string& error);
  void on_stored(const std::vector<StoredFact>& facts, const std::string& error, Outbox&);
  // The owner refuses other things than before: what is held of them goes. `tell` hear of it who
  // may count on this node.
  void reconsider(const std::vector<NodeId>& tell, Outbox&);
  std::vector<ContentNeed> take_content_needs() { return std::exchange(needs_, {}); }

  // Lets go of what is over. Once, at the end of every step; `needed` gives what others here need.
  void advance(Instant now, const Busy& busy, const std::function<std::set<ContentId>()>& needed,
               Outbox&);
  std::optional<Instant> next_deadline() const;
  // Copies, made or on their way. What was computed here is in no danger: see
  // ContentStore::limit().
  void add_needed(std::set<ContentId>& needed) const;
  bool has_part_in(const JobId& job) const { return parts_.contains(job); }
  void check_invariants() const;

 private:
  struct Part {
    Signed manifest;
    std::vector<ContentId> made;
    std::vector<ContentId> copied;
    UnixMs until = 0;  // 0: it goes on
  };
  struct Copying {
    JobId job;
    ContentId output;  // as Kept has it
    NodeId asker;
    std::vector<NodeId> sources = {};
    std::deque<ContentName> waiting = {};
    std::set<ContentId> fetching = {};
    std::vector<ContentId> here = {};
    std::string error = {};     // one of them is not to be had
    std::uint64_t written = 0;  // its fact, once there is nothing more to fetch
    bool known = false;         // all of it was written down before
  };
  struct Wish {  // what a Keep is about
    ContentId output;
    std::vector<ContentName> contents;
    std::string objection;  // why it is not granted; empty: it is
  };
  void end_now(const JobId&, Part&, Outbox&);
  Wish wish_of(const NodeId& from, const Keep&) const;
  void fetch_more(Copying&);
  void write_down(Copying&);
  void answer(const Copying&, Outbox&);
  void set_end(const JobId&, Part&, UnixMs until);
  void begin_letting_go(const JobId&);
  void let_go(const std::function<std::set<ContentId>()>& needed, Outbox&);
  UnixMs unix_ms(Instant now) const { return config_.unix_ms_at_zero + now.ns / 1'000'000; }

  const PeerConfig& config_;
  const SignatureChecker& checker_;
  const NodeId self_;
  std::map<JobId, Part> parts_;
  std::set<std::pair<UnixMs, JobId>> ends_;  // of `parts_` that have one
  std::set<JobId> over_;                     // their time ends so long after the next step
  std::deque<Copying> copying_;
  std::vector<ContentNeed> needs_;
  std::uint64_t facts_written_ = 0;
  std::vector<StoredFact> unsaved_;  // until the end of the step
  std::optional<JobId> leaving_;     // whose contents are going, a few at a time
  std::set<ContentId> going_;
  std::optional<Instant> go_on_at_;
};

}  // namespace shoal
