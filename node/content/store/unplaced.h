#pragma once

#include "node/content/store/content_store.h"

// What was fetched to be put elsewhere, is whole, and could not be put there: the next fetch takes
// it from the store, where it does not stay then. Whoever puts or pins it after that wants it to.
namespace shoal {

void mark_unplaced(const ContentStore&, const ContentId&);
bool is_unplaced(const ContentStore&, const ContentId&);

}  // namespace shoal
