#include "worker/runtime/checkpoints.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <system_error>
#include <vector>

#include "node/protocol/executor_messages.h"
#include "node/protocol/hash.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;

// Of all units together. More than enough for the threads of a machine, each with its largest.
constexpr std::uint64_t kBytesMax = 4ULL << 30;

std::optional<UnitIndex> unit_of(const std::string& name) {
  UnitIndex unit = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), unit);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return unit;
}

}  // namespace

Checkpoints::Checkpoints(fs::path folder) : folder_(std::move(folder)) {
  if (folder_.empty()) return;
  std::error_code error;
  fs::create_directories(folder_, error);
  for (const auto& job : fs::directory_iterator(folder_, error)) {
    const auto id = id_from_hex<JobId>(job.path().filename().string());
    if (!id) continue;
    for (const auto& file : fs::directory_iterator(job.path(), error)) {
      const auto unit = unit_of(file.path().filename().string());
      std::error_code unknown;
      const std::uint64_t size = file.file_size(unknown);
      if (!unit || unknown) {
        fs::remove(file.path(), unknown);  // half of one, from a crash
        continue;
      }
      kept_[*id][*unit] = size;
      bytes_ += size;
    }
  }
}

fs::path Checkpoints::file_of(const JobId& job, UnitIndex unit) const {
  return folder_ / to_hex(job) / std::to_string(unit);
}

bool Checkpoints::keep(const JobId& job, UnitIndex unit, ByteView state) {
  if (folder_.empty()) return false;
  std::uint64_t& size = kept_[job][unit];
  const std::uint64_t others = bytes_ - size;
  const fs::path file = file_of(job, unit);
  const fs::path fresh = file.string() + ".new";
  bool written = others + state.size() <= kBytesMax;
  if (written) {
    std::error_code error;
    fs::create_directories(file.parent_path(), error);
    const Hash256 digest = sha256(state);
    std::ofstream out(fresh, std::ios::binary);
    out.write(reinterpret_cast<const char*>(digest.bytes.data()),
              static_cast<std::streamsize>(digest.bytes.size()));
    out.write(reinterpret_cast<const char*>(state.data()),
              static_cast<std::streamsize>(state.size()));
    out.close();
    written = static_cast<bool>(out);
    if (written) fs::rename(fresh, file, error);
    written = written && !error;
    if (!written) fs::remove(fresh, error);
  }
  if (written) {
    size = state.size();
    bytes_ = others + size;
  } else if (size == 0) {
    drop(job, unit);
  }
  return written;
}

std::vector<UnitIndex> Checkpoints::within(const JobId& job, Range range) const {
  std::vector<UnitIndex> units;
  const auto found = kept_.find(job);
  if (found == kept_.end()) return units;
  auto end = found->second.lower_bound(range.last);
  for (auto it = found->second.lower_bound(range.first); it != end; ++it) {
    units.push_back(it->first);
  }
  return units;
}

std::optional<Bytes> Checkpoints::load(const JobId& job, UnitIndex unit) {
  std::ifstream in(file_of(job, unit), std::ios::binary);
  Bytes bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  Hash256 digest;
  const std::size_t head = digest.bytes.size();
  if (bytes.size() >= head) std::copy_n(bytes.begin(), head, digest.bytes.begin());
  if (bytes.size() < head || bytes.size() - head > limits::kCheckpointBytes ||
      sha256(ByteView(bytes).subspan(head)) != digest) {
    drop(job, unit);
    return std::nullopt;
  }
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(head));
  return bytes;
}

void Checkpoints::drop(const JobId& job, UnitIndex unit) {
  const auto found = kept_.find(job);
  if (found == kept_.end()) return;
  const auto size = found->second.find(unit);
  if (size == found->second.end()) return;
  bytes_ -= size->second;
  found->second.erase(size);
  std::error_code gone;
  fs::remove(file_of(job, unit), gone);
  if (!found->second.empty()) return;
  kept_.erase(found);
  fs::remove(folder_ / to_hex(job), gone);
}

void Checkpoints::drop_all_but(const std::set<JobId>& jobs) {
  std::vector<JobId> gone;
  for (const auto& [job, units] : kept_) {
    if (!jobs.contains(job)) gone.push_back(job);
  }
  for (const JobId& job : gone) drop(job);
}

void Checkpoints::drop(const JobId& job) {
  const auto found = kept_.find(job);
  if (found == kept_.end()) return;
  for (const auto& [unit, size] : found->second) bytes_ -= size;
  kept_.erase(found);
  std::error_code gone;
  fs::remove_all(folder_ / to_hex(job), gone);
}

}  // namespace shoal
