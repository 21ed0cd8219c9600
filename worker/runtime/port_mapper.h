#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "worker/runtime/router_protocols.h"

namespace shoal {

// Keeps a port of this machine open to others at its router, for as long as this object lives.
//
// Asks on a thread of its own, and only once want() was called. A mapping is renewed at half of its
// lifetime, told again where it has changed, and taken back at the end. A router that could not be
// asked, or refused, is asked again after some minutes, if that is wanted then. What it gave is a
// claim: the owner has others dial there before it believes it.
//
// A process that is killed leaves its mapping to run out, within kLifetime.
class PortMapper {
 public:
  static constexpr std::chrono::seconds kLifetime{1200};

  struct Config {
    std::uint16_t port = 0;  // of this machine
    std::chrono::milliseconds retry_after{600'000};
  };
  // NAT-PMP, then UPnP, by the default route.
  explicit PortMapper(std::uint16_t port);
  // One of `protocols` after another is tried.
  PortMapper(Config, std::vector<std::unique_ptr<RouterProtocol>> protocols);
  // Takes the mapping back. A thread that waits for a router that does not answer is waited for
  // kFarewell at most, and then ends by itself.
  ~PortMapper();
  PortMapper(const PortMapper&) = delete;
  PortMapper& operator=(const PortMapper&) = delete;

  // Cheap; may be called again and again, as long as it is so.
  void want();

  struct News {
    std::string endpoint;  // at which others are let in; empty: at none
    std::string text;      // for people
  };
  // Readable when there are news.
  int descriptor() const;
  std::vector<News> take();

  static constexpr std::chrono::seconds kFarewell{3};

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace shoal
