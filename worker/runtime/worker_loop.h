#pragma once

#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node/content/store/content_store.h"
#include "node/link/link.h"
#include "node/state/control_socket.h"
#include "worker/core/peer.h"
#include "worker/runtime/content_checks.h"
#include "worker/runtime/executor_keeper.h"
#include "worker/runtime/ledger_store.h"
#include "worker/runtime/owner_control.h"
#include "worker/runtime/port_mapper.h"
#include "worker/runtime/traffic_file.h"

namespace shoal {

// The parts of a running worker; all of them outlive the loop.
struct WorkerParts {
  Link& link;
  ContentStore& contents;
  LedgerStore& ledger;
  ExecutorKeeper& keeper;
  ControlSocket& control;
  Peer& peer;
  TrafficFile& traffic;
  PortMapper* mapper = nullptr;         // none: no router is ever asked
  std::filesystem::path refusals = {};  // the folder of what the owner refuses
  bool needs_mapping = false;           // even before it is known whether others can dial this node
  int signal_fd = -1;                   // readable: a signal asks the worker to end
};

// Drives the peer on the network thread: turns what happens into events, and performs the actions
// that the peer answers with, in their order. Sleeps while there is nothing to do.
class WorkerLoop {
 public:
  explicit WorkerLoop(WorkerParts parts);
  // Until a signal asks for the end, or the owner has told it to finish and it has; and then until
  // the coordinators know, but not for long.
  void run();

 private:
  bool is_to_end(bool signalled);
  void step(PeerEvent event);
  // When what it needs of the disk has been checked.
  void tell_of_lost_contents();
  void perform(PeerAction action);
  void perform_now(PeerAction action);
  // Contents are stored and read at once; what the peer makes of it comes in its turn.
  void step_answers();
  void refresh_record();
  bool record_is_old() const;
  // Asks the router, where others cannot dial this node; hears what came of it.
  void tend_mapping(bool has_news);
  std::chrono::nanoseconds time_to_wait();
  Result<void, std::string> reread_refusals();

  void collect();

  WorkerParts parts_;
  OwnerControl owner_;
  ContentChecks checks_;
  std::deque<PeerEvent> answers_;
  bool keeper_called_ = false;  // it may have something to tell though no descriptor says so
  Instant refresh_record_at_;
  std::vector<Via> via_said_;  // in the record of now
  std::vector<std::string> endpoints_said_;
  std::optional<Instant> leave_until_;  // it is to end, and says so
};

// Logs one line; what a peer or a kernel wrote cannot start another one or move the cursor.
void log_line(LogLevel level, std::string_view words);

}  // namespace shoal
