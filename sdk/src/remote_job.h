#pragma once

#include <deque>
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
// A verified, failed or disputed run, as the public API shows it.
std::shared_ptr<const detail::UnitRun> run_of(Receipt receipt);

// A job in a pool. All but next() may be called from several threads: results fetch their outputs
// whenever they are looked at.
class RemoteJob final : public detail::JobCore {
 public:
  RemoteJob(std::shared_ptr<Client> client, JobId job, std::uint64_t units, bool keep)
      : client_(std::move(client)), job_(job), units_(units), keep_(keep) {}
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
  void look_whether_cancelled();
  ContentId obtain(const detail::UnitRun& run, std::uint64_t place);

  std::shared_ptr<Client> client_;
  JobId job_;
  std::uint64_t units_;
  bool keep_;
  RangeSet taken_;
  std::deque<std::shared_ptr<const detail::UnitRun>> ready_;
  bool complete_ = false;
  Progress last_;  // of what was taken here

  std::mutex mutex_;  // guards what follows
  std::set<ContentId> outputs_;
};

}  // namespace shoal
