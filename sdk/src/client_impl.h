#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "sdk/src/client.h"
#include "sdk/src/peer_book.h"
#include "sdk/src/submit_loop.h"

namespace shoal {

// The tables behind client.h, and what guards them. Three threads meet here: those of the callers,
// which wait; the loop's, which brings the news; the settler's, which writes what may be late.
struct Client::Impl {
  // What has arrived for one job and was not yet taken.
  struct Desk {
    std::optional<JobAccepted> accepted;
    std::optional<JobRefused> refused;
    std::deque<Receipt> receipts;
    std::uint64_t last_number = 0;  // of the last one that arrived
    std::vector<std::string> complaints;
    std::optional<Snapshot> closed;
  };
  template <class T>
  struct Answer {
    std::uint64_t count = 0;  // tells a new one from one that another thread had asked for
    T last{};
  };

  Impl(KeyPair k, const std::filesystem::path& state, const PoolId& pool)
      : key(std::move(k)), book(state / "jobs"), peers(state / "peers", pool) {}

  void hear(SubmitNews news);
  void hear_one(SubmitterAction& news);
  template <class Ready>
  ClientResult<void> wait(std::unique_lock<std::mutex>& lock, Patience patience, Ready ready);
  void clear_desk(const JobId& job) {
    std::lock_guard lock(mutex);
    desks[job] = Desk{};
  }
  ClientResult<JobAccepted> wait_accepted(const JobId& job, Patience patience);
  void drop_inputs(const JobBook::Entry& entry);
  void close(const JobId& job, bool wait);
  void remember(const JobAccepted& accepted);
  void keep_settling();
  void book_changed();
  void write_changes();

  KeyPair key;
  Ed25519Checker checker;
  std::unique_ptr<ContentStore> content;
  std::function<void(const std::string&)> notice;

  std::mutex mutex;  // guards what follows, up to the book
  std::condition_variable changed;
  bool interrupted = false;
  std::map<JobId, Desk> desks;
  std::map<ContentId, std::optional<std::string>> outputs;  // -> error, once it has come
  struct Fetch {
    std::optional<ExchangeProgress> news;  // not told yet
    std::optional<std::string> error;      // once it has ended; empty: it is here
  };
  std::map<ContentId, Fetch> fetches;
  std::map<JobId, Answer<std::vector<JobStatus>>> statuses;
  Answer<WorkersReady> workers;
  std::map<JobId, bool> closing;  // -> whether somebody waits for it
  std::uint64_t last_control = 0;

  std::mutex book_mutex;  // guards what follows
  JobBook book;
  std::vector<Ticket::Door> met;             // workers that are not in the book of peers yet
  std::map<JobId, StewardsChanged> changes;  // that are not in it yet
  bool book_dirty = false;
  bool ending = false;
  std::condition_variable book_changed_;
  std::thread settler;
  PeerBook peers;  // the settler's, once it runs

  std::unique_ptr<SubmitLoop> loop;  // last: its thread uses all the others
};

template <class Ready>
ClientResult<void> Client::Impl::wait(std::unique_lock<std::mutex>& lock, Patience patience,
                                      Ready ready) {
  const auto done = [&] { return interrupted || ready(); };
  if (patience) {
    // Patience may be far more than a clock can count.
    const auto end = std::chrono::steady_clock::now() +
                     std::min<Duration>(*patience, Duration(3600s * 24 * 365));
    if (!changed.wait_until(lock, end, done)) {
      return tl::unexpected(
          ClientError{ClientError::Kind::kTimeout, std::nullopt,
                      "No answer within " + std::to_string(patience->count()) + " ms."});
    }
  } else {
    changed.wait(lock, done);
  }
  if (!ready()) {
    return tl::unexpected(
        ClientError{ClientError::Kind::kInterrupted, std::nullopt, "Interrupted."});
  }
  return {};
}

}  // namespace shoal
