#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "node/protocol/range.h"
#include "sdk/src/client.h"
#include "shoal/job.h"

namespace shoal {

Error to_error(const ClientError& error);

// The workers of a receipt that agree on its outputs, sorted; none unless it is kVerified. The
// receipt must hold, see receipt_check.h: here only those are left out whom the others outvoted.
std::vector<NodeId> agreeing_workers(const Receipt& receipt);

// Lists of workers as the public API shows them. Few sets of workers stand under many runs, so that
// each is written out once for all of its runs.
class WorkerLists {
 public:
  using List = std::shared_ptr<const std::vector<std::string>>;
  List of(const std::vector<NodeId>& workers);

 private:
  std::map<std::vector<NodeId>, List> lists_;
};

// What the receipt says of `part` of its range. Not a receipt: its evidence is that of the whole.
Receipt part_of(const Receipt& receipt, Range part);

// A verified, failed or disputed run, as the public API shows it.
std::shared_ptr<detail::UnitRun> run_of(Receipt receipt, WorkerLists::List workers);

// What is known here about how far a job is: from the receipts that were taken, and from what its
// steward said last. It is still good for an answer when the steward is not asked any more.
class KnownProgress {
 public:
  explicit KnownProgress(std::uint64_t units) { taken_.units = units; }

  void take(const Receipt& receipt, const std::vector<NodeId>& workers);
  bool done() const { return taken_.done(); }
  Progress hear(const JobStatus& now);  // the steward's answer
  Progress alone() const;               // without one

 private:
  Progress taken_;
  std::set<NodeId> workers_;  // that verified what was taken
  unsigned told_workers_ = 0;
};

// A job in a pool. All but next() may be called from several threads: results fetch their outputs
// whenever they are looked at.
class RemoteJob final : public detail::JobCore {
 public:
  // What is worth saying while it waits, a line at a time.
  using Notice = std::function<void(const std::string& line)>;

  // `notice` may be empty, and is called on the thread of next().
  RemoteJob(std::shared_ptr<Client> client, JobId job, std::uint64_t units, bool keep,
            Notice notice)
      : client_(std::move(client)),
        job_(job),
        units_(units),
        keep_(keep),
        notice_(std::move(notice)),
        known_(units) {}
  // Closes the job where all of it was taken; else leaves it to go on.
  ~RemoteJob() override;

  std::string id() const override { return to_hex(job_); }
  std::shared_ptr<const detail::UnitRun> next() override;
  Bytes fetch(const detail::UnitRun& run, std::uint64_t place) override;
  void save(const detail::UnitRun& run, std::uint64_t place,
            const std::filesystem::path& to) override;
  Progress progress() override;
  void cancel() override;

 private:
  void take(std::vector<Receipt> receipts);
  void explain_dispute(detail::UnitRun& run, const std::vector<PackedOutputs>& differing,
                       const std::vector<NodeId>& holders);
  std::optional<Bytes> disputed_output(const PackedOutputs& output,
                                       const std::vector<NodeId>& holders);
  void look_what_is_wrong();
  ContentId obtain(const detail::UnitRun& run, std::uint64_t place);

  std::shared_ptr<Client> client_;
  JobId job_;
  std::uint64_t units_;
  bool keep_;
  Notice notice_;
  std::string waits_for_;  // as was said last
  int looks_in_vain_ = 0;  // since a receipt came
  RangeSet taken_;
  std::deque<std::shared_ptr<const detail::UnitRun>> ready_;
  bool complete_ = false;
  WorkerLists worker_lists_;
  std::optional<Manifest> manifest_;  // once it was needed
  int disputed_fetches_ = 0;

  std::mutex mutex_;  // guards what follows
  KnownProgress known_;
  std::set<ContentId> outputs_;
};

}  // namespace shoal
