#include "node/protocol/transport.h"

#include <array>
#include <string_view>

#include "node/protocol/hash.h"

namespace shoal {

NodeId peer_name(Role role, const NodeId& node, std::uint64_t session) {
  if (role != Role::kSubmitter || session == 0) return node;
  constexpr std::string_view kPurpose = "shoal session";
  std::array<std::uint8_t, 8> number{};
  for (std::size_t i = 0; i < number.size(); ++i) {
    number[i] = static_cast<std::uint8_t>(session >> (8 * i));
  }
  NodeId name;
  name.bytes = sha256({as_bytes(kPurpose), node.view(), ByteView(number)}).bytes;
  return name;
}

std::string_view name_of(LinkPath path) {
  switch (path) {
    case LinkPath::kDirect:
      return "direct";
    case LinkPath::kReversed:
      return "reversed";
    case LinkPath::kPunched:
      return "punched";
    case LinkPath::kRelayed:
      return "relayed";
  }
  return "unknown";
}

}  // namespace shoal
