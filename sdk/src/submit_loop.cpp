#include "sdk/src/submit_loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "node/link/advertised.h"
#include "node/protocol/address.h"
#include "node/state/clock.h"

namespace shoal {
namespace {

constexpr Duration kLongest = 3600s;
// What a coordinator that is gone may cost at the end.
constexpr Duration kFarewell = 1s;
// Nobody spreads its record, and who has it forgets it with the link.
constexpr std::uint32_t kSessionSeconds = 30 * 24 * 3600;

// Workers that cannot be dialled are asked to dial this node. In a pool that is all on this machine
// there are none.
bool all_on_this_machine(const Ticket& ticket) {
  return std::all_of(ticket.doors.begin(), ticket.doors.end(), [](const Ticket::Door& door) {
    const auto at = split_endpoint(door.endpoint);
    return at && (at->host == "localhost" || scope_of(at->host) == AddressScope::kLoopback);
  });
}

SubmitterConfig config_of(const Ticket& ticket, std::vector<Ticket::Door> remembered,
                          std::uint16_t port, bool shares, std::uint64_t session) {
  SubmitterConfig config;
  config.session = session;
  config.takes_calls = shares;
  config.remembered = std::move(remembered);
  config.port = port;
  config.pool = ticket.pool;
  config.doors = ticket.doors;
  config.unix_ms_at_zero = unix_ms_at_zero();
  return config;
}

LinkConfig link_config_of(const Ticket& ticket, bool shares, std::uint64_t session) {
  LinkConfig config;
  config.session = session;
  config.pool = ticket.pool;
  config.role = Role::kSubmitter;
  if (!all_on_this_machine(ticket)) {
    config.listen = "tcp://0.0.0.0:0";
  } else if (shares) {
    config.listen = "tcp://127.0.0.1:0";
  }
  return config;
}

// Under which others can dial it, as long as the session lasts.
NodeRecord record_of(const Ticket& ticket, const NodeId& node, std::uint16_t port) {
  NodeRecord record;
  record.node = node;
  record.pool = ticket.pool;
  record.role = Role::kSubmitter;
  record.endpoints =
      endpoints_to_advertise({"0.0.0.0", port}, {}, ticket.doors, interface_addresses(false));
  record.agent = "shoal/" SHOAL_VERSION;
  record.sequence = unix_ms_now();
  record.ttl_s = kSessionSeconds;
  return record;
}

}  // namespace

struct SubmitLoop::Impl {
  Impl(SubmitterConfig config, const KeyPair& key, const SignatureChecker& checker,
       ContentStore& store, std::function<void(SubmitNews)> tell, std::unique_ptr<Link> l)
      : content(store),
        news(std::move(tell)),
        submitter(std::move(config), key, checker, Rng(random_seed())),
        link(std::move(l)) {}

  void run();
  void leave();
  void step(SubmitterEvent event);
  void perform(SubmitterAction action, std::deque<SubmitterEvent>& answers);
  void wake() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(wake_fd, &one, sizeof one);
  }

  ContentStore& content;
  std::function<void(SubmitNews)> news;
  Submitter submitter;
  std::unique_ptr<Link> link;
  SubmitNews gathered;
  int wake_fd = -1;
  std::thread thread;

  std::mutex mutex;  // guards what follows
  std::vector<SubmitterEvent> posted;
  bool stop = false;
};

SubmitLoop::SubmitLoop() = default;

Result<std::unique_ptr<SubmitLoop>, LinkError> SubmitLoop::start(
    const Ticket& ticket, std::vector<Ticket::Door> remembered, const KeyPair& key,
    const SignatureChecker& checker, ContentStore& content, std::function<void(SubmitNews)> news,
    bool shares) {
  const std::uint64_t session = random_seed() | 1;  // 0 would be none
  auto link = Link::open(link_config_of(ticket, shares, session), key);
  if (!link) return tl::unexpected(link.error());
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) {
    return tl::unexpected(
        LinkError{LinkFault::kSystem, std::string("eventfd: ") + std::strerror(errno)});
  }
  std::unique_ptr<SubmitLoop> loop(new SubmitLoop());
  const std::uint16_t port = (*link)->port();
  SubmitterConfig config = config_of(ticket, std::move(remembered), port, shares, session);
  if (shares) {
    config.record = record_of(ticket, key.id(), port);
    (*link)->set_record(sign_fact(key, Purpose::kRecord, encode(*config.record)));
  }
  loop->impl_ = std::make_unique<Impl>(std::move(config), key, checker, content, std::move(news),
                                       std::move(*link));
  loop->impl_->wake_fd = fd;
  loop->impl_->thread = std::thread([impl = loop->impl_.get()] { impl->run(); });
  return loop;
}

