#include "sdk/cli/pool_access.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "node/protocol/facts.h"
#include "node/state/clock.h"
#include "sdk/src/places.h"

namespace shoal::cli {
namespace {

constexpr std::size_t kShownDigits = 16;
constexpr std::chrono::milliseconds kAttachPatience{12'000};

Failure mended(Failure failure, Interrupts::Reason reason) {
  switch (reason) {
    case Interrupts::Reason::kNone:
      return failure;
    case Interrupts::Reason::kSignal:
      return {kInterrupted, "Interrupted."};
    case Interrupts::Reason::kTimeout:
      return {kTimedOut, "The time given with --timeout is over."};
  }
  return failure;
}

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

Failure PoolAccess::failure(const ClientError& error) const {
  Failure failure = failure_of(error);
  // Of a question that the pool should have answered long ago.
  if (error.kind == ClientError::Kind::kTimeout) failure.exit_code = kUnreachable;
  return mended(std::move(failure), interrupts->reason());
}

Failure PoolAccess::failure(const Error& error) const {
  return mended(failure_of(error), interrupts->reason());
}

Result<PoolAccess, Failure> join_pool(const Settings& settings) {
  auto ticket = ticket_of(settings);
  if (!ticket) return tl::unexpected(ticket.error());
  return join_pool(settings, std::move(*ticket), state_folder());
}

Result<PoolAccess, Failure> join_pool_to_share(const Settings& settings) {
  auto ticket = ticket_of(settings);
  if (!ticket) return tl::unexpected(ticket.error());
  return join_pool(settings, std::move(*ticket), state_folder(), true);
}

Result<PoolAccess, Failure> join_pool(const Settings& settings, Ticket ticket,
                                      const std::filesystem::path& state, bool shares) {
  PoolAccess pool;
  pool.ticket = std::move(ticket);
  pool.interrupts = std::make_unique<Interrupts>(settings.timeout);
  ClientConfig config;
  config.ticket = pool.ticket;
  config.state = state;
  config.shares = shares;
  if (!settings.quiet) config.notice = [](const std::string& line) { say("shoal: " + line); };
  auto client = Client::open(std::move(config));
  if (!client) return tl::unexpected(failure_of(client.error()));
  pool.client = std::shared_ptr<Client>(std::move(*client));
  pool.interrupts->on_interrupt([held = std::weak_ptr<Client>(pool.client)] {
    if (const auto alive = held.lock()) alive->interrupt();
  });
  return pool;
}

Result<JobId, Failure> resolve_job(
    std::string_view text, const std::function<std::vector<JobId>(std::string_view)>& matching) {
  std::string hex(text);
  std::transform(hex.begin(), hex.end(), hex.begin(), [](char c) {
    return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (hex.size() < kPrefixDigitsMin || hex.size() > 64 || !is_hex(hex)) {
    return fail(kUsage, "'" + std::string(text) + "' is not a job's id: give at least " +
                            std::to_string(kPrefixDigitsMin) +
                            " of its 64 hexadecimal digits. 'shoal job list' shows them.");
  }
  if (const auto whole = id_from_hex<JobId>(hex)) {
    // It would ask for all jobs, and any of them would be the answer.
    if (whole->is_zero()) return fail(kUsage, "No job has the id that is all zeros.");
    return *whole;
  }
  const std::vector<JobId> found = matching(hex);
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    return fail(kError, "No job of this account starts with '" + hex + "' (looked in " +
                            (state_folder() / "jobs").string() +
                            " and in the pool). 'shoal job list' shows those that there are.");
  }
  std::string all;
  for (const JobId& job : found) all += "\n  " + to_hex(job);
  return fail(kUsage, std::to_string(found.size()) + " jobs start with '" + hex +
                          "'. Give more digits:" + all);
}

Result<JobId, Failure> resolve_job(PoolAccess& pool, std::string_view text) {
  std::optional<Failure> trouble;
  auto job = resolve_job(text, [&](std::string_view hex) {
    auto found = pool.client->find(hex);
    if (!found) trouble = pool.failure(found.error());
    return found ? std::move(*found) : std::vector<JobId>{};
  });
  if (trouble) return tl::unexpected(std::move(*trouble));
  return job;
}

Result<std::optional<JobStatus>, Failure> status_of(PoolAccess& pool, const JobId& job) {
  if (pool.client->remembered(job).manifest) {
    const auto attached = pool.client->attach(job, false, kAttachPatience);
    if (!attached && attached.error().why == JobRefused::Why::kUnknownJob) {
      return std::optional<JobStatus>{};
    }
    if (!attached) return tl::unexpected(pool.failure(attached.error()));
  }
  auto status = pool.client->status(job);
  if (!status) return tl::unexpected(pool.failure(status.error()));
  return *status;
}

Manifest new_manifest(const std::string& kernel, Bytes parameters) {
  Manifest manifest;
  for (std::size_t i = 0; i < manifest.nonce.size(); i += sizeof(std::uint64_t)) {
    const std::uint64_t random = random_seed();
    std::memcpy(manifest.nonce.data() + i, &random, sizeof random);
  }
  manifest.name = kernel;
  manifest.kernel = kernel;
  manifest.parameters = std::move(parameters);
  manifest.created = unix_ms_now();
  return manifest;
}

std::string way_back(const JobId& job) {
  const std::string id = to_hex(job).substr(0, kShownDigits);
  return "The job goes on. Come back with: shoal job results " + id +
         "\nor stop it with: shoal job cancel " + id;
}

}  // namespace shoal::cli
