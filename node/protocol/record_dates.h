#pragma once

#include "node/protocol/facts.h"
#include "node/protocol/limits.h"

// Records are dated by their makers' clocks, which may be wrong. Coordinators and workers must hold
// with the same dates: one that was listed, and that nobody believes, would never get any work.
namespace shoal {

inline bool dated_ahead(const NodeRecord& record, UnixMs now) {
  constexpr UnixMs kSlackMs = limits::kRecordTtl / std::chrono::milliseconds(1);
  return record.sequence > now + kSlackMs;
}

// As a record is of use until then and no longer, so is one that was dated so long ago.
inline bool expired(const NodeRecord& record, UnixMs now) {
  return record.sequence + UnixMs{1000} * record.ttl_s <= now;
}

}  // namespace shoal
