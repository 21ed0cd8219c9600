#include "sdk/cli/probe.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

#include "node/state/key_file.h"

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

std::string first_word(const char* file) {
  const auto text = read_text_file(file);
  if (!text) return {};
  return text->substr(0, text->find_first_of(" \n"));
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

std::string user_namespaces() {
  const std::string most = first_word("/proc/sys/user/max_user_namespaces");
  const std::string unprivileged = first_word("/proc/sys/kernel/unprivileged_userns_clone");
  if (most == "0" || unprivileged == "0") return "off";
  return most.empty() ? "not in this kernel" : "on";
}

std::string landlock() {
#ifdef SYS_landlock_create_ruleset
  constexpr unsigned kAskVersion = 1;
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kAskVersion);
  if (version > 0) return "version " + std::to_string(version);
  return errno == EOPNOTSUPP ? "off" : "not in this kernel";
#else
  return "unknown";
#endif
}

}  // namespace shoal::cli
