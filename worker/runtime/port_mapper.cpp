#include "worker/runtime/port_mapper.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "node/protocol/address.h"

namespace shoal {

struct PortMapper::Shared {
  using Clock = std::chrono::steady_clock;

  Shared(Config c, std::vector<std::unique_ptr<RouterProtocol>> p)
      : config(c), protocols(std::move(p)), fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Shared() {
    if (fd >= 0) ::close(fd);
  }

  // --- on the thread ---
  void run();
  void ask();
  void succeed(RouterProtocol& by, const PortMapping& mapping);
  void fail(const std::string& why);
  void take_back();
  void tell(std::string endpoint, std::string text);

  const Config config;
  const std::vector<std::unique_ptr<RouterProtocol>> protocols;
  const int fd;
  // Of the thread alone: what the router has promised, who spoke with it, and until when.
  RouterProtocol* speaker = nullptr;
  std::optional<PortMapping> mapping;
  Clock::time_point lapses{};
  Clock::time_point ask_at{};
  bool has_failed = false;

  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  bool wanted = false;
  bool ending = false;
  bool ended = false;
  std::vector<News> news;
};

void PortMapper::Shared::run() {
  std::unique_lock lock(mutex);
  while (!ending) {
    if (!mapping && !wanted) {
      changed.wait(lock);
    } else if (Clock::now() < ask_at) {
      changed.wait_until(lock, ask_at);
    } else {
      wanted = false;
      lock.unlock();
      ask();
      lock.lock();
    }
  }
  lock.unlock();
  take_back();
  lock.lock();
  ended = true;
  changed.notify_all();
}

void PortMapper::Shared::ask() {
  std::string why;
  const std::uint16_t outer = mapping ? mapping->port : config.port;
  // A mapping is renewed by who made it; another protocol would make a second one.
  for (const auto& protocol : protocols) {
    if (speaker != nullptr && speaker != protocol.get()) continue;
    const auto given = protocol->map(config.port, outer, kLifetime);
    if (given && scope_of(given->address) > AddressScope::kLoopback) {
      return succeed(*protocol, *given);
    }
    if (given) protocol->unmap(config.port, given->port);
    why += (why.empty() ? "" : "; ") + protocol->name() + ": " +
           (given ? "the router has no address outside" : given.error());
  }
  fail(why);
}

void PortMapper::Shared::succeed(RouterProtocol& by, const PortMapping& given) {
  const auto now = Clock::now();
  const bool is_new = !mapping || mapping->address != given.address || mapping->port != given.port;
  speaker = &by;
  mapping = given;
  lapses = now + given.lifetime;
  ask_at = now + std::chrono::milliseconds(given.lifetime) / 2;
  has_failed = false;
  if (!is_new) return;
  const std::string endpoint = join_endpoint({given.address, given.port});
  tell(endpoint, "the router lets others in at " + endpoint + " (" + by.name() + ")");
}

void PortMapper::Shared::fail(const std::string& why) {
  const auto now = Clock::now();
  if (mapping && now < lapses) {  // there is time for a few more tries
    ask_at = now + (lapses - now) / 2 + std::chrono::seconds(1);
    return;
  }
  ask_at = now + config.retry_after;
  speaker = nullptr;
  const bool was_mapped = std::exchange(mapping, std::nullopt).has_value();
  if (std::exchange(has_failed, true) && !was_mapped) return;  // it was told before
  tell("", (was_mapped ? "the router lets others in no more (" : "no router lets others in (") +
               why + ")");
}

void PortMapper::Shared::take_back() {
  if (mapping) speaker->unmap(config.port, mapping->port);
  mapping.reset();
}

void PortMapper::Shared::tell(std::string endpoint, std::string text) {
  const std::lock_guard lock(mutex);
  news.push_back({std::move(endpoint), std::move(text)});
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t wrote = ::write(fd, &one, sizeof one);
}

namespace {

std::vector<std::unique_ptr<RouterProtocol>> all_protocols() {
  std::vector<std::unique_ptr<RouterProtocol>> protocols;
  protocols.push_back(nat_pmp());
  protocols.push_back(upnp());
  return protocols;
}

}  // namespace

PortMapper::PortMapper(std::uint16_t port) : PortMapper(Config{.port = port}, all_protocols()) {}

PortMapper::PortMapper(Config config, std::vector<std::unique_ptr<RouterProtocol>> protocols)
    : shared_(std::make_shared<Shared>(config, std::move(protocols))) {
  std::thread([shared = shared_] { shared->run(); }).detach();
}

PortMapper::~PortMapper() {
  std::unique_lock lock(shared_->mutex);
  shared_->ending = true;
  shared_->changed.notify_all();
  shared_->changed.wait_for(lock, kFarewell, [this] { return shared_->ended; });
}

void PortMapper::want() {
  const std::lock_guard lock(shared_->mutex);
  if (!std::exchange(shared_->wanted, true)) shared_->changed.notify_all();
}

int PortMapper::descriptor() const { return shared_->fd; }

std::vector<PortMapper::News> PortMapper::take() {
  const std::lock_guard lock(shared_->mutex);
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(shared_->fd, &count, sizeof count);
  return std::exchange(shared_->news, {});
}

}  // namespace shoal
