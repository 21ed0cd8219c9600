#include "worker/runtime/ledger_store.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "worker/runtime/ledger_database.h"

namespace shoal {
namespace {

constexpr Duration kUnawaited = std::chrono::milliseconds(100);

}  // namespace

struct LedgerStore::Impl {
  std::optional<LedgerDatabase> writing, reading;  // the writer's and the reader's own
  int ready = -1;                                  // an eventfd: `events` is not empty
  std::vector<LedgerWrite> taken_up;               // the network thread's own, until flush()
  std::size_t under_way = 0;                       // its own as well: groups without a StoreDone

  std::mutex mutex;  // guards all below
  std::condition_variable to_write_changed, to_read_changed;
  std::vector<LedgerWrite> to_write;
  std::deque<LoadReceipts> to_read;
  std::vector<LedgerEvent> events;
  bool ending = false;

  std::thread writer, reader;

  void report(std::vector<LedgerEvent> more, bool awaited);
  void write_all();
  void read_all();
};

void LedgerStore::Impl::report(std::vector<LedgerEvent> more, bool awaited) {
  {
    const std::lock_guard lock(mutex);
    for (LedgerEvent& event : more) events.push_back(std::move(event));
  }
  if (!awaited) return;
  const std::uint64_t one = 1;
  // Fails only when the count is at its end: then the descriptor is readable anyway.
  [[maybe_unused]] const ssize_t wrote = ::write(ready, &one, sizeof one);
}

void LedgerStore::Impl::write_all() {
  std::unique_lock lock(mutex);
  while (true) {
    to_write_changed.wait(lock, [this] { return ending || !to_write.empty(); });
    if (to_write.empty()) return;
    const std::vector<LedgerWrite> writes = std::exchange(to_write, {});
    lock.unlock();
    const auto done = writing->write(writes);
    std::vector<LedgerEvent> results;
    results.reserve(writes.size());
    bool awaited = !done;
    for (const LedgerWrite& write : writes) {
      const auto* group = std::get_if<Store>(&write);
      if (group == nullptr) continue;
      results.push_back(StoreDone{group->token, done ? std::string() : done.error().what});
      awaited |= group->awaited;
    }
    report(std::move(results), awaited);
    lock.lock();
  }
}

void LedgerStore::Impl::read_all() {
  std::unique_lock lock(mutex);
  while (true) {
    to_read_changed.wait(lock, [this] { return ending || !to_read.empty(); });
    if (ending) return;  // nobody is left to read for
    const LoadReceipts wanted = to_read.front();
    to_read.pop_front();
    lock.unlock();
    auto receipts = reading->receipts(wanted);
    std::vector<LedgerEvent> results;
    if (!receipts) {
      results.push_back(Tell{LogLevel::kError, receipts.error().what});
      receipts = std::vector<Bytes>{};
    }
    results.push_back(ReceiptsLoaded{wanted.job, wanted.reader, std::move(*receipts)});
    report(std::move(results), true);
    lock.lock();
  }
}

LedgerStore::LedgerStore() : impl_(std::make_unique<Impl>()) {}

LedgerStore::~LedgerStore() {
  flush();
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->ending = true;
  }
  impl_->to_write_changed.notify_all();
  impl_->to_read_changed.notify_all();
  if (impl_->writer.joinable()) impl_->writer.join();
  if (impl_->reader.joinable()) impl_->reader.join();
  if (impl_->ready >= 0) ::close(impl_->ready);
}

Result<std::unique_ptr<LedgerStore>, LedgerError> LedgerStore::open(
    const std::filesystem::path& file) {
  std::unique_ptr<LedgerStore> store(new LedgerStore);
  Impl& impl = *store->impl_;
  for (std::optional<LedgerDatabase>* connection : {&impl.writing, &impl.reading}) {
    auto opened = LedgerDatabase::open(file);
    if (!opened) return tl::unexpected(opened.error());
    *connection = std::move(*opened);
  }
  impl.ready = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (impl.ready < 0) {
    return tl::unexpected(
        LedgerError{LedgerFault::kSystem,
                    "cannot get a file descriptor for the ledger: raise the limit on "
                    "open files (ulimit -n)"});
  }
  impl.writer = std::thread([&impl] { impl.write_all(); });
  impl.reader = std::thread([&impl] { impl.read_all(); });
  return store;
}

Result<RecoveredState, LedgerError> LedgerStore::recover() {
  // A connection of its own: the reader's belongs to the reader's thread.
  auto database = LedgerDatabase::open(impl_->writing->file());
  if (!database) return tl::unexpected(database.error());
  auto facts = database->all_facts();
  if (!facts) return tl::unexpected(facts.error());
  return RecoveredState{std::move(*facts)};
}

void LedgerStore::perform(Store store) {
  impl_->taken_up.emplace_back(std::move(store));
  ++impl_->under_way;
}
void LedgerStore::perform(Erase erase) { impl_->taken_up.emplace_back(std::move(erase)); }

void LedgerStore::flush() {
  if (impl_->taken_up.empty()) return;
  {
    const std::lock_guard lock(impl_->mutex);
    for (LedgerWrite& write : impl_->taken_up) impl_->to_write.push_back(std::move(write));
  }
  impl_->taken_up.clear();
  impl_->to_write_changed.notify_one();
}

void LedgerStore::perform(LoadReceipts wanted) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->to_read.push_back(wanted);
  }
  impl_->to_read_changed.notify_one();
}

int LedgerStore::descriptor() const { return impl_->ready; }

std::optional<Duration> LedgerStore::next_timeout() const {
  if (impl_->under_way == 0) return std::nullopt;
  return kUnawaited;
}

std::vector<LedgerEvent> LedgerStore::collect() {
  // Read first: an event that comes in between leaves the descriptor readable.
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(impl_->ready, &count, sizeof count);
  std::vector<LedgerEvent> events;
  {
    const std::lock_guard lock(impl_->mutex);
    events = std::exchange(impl_->events, {});
  }
  for (const LedgerEvent& event : events) {
    if (std::holds_alternative<StoreDone>(event)) --impl_->under_way;
  }
  return events;
}

}  // namespace shoal
