#include "worker/program/output_gathering.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <set>

#include "node/protocol/program_template.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNamesShown = 8;
constexpr int kFoldersDeep = 100;

bool is_pattern(const std::string& text) { return text.find_first_of("*?") != std::string::npos; }

// What lies below the folder, by paths in it.
struct Found {
  std::vector<std::string> files;
  std::set<std::string> folders;
  std::set<std::string> others;  // links, pipes and sockets, which are no results
};
Result<Found, std::string> look_through(const fs::path& work) {
  Found found;
  std::error_code error;
  const std::size_t above = work.native().size() + 1;
  fs::recursive_directory_iterator at(work, error);
  for (const fs::recursive_directory_iterator end; !error && at != end; at.increment(error)) {
    const fs::file_status status = at->symlink_status(error);
    if (error) break;
    std::string path = at->path().native().substr(above);
    if (fs::is_regular_file(status))
      found.files.push_back(std::move(path));
    else if (fs::is_directory(status))
      found.folders.insert(std::move(path));
    else
      found.others.insert(std::move(path));
    if (found.files.size() + found.folders.size() + found.others.size() >
        limits::kProgramOutputFiles) {
      return tl::unexpected(std::string("the program left more than ") +
                            std::to_string(limits::kProgramOutputFiles) +
                            " files and folders behind");
    }
    if (at.depth() >= kFoldersDeep) {
      return tl::unexpected(std::string("the program left folders more than ") +
                            std::to_string(kFoldersDeep) + " deep behind");
    }
  }
  if (error) return tl::unexpected("the program's folder cannot be read: " + error.message());
  std::sort(found.files.begin(), found.files.end());
  return found;
}

// Whether the pattern stands for the path or for a folder that it lies in.
bool stands_for(const std::string& pattern, const std::string& path) {
  if (matches_pattern(pattern, path)) return true;
  for (std::size_t at = path.find('/'); at != std::string::npos; at = path.find('/', at + 1)) {
    if (matches_pattern(pattern, std::string_view(path).substr(0, at))) return true;
  }
  return false;
}

std::string missing(const std::string& pattern, const Found& found,
                    const std::set<std::string>& inputs) {
  std::string others;
  std::size_t count = 0;
  for (const std::string& file : found.files) {
    if (inputs.contains(file)) continue;
    if (++count <= kNamesShown) others += (others.empty() ? "" : ", ") + file;
  }
  if (count > kNamesShown) others += " and " + std::to_string(count - kNamesShown) + " more";
  const auto no_file =
      std::find_if(found.others.begin(), found.others.end(),
                   [&](const auto& path) { return matches_pattern(pattern, path); });
  std::string why;
  if (no_file != found.others.end()) {
    why = "; '" + *no_file + "' is a link or a pipe, and only files and folders come back";
  }
  for (const std::string& other : found.others) {
    if (pattern.starts_with(other + "/"))
      why = "; '" + other + "' is a link, and what lies behind it does not come back";
  }
  return "the program ended well, but left no '" + pattern + "' behind; it left " +
         (others.empty() ? "nothing" : others) + why;
}

Result<GatheredFile, std::string> read_file(const fs::path& work, const std::string& path,
                                            std::uint64_t bytes_max) {
  const int fd =
      ::open((work / path).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  const auto failed = [&](const std::string& why) {
    if (fd >= 0) ::close(fd);
    return tl::unexpected("the output " + path + " cannot be read: " + why);
  };
  if (fd < 0) return failed(std::strerror(errno));
  struct stat about {};
  if (::fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) return failed("it is no file");
  const auto size = static_cast<std::uint64_t>(about.st_size);
  if (size > bytes_max) {
    return failed("with its " + std::to_string(size) +
                  " bytes the outputs are more than the job allows");
  }
  GatheredFile file{path, (about.st_mode & S_IXUSR) != 0, Bytes(size)};
  std::size_t filled = 0;
  while (filled < size) {
    const ssize_t got = ::read(fd, file.bytes.data() + filled, size - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return failed(got < 0 ? std::strerror(errno) : "it has become shorter");
    filled += static_cast<std::size_t>(got);
  }
  ::close(fd);
  return file;
}

}  // namespace

Result<std::vector<GatheredFile>, std::string> gather_outputs(
    const fs::path& work, const std::vector<std::string>& patterns,
    const std::set<std::string>& inputs, std::uint64_t bytes_max) {
  std::vector<GatheredFile> gathered;
  if (patterns.empty()) return gathered;
  const auto found = look_through(work);
  if (!found) return tl::unexpected(found.error());
  std::set<std::string> chosen;
  for (const std::string& pattern : patterns) {
    bool any = !is_pattern(pattern) && found->folders.contains(pattern);
    for (const std::string& file : found->files) {
      if (!stands_for(pattern, file)) continue;
      if (pattern != file && inputs.contains(file)) continue;
      chosen.insert(file);
      any = true;
    }
    if (!any) return tl::unexpected(missing(pattern, *found, inputs));
  }
  std::uint64_t left = bytes_max;
  for (const std::string& path : chosen) {
    if (!is_path_below(path)) {
      return tl::unexpected(
          std::string("an output's name cannot be carried: it has control characters"));
    }
    auto file = read_file(work, path, left);
    if (!file) return tl::unexpected(file.error());
    left -= file->bytes.size();
    gathered.push_back(std::move(*file));
  }
  return gathered;
}

bool lay_out_result(const ProgramOutput& result, const fs::path& folder) {
  std::error_code error;
  const auto write = [&](const fs::path& path, ByteView bytes, bool executable) {
    fs::create_directories(path.parent_path(), error);
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    file.close();
    if (executable) fs::permissions(path, fs::perms::owner_exec, fs::perm_options::add, error);
    return static_cast<bool>(file);
  };
  if (!fs::create_directory(folder, error)) return false;
  bool written = true;
  if (result.standard_output) written = write(folder / "stdout", *result.standard_output, false);
  for (const auto& file : result.files) {
    written = written && write(folder / file.path, file.bytes, file.executable);
  }
  return written;
}

}  // namespace shoal
