#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "node/protocol/keys.h"
#include "node/protocol/limits.h"
#include "node/protocol/messages.h"
#include "node/protocol/transport.h"

// How every node speaks the protocol: the ZeroMQ sockets of one node, with CURVE, ZAP and the traps
// of libzmq 4.3.4 heeded once, here. Two ROUTERs: one is bound and only accepts, one only connects.
namespace shoal {

struct LinkConfig {
  PoolId pool;
  Role role = Role::kWorker;
  std::uint64_t session = 0;  // of a submitter: this process's own, said in Hello
  std::string listen;         // "tcp://0.0.0.0:0" (port 0: any); empty: accept nobody
  std::size_t links_max = limits::kLinksMax;
  // What any one address (of IPv6: one network of 64 bits) or key may have of us. Loopback is
  // exempt as an address: many nodes on one machine are a test, and no stranger comes from there.
  std::size_t links_per_address = 256;
  unsigned connects_per_address_burst = 512;
  unsigned connects_per_address_per_s = 50;
  bool loopback_is_exempt = true;
  std::size_t links_per_key = 8;
  // What has come in of messages that have no end yet: of one connection, of all together.
  std::uint64_t unfinished_bytes_max = 8ULL << 20;
  std::uint64_t unfinished_bytes_all = 256ULL << 20;
};

enum class LinkFault : std::uint8_t { kBadEndpoint, kAddressInUse, kNotPermitted, kSystem };
struct LinkError {
  LinkFault fault;
  std::string what;
};

using LinkEvent = std::variant<LinkUp, LinkLost, Received, BulkSent, Probed>;

// One thread only: the network thread. Exceptions of ZeroMQ stop here.
class Link {
 public:
  // Binds. `key` must outlive the link.
  static Result<std::unique_ptr<Link>, LinkError> open(LinkConfig, const KeyPair& key);
  ~Link();

  // The port that was bound; 0 if none.
  std::uint16_t port() const;
  // The record that Hello carries from now on; also sent never again on links already up.
  void set_record(Signed record);
  void perform(const Dial&);
  void perform(const Probe&);
  void perform(Send);  // to a peer without a link: dropped
  void perform(const Drop&);
  // Waits until an event is there, one of `fds` is readable, or `timeout` passes; then returns all
  // events at hand. `readable[i]` tells of fds[i].
  std::vector<LinkEvent> wait(std::chrono::nanoseconds timeout, const std::vector<int>& fds,
                              std::vector<bool>& readable);
  struct Figures {
    std::uint64_t messages_in = 0, messages_out = 0, bytes_in = 0, bytes_out = 0, links = 0,
                  refused = 0, probes = 0;  // probes: open ones
  };
  Figures figures() const;

 private:
  Link();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal
