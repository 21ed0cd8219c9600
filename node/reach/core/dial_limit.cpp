#include "node/reach/core/dial_limit.h"

#include "node/protocol/address.h"
#include "node/protocol/limits.h"

namespace shoal {
namespace {

// Of an endpoint that cannot be read the transport makes nothing either.
std::string host_of(const std::string& endpoint) {
  const auto at = split_endpoint(endpoint);
  return at ? at->host : std::string();
}

}  // namespace

DialLimit::DialLimit()
    : endpoints_(kDialsPerEndpoint, limits::kLinksMax), hosts_(kDialsPerHost, limits::kLinksMax) {}

bool DialLimit::may_dial(Instant now, const NodeId& node, const std::string& endpoint) {
  const auto met = answered_.find(node);
  if (met != answered_.end() && met->second == endpoint) return true;
  const std::string host = host_of(endpoint);
  if (!endpoints_.take(now, endpoint)) return false;
  if (scope_of(host) == AddressScope::kLoopback || hosts_.take(now, host)) return true;
  endpoints_.give_back(endpoint);
  return false;
}

void DialLimit::answered(const NodeId& node, const std::string& endpoint,
                         const std::string& address) {
  const std::string host = host_of(endpoint);
  endpoints_.give_back(endpoint);
  hosts_.give_back(host);
  // Who dialled this node meanwhile is seen elsewhere than where its record says that it is.
  if (host != address) return;
  if (answered_.size() >= limits::kLinksMax && !answered_.contains(node)) answered_.clear();
  answered_[node] = endpoint;
}

}  // namespace shoal
