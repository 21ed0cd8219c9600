#include "sdk/cli/job_steering.h"

#include <chrono>

#include "sdk/cli/explain.h"
#include "sdk/cli/pool_access.h"
#include "sdk/cli/schema.h"

namespace shoal::cli {
namespace {

constexpr std::chrono::milliseconds kLookEvery{200};
constexpr int kLooks = 25;

// Nothing can be changed of a job that is over. To cancel is to ask for no more than that.
bool comes_too_late(const std::optional<JobStatus>& status, ControlCommand command) {
  return status && command != ControlCommand::kCancel && is_over(*status);
}

tl::unexpected<Failure> too_late(const JobStatus& status) {
  return fail(kError, "Job " + short_hex(status.job) + " is over, so that nothing was changed. " +
                          explanation(status, std::nullopt));
}

}  // namespace

bool obeys(const JobStatus& status, ControlCommand command, std::int32_t priority) {
  switch (command) {
    case ControlCommand::kCancel:
      return status.phase == JobPhase::kDone || status.phase == JobPhase::kCancelled;
    case ControlCommand::kPause:
      return is_over(status) || status.phase == JobPhase::kPaused;
    case ControlCommand::kResume:
      return is_over(status) || status.phase != JobPhase::kPaused;
    case ControlCommand::kPriority:
      return is_over(status) || status.priority == priority;
  }
  return false;
}

Outcome steer_job(const std::string& id, ControlCommand command, std::int32_t priority,
                  const Settings& settings) {
  auto pool = join_pool(settings);
  if (!pool) return tl::unexpected(pool.error());
  const auto job = resolve_job(*pool, id);
  if (!job) return tl::unexpected(job.error());
  const auto about_it = [&](Failure failure) {
    failure.what = "Job " + short_hex(*job) + ": " + failure.what;
    return tl::unexpected(std::move(failure));
  };
  const auto before = status_of(*pool, *job);
  if (!before) return about_it(before.error());
  if (comes_too_late(*before, command)) return too_late(**before);
  if (auto sent = pool->client->control(*job, command, priority); !sent) {
    return about_it(pool->failure(sent.error()));
  }
  // A steward that was told tells the others: the leader may hear of it a moment later.
  auto status = pool->client->status(*job);
  for (int look = 1; status && *status && !obeys(**status, command, priority); ++look) {
    if (look == kLooks || !pool->interrupts->pause(kLookEvery)) {
      return fail(kUnreachable, "Job " + short_hex(*job) +
                                    ": a worker that keeps it was told, but it has not changed "
                                    "yet. See 'shoal job show'.");
    }
    status = pool->client->status(*job);
  }
  if (!status) return tl::unexpected(pool->failure(status.error()));
  if (!*status) {
    return fail(kUnreachable, "Job " + short_hex(*job) +
                                  ": none of its stewards answered, so that nothing may have "
                                  "changed. Try again, or see 'shoal job explain'.");
  }
  if (comes_too_late(*status, command)) return too_late(**status);
  if (settings.json) {
    print(json_line(job_json(**status)));
  } else if (!settings.quiet) {
    const std::string now = explanation(*status, std::nullopt);
    say("Job " + short_hex(*job) + ": " +
        (command == ControlCommand::kPriority
             ? "its priority is " + std::to_string((*status)->priority) + " now. " + now
             : now));
  }
  return kSuccess;
}

}  // namespace shoal::cli
