#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "node/protocol/ticket.h"
#include "sdk/cli/outcome.h"

// A new pool: its key, a key and a folder for each coordinator, and the ticket.
namespace shoal::cli {

struct PoolWish {
  std::filesystem::path folder;
  std::string name;
  std::vector<std::string> endpoints;  // "tcp://HOST:PORT" of each coordinator
  bool trust_all = false;              // workers run native programs of any submitter
};
struct MadePool {
  Ticket ticket;
  std::string text;  // the ticket, printed
  // What shoal-coordinator takes with --state, in the order of the endpoints. The first is the
  // pool's folder; the others, folders in it, are to be moved to the machines of their endpoints.
  std::vector<std::filesystem::path> coordinators;
};

// Empty: it could be a pool's.
std::string name_fault(const std::string& name);
std::string endpoint_fault(const std::string& endpoint);

// Writes all of it or nothing, with keys that only their owner can read. Never overwrites: a pool
// whose key is lost can never make another ticket.
Result<MadePool, Failure> make_pool(const PoolWish& wish);

// "NODE@ENDPOINT": a node that lets others in, which any worker does.
Result<Ticket::Door, Failure> door_of(const std::string& text);
// Another ticket of the pool in `folder`, with these ways in besides its own; one of a node that is
// there already takes its place. Nothing is written.
Result<MadePool, Failure> ticket_with(const std::filesystem::path& folder,
                                      const std::vector<Ticket::Door>& doors);

}  // namespace shoal::cli
