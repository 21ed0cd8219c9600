#pragma once

#include <optional>
#include <set>

#include "node/content/core/exchange.h"
#include "worker/core/membership.h"

namespace shoal {

// Contents that the donor keeps, whoever needs them: fetched until they are here, and told to all
// who are linked, so that they can say who has them. What he refuses is not among them, however it
// was named before.
class Pins {
 public:
  Pins(const PeerConfig& config, const Membership& membership, Exchange& exchange)
      : config_(config), membership_(membership), exchange_(exchange) {}

  // Asks for those that are not here.
  ExchangeActions fetch(Instant now);
  ExchangeActions on_deadline(Instant now);
  ExchangeActions on_link_up(Instant now, const LinkUp&, Outbox&);
  void on_content(Instant now, const ContentArrived&, Outbox&);
  // It is here no more.
  void lose(const ContentId& id) { here_.erase(id); }
  std::optional<Instant> next_deadline() const { return again_at_; }
  void add_needed(std::set<ContentId>& needed) const;

 private:
  bool refused(const ContentId& id) const { return config_.refused.contents.contains(id); }
  void tell(const ContentName& content, const NodeId& node, Outbox&) const;

  const PeerConfig& config_;
  const Membership& membership_;
  Exchange& exchange_;
  std::set<ContentId> here_;
  std::optional<Instant> again_at_;
};

}  // namespace shoal
