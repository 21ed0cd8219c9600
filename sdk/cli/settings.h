#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "node/protocol/ticket.h"
#include "sdk/cli/outcome.h"

// What the user has set: a flag wins over the environment, and the environment over the TOML file.
namespace shoal::cli {

// getenv(3), or a test's own. An empty value counts as none.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();

// Of the command line; empty: not given.
struct Flags {
  std::string config;
  std::string ticket;
  std::string quorum;
  std::string timeout;
  bool no_progress = false;
  bool quiet = false;
  bool json = false;
};

struct Settings {
  std::optional<std::string> ticket;  // not parsed yet; nothing: none was given anywhere
  std::string ticket_fault;           // why the file that is to hold it cannot be read
  std::string ticket_origin;          // for messages: "--ticket", "SHOAL_TICKET", a file
  unsigned quorum = 2;
  bool quorum_given = false;  // somewhere
  std::optional<std::chrono::milliseconds> timeout;
  bool progress = true;  // is shown on a terminal only
  bool quiet = false;    // no progress and no notices
  bool json = false;
};

struct Locations {
  std::filesystem::path config_file;
  std::filesystem::path ticket_file;  // where `shoal pool use` puts the usual pool
};
Locations usual_locations();

// What is wrong with a setting is a matter of usage. What is wrong with the ticket ticket_of()
// alone says, so that commands without a pool do not need one.
Result<Settings, Failure> load_settings(const Flags& flags, const Environment& environment,
                                        const Locations& locations);

Result<Ticket, Failure> ticket_of(const Settings& settings);

}  // namespace shoal::cli
