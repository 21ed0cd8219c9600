#include "sdk/cli/pool_files.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "node/protocol/limits.h"
#include "node/state/key_file.h"

namespace shoal::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNameBytesMax = 128;
constexpr std::size_t kDoorsMax = 16;
constexpr std::string_view kScheme = "tcp://";

bool is_utf8(const std::string& text) {
  try {
    static_cast<void>(nlohmann::json(text).dump());
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

bool has_control(const std::string& text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7f) return true;
    // U+0080 to U+009F, as UTF-8 writes them.
    if (c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) {
      return true;
    }
  }
  return false;
}

// Takes back what was written, unless it is kept: half a pool would be in the way of the next try.
class Written {
 public:
  Written() = default;
  Written(const Written&) = delete;
  Written& operator=(const Written&) = delete;
  ~Written() {
    std::error_code ignored;
    for (auto it = paths_.rbegin(); it != paths_.rend(); ++it) fs::remove(*it, ignored);
  }
  void add(fs::path path) { paths_.push_back(std::move(path)); }
  void keep() { paths_.clear(); }

 private:
  std::vector<fs::path> paths_;
};

tl::unexpected<Failure> state_failure(const StateError& error) {
  return fail(kError, "The pool was not made: " + error.what + ".");
}

Result<KeyPair, Failure> write_key(const fs::path& file, Written& written) {
  KeyPair key = new_key();
  if (auto stored = store_key(file, key); !stored) return state_failure(stored.error());
  written.add(file);
  return key;
}

Result<void, Failure> check_wish(const PoolWish& wish) {
  if (const auto fault = name_fault(wish.name); !fault.empty()) return fail(kUsage, fault);
  if (wish.endpoints.empty() || wish.endpoints.size() > kDoorsMax) {
    return fail(kUsage, "A pool has 1 to " + std::to_string(kDoorsMax) + " coordinators, not " +
                            std::to_string(wish.endpoints.size()) +
                            ". Name each with --coordinator tcp://HOST:PORT.");
  }
  for (const std::string& endpoint : wish.endpoints) {
    if (const auto fault = endpoint_fault(endpoint); !fault.empty()) return fail(kUsage, fault);
    if (std::count(wish.endpoints.begin(), wish.endpoints.end(), endpoint) > 1) {
      return fail(kUsage, "The coordinator '" + endpoint + "' is named twice. Name it once.");
    }
  }
  return {};
}

Result<fs::path, Failure> coordinator_folder(const fs::path& folder, std::size_t number,
                                             Written& written) {
  if (number == 1) return folder;
  const fs::path own = folder / ("coordinator-" + std::to_string(number));
  std::error_code error;
  const bool fresh = fs::create_directory(own, error);
  if (!error && fresh) {
    written.add(own);
    fs::permissions(own, fs::perms::owner_all, error);
  }
  if (error) {
    return fail(kError, "The pool was not made: cannot create " + own.string() + " (" +
                            error.message() + "). Choose another folder with --state.");
  }
  return own;
}

}  // namespace

std::string name_fault(const std::string& name) {
  if (name.empty()) return "The pool needs a name, for people to know it by: --name NAME.";
  if (name.size() > kNameBytesMax) {
    return "The pool's name takes " + std::to_string(name.size()) + " bytes, and at most " +
           std::to_string(kNameBytesMax) + " fit into a ticket. Choose a shorter one.";
  }
  if (!is_utf8(name) || has_control(name)) {
    return "The pool's name must be plain text in UTF-8, without control characters.";
  }
  return {};
}

std::string endpoint_fault(const std::string& endpoint) {
  std::string expected =
      "'" + endpoint + "' is not where a coordinator can be dialled: write tcp://HOST:PORT.";
  const bool printable =
      std::all_of(endpoint.begin(), endpoint.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!printable || !endpoint.starts_with(kScheme)) return expected;
  if (endpoint.size() > limits::kEndpointBytes) {
    return "The coordinator's endpoint takes " + std::to_string(endpoint.size()) +
           " bytes, and at most " + std::to_string(limits::kEndpointBytes) + " fit into a ticket.";
  }
  const std::size_t colon = endpoint.rfind(':');
  if (colon <= kScheme.size()) return expected;  // the scheme's own colon, or no host
  const std::string_view port = std::string_view(endpoint).substr(colon + 1);
  unsigned number = 0;
  const auto [stopped, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || stopped != port.data() + port.size() || number < 1 ||
      number > 65'535) {
    return expected;
  }
  const std::string_view host =
      std::string_view(endpoint).substr(kScheme.size(), colon - kScheme.size());
  if (host == "0.0.0.0" || host == "*" || host == "[::]") {
    return "'" + endpoint +
           "' can be listened on, but nobody can dial it: give the address or "
           "name by which the others reach that machine.";
  }
  if (host.find('/') != std::string_view::npos ||
      (host.find(':') != std::string_view::npos && !host.starts_with('['))) {
    return expected + " An IPv6 address goes into brackets.";
  }
  return {};
}