SubmitLoop::~SubmitLoop() {
  if (!impl_) return;
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stop = true;
  }
  impl_->wake();
  impl_->thread.join();
  close(impl_->wake_fd);
}

void SubmitLoop::post(SubmitterEvent event) {
  bool first = false;
  {
    std::lock_guard lock(impl_->mutex);
    first = impl_->posted.empty();
    impl_->posted.push_back(std::move(event));
  }
  if (first) impl_->wake();
}

void SubmitLoop::Impl::run() {
  const std::vector<int> fds{wake_fd};
  std::vector<bool> readable;
  step(SubmitterStarted{});
  for (;;) {
    if (!gathered.empty()) news(std::exchange(gathered, {}));
    Duration wait = kLongest;
    if (const auto deadline = submitter.next_deadline()) {
      wait = std::clamp<Duration>(*deadline - boottime_now(), Duration(0), kLongest);
    }
    for (LinkEvent& event : link->wait(wait, fds, readable)) {
      std::visit([this](auto& e) { step(std::move(e)); }, event);
    }
    std::vector<SubmitterEvent> commands;
    bool stopping = false;
    if (!readable.empty() && readable[0]) {
      std::uint64_t count = 0;
      [[maybe_unused]] const ssize_t n = read(wake_fd, &count, sizeof count);
      std::lock_guard lock(mutex);
      commands.swap(posted);
      stopping = stop;
    }
    for (SubmitterEvent& command : commands) step(std::move(command));
    if (const auto deadline = submitter.next_deadline(); deadline && *deadline <= boottime_now()) {
      step(SubmitterDeadline{});
    }
    if (stopping) return leave();
  }
}

void SubmitLoop::Impl::leave() {
  step(LeavePool{});
  const Instant until = boottime_now() + kFarewell;
  std::vector<bool> readable;
  for (Instant now = boottime_now(); !submitter.has_left() && now < until; now = boottime_now()) {
    for (LinkEvent& event : link->wait(until - now, {}, readable)) {
      std::visit([this](auto& e) { step(std::move(e)); }, event);
    }
  }
}

void SubmitLoop::Impl::step(SubmitterEvent event) {
  std::deque<SubmitterEvent> events;
  events.push_back(std::move(event));
  while (!events.empty()) {
    SubmitterEvent next = std::move(events.front());
    events.pop_front();
    for (SubmitterAction& action : submitter.step(boottime_now(), std::move(next))) {
      perform(std::move(action), events);
    }
  }
}

void SubmitLoop::Impl::perform(SubmitterAction action, std::deque<SubmitterEvent>& answers) {
  if (auto* send = std::get_if<Send>(&action)) {
    link->perform(std::move(*send));
  } else if (const auto* dial = std::get_if<Dial>(&action)) {
    link->perform(*dial);
  } else if (const auto* probe = std::get_if<Probe>(&action)) {
    link->perform(*probe);
  } else if (const auto* drop = std::get_if<Drop>(&action)) {
    link->perform(*drop);
  } else if (const auto* open = std::get_if<OpenContent>(&action)) {
    answers.push_back(content.perform(*open));
  } else if (const auto* store = std::get_if<StoreBlock>(&action)) {
    answers.push_back(content.perform(*store));
  } else if (const auto* read = std::get_if<ReadBlock>(&action)) {
    answers.push_back(content.perform(*read));
  } else if (!std::holds_alternative<Tell>(action)) {
    gathered.push_back(std::move(action));
  }
}

}  // namespace shoal
