#include "bench/watcher.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace shoal::bench {
namespace {

constexpr std::chrono::seconds kPatience{10};

}  // namespace

Result<std::unique_ptr<Watcher>, std::string> Watcher::open(const Pool& pool) {
  std::unique_ptr<Watcher> watcher(new Watcher(pool));
  LinkConfig config;
  config.pool = pool.ticket().pool;
  config.role = Role::kSubmitter;
  auto link = Link::open(config, watcher->key_);
  if (!link) return tl::unexpected(link.error().what);
  watcher->link_ = std::move(*link);
  return watcher;
}

Measured Watcher::take(const NodeId& worker, const LinkEvent& event,
                       std::optional<JobStatusReply>& answer) {
  if (const auto* up = std::get_if<LinkUp>(&event)) {
    linked_.insert(up->peer);
    return {};
  }
  if (const auto* lost = std::get_if<LinkLost>(&event)) {
    linked_.erase(lost->peer);
    // Another one may have died on purpose.
    if (lost->peer != worker) return {};
    return tl::unexpected("a worker was lost: " + lost->why);
  }
  const auto& received = std::get<Received>(event);
  if (received.peer != worker) return {};
  auto message = decode(received.bytes);
  if (!message) return tl::unexpected("an answer cannot be read: " + message.error().what);
  if (auto* reply = std::get_if<JobStatusReply>(&*message)) answer = std::move(*reply);
  return {};
}

Result<std::optional<JobStatus>, std::string> Watcher::ask(const NodeId& worker, const JobId& job) {
  const auto& members = pool_.members();
  const auto member = std::find_if(members.begin(), members.end(),
                                   [&](const Pool::Member& m) { return m.id == worker; });
  if (member == members.end()) return tl::unexpected(std::string("it is not of this pool"));
  if (!linked_.contains(worker)) link_->perform(Dial{worker, member->endpoint});
  const auto give_up = std::chrono::steady_clock::now() + kPatience;
  std::optional<JobStatusReply> answer;
  std::vector<bool> readable;
  for (bool asked = false; !answer;) {
    if (!asked && linked_.contains(worker)) {
      link_->perform(Send{worker, encode(Message(JobStatusRequest{job, NodeId{}}))});
      asked = true;
    }
    const auto left = give_up - std::chrono::steady_clock::now();
    if (left.count() <= 0) return tl::unexpected(std::string("a worker does not answer"));
    for (const LinkEvent& event : link_->wait(left, {}, readable)) {
      if (auto taken = take(worker, event, answer); !taken) return tl::unexpected(taken.error());
    }
  }
  for (JobStatus& status : answer->jobs) {
    if (status.job == job) return std::optional<JobStatus>(std::move(status));
  }
  return std::optional<JobStatus>{};
}

Result<std::vector<NodeId>, std::string> Watcher::stewards(const JobId& job) {
  for (const Pool::Member& member : pool_.members()) {
    auto status = ask(member.id, job);
    if (!status) return tl::unexpected(status.error());
    if (*status) return std::move((*status)->stewards);
  }
  return tl::unexpected(std::string("no worker keeps the job"));
}

}  // namespace shoal::bench
