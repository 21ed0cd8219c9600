#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node/protocol/address.h"
#include "node/protocol/limits.h"
#include "node/protocol/rng.h"
#include "node/reach/core/quota.h"
#include "node/reach/core/reach_output.h"

namespace shoal {

// Finds out whether this node can be dialled, and helps others to find out.
//
// It asks up to three workers, of different address blocks as far as there are, to dial it. Each
// says at which address it sees this node, dials that, and says the nonce that it was given; what
// arrives here is believed, what somebody claims to have tried is not. Seen at several addresses,
// the node must have been dialled at each of them: a neighbour behind the same router reaches it,
// which is no news for those outside. A link from a public address that nobody here has dialled
// says as much as a dial-back, and spares it.
//
// What an attacker could try: have this node dial a third one. It dials only the address from which
// the asker's own link comes, and not often; the connection carries one number and no more.
class Dialability {
 public:
  // `port`: where this node listens; 0: nowhere, so that it cannot be dialled and need not ask.
  Dialability(std::uint16_t port, Rng rng);

  // Where a router lets others in to this node, as it was asked to; 0: nowhere. To be verified as
  // any other claim, so that it is asked anew.
  void set_outer_port(Instant now, std::uint16_t port);

  void link_up(Instant now, const ReachLink&);
  void link_lost(const NodeId&);
  // As the asker.
  void on_reply(const NodeId& from, const DialBackReply&);
  void on_probed(Instant now, const Probed&);
  // As the asked.
  void on_request(Instant now, const NodeId& from, const ReachLink&, const DialBackRequest&,
                  ReachOutput&);
  void on_deadline(Instant now, const ReachLinks&, ReachOutput&);
  std::optional<Instant> next_deadline() const;

  Reachability reachability() const { return reachability_; }
  std::uint16_t port() const { return port_; }
  // At which those who see this node from where `peer_address` is should dial it.
  std::uint16_t port_for(std::string_view peer_address) const;
  void check_invariants() const;

 private:
  struct Asked {
    std::uint64_t nonce = 0;
    bool accepted = false;
    std::string observed;  // this node's address, as that one sees it
    bool arrived = false;
  };
  void ask(Instant now, const ReachLinks&, ReachOutput&);
  std::vector<NodeId> whom_to_ask(const ReachLinks&);
  void conclude(Instant now);
  void ask_soon(Instant now);
  Duration jittered(Duration d);

  std::uint16_t port_;
  std::uint16_t outer_port_ = 0;
  bool outer_port_is_new_ = false;  // since the round under way began
  Rng rng_;
  Reachability reachability_ = Reachability::kUnknown;
  AddressScope widest_ = AddressScope::kNone;  // of the addresses of all links so far
  std::map<NodeId, Asked> asked_;
  std::optional<Instant> round_ends_;
  std::optional<Instant> ask_at_;
  Quota by_node_;
  Quota by_address_;
  Quota all_;
};

}  // namespace shoal
