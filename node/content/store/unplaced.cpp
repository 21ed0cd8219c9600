#include "node/content/store/unplaced.h"

#include <fcntl.h>
#include <unistd.h>

#include "node/content/store/content_store_impl.h"

// HEX.unplaced beside the content; content_store.cpp and pins.cpp take it away.
namespace shoal {

namespace {

std::string mark_beside(const std::filesystem::path& file) { return file.string() + kUnplaced; }

}  // namespace

void mark_unplaced(const ContentStore& store, const ContentId& id) {
  const auto file = store.path_of(id);
  // Without the mark it stays, which does no harm.
  if (file) static_cast<void>(open_file(mark_beside(*file), O_WRONLY | O_CREAT, 0600));
}

bool is_unplaced(const ContentStore& store, const ContentId& id) {
  const auto file = store.path_of(id);
  return file && ::access(mark_beside(*file).c_str(), F_OK) == 0;
}

}  // namespace shoal
