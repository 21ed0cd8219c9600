#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sdk/cli/interrupts.h"
#include "sdk/cli/output.h"
#include "sdk/cli/settings.h"
#include "sdk/src/client.h"

namespace shoal::cli {

// A way into the pool that ends its waits on Ctrl-C and after --timeout.
struct PoolAccess {
  Ticket ticket;
  std::unique_ptr<Interrupts> interrupts;
  std::shared_ptr<Client> client;

  // With the right exit code where the wait was ended by Ctrl-C or by time.
  Failure failure(const ClientError& error) const;
  Failure failure(const Error& error) const;
};
// To be called before any thread is started.
Result<PoolAccess, Failure> join_pool(const Settings& settings);
// The same; others may fetch from it what it shares.
Result<PoolAccess, Failure> join_pool_to_share(const Settings& settings);
Result<PoolAccess, Failure> join_pool(const Settings& settings, Ticket ticket,
                                      const std::filesystem::path& state, bool shares = false);

inline constexpr std::size_t kPrefixDigitsMin = 4;
// The job that `text`, its id or the first digits of it, means. `matching` knows this account's
// jobs: those that it remembers, else those that the pool has of it. A whole id may also be of
// somebody else's job.
Result<JobId, Failure> resolve_job(
    std::string_view text, const std::function<std::vector<JobId>(std::string_view)>& matching);
Result<JobId, Failure> resolve_job(PoolAccess& pool, std::string_view text);

// What its steward says; it is found by what this account remembers of it, else by asking around.
// Nothing in it: no worker that can be reached keeps the job.
Result<std::optional<JobStatus>, Failure> status_of(PoolAccess& pool, const JobId& job);

// A job of a shipped kernel, with a nonce of its own; units and policy are the caller's to set.
Manifest new_manifest(const std::string& kernel, Bytes parameters);

// How to come back to a job after leaving it.
std::string way_back(const JobId& job);

}  // namespace shoal::cli
