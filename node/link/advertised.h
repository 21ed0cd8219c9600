#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "node/protocol/address.h"
#include "node/protocol/ticket.h"

// Under which addresses others can reach this node.
namespace shoal {

bool is_any_address(std::string_view host);       // 0.0.0.0, ::, *
bool is_loopback_address(std::string_view host);  // 127.x.x.x, ::1, localhost

struct InterfaceAddress {
  std::string interface;
  std::string address;
};
// Of the interfaces that are up; IPv6 only where `with_ipv6`, and never link-local addresses.
std::vector<InterfaceAddress> interface_addresses(bool with_ipv6);

// What a record says. `advertise` ("HOST" or "HOST:PORT"), if not empty, is all. A `listen` on one
// address is that address. One on all addresses is `addresses`, real networks before those of
// containers and virtual machines, loopback last; but where every door of the pool is on this
// machine alone, all its members are, and loopback is the only one.
std::vector<std::string> endpoints_to_advertise(const HostPort& listen, std::string_view advertise,
                                                const std::vector<Ticket::Door>& doors,
                                                const std::vector<InterfaceAddress>& addresses);

// Whether nothing but a router's help can bring strangers to these endpoints: all of them are of
// this network or machine, and not every door of the pool is.
bool only_within_reach_of_neighbours(const std::vector<std::string>& endpoints,
                                     const std::vector<Ticket::Door>& doors);

}  // namespace shoal
