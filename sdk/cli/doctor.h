#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "node/protocol/ticket.h"
#include "node/protocol/time.h"
#include "sdk/core/submitter.h"

namespace shoal::cli {

struct Finding {
  enum class Level : std::uint8_t { kFact, kGood, kDoubtful, kBad };
  Level level = Level::kFact;
  std::string what;  // "ticket", "state folder"
  std::string text;
};

// What `shoal doctor` has learned. The reason that it names is the first one in the order in which
// things must work for a job to be computed.
struct Diagnosis {
  std::vector<Finding> findings;
  std::string reason;  // the most likely one why nothing happens; empty: none was seen
  int exit_code = 0;

  void add(Finding::Level level, std::string what, std::string text);
  // `what` is bad; and where nothing before it was, it is the reason.
  void blame(std::string what, std::string text, const std::string& advice, int exit_code);
};

// The lines of `shoal-sandbox --probe`, and what follows from them for a worker of this machine.
void judge_sandbox(Diagnosis& diagnosis, const std::vector<std::string>& layers);
// One of the ticket's ways in, and why it accepts no connections, if so.
struct SeenDoor {
  Ticket::Door door;
  std::string fault;
};
// Whether each is a coordinator's or a worker's, as far as `seen` tells; nothing: nobody answered.
void judge_doors(Diagnosis& diagnosis, const std::vector<SeenDoor>& doors,
                 const WorkersReady* seen);
// What the pool has answered.
void judge_pool(Diagnosis& diagnosis, const WorkersReady& seen, const std::vector<SeenDoor>& doors,
                UnixMs now);
// Workers whose key another process has as well.
void judge_keys(Diagnosis& diagnosis, const WorkersReady& seen);
// The kinds of kernels that they take from anybody, as their records say.
void judge_kinds(Diagnosis& diagnosis, const WorkersReady& seen);
// The ways that the links to the workers go, and whether those that cannot be dialled have relays.
void judge_paths(Diagnosis& diagnosis, const WorkersReady& seen);
void judge_jobs(Diagnosis& diagnosis, const std::vector<JobStatus>& jobs);
std::string last_line(const Diagnosis& diagnosis);
nlohmann::json diagnosis_json(const Diagnosis& diagnosis);

}  // namespace shoal::cli
