#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "node/protocol/result.h"

// How a home router is asked to let others in to a port of this machine: by NAT-PMP (RFC 6886) or
// by UPnP's Internet Gateway Device. Both are spoken by Debian's libraries, here and nowhere else.
//
// What an attacker could try. Whoever is on the same network can pretend to be the router, of UPnP
// even without being asked for by name. What it says comes to an address, a port and a time, and
// the worst it gains is a wrong endpoint in a record, which no dial-back confirms. Nothing of its
// text is shown or kept.
namespace shoal {

struct PortMapping {
  std::string address;  // of the router, as others see it
  std::uint16_t port = 0;
  std::chrono::seconds lifetime{0};
};

// Not thread-safe; each call may block for some seconds, so never on the network thread.
class RouterProtocol {
 public:
  virtual ~RouterProtocol() = default;
  virtual std::string name() const = 0;
  // Asks for a mapping of the TCP port `inner` of this machine, or renews the one that there is.
  // `outer` is a wish. The error is one clause for people.
  virtual Result<PortMapping, std::string> map(std::uint16_t inner, std::uint16_t outer,
                                               std::chrono::seconds lifetime) = 0;
  // Takes the mapping back. False: the router did not say that it has.
  virtual bool unmap(std::uint16_t inner, std::uint16_t outer) = 0;
};

// `router`: an IPv4 address; empty: the default route's.
std::unique_ptr<RouterProtocol> nat_pmp(std::string router = {});
// `description`: the URL of a device's description; empty: devices are searched for by multicast.
std::unique_ptr<RouterProtocol> upnp(std::string description = {});

}  // namespace shoal
