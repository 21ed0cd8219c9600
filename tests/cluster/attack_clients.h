#pragma once

#include <cstdint>
#include <memory>

#include "tests/cluster/attacks.h"
#include "tests/unit/node/link/hostile_support.h"

namespace shoal::cluster {

// The n-th key of an attack.
KeyPair attacker_key(std::uint32_t attack, std::uint32_t n);
bool was_ended(link_test::RawClient& client);
// A client that the victim has answered with its own Hello; null: it has not.
std::unique_ptr<link_test::RawClient> linked(const Victim& victim, const KeyPair& key,
                                             std::uint16_t port);

}  // namespace shoal::cluster
