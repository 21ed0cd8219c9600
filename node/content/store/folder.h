#pragma once

#include <filesystem>
#include <string>

#include "node/content/store/content_store.h"
#include "node/content/store/folder_listing.h"

// Folders and files on their way into a content store and out of it. All calls block on the disk;
// memory does not grow with the files, only with the listing of a folder. Thread-safe, as the store
// is. A failure leaves nothing behind.
namespace shoal {

// The folder as one content (folder_listing.h). Links that lead out, and what is neither file,
// folder nor link, are refused by name. A file that changes while it is read is an error too.
Result<ContentStore::Named, StoreError> pack_folder(ContentStore& store,
                                                    const std::filesystem::path& folder);

// What is in a folder that the store holds.
Result<FolderListing, StoreError> read_listing(const ContentStore& store, const ContentId& id);

// Makes `target`, which must not exist yet, out of a folder that the store holds. It gets its name
// only when all of it is there, and has been checked against the id once more: its bytes may have
// gone bad on the disk since they were fetched, and nothing unchecked is used.
Result<void, StoreError> unpack_folder(ContentStore& store, const ContentId& id,
                                       const std::filesystem::path& target);

// The same for a content that is one file. An existing file is replaced, in one moment.
Result<void, StoreError> unpack_file(ContentStore& store, const ContentId& id,
                                     const std::filesystem::path& target);

// The same, and the content leaves the store: where both are on one disk it is moved, and checked
// before, unless that was done just now, when its last blocks came.
Result<void, StoreError> take_file(ContentStore& store, const ContentId& id,
                                   const std::filesystem::path& target);

}  // namespace shoal
