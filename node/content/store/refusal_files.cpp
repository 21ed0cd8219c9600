#include "node/content/store/refusal_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "node/content/store/file_io.h"

namespace shoal {

namespace fs = std::filesystem;

namespace {

constexpr unsigned kFileMode = 0600;

tl::unexpected<StoreError> failed(const std::string& doing, const fs::path& path, int error) {
  return tl::unexpected(store_error(doing, path, error));
}

bool same(const Refusal& one, const Refusal& another) {
  const auto* content = std::get_if<ContentText>(&one);
  const auto* other = std::get_if<ContentText>(&another);
  if (content == nullptr || other == nullptr) return one == another;
  return content->name.id == other->name.id;
}

}  // namespace

fs::path refusals_of(const fs::path& worker_state) { return worker_state / "refused"; }

Result<void, StoreError> add_refusal(const fs::path& folder, const Refusal& refusal) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return failed("create", folder, error.value());
  const fs::path file = folder / to_text(refusal);
  if (!open_file(file, O_WRONLY | O_CREAT, kFileMode)) return failed("create", file, errno);
  if (const int fault = sync_folder(folder)) return failed("write", folder, fault);
  return {};
}

Result<bool, StoreError> remove_refusal(const fs::path& folder, const Refusal& refusal) {
  const auto all = read_refusals(folder);
  if (!all) return tl::unexpected(all.error());
  bool any = false;
  for (const Refusal& one : *all) {
    if (!same(one, refusal)) continue;
    const fs::path file = folder / to_text(one);
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) return failed("remove", file, errno);
    any = true;
  }
  if (!any) return false;
  if (const int fault = sync_folder(folder)) return failed("write", folder, fault);
  return true;
}

Result<std::vector<Refusal>, StoreError> read_refusals(const fs::path& folder) {
  std::vector<Refusal> all;
  std::error_code error;
  fs::directory_iterator it(folder, error);
  if (error == std::errc::no_such_file_or_directory) return all;
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    if (auto refusal = refusal_from_text(it->path().filename().string())) all.push_back(*refusal);
  }
  if (error) return failed("read", folder, error.value());
  std::sort(all.begin(), all.end(),
            [](const Refusal& a, const Refusal& b) { return to_text(a) < to_text(b); });
  return all;
}

}  // namespace shoal
