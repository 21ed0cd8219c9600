#include "node/state/clock.h"
#include "sdk/src/client_impl.h"

// What is asked of a pool, beside results.
namespace shoal {
namespace {

// Longer than the state machine takes to answer, whatever the network does.
constexpr std::chrono::milliseconds kQuestion{12'000};
constexpr std::size_t kAlsoAsked = 64;  // stewards of the book, for all jobs

}  // namespace

ClientResult<void> Client::control(const JobId& job, ControlCommand command,
                                   std::int32_t priority) {
  bool held = false;
  {
    std::lock_guard lock(impl_->mutex);
    const auto it = impl_->desks.find(job);
    held = it != impl_->desks.end() && it->second.accepted && !it->second.refused;
  }
  if (!held) {
    auto attached = attach(job, false, kQuestion);
    if (!attached) return tl::unexpected(attached.error());
  }
  std::uint64_t sequence = 0;
  {
    // The calendar, since another machine with this key may have been before; and rising, always.
    std::lock_guard lock(impl_->mutex);
    sequence = std::max(impl_->last_control + 1, static_cast<std::uint64_t>(unix_ms_now()));
    impl_->last_control = sequence;
  }
  const Control will{job, sequence, command, priority};
  impl_->loop->post(ControlJob{sign_fact(impl_->key, Purpose::kControl, encode(will))});
  return {};
}

ClientResult<std::optional<JobStatus>> Client::status(const JobId& job) {
  std::unique_lock lock(impl_->mutex);
  auto& answer = impl_->statuses[job];
  const std::uint64_t before = answer.count;
  impl_->loop->post(WantStatus{job, NodeId{}});
  auto waited = impl_->wait(lock, kQuestion, [&] { return answer.count > before; });
  if (!waited) return tl::unexpected(waited.error());
  if (answer.last.empty()) return std::optional<JobStatus>{};
  return std::optional<JobStatus>(answer.last.front());
}

ClientResult<std::vector<JobStatus>> Client::jobs() {
  WantStatus question{JobId{}, impl_->key.id()};
  {
    std::lock_guard lock(impl_->book_mutex);
    for (const JobId& job : impl_->book.jobs()) {
      if (question.also.size() >= kAlsoAsked) break;
      const auto stewards = impl_->book.find(job).stewards;
      question.also.insert(question.also.end(), stewards.begin(), stewards.end());
    }
  }
  std::unique_lock lock(impl_->mutex);
  auto& answer = impl_->statuses[JobId{}];
  const std::uint64_t before = answer.count;
  impl_->loop->post(std::move(question));
  auto waited = impl_->wait(lock, kQuestion, [&] { return answer.count > before; });
  if (!waited) return tl::unexpected(waited.error());
  return answer.last;
}

ClientResult<std::vector<JobId>> Client::find(std::string_view hex_prefix) {
  std::vector<JobId> found = matching(hex_prefix);
  if (const auto whole = id_from_hex<JobId>(hex_prefix)) return std::vector{*whole};
  if (!found.empty()) return found;
  const auto told = jobs();
  if (!told) return tl::unexpected(told.error());
  for (const JobStatus& status : *told) {
    if (to_hex(status.job).starts_with(hex_prefix)) found.push_back(status.job);
  }
  return found;
}

ClientResult<WorkersReady> Client::workers() {
  std::unique_lock lock(impl_->mutex);
  const std::uint64_t before = impl_->workers.count;
  impl_->loop->post(WantWorkers{});
  auto waited = impl_->wait(lock, kQuestion, [&] { return impl_->workers.count > before; });
  if (!waited) return tl::unexpected(waited.error());
  return impl_->workers.last;
}

}  // namespace shoal
