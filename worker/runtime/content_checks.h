#pragma once

#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "node/content/store/content_store.h"
#include "worker/core/peer.h"

namespace shoal {

// Nothing that lies on the disk is used before it was read back and found right: what needs a
// content waits here meanwhile, and a thread of its own reads, the smallest first, so that neither
// the network nor a small program waits for a large file. Two moments count. A content that a job,
// or whatever else, wants is here only once it was read: a damaged one is removed, and is fetched
// again. And a job begins with contents that are as they were then; where one was written to since,
// it is read once more. Is it not right, or gone, then what was to be started is not: the job has
// lost its contents, and whoever wanted it hears of that. After it has begun, a job is held up no
// more, however many units of it come.
//
// Used by one thread, the network thread; never blocks on the disk.
class ContentChecks {
 public:
  explicit ContentChecks(ContentStore& contents);
  // What is being read is left.
  ~ContentChecks();
  ContentChecks(const ContentChecks&) = delete;
  ContentChecks& operator=(const ContentChecks&) = delete;

  // The action, if it can be performed now. Else it waits, or is wanted no more.
  std::optional<PeerAction> admit(PeerAction action);
  // Readable when collect() has something.
  int descriptor() const { return ready_; }
  // What is to be performed now, in the order in which it came: after each of its contents was
  // found right, or was not, which is said first. What only looks for a content that was not
  // finds none.
  std::vector<PeerAction> collect();
  // Of which something was not started, each once.
  std::set<JobId> take_lost() { return std::exchange(lost_, {}); }

 private:
  struct Waiting {
    PeerAction action;
    std::set<ContentId> unread;
    bool failed = false;
  };
  void read(const ContentName& content);
  void work(const std::stop_token& stop);

  ContentStore& contents_;
  std::list<Waiting> waiting_;
  std::set<ContentId> asked_for_;  // of the thread
  std::set<JobId> begun_;          // that are held up no more
  std::set<JobId> lost_;           // whose contents are not here as they were
  int ready_ = -1;                 // an eventfd: `read_` is not empty

  std::mutex mutex_;  // guards what follows
  std::condition_variable_any wake_;
  std::multimap<std::uint64_t, ContentId> to_read_;      // by length
  std::vector<std::pair<ContentId, std::string>> read_;  // and what was wrong with it
  std::jthread thread_;                                  // last: it uses all of them
};

}  // namespace shoal
