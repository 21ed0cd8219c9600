#include "node/state/control_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace shoal {
namespace {

constexpr char kName[] = "control.sock";
constexpr int kBacklog = 8;
constexpr std::size_t kAskingMax = 16;

// By its folder's descriptor: an address holds no more than 107 characters, a path may.
struct Address {
  explicit Address(const std::filesystem::path& folder)
      : folder_fd(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    name.sun_family = AF_UNIX;
    const std::string path = "/proc/self/fd/" + std::to_string(folder_fd) + "/" + kName;
    std::copy(path.begin(), path.end(), name.sun_path);
  }
  ~Address() {
    if (folder_fd >= 0) ::close(folder_fd);
  }
  Address(const Address&) = delete;
  Address& operator=(const Address&) = delete;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&name); }

  int folder_fd;
  sockaddr_un name{};
};

int new_socket() { return ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

tl::unexpected<std::string> failed(const std::filesystem::path& path) {
  return tl::unexpected(path.string() + ": " + std::strerror(errno));
}

}  // namespace

Result<std::unique_ptr<ControlSocket>, std::string> ControlSocket::open(
    const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kName;
  const Address address(folder);
  ::unlink(path.c_str());
  const int fd = new_socket();
  if (fd < 0) return failed(path);
  auto made = std::unique_ptr<ControlSocket>(new ControlSocket(fd, path));
  if (::bind(fd, address.get(), sizeof address.name) != 0 || ::chmod(path.c_str(), 0600) != 0 ||
      ::listen(fd, kBacklog) != 0) {
    return failed(path);
  }
  return made;
}

ControlSocket::~ControlSocket() {
  ::close(listening_);
  for (const int fd : asking_) ::close(fd);
  ::unlink(path_.c_str());
}

std::vector<int> ControlSocket::descriptors() const {
  std::vector<int> all = asking_;
  all.push_back(listening_);
  return all;
}

void ControlSocket::serve(const std::function<std::string(std::string_view question)>& answer) {
  for (int fd = -1;
       (fd = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) {
    if (asking_.size() >= kAskingMax) {
      ::close(asking_.front());
      asking_.erase(asking_.begin());
    }
    asking_.push_back(fd);
  }
  std::erase_if(asking_, [&](int fd) {
    std::string question(kControlTextBytes, '\0');
    const ssize_t got = ::recv(fd, question.data(), question.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got > 0) {
      question.resize(static_cast<std::size_t>(got));
      std::string text = answer(question);
      if (text.size() > kControlTextBytes) text.resize(kControlTextBytes);
      ::send(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    ::close(fd);
    return true;
  });
}

Result<std::string, NoAnswer> ask_node(const std::filesystem::path& folder,
                                       std::string_view question,
                                       std::chrono::milliseconds patience) {
  const std::filesystem::path path = folder / kName;
  const Address address(folder);
  const int fd = new_socket();
  if (fd < 0 || ::connect(fd, address.get(), sizeof address.name) != 0) {
    const bool nobody = errno == ENOENT || errno == ECONNREFUSED || errno == EBADF;
    NoAnswer error{nobody, nobody ? "no worker runs with the state folder " + folder.string()
                                  : failed(path).value()};
    if (fd >= 0) ::close(fd);
    return tl::unexpected(std::move(error));
  }
  std::string text(kControlTextBytes, '\0');
  ::send(fd, question.data(), question.size(), MSG_NOSIGNAL);
  pollfd ready{fd, POLLIN, 0};
  const bool came = ::poll(&ready, 1, static_cast<int>(patience.count())) == 1;
  const ssize_t got = came ? ::recv(fd, text.data(), text.size(), 0) : 0;
  ::close(fd);
  if (got <= 0) {
    return tl::unexpected(NoAnswer{false, "the node at " + folder.string() + " does not answer"});
  }
  text.resize(static_cast<std::size_t>(got));
  return text;
}

}  // namespace shoal
