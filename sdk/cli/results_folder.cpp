#include "sdk/cli/results_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "node/protocol/ids.h"
#include "sdk/cli/output.h"
#include "sdk/cli/schema.h"

namespace shoal::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr char kStandardOutput[] = "stdout";
constexpr char kErrorFile[] = "error.txt";

tl::unexpected<Failure> cannot_write(const fs::path& path, const std::string& why) {
  return fail(kError, path.string() + " cannot be written: " + why + ".");
}

Result<void, Failure> write_file(const fs::path& path, ByteView bytes, bool executable) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) return cannot_write(path.parent_path(), error.message());
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) return cannot_write(path, std::strerror(errno));
  if (executable) {
    fs::permissions(path, fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec,
                    fs::perm_options::add, error);
  }
  return {};
}

std::optional<Bytes> read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  Bytes bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.is_open() || file.bad()) return std::nullopt;
  return bytes;
}

// In place of what was there, and never half of it under its name.
Result<void, Failure> replace(const fs::path& made, const fs::path& target) {
  std::error_code error;
  fs::remove_all(target, error);
  if (!error) fs::rename(made, target, error);
  if (error) return cannot_write(target, error.message());
  return {};
}

// The same results in the order in which an encoding wants them.
void gather(const fs::path& folder, const fs::path& below, std::vector<std::string>& paths) {
  std::error_code error;
  for (fs::directory_iterator at(folder / below, error), end; !error && at != end;
       at.increment(error)) {
    const fs::path path = below / at->path().filename();
    if (at->is_symlink()) continue;
    if (at->is_directory()) gather(folder, path, paths);
    if (at->is_regular_file()) paths.push_back(path.generic_string());
  }
}

}  // namespace

