#include "worker/sandbox/nobody.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "worker/sandbox/file_copy.h"
#include "worker/sandbox/namespaces.h"
#include "worker/sandbox/steps.h"

namespace shoal {
namespace {

// Opened by root, for nobody.
struct Carried {
  std::string path;
  int fd = -1;
  int access = R_OK;
};

Carried carry(const std::string& path, int access) {
  return {path, ::open(path.c_str(), O_RDONLY | O_CLOEXEC), access};
}

// In the current folder, under a name of its own.
Step bring(const Carried& carried, std::size_t number, SandboxPolicy& policy) {
  struct stat about {};
  if (carried.fd < 0 || ::access(carried.path.c_str(), carried.access) == 0 ||
      ::fstat(carried.fd, &about) != 0 || !S_ISREG(about.st_mode)) {
    return {};
  }
  const std::string copy = "./carried-" + std::to_string(number);
  if (auto done = copy_file(copy, carried.fd, static_cast<std::uint64_t>(about.st_size)); !done) {
    return done;
  }
  if (policy.program == carried.path) policy.program = copy;
  for (auto* list : {&policy.read_only, &policy.arguments}) {
    for (std::string& word : *list) {
      if (word == carried.path) word = copy;
    }
  }
  return {};
}

}  // namespace

Result<SandboxPolicy, std::string> become_nobody(SandboxPolicy policy) {
  if (!is_root_of_the_system()) return policy;
  std::vector<Carried> all{carry(policy.program, R_OK | X_OK)};
  for (const std::string& path : policy.read_only) all.push_back(carry(path, R_OK));
  if (::chown(policy.scratch.c_str(), kNobody, kNobody) != 0 ||
      ::chdir(policy.scratch.c_str()) != 0) {
    return step_failed(policy.scratch);
  }
  policy.scratch = ".";
  if (auto done = stop_being_root(); !done) return tl::unexpected(done.error());
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (auto done = bring(all[i], i, policy); !done) return tl::unexpected(done.error());
    ::close(all[i].fd);
  }
  return policy;
}

std::string nobody_fault() {
  if (!is_root_of_the_system()) return {};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return step_failed("pipe").value();
  const pid_t pid = ::fork();
  if (pid < 0) return step_failed("fork").value();
  if (pid == 0) {
    ::close(ends[0]);
    const auto done = stop_being_root();
    const std::string said = done ? "." : done.error();
    [[maybe_unused]] const ssize_t written = ::write(ends[1], said.data(), said.size());
    // Until it is killed; or else by the signal, where that is what root may not do.
    ::alarm(1);
    for (;;) ::pause();
  }
  ::close(ends[1]);
  std::array<char, 512> text{};
  const ssize_t got = ::read(ends[0], text.data(), text.size());
  std::string fault(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  if (fault == ".") fault.clear();
  if (::kill(pid, SIGKILL) != 0 && fault.empty()) {
    fault = step_failed("root cannot end what nobody runs").value();
  }
  ::close(ends[0]);
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return fault;
}

std::string closed_to_sandbox(const std::string& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0 || !S_ISDIR(about.st_mode)) return {};
  std::vector<std::string> folders;  // made before the fork, after which nothing is allocated
  for (std::size_t end = path.find('/', 1); end != std::string::npos;
       end = path.find('/', end + 1)) {
    folders.push_back(path.substr(0, end));
  }
  folders.push_back(path);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {};
  const pid_t pid = ::fork();
  if (pid == 0) {
    std::size_t open = 0;
    // What is on the way need not be listed.
    if (stop_being_root()) {
      while (open < folders.size() &&
             ::access(folders[open].c_str(), open + 1 < folders.size() ? X_OK : R_OK | X_OK) == 0) {
        ++open;
      }
    }
    [[maybe_unused]] const ssize_t written = ::write(ends[1], &open, sizeof open);
    ::_exit(0);
  }
  ::close(ends[1]);
  std::size_t open = folders.size();
  const bool told = pid > 0 && ::read(ends[0], &open, sizeof open) == sizeof open;
  ::close(ends[0]);
  while (pid > 0 && ::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return told && open < folders.size() ? folders[open] : std::string();
}

}  // namespace shoal
