#include "coordinator/runtime/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <utility>

namespace shoal {
namespace {

namespace fs = std::filesystem;

constexpr int kExitUsage = 2;

bool is_door(const Ticket& ticket, const NodeId& node) {
  return std::any_of(ticket.doors.begin(), ticket.doors.end(),
                     [&](const Ticket::Door& door) { return door.node == node; });
}

Result<std::string, std::string> ticket_text(const CoordinatorOptions& options) {
  if (options.ticket.starts_with("shoal1")) return options.ticket;
  const std::string named = options.ticket.substr(options.ticket.starts_with('@') ? 1 : 0);
  const fs::path file = named.empty() ? fs::path(options.state) / "ticket" : fs::path(named);
  auto text = read_text_file(file);
  if (text) return std::move(*text);
  if (text.error().fault != StateFault::kMissing) return tl::unexpected(text.error().what);
  return tl::unexpected("there is no ticket in " + file.string() +
                        "; make a pool with 'shoal pool init', or give its ticket with --ticket");
}

std::string door_line(const KeyPair& key, const std::string& listen) {
  const std::size_t colon = listen.rfind(':');
  const std::string port = colon == std::string::npos ? "4242" : listen.substr(colon + 1);
  return to_hex(key.id()) + "@tcp://THIS-HOST:" + port;
}

struct Key {
  KeyPair key;
  fs::path file;
  bool created = false;
};

// The one that `shoal pool init` put into the folder, or a new one.
Result<Key, std::string> load_coordinator_key(const fs::path& folder) {
  const fs::path file = folder / "coordinator.key";
  auto loaded = load_or_create_key(file);
  if (!loaded) return tl::unexpected(loaded.error().what);
  return Key{loaded->key, file, loaded->created};
}

}  // namespace

ParsedOptions parse_options(int argc, const char* const* argv, const std::string& version) {
  CoordinatorOptions options;
  CLI::App app("Helps the nodes of a pool find each other. It holds no job and no result.",
               "shoal-coordinator");
  app.set_version_flag("--version", "shoal-coordinator " + version);
  app.add_option(
         "--ticket", options.ticket,
         "the pool's ticket (shoal1...), or @FILE with it; default: the file 'ticket' in the "
         "state folder")
      ->type_name("TICKET");
  app.add_option("--state", options.state, "the folder with this coordinator's key")
      ->required()
      ->type_name("DIR");
  app.add_option("--listen", options.listen, "where to listen; port 0: any")
      ->capture_default_str()
      ->type_name("ENDPOINT");
  app.add_flag("--verbose", options.verbose, "also tell of every link that is dropped");
  // Above what all tables of 200,000 nodes and the queues of 4,096 links come to.
  app.add_option("--memory-limit", options.memory_bytes,
                 "memory past which the coordinator ends, so that whatever floods it does not take "
                 "the machine; 0: no limit; default: 4G")
      ->transform(CLI::AsSizeValue(false))
      ->check([](const std::string& bytes) {
        // Digits, by now, or a negative number: that would be read as a very large one.
        return bytes.starts_with('-') || bytes.size() > 15 ? "must be a number of bytes, as 512M"
                                                           : std::string();
      })
      ->option_text("BYTES");
  app.add_flag("--supervise", options.supervise, "start the coordinator again when it dies");
  app.footer(
      "When it listens, it writes one line to stdout: ready tcp://HOST:PORT KEY. SIGUSR1 prints\n"
      "one JSON line of figures to stderr; so does the end.\n"
      "Exit codes: 0 ended by SIGTERM, SIGINT or SIGHUP, 1 help could not be printed,\n"
      "2 wrong usage, ticket or state folder, 4 cannot listen.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // CLI11 has exit codes of its own, above 100.
    return {std::nullopt, app.exit(error) == 0 ? 0 : kExitUsage};
  }
  return {std::move(options), 0};
}

Result<Identity, std::string> load_identity(const CoordinatorOptions& options) {
  auto lock = lock_folder(options.state);
  if (!lock) return tl::unexpected(lock.error().what);

  const auto text = ticket_text(options);
  if (!text) {
    // The key is made all the same: whoever sets up the pool can then name its door.
    const auto key = load_coordinator_key(options.state);
    if (!key) return tl::unexpected(key.error());
    return tl::unexpected(text.error() + "; this coordinator's door is " +
                          door_line(key->key, options.listen));
  }
  auto ticket = parse_ticket(*text, Ed25519Checker());
  if (!ticket) return tl::unexpected(ticket.error().what);
  auto key = load_coordinator_key(options.state);
  if (!key) return tl::unexpected(key.error());
  if (!is_door(*ticket, key->key.id())) {
    return tl::unexpected("the ticket names no door with the key " + key->file.string() +
                          (key->created ? ", which was made just now" : "") +
                          "; nobody would find this coordinator. Make a ticket with the door " +
                          door_line(key->key, options.listen) +
                          ", or bring the key that it was made with");
  }
  return Identity{std::move(*lock), key->key, std::move(*ticket)};
}

}  // namespace shoal
