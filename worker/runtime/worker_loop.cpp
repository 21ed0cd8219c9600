#include "worker/runtime/worker_loop.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "node/content/store/refusal_files.h"
#include "node/protocol/limits.h"
#include "node/protocol/plain_text.h"
#include "node/state/clock.h"

namespace shoal {

namespace {

// Long enough to cost nothing, short enough that an error in a deadline heals.
constexpr Duration kLongestWait = 60s;
// A coordinator that does not answer keeps nobody from ending.
constexpr Duration kFarewell = 1s;

// Why links come and go is the first question where something hangs.
void log_link(const LinkEvent& event) {
  if (const auto* up = std::get_if<LinkUp>(&event)) {
    log_line(LogLevel::kDebug, "link to " + short_hex(up->peer) + " at " + up->address + ": " +
                                   std::string(name_of(up->path)));
  } else if (const auto* lost = std::get_if<LinkLost>(&event)) {
    log_line(LogLevel::kDebug, "no link to " + short_hex(lost->peer) + ": " + lost->why);
  }
}

}  // namespace

void log_line(LogLevel level, std::string_view words) {
  const std::string text = plain_line(words);
  switch (level) {
    case LogLevel::kDebug:
      spdlog::debug("{}", text);
      return;
    case LogLevel::kInfo:
      spdlog::info("{}", text);
      return;
    case LogLevel::kWarning:
      spdlog::warn("{}", text);
      return;
    case LogLevel::kError:
      spdlog::error("{}", text);
      return;
  }
}

WorkerLoop::WorkerLoop(WorkerParts parts)
    : parts_(std::move(parts)),
      owner_(
          parts_.keeper, [this](Lend lend) { answers_.emplace_back(lend); },
          [this] { return reread_refusals(); }),
      checks_(parts_.contents) {}

void WorkerLoop::run() {
  refresh_record();
  step(Started{});
  step_answers();
  // Of what an earlier run held, what is over a quota that was lowered since goes now.
  parts_.contents.set_needed(parts_.peer.contents_needed());
  parts_.ledger.flush();
  std::vector<bool> readable;
  while (true) {
    std::vector<int> fds{leave_until_ ? -1 : parts_.signal_fd, parts_.ledger.descriptor()};
    if (parts_.mapper != nullptr) fds.push_back(parts_.mapper->descriptor());
    fds.push_back(checks_.descriptor());
    for (const int fd : parts_.keeper.descriptors()) fds.push_back(fd);
    const auto of_control = static_cast<std::ptrdiff_t>(fds.size());
    for (const int fd : parts_.control.descriptors()) fds.push_back(fd);
    const auto timeout = time_to_wait();
    keeper_called_ = false;
    for (LinkEvent& event : parts_.link.wait(timeout, fds, readable)) {
      log_link(event);
      std::visit([this](auto& what) { step(std::move(what)); }, event);
      step_answers();
    }
    const bool signalled = readable.at(0);
    // Before what has come in the meantime: a pause is meant now.
    if (std::find(readable.begin() + of_control, readable.end(), true) != readable.end()) {
      parts_.control.serve(
          [this](std::string_view question) { return owner_.answer(boottime_now(), question); });
    }
    // Also when it did not call: what nobody awaits is seen when there is something else.
    for (LedgerEvent& event : parts_.ledger.collect()) {
      if (auto* tell = std::get_if<Tell>(&event)) log_line(tell->level, tell->text);
      if (auto* done = std::get_if<StoreDone>(&event)) step(std::move(*done));
      if (auto* loaded = std::get_if<ReceiptsLoaded>(&event)) step(std::move(*loaded));
    }
    for (PeerAction& action : checks_.collect()) perform_now(std::move(action));
    tell_of_lost_contents();
    collect();
    owner_.tick(boottime_now());
    const auto deadline = parts_.peer.next_deadline();
    if (deadline && *deadline <= boottime_now()) step(DeadlineReached{});
    if (refresh_record_at_ <= boottime_now()) refresh_record();
    step_answers();
    if (parts_.mapper != nullptr) tend_mapping(readable.at(2));
    if (record_is_old()) refresh_record();
    const bool ends = is_to_end(signalled);
    parts_.traffic.note(parts_.peer.traffic(), ends);
    parts_.ledger.flush();
    if (ends) return;
  }
}

bool WorkerLoop::is_to_end(bool signalled) {
  if (!leave_until_) {
    const bool finished = owner_.finished(boottime_now(), parts_.peer);
    if (!finished && !signalled) return false;
    if (finished) log_line(LogLevel::kInfo, "finished, as its owner asked");
    leave_until_ = boottime_now() + kFarewell;
    step(Leaving{});
    step_answers();
  }
  return parts_.peer.has_left() || *leave_until_ <= boottime_now();
}

Result<void, std::string> WorkerLoop::reread_refusals() {
  const auto all = read_refusals(parts_.refusals);
  if (!all) return tl::unexpected(all.error().what);
  Refusals refusals = gathered(*all);
  log_line(LogLevel::kInfo, "its owner refuses " + std::to_string(refusals.submitters.size()) +
                                " submitters, " + std::to_string(refusals.contents.size()) +
                                " contents");
  step(Refuse{std::move(refusals)});  // at once: the owner is told that it is done
  step_answers();
  return {};
}

void WorkerLoop::collect() {
  do {
    keeper_called_ = false;
    for (KeeperEvent& event : parts_.keeper.collect()) {
      if (auto* tell = std::get_if<Tell>(&event)) log_line(tell->level, tell->text);
      if (auto* done = std::get_if<ComputeDone>(&event)) step(std::move(*done));
      if (auto* done = std::get_if<CompareDone>(&event)) step(std::move(*done));
      if (auto* saved = std::get_if<StateSaved>(&event)) step(std::move(*saved));
    }
    step_answers();
  } while (keeper_called_);
}

void WorkerLoop::step(PeerEvent event) {
  for (PeerAction& action : parts_.peer.step(boottime_now(), std::move(event))) {
    perform(std::move(action));
  }
}

void WorkerLoop::step_answers() {
  while (!answers_.empty()) {
    PeerEvent answer = std::move(answers_.front());
    answers_.pop_front();
    step(std::move(answer));
  }
}

void WorkerLoop::perform(PeerAction action) {
  if (auto now = checks_.admit(std::move(action))) perform_now(std::move(*now));
  tell_of_lost_contents();
}

void WorkerLoop::tell_of_lost_contents() {
  for (const JobId& job : checks_.take_lost()) answers_.emplace_back(ContentsLost{job});
}

void WorkerLoop::perform_now(PeerAction action) {
  std::visit(
      [this](auto& what) {
        using Action = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<Action, Dial> || std::is_same_v<Action, Probe> ||
                      std::is_same_v<Action, Send> || std::is_same_v<Action, Drop>) {
          parts_.link.perform(std::move(what));
        } else if constexpr (std::is_same_v<Action, Tell>) {
          log_line(what.level, what.text);
        } else if constexpr (std::is_same_v<Action, Store> || std::is_same_v<Action, Erase> ||
                             std::is_same_v<Action, LoadReceipts>) {
          parts_.ledger.perform(std::move(what));
        } else if constexpr (std::is_same_v<Action, OpenContent> ||
                             std::is_same_v<Action, StoreBlock> ||
                             std::is_same_v<Action, ReadBlock>) {
          // A fetch begins, for which others may have to go.
          if constexpr (std::is_same_v<Action, OpenContent>) {
            parts_.contents.set_needed(parts_.peer.contents_needed());
          }
          answers_.emplace_back(parts_.contents.perform(what));
        } else if constexpr (std::is_same_v<Action, DropContent>) {
          if (what.refused || !parts_.contents.pinned(what.id)) parts_.contents.drop(what.id);
        } else {
          static_assert(std::is_same_v<Action, StartCompute> ||
                        std::is_same_v<Action, CancelCompute> ||
                        std::is_same_v<Action, KeepState> || std::is_same_v<Action, StartCompare> ||
                        std::is_same_v<Action, ForgetJob>);
          parts_.keeper.perform(what);
          keeper_called_ = true;
        }
      },
      action);
}

