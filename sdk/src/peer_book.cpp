#include "sdk/src/peer_book.h"

#include <algorithm>
#include <sstream>
#include <system_error>
#include <utility>

#include "node/protocol/limits.h"

namespace shoal {
namespace {

constexpr std::size_t kLineBytes = 64 + 1 + limits::kEndpointBytes + 1;

bool holds(const std::vector<Ticket::Door>& doors, const NodeId& node) {
  return std::any_of(doors.begin(), doors.end(),
                     [&](const Ticket::Door& door) { return door.node == node; });
}

}  // namespace

std::vector<Ticket::Door> PeerBook::peers() const {
  std::vector<Ticket::Door> found;
  const auto text = read_text_file(file_, kPeers * kLineBytes);
  if (!text) return found;
  std::istringstream lines(*text);
  for (std::string line; found.size() < kPeers && std::getline(lines, line);) {
    std::istringstream words(line);
    std::string node, endpoint;
    if (!(words >> node >> endpoint)) continue;
    const auto id = id_from_hex<NodeId>(node);
    if (id && !holds(found, *id)) found.push_back({*id, endpoint});
  }
  return found;
}

void PeerBook::met(const Ticket::Door& peer) {
  if (peer.endpoint.empty() || peer.endpoint.size() > limits::kEndpointBytes ||
      peer.endpoint.find_first_of(" \t\r\n") != std::string::npos) {
    return;
  }
  std::erase_if(met_, [&](const Ticket::Door& door) { return door.node == peer.node; });
  met_.insert(met_.begin(), peer);
  if (met_.size() > kPeers) met_.pop_back();
}

Result<void, StateError> PeerBook::save() {
  if (met_.empty()) return {};
  std::vector<Ticket::Door> now = std::exchange(met_, {});
  const std::vector<Ticket::Door> before = peers();
  // In a small pool it is the same workers every time: their order is not worth a write.
  if (std::all_of(now.begin(), now.end(),
                  [&](const Ticket::Door& door) {
                    return std::find(before.begin(), before.end(), door) != before.end();
                  }) &&
      before.size() < kPeers) {
    return {};
  }
  for (const Ticket::Door& door : before) {
    if (now.size() < kPeers && !holds(now, door.node)) now.push_back(door);
  }
  std::string text;
  for (const Ticket::Door& door : now) text += to_hex(door.node) + " " + door.endpoint + "\n";
  std::error_code error;
  std::filesystem::create_directories(file_.parent_path(), error);
  return write_text_file(file_, text);
}

}  // namespace shoal
