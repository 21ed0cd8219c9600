#include <algorithm>
#include <string>
#include <utility>

#include "node/link/link_impl.h"

// A punch: two nodes behind routers dial each other at the same moment, and each router takes the
// other side's dial for an answer. TCP makes one connection of the two dials; CURVE needs to be
// told which of its ends is the server. Of the two the one of the greater id is, and its half is
// here: to all that follows the connection is one that this node has accepted. The other half is a
// dial like any other, from a port of its own.
namespace shoal {

void Link::Impl::await_punch(const Dial& action, const Endpoint& endpoint) {
  if (punches_.size() >= kPunchesMax) return tell_lost(action.peer, "too many punches at once");
  std::string name;
  do {
    name = dial_name(endpoint, dial_serial_++, action.punch_from);
  } while (punches_.contains(name));
  if (!sockets_->connect_as_server(name, endpoint.is_ipv6)) {
    return tell_lost(action.peer, "'" + action.endpoint + "' cannot be dialled");
  }
  punches_[name] = {action.peer, std::chrono::steady_clock::now() + limits::kHelloTimeout};
}

void Link::Impl::drop_punch(const Drop& action) {
  const auto open = std::find_if(punches_.begin(), punches_.end(), [&](const auto& punch) {
    return punch.second.peer == action.peer;
  });
  if (open != punches_.end()) end_punch(open->first, action.why);
}

// Of the accepting socket: of a punch, if it has that name.
void Link::Impl::punch_event(const ConnectionEvent& event) {
  const auto found = punches_.find(event.endpoint);
  if (found == punches_.end()) return;
  switch (event.kind) {
    case ZMQ_EVENT_CONNECTED:
      found->second.fd = event.value;
      break;
    case ZMQ_EVENT_CLOSED:
    case ZMQ_EVENT_CONNECT_RETRIED:
      end_punch(found->first, "the punch was answered by a refusal");
      break;
    case ZMQ_EVENT_DISCONNECTED:
      end_punch(found->first, "the connection was closed at once");
      break;
  }
}

// Those that led to a link stay: as long as it is up, libzmq holds the connection by that name.
void Link::Impl::end_late_punches(SteadyTime now) {
  std::vector<std::string> late;
  for (auto& [name, punch] : punches_) {
    if (punch.deadline > now) continue;
    if (peers_.contains(punch.peer)) {
      punch.deadline = SteadyTime::max();
    } else {
      late.push_back(name);
    }
  }
  for (const std::string& name : late) end_punch(name, "nothing came through");
}

void Link::Impl::end_punch(const std::string& name, const std::string& why) {
  const auto node = punches_.extract(std::string(name));
  sockets_->disconnect_as_server(node.key());
  const Punch& punch = node.mapped();
  // A link that was up is lost by itself, or there is one by another way.
  const bool settled = punch.deadline == SteadyTime::max() || peers_.contains(punch.peer);
  if (!settled) tell_lost(punch.peer, why);
}

bool Link::Impl::is_punched(const Transport& t) const {
  if (t.side == Side::kOut) return t.punch_from != 0;
  return std::any_of(punches_.begin(), punches_.end(),
                     [&](const auto& punch) { return t.fd >= 0 && punch.second.fd == t.fd; });
}

}  // namespace shoal
