#include "worker/runtime/content_checks.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "node/protocol/result.h"

namespace shoal {
namespace {

// The job that an action begins, if it is one that may.
const JobId* job_begun_by(const PeerAction& action) {
  if (const auto* compute = std::get_if<StartCompute>(&action)) return &compute->job;
  if (const auto* compare = std::get_if<StartCompare>(&action)) return &compare->job;
  return nullptr;
}

std::vector<ContentName> needed_by(const PeerAction& action) {
  if (const auto* open = std::get_if<OpenContent>(&action)) {
    // Whoever reads for himself checks for himself, and is to have his answer at once.
    if (open->for_reader) return {};
    return {{open->id, open->length}};
  }
  if (const auto* compute = std::get_if<StartCompute>(&action)) {
    return contents_of(*compute->manifest);
  }
  if (const auto* compare = std::get_if<StartCompare>(&action)) {
    return contents_of(*compare->manifest);
  }
  return {};
}

}  // namespace

ContentChecks::ContentChecks(ContentStore& contents)
    : contents_(contents),
      ready_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this](const std::stop_token& stop) { work(stop); }) {
  check(ready_ >= 0, "the system gives no event descriptor");
}

ContentChecks::~ContentChecks() {
  thread_.request_stop();
  thread_.join();
  ::close(ready_);
}

std::optional<PeerAction> ContentChecks::admit(PeerAction action) {
  if (const auto* cancel = std::get_if<CancelCompute>(&action)) {
    const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& one) {
      const auto* start = std::get_if<StartCompute>(&one.action);
      return start != nullptr && start->chunk == cancel->chunk;
    });
    if (found == waiting_.end()) return action;
    waiting_.erase(found);
    return std::nullopt;
  }
  if (const auto* forget = std::get_if<ForgetJob>(&action)) {
    begun_.erase(forget->job);
    waiting_.remove_if([&](const Waiting& one) {
      const JobId* job = job_begun_by(one.action);
      return job != nullptr && *job == forget->job;
    });
    return action;
  }
  const JobId* job = job_begun_by(action);
  if (job != nullptr && begun_.contains(*job)) return action;
  const std::vector<ContentName> needed = needed_by(action);
  Waiting waiting;
  bool all_here = true;
  for (const ContentName& content : needed) {
    if (contents_.is_as_checked(content.id)) continue;
    if (!contents_.holds(content.id)) {
      all_here = false;
      continue;
    }
    waiting.unread.insert(content.id);
    read(content);
  }
  if (job != nullptr && !all_here) {
    lost_.insert(*job);
    return std::nullopt;
  }
  if (waiting.unread.empty()) {
    if (job != nullptr) begun_.insert(*job);
    return action;
  }
  waiting.action = std::move(action);
  waiting_.push_back(std::move(waiting));
  return std::nullopt;
}

void ContentChecks::read(const ContentName& content) {
  if (!asked_for_.insert(content.id).second) return;
  {
    const std::lock_guard lock(mutex_);
    to_read_.emplace(content.length, content.id);
  }
  wake_.notify_one();
}

std::vector<PeerAction> ContentChecks::collect() {
  std::vector<std::pair<ContentId, std::string>> read;
  {
    const std::lock_guard lock(mutex_);
    std::uint64_t count = 0;
    static_cast<void>(::read(ready_, &count, sizeof count));
    read = std::exchange(read_, {});
  }
  std::vector<PeerAction> now;
  for (const auto& [id, error] : read) {
    asked_for_.erase(id);
    for (Waiting& one : waiting_) {
      if (one.unread.erase(id) == 0) continue;
      one.failed = one.failed || !error.empty();
    }
    if (!error.empty()) now.emplace_back(Tell{LogLevel::kWarning, error});
  }
  std::list<Waiting> through;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    const auto next = std::next(it);
    if (it->unread.empty()) through.splice(through.end(), waiting_, it);
    it = next;
  }
  for (Waiting& one : through) {
    const JobId* job = job_begun_by(one.action);
    if (one.failed && job != nullptr) {
      lost_.insert(*job);
      continue;
    }
    // It may have been written to since.
    auto action = one.failed ? std::optional(std::move(one.action)) : admit(std::move(one.action));
    if (action) now.push_back(std::move(*action));
  }
  return now;
}

void ContentChecks::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (wake_.wait(lock, stop, [this] { return !to_read_.empty(); })) {
    if (stop.stop_requested()) return;
    const ContentId id = to_read_.extract(to_read_.begin()).mapped();
    lock.unlock();
    const auto checked = contents_.check(id, stop);
    lock.lock();
    // Who asked for it is told that it is not here all the same.
    const bool gone = !checked && checked.error().fault == StoreFault::kMissing;
    read_.emplace_back(id, checked || gone ? std::string() : checked.error().what);
    const std::uint64_t one = 1;
    static_cast<void>(::write(ready_, &one, sizeof one));
  }
}

}  // namespace shoal