// Peers that meet this node later must see a record that has not run out.
void WorkerLoop::refresh_record() {
  via_said_ = parts_.peer.via();
  endpoints_said_ = parts_.peer.endpoints();
  parts_.link.set_record(parts_.peer.sign_record(boottime_now()));
  refresh_record_at_ = boottime_now() + limits::kAnnounceEvery;
}

bool WorkerLoop::record_is_old() const {
  return parts_.peer.via() != via_said_ || parts_.peer.endpoints() != endpoints_said_;
}

void WorkerLoop::tend_mapping(bool has_news) {
  if (parts_.needs_mapping || parts_.peer.reachability() == Reachability::kUnreachable) {
    parts_.mapper->want();
  }
  if (!has_news) return;
  for (PortMapper::News& news : parts_.mapper->take()) {
    log_line(LogLevel::kInfo, news.text);
    step(PortMapped{std::move(news.endpoint)});
  }
  step_answers();
}

std::chrono::nanoseconds WorkerLoop::time_to_wait() {
  if (keeper_called_) return std::chrono::nanoseconds(0);
  const Instant now = boottime_now();
  Duration wait = std::min(kLongestWait, refresh_record_at_ - now);
  if (const auto deadline = parts_.peer.next_deadline()) wait = std::min(wait, *deadline - now);
  if (leave_until_) wait = std::min(wait, *leave_until_ - now);
  if (const auto deadline = owner_.next_deadline()) wait = std::min(wait, *deadline - now);
  if (const auto timeout = parts_.keeper.next_timeout()) wait = std::min(wait, *timeout);
  if (const auto timeout = parts_.ledger.next_timeout()) wait = std::min(wait, *timeout);
  return std::max(wait, Duration(0));
}

}  // namespace shoal
