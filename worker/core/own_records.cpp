#include "worker/core/own_records.h"

namespace shoal {

void OwnRecords::add(UnixMs sequence) {
  sequences_.insert(sequence);
  if (sequences_.size() > kRemembered) sequences_.erase(sequences_.begin());
}

bool OwnRecords::is_of_another(UnixMs sequence) const {
  return !sequences_.empty() && sequence > *sequences_.begin() && !sequences_.contains(sequence);
}

}  // namespace shoal
