#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "node/content/store/content_store.h"
#include "node/link/link.h"
#include "node/protocol/keys.h"
#include "node/protocol/ticket.h"
#include "sdk/core/submitter.h"

namespace shoal {

// What the submitter says to the application; the rest is between it, the network and the disk.
using SubmitNews = std::vector<SubmitterAction>;

// The thread on which one Submitter lives, with its sockets. Commands come in through a queue and
// an eventfd, so that nothing in the path of a job waits for a clock.
class SubmitLoop {
 public:
  // `news` is called on the loop's thread, with all that one round has brought. `key`, `content`
  // and `checker` must outlive the loop. `remembered`: workers met before. `shares`: others may
  // dial it.
  static Result<std::unique_ptr<SubmitLoop>, LinkError> start(
      const Ticket& ticket, std::vector<Ticket::Door> remembered, const KeyPair& key,
      const SignatureChecker& checker, ContentStore& content, std::function<void(SubmitNews)> news,
      bool shares = false);
  // Ends the thread. What was posted before is performed first.
  ~SubmitLoop();
  SubmitLoop(const SubmitLoop&) = delete;
  SubmitLoop& operator=(const SubmitLoop&) = delete;

  // From any thread.
  void post(SubmitterEvent event);

 private:
  SubmitLoop();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal
