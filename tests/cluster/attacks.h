#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "node/protocol/ids.h"
#include "node/protocol/keys.h"

// What a stranger with the pool's ticket could do to a node's port. Each attack is bounded in what
// it sends, and ends when the victim has dealt with it; false: it did not, within kPatience. None
// speaks through our own link.
namespace shoal::cluster {

struct Victim {
  NodeId node;
  PoolId pool;
  std::uint16_t port = 0;
};

// Connections that say nothing; ended by the victim.
bool open_and_say_nothing(const Victim&);
// So many that come in as workers do, all at once.
bool storm_of_handshakes(const Victim&);
// Messages in parts that never end.
bool messages_without_an_end(const Victim&);
bool messages_in_many_parts(const Victim&);
bool frames_that_are_too_large(const Victim&);
bool claimed_routing_ids(const Victim&);
// Ask for as much as they can, and read nothing of it.
bool slow_readers(const Victim&);
// Bytes that are no message, each over a link of its own.
bool noise(const Victim&);
// Each message that there is, with the largest values that its decoder takes, from one who has said
// Hello.
bool absurd_messages(const Victim&);
// One node's record, changed again and again, each time signed anew.
bool records_that_change_without_end(const Victim&);
// Records of nodes that there are not, thousands of them, each with a key of its own.
bool strangers_without_end(const Victim&);
// Small questions with large answers, all of which are read.
bool questions_without_end(const Victim&);
// The same few keys, coming and going, each time from another address.
bool comings_and_goings(const Victim&);

using Attack = std::function<bool(const Victim&)>;
// All of the above.
std::vector<Attack> all_attacks();

}  // namespace shoal::cluster