Result<ResultsFolder, Failure> ResultsFolder::open(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return cannot_write(folder, error.message());
  ResultsFolder results(folder);
  const fs::path index = folder / kUnitsFile;
  results.lock_fd_ = ::open(index.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (results.lock_fd_ < 0) return cannot_write(index, std::strerror(errno));
  if (::flock(results.lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    return fail(kError, folder.string() +
                            " is being written to by another shoal. Wait for it, or name another "
                            "folder with -o.");
  }
  if (auto read = results.read_index(); !read) return tl::unexpected(read.error());
  return results;
}

ResultsFolder::ResultsFolder(ResultsFolder&& other) noexcept
    : folder_(std::move(other.folder_)),
      lock_fd_(std::exchange(other.lock_fd_, -1)),
      by_owner_(std::move(other.by_owner_)),
      owners_(std::move(other.owners_)) {}

ResultsFolder::~ResultsFolder() {
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

Result<void, Failure> ResultsFolder::read_index() {
  std::ifstream lines(folder_ / kUnitsFile);
  std::string line;
  while (std::getline(lines, line)) {
    // The last line may have been cut off by a crash: that unit is computed again.
    const json read = json::parse(line, nullptr, false);
    if (!read.is_object()) continue;
    try {
      remember({read.at("owner"), read.at("ok"), read.value("digest", ""),
                read.value("exit_status", 0), read.value("stdout", false), read.at("folder"),
                read.at("name")});
    } catch (const json::exception&) {
      return fail(kError, (folder_ / kUnitsFile).string() +
                              " is not an index of results. Name another folder with -o.");
    }
  }
  return {};
}

void ResultsFolder::remember(Entry entry) {
  owners_[entry.name] = entry.owner;
  by_owner_[entry.owner] = std::move(entry);
}

std::string ResultsFolder::free_name(const std::string& wanted, const std::string& owner,
                                     std::uint64_t unit) {
  const auto known = by_owner_.find(owner);
  if (known != by_owner_.end()) return known->second.name;
  const auto is_free = [&](const std::string& name) {
    std::error_code ignored;
    return !owners_.contains(name) && !fs::exists(folder_ / name, ignored);
  };
  std::string name = wanted;
  for (int again = 1; !is_free(name); ++again) {
    name = wanted + "-" + std::to_string(unit + 1);
    if (again > 1) name += "-" + std::to_string(again);
  }
  return name;
}

Result<void, Failure> ResultsFolder::note(const std::string& line) {
  const std::string whole = line + "\n";
  if (::write(lock_fd_, whole.data(), whole.size()) != static_cast<ssize_t>(whole.size())) {
    return cannot_write(folder_ / kUnitsFile, std::strerror(errno));
  }
  return {};
}

std::optional<Bytes> ResultsFolder::read_back(const Entry& entry) const {
  const fs::path folder = folder_ / entry.name;
  std::vector<std::string> paths;
  gather(folder, {}, paths);
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> bytes;
  bytes.reserve(paths.size());
  ProgramOutput output;
  output.name = entry.unit_name;
  output.exit_status = static_cast<std::uint8_t>(entry.exit_status);
  for (const std::string& path : paths) {
    auto read = read_file(folder / path);
    if (!read) return std::nullopt;
    bytes.push_back(std::move(*read));
    if (entry.standard_output && path == kStandardOutput) {
      output.standard_output = bytes.back();
      continue;
    }
    struct stat about {};
    if (::stat((folder / path).c_str(), &about) != 0) return std::nullopt;
    output.files.push_back({path, (about.st_mode & S_IXUSR) != 0, bytes.back()});
  }
  return encode(output);
}

bool ResultsFolder::holds(const Hash256& key) const {
  const auto found = by_owner_.find(to_hex(key));
  if (found == by_owner_.end() || !found->second.ok) return false;
  const auto bytes = read_back(found->second);
  return bytes && to_hex(content_id(*bytes)) == found->second.digest;
}

bool ResultsFolder::failed(const Hash256& key) const {
  const auto found = by_owner_.find(to_hex(key));
  return found != by_owner_.end() && !found->second.ok;
}

Result<std::string, Failure> ResultsFolder::put(std::uint64_t unit, const std::string& owner,
                                                ByteView encoded,
                                                const std::optional<UnitUsage>& usage) {
  const auto output = decode_program_output(encoded);
  if (!output) {
    return fail(kError, "The result of unit " + std::to_string(unit) +
                            " is none of a program: " + output.error().what + ".");
  }
  Entry entry;
  entry.owner = owner;
  entry.ok = true;
  entry.digest = to_hex(content_id(encoded));
  entry.exit_status = output->exit_status;
  entry.standard_output = output->standard_output.has_value();
  entry.name = free_name(output->name, entry.owner, unit);
  entry.unit_name = output->name;
  const fs::path made = folder_ / (".new-" + entry.name);
  std::error_code error;
  fs::remove_all(made, error);
  fs::create_directories(made, error);
  if (error) return cannot_write(made, error.message());
  if (output->standard_output) {
    auto written = write_file(made / kStandardOutput, *output->standard_output, false);
    if (!written) return tl::unexpected(written.error());
  }
  for (const auto& file : output->files) {
    auto written = write_file(made / file.path, file.bytes, file.executable);
    if (!written) return tl::unexpected(written.error());
  }
  if (auto done = replace(made, folder_ / entry.name); !done) return tl::unexpected(done.error());
  json line = {{"owner", entry.owner},           {"ok", true},
               {"name", entry.unit_name},        {"folder", entry.name},
               {"digest", entry.digest},         {"exit_status", entry.exit_status},
               {"stdout", entry.standard_output}};
  if (usage) line["usage"] = usage_json(*usage);
  auto noted = note(json_line(line));
  if (!noted) return tl::unexpected(noted.error());
  std::string name = entry.name;
  remember(std::move(entry));
  return name;
}

Result<std::string, Failure> ResultsFolder::put_failure(std::uint64_t unit,
                                                        const std::string& owner,
                                                        const std::string& name,
                                                        const UnitError& error) {
  Entry entry;
  entry.owner = owner;
  entry.name = free_name(name, entry.owner, unit);
  entry.unit_name = name;
  const fs::path made = folder_ / (".new-" + entry.name);
  std::error_code ignored;
  fs::remove_all(made, ignored);
  std::string text = std::string(name_of(error.kind)) + ": " + error.message + "\n";
  if (error.attempts > 0) text += "attempts: " + std::to_string(error.attempts) + "\n";
  const std::string words = last_words(error);
  if (!words.empty()) text += "\nIt wrote, at last:\n" + words + "\n";
  auto written = write_file(made / kErrorFile, as_bytes(text), false);
  if (!written) return tl::unexpected(written.error());
  if (auto done = replace(made, folder_ / entry.name); !done) return tl::unexpected(done.error());
  json line = {{"owner", entry.owner},
               {"ok", false},
               {"name", name},
               {"folder", entry.name},
               {"kind", name_of(error.kind)},
               {"message", error.message},
               {"stderr_end", error.stderr_end}};
  if (error.usage) line["usage"] = usage_json(*error.usage);
  auto noted = note(json_line(line));
  if (!noted) return tl::unexpected(noted.error());
  std::string folder = entry.name;
  remember(std::move(entry));
  return folder;
}

std::string last_words(const UnitError& error) {
  if (error.stderr_end.empty()) return {};
  const std::size_t last = error.stderr_end.find_last_not_of(" \t\r\n");
  // Without a line, a reader could not tell a silent program from words that were lost.
  if (last == std::string::npos) return "(it wrote nothing)";
  return error.stderr_end.substr(0, last + 1);
}

}  // namespace shoal::cli