Result<MadePool, Failure> make_pool(const PoolWish& wish) {
  if (auto checked = check_wish(wish); !checked) return tl::unexpected(checked.error());
  auto lock = lock_folder(wish.folder);
  if (!lock) return state_failure(lock.error());
  std::error_code ignored;
  for (const char* name : {"pool.key", "coordinator.key", "ticket"}) {
    const fs::path file = wish.folder / name;
    if (!fs::exists(fs::symlink_status(file, ignored))) continue;
    return fail(kError, "There is a pool in " + wish.folder.string() + " already (" +
                            file.string() + "). It was left as it is: choose another folder.");
  }

  Written written;
  auto pool_key = write_key(wish.folder / "pool.key", written);
  if (!pool_key) return tl::unexpected(pool_key.error());
  MadePool made;
  made.ticket.pool.bytes = pool_key->id().bytes;
  made.ticket.name = wish.name;
  made.ticket.native_from_anyone = wish.trust_all;
  for (const std::string& endpoint : wish.endpoints) {
    auto folder = coordinator_folder(wish.folder, made.coordinators.size() + 1, written);
    if (!folder) return tl::unexpected(folder.error());
    auto key = write_key(*folder / "coordinator.key", written);
    if (!key) return tl::unexpected(key.error());
    made.ticket.doors.push_back({key->id(), endpoint});
    made.coordinators.push_back(std::move(*folder));
  }
  made.text = print_ticket(made.ticket, *pool_key);
  for (const fs::path& folder : made.coordinators) {
    const fs::path file = folder / "ticket";
    if (auto wrote = write_text_file(file, made.text + "\n"); !wrote) {
      return state_failure(wrote.error());
    }
    written.add(file);
  }
  written.keep();
  return made;
}

Result<Ticket::Door, Failure> door_of(const std::string& text) {
  const auto at = text.find('@');
  const auto node = id_from_hex<NodeId>(std::string_view(text).substr(0, at));
  if (at == std::string::npos || !node) {
    return fail(kUsage, "'" + text +
                            "' names no way in: write NODE@tcp://HOST:PORT, where NODE is the "
                            "worker's id of 64 digits, as 'shoal worker list --json' shows it.");
  }
  const std::string endpoint = text.substr(at + 1);
  if (const auto fault = endpoint_fault(endpoint); !fault.empty()) return fail(kUsage, fault);
  return Ticket::Door{*node, endpoint};
}

Result<MadePool, Failure> ticket_with(const fs::path& folder,
                                      const std::vector<Ticket::Door>& doors) {
  const auto key = load_key(folder / "pool.key");
  if (!key) {
    return fail(kError, "No ticket was made: " + key.error().what +
                            ". Only who has the pool's key can make one.");
  }
  const auto text = read_text_file(folder / "ticket");
  if (!text) return fail(kError, "No ticket was made: " + text.error().what + ".");
  auto ticket = parse_ticket(*text, Ed25519Checker());
  if (!ticket) return fail(kError, (folder / "ticket").string() + ": " + ticket.error().what);
  if (ticket->pool.bytes != key->id().bytes) {
    return fail(kError, "The key and the ticket in " + folder.string() +
                            " are of two pools. Put back the files that belong together.");
  }
  for (const Ticket::Door& door : doors) {
    std::erase_if(ticket->doors, [&](const Ticket::Door& d) { return d.node == door.node; });
    ticket->doors.push_back(door);
  }
  if (ticket->doors.size() > kDoorsMax) {
    return fail(kUsage, "A ticket has at most " + std::to_string(kDoorsMax) + " ways in, not " +
                            std::to_string(ticket->doors.size()) + ". Name fewer.");
  }
  std::string printed = print_ticket(*ticket, *key);
  return MadePool{std::move(*ticket), std::move(printed), {}};
}

}  // namespace shoal::cli
