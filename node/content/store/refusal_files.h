#pragma once

#include <filesystem>
#include <vector>

#include "node/content/core/refusals.h"
#include "node/content/store/content_store.h"

// Refusals on disk: in a folder of their own one empty file for each, whose name says what is
// refused. So two commands at once need no lock, an owner can look with `ls`, and what is there is
// there after a crash. Calls block on the disk.
namespace shoal {

// Beside whatever else a worker keeps.
std::filesystem::path refusals_of(const std::filesystem::path& worker_state);

Result<void, StoreError> add_refusal(const std::filesystem::path& folder, const Refusal& refusal);
// A content is taken back under every name that was given to it. False: it was not refused.
Result<bool, StoreError> remove_refusal(const std::filesystem::path& folder,
                                        const Refusal& refusal);
// In the order of their names; none where there is no such folder.
Result<std::vector<Refusal>, StoreError> read_refusals(const std::filesystem::path& folder);

}  // namespace shoal
