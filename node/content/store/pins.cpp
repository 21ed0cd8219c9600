#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "node/content/store/content_store_impl.h"

// What is kept on purpose: HEX.pin beside the content, with a line of its owner's in it.
namespace shoal {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLabelBytes = 4096;

std::string read_label(const fs::path& file) {
  const OpenFile in = open_file(file, O_RDONLY);
  Bytes bytes(kLabelBytes);
  std::size_t got = 0;
  if (!in || read_all_at(in.get(), bytes, 0, got) != 0) return {};
  std::string label(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(got));
  return label.substr(0, label.find('\n'));
}

}  // namespace

Result<void, StoreError> ContentStore::pin(const ContentId& id, const std::string& label) {
  if (const int error = impl_->make_folder_of(id)) return failed("write", impl_->folder, error);
  NewFile file(impl_->new_files(), 0600);
  file.append(as_bytes(label.substr(0, kLabelBytes)));
  if (const int error = file.become(impl_->beside(id, ".pin"))) {
    return failed("write", impl_->beside(id, ".pin"), error);
  }
  ::unlink(impl_->beside(id, kUnplaced).c_str());
  return {};
}

bool ContentStore::pinned(const ContentId& id) const {
  return ::access(impl_->beside(id, ".pin").c_str(), F_OK) == 0;
}

std::vector<ContentStore::Listed> ContentStore::list() const {
  std::vector<Listed> listed;
  std::error_code ignored;
  for (fs::directory_iterator it(impl_->folder, ignored), end; it != end; it.increment(ignored)) {
    for (fs::directory_iterator in(it->path(), ignored), last; in != last; in.increment(ignored)) {
      const auto id = id_from_hex<ContentId>(in->path().filename().string());
      if (!id) continue;
      const auto length = impl_->length_of(*id);
      if (!length) continue;
      Listed one{*id, *length, pinned(*id), {}};
      if (one.pinned) one.label = read_label(impl_->beside(*id, ".pin"));
      listed.push_back(std::move(one));
    }
  }
  std::sort(listed.begin(), listed.end(),
            [](const Listed& a, const Listed& b) { return a.id < b.id; });
  return listed;
}

}  // namespace shoal
