#include "worker/sandbox/cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

namespace shoal {
namespace {

namespace fs = std::filesystem;

// systemd marks what it delegates.
constexpr char kMark[] = "user.delegate";
// Beside the program's: the sandbox's own two processes, and what the kernel keeps for all of them.
constexpr std::uint64_t kProcessesBeside = 2;
constexpr std::uint64_t kMemoryBeside = std::uint64_t{32} << 20;
constexpr unsigned kCpuPeriodUs = 100'000;

std::string read_text(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

Step make_folder(const fs::path& folder) {
  if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return step_failed(folder.string());
  return {};
}

std::set<std::string> words_in(const fs::path& file) {
  std::istringstream text(read_text(file));
  return {std::istream_iterator<std::string>(text), {}};
}

// Where the hierarchy of version 2 is mounted; a machine may have older ones beside it.
std::optional<fs::path> mount_point() {
  std::istringstream lines(read_text("/proc/self/mountinfo"));
  for (std::string line; std::getline(lines, line);) {
    if (line.find(" - cgroup2 ") == std::string::npos) continue;
    std::istringstream words(line);
    std::string id, parent, device, root, place;
    words >> id >> parent >> device >> root >> place;
    if (root == "/") return place;
  }
  return std::nullopt;
}

Result<fs::path, std::string> own_group() {
  const auto mounted = mount_point();
  if (!mounted) return tl::unexpected(std::string("there are none of version 2"));
  std::istringstream lines(read_text("/proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("0::/")) return *mounted / line.substr(4);
  }
  return tl::unexpected(std::string("this process is in none of version 2"));
}

}  // namespace

Result<fs::path, std::string> delegated_group() {
  auto group = own_group();
  if (!group) return group;
  char mark = 0;
  if (::getxattr(group->c_str(), kMark, &mark, 1) != 1 || mark != '1') {
    return tl::unexpected(std::string("not delegated here (Delegate= of systemd does that)"));
  }
  const fs::path control = *group / "cgroup.subtree_control";
  if (::access(control.c_str(), W_OK) != 0) return step_failed(control.string());
  const auto controllers = words_in(*group / "cgroup.controllers");
  for (const char* name : {"memory", "pids"}) {
    if (!controllers.contains(name)) {
      return tl::unexpected("delegated without the controller '" + std::string(name) + "'");
    }
  }
  return group;
}

ControlGroup::~ControlGroup() {
  ::close(entry_);
  // What has left the sandbox's process group, where it has no namespace of its own.
  [[maybe_unused]] const Step ended = write_file(folder_ / "cgroup.kill", "1");
  ::rmdir(folder_.c_str());
}

bool ControlGroup::out_of_memory() const {
  std::istringstream events(read_text(folder_ / "memory.events"));
  std::string name;
  for (std::uint64_t count = 0; events >> name >> count;) {
    if (name == "oom_kill" && count > 0) return true;
  }
  return false;
}

Result<std::unique_ptr<ControlGroups>, std::string> ControlGroups::divide(const fs::path& folder,
                                                                          unsigned threads) {
  const fs::path own = folder / "worker";
  const fs::path executors = folder / "executors";
  for (const fs::path& part : {own, executors}) {
    if (auto made = make_folder(part); !made) return tl::unexpected(made.error());
  }
  if (auto moved = write_file(own / "cgroup.procs", "0"); !moved) {
    return tl::unexpected(moved.error());
  }
  const bool cpu = words_in(folder / "cgroup.controllers").contains("cpu");
  const std::string wanted = cpu ? "+memory +pids +cpu" : "+memory +pids";
  auto divided = write_file(folder / "cgroup.subtree_control", wanted);
  if (divided) divided = write_file(executors / "cgroup.subtree_control", "+memory +pids");
  if (!divided) {
    // As it was: another process is in it, most likely.
    [[maybe_unused]] const Step back = write_file(folder / "cgroup.procs", "0");
    return tl::unexpected(divided.error());
  }
  if (cpu) {
    const std::string quota = std::to_string(std::uint64_t{threads} * kCpuPeriodUs);
    if (auto limited =
            write_file(executors / "cpu.max", quota + " " + std::to_string(kCpuPeriodUs));
        !limited) {
      return tl::unexpected(limited.error());
    }
    // Older kernels have no such file; the least weight is the next best.
    if (!write_file(executors / "cpu.idle", "1")) {
      [[maybe_unused]] const Step weighed = write_file(executors / "cpu.weight", "1");
    }
  }
  return std::unique_ptr<ControlGroups>(new ControlGroups(executors));
}

Result<std::unique_ptr<ControlGroup>, std::string> ControlGroups::add(std::uint64_t memory_bytes,
                                                                      std::uint64_t processes) {
  const fs::path folder = executors_ / std::to_string(++last_);
  if (auto made = make_folder(folder); !made) return tl::unexpected(made.error());
  const int entry = ::open((folder / "cgroup.procs").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (entry < 0) return step_failed(folder.string());
  std::unique_ptr<ControlGroup> group(new ControlGroup(folder, entry));
  Step held = write_file(folder / "pids.max", std::to_string(processes + kProcessesBeside));
  if (memory_bytes != 0) {
    if (held) {
      held = write_file(folder / "memory.max", std::to_string(memory_bytes + kMemoryBeside));
    }
    // All of them or none: what a program writes when one of its processes is gone is worth
    // nothing.
    if (held) held = write_file(folder / "memory.oom.group", "1");
    // Not there without swap.
    [[maybe_unused]] const Step unswapped = write_file(folder / "memory.swap.max", "0");
  }
  if (!held) return tl::unexpected(held.error());
  return group;
}

}  // namespace shoal
