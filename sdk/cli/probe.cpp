#include "sdk/cli/probe.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <sstream>
#include <system_error>

namespace shoal::cli {
namespace {

namespace fs = std::filesystem;

struct FreeAddresses {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

int connect_error(const addrinfo& to, std::chrono::milliseconds patience) {
  const int fd = ::socket(to.ai_family, to.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  int error = ::connect(fd, to.ai_addr, to.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd waiting{fd, POLLOUT, 0};
    socklen_t size = sizeof error;
    if (::poll(&waiting, 1, static_cast<int>(patience.count())) < 1) {
      error = ETIMEDOUT;
    } else if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
      error = errno;
    }
  }
  ::close(fd);
  return error;
}

// What it prints to stdout. None: it cannot be run.
std::vector<std::string> lines_of(const fs::path& program, std::string flag) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::string path = program.string();
  char* const arguments[] = {path.data(), flag.data(), nullptr};
  pid_t pid = -1;
  const bool started =
      ::posix_spawn(&pid, path.c_str(), &actions, nullptr, arguments, environ) == 0;
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  std::string text;
  char buffer[1024];
  for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  if (started) ::waitpid(pid, nullptr, 0);
  std::vector<std::string> lines;
  std::istringstream all(text);
  for (std::string line; std::getline(all, line);) lines.push_back(line);
  return lines;
}

}  // namespace

std::string dial_fault(const std::string& endpoint, std::chrono::milliseconds patience) {
  constexpr std::string_view scheme = "tcp://";
  const std::size_t colon = endpoint.rfind(':');
  if (!endpoint.starts_with(scheme) || colon < scheme.size()) return "it is no tcp://HOST:PORT";
  std::string host = endpoint.substr(scheme.size(), colon - scheme.size());
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const std::string port = endpoint.substr(colon + 1);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &list); error != 0) {
    return "its name cannot be resolved (" + std::string(::gai_strerror(error)) + ")";
  }
  const std::unique_ptr<addrinfo, FreeAddresses> held(list);
  int last = EHOSTUNREACH;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    last = connect_error(*one, patience);
    if (last == 0) return {};
  }
  return std::generic_category().message(last);
}

std::string folder_fault(const fs::path& folder) {
  std::error_code ignored;
  fs::path there = folder;
  while (!fs::exists(there, ignored) && there.has_relative_path()) there = there.parent_path();
  if (!fs::is_directory(there, ignored)) return there.string() + " is not a folder";
  if (::access(there.c_str(), W_OK | X_OK) == 0) return {};
  const std::string why = std::generic_category().message(errno);
  return there == folder ? why : there.string() + ": " + why;
}

std::vector<std::string> sandbox_layers(const fs::path& program) {
  return lines_of(program, "--probe");
}

std::string engine_version(const fs::path& program) {
  const auto lines = lines_of(program, "--engine");
  return lines.empty() ? std::string() : lines.front();
}

}  // namespace shoal::cli
