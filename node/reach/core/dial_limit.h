#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "node/protocol/ids.h"
#include "node/reach/core/quota.h"

namespace shoal {

// How often addresses are dialled that others have named. A record is signed by its own node alone,
// and keys cost nothing: very many records may name one address that is somebody else's, and each
// of them is a reason to dial it. So dials in vain, and those on their way, are counted by address:
//
// - kDialsPerEndpoint a minute go to one port of a host;
// - kDialsPerHost a minute go to all ports of a host, save this machine's own.
//
// Dials that were answered do not count. Else who names a worker's address in made-up records could
// keep others from dialling the worker itself: one that has answered there, and was seen there, is
// dialled whatever the others do. Of those that were never met it can keep off some, for a minute
// at a time. A name counts as a host of its own. Not thread-safe.
class DialLimit {
 public:
  static constexpr std::size_t kDialsPerEndpoint = 12;
  static constexpr std::size_t kDialsPerHost = 60;

  DialLimit();

  // True, and counted: `node` may be dialled at `endpoint` now.
  bool may_dial(Instant now, const NodeId& node, const std::string& endpoint);
  // A dial of `node` there has become a link, with somebody who is seen at `address`.
  void answered(const NodeId& node, const std::string& endpoint, const std::string& address);

 private:
  Quota endpoints_;
  Quota hosts_;
  std::map<NodeId, std::string> answered_;  // where it did last
};

}  // namespace shoal
