#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "worker/core/job_led.h"
#include "worker/core/membership.h"

namespace shoal {

// The jobs that this node leads: taking them over from their submitters, durably before it says so;
// keeping them over a restart; telling workers of them; handing out their results.
class Stewardship {
 public:
  Stewardship(const PeerConfig& config, const Signer& signer, const SignatureChecker& checker,
              Membership& membership, Rng rng);

  void recover(const std::vector<StoredFact>& facts);
  // After a restart: fetches what is missing, and goes on.
  void on_started(Instant now, Outbox&);

  void on_submit(Instant now, const NodeId& from, const Submit&, Outbox&);
  void on_content(Instant now, const ContentId&, const std::string& error, Outbox&);
  void on_stored(Instant now, const std::vector<StoredFact>& facts, const std::string& error,
                 Outbox&);
  void on_status_request(const NodeId& from, const JobStatusRequest&, Outbox&);
  void on_job_over(const NodeId& from, const JobOver&, Outbox&);
  void on_link_up(Instant now, const NodeId&, Outbox&);
  void on_link_lost(Instant now, const NodeId&, Outbox&);
  void on_deadline(Instant now, Outbox&);
  std::optional<Instant> next_deadline() const;

  JobLed* find(const JobId&);
  std::vector<JobStatus> statuses() const;
  // Jobs whose workers were not told yet.
  std::vector<JobId> take_news() { return std::exchange(news_, {}); }
  std::vector<JobId> running() const;

  struct ContentNeed {
    ContentId id;
    std::uint64_t length = 0;
    NodeId source;
  };
  std::vector<ContentNeed> take_content_needs() { return std::exchange(needs_, {}); }
  std::uint64_t jobs_led() const { return jobs_.size(); }
  void check_invariants() const;

 private:
  struct Entry {
    std::unique_ptr<JobLed> job;
    std::set<ContentId> missing;
    bool durable = false;           // its manifest is on disk
    std::vector<NodeId> to_answer;  // submitters that wait for the acknowledgement
    std::optional<Signed> snapshot;
  };
  Entry* entry(const JobId&);
  void answer(const NodeId& to, const JobId&, SubmitOutcome, std::string detail, Outbox&);
  std::pair<SubmitOutcome, std::string> objection(const Signed&, const Manifest&) const;
  void make_durable(Entry&, Outbox&);
  void begin(Instant now, Entry&, Outbox&);
  void introduce_workers(Entry&);
  void make_room();
  void need_contents(Entry&, const NodeId& source);

  const PeerConfig& config_;
  const Signer& signer_;
  const SignatureChecker& checker_;
  Membership& membership_;
  Rng rng_;
  LeaderContext context_;
  std::map<JobId, Entry> jobs_;
  std::vector<JobId> news_;
  std::vector<ContentNeed> needs_;
};

}  // namespace shoal
