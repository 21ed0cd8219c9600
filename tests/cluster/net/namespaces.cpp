#include "tests/cluster/net/namespaces.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include "tests/cluster/process.h"

namespace shoal::cluster {
namespace {

constexpr const char* kTunDevice = "/dev/net/tun";
constexpr const char* kCongestionControls = "/proc/sys/net/ipv4/tcp_available_congestion_control";

std::string reason(const std::string& what) { return what + ": " + std::strerror(errno); }

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

bool write_text(const char* file, const std::string& text) {
  const int fd = ::open(file, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool wrote = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return wrote;
}

// Who we are outside becomes root inside.
bool map_to_root(uid_t user, gid_t group) {
  return write_text("/proc/self/setgroups", "deny") &&
         write_text("/proc/self/uid_map", "0 " + std::to_string(user) + " 1") &&
         write_text("/proc/self/gid_map", "0 " + std::to_string(group) + " 1");
}

std::string enter() {
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  // Root needs no user namespace, and in one of its own it could not become nobody.
  const bool as_root = user == 0 && ::unshare(CLONE_NEWNS | CLONE_NEWNET) == 0;
  if (!as_root) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) != 0) {
      return reason("this machine lets us make no user, mount and network namespaces");
    }
    if (!map_to_root(user, group)) return reason("no user can be mapped in our user namespace");
  }
  // What is mounted by a test is seen by nobody else.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return reason("mounts cannot be made private");
  }
  const int tun = ::open(kTunDevice, O_RDWR | O_CLOEXEC);
  if (tun < 0) return reason(std::string(kTunDevice) + " cannot be opened");
  ::close(tun);
  std::string controls;
  std::getline(std::ifstream(kCongestionControls) >> std::ws, controls);
  if (controls.find("cubic") == std::string::npos) {
    return "this kernel has no cubic congestion control, only " + controls;
  }
  return {};
}

int own_namespace() { return ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC); }

}  // namespace

const std::string& no_own_network() {
  static const std::string why = enter();
  return why;
}

NetNamespace::NetNamespace() {
  int error = 0;
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) == 0) fd_ = own_namespace();
    error = errno;
  }).join();
  errno = error;
  if (fd_ < 0) fail("a network namespace");
  run({"/usr/sbin/ip", "link", "set", "lo", "up"});
}

NetNamespace::~NetNamespace() {
  if (fd_ >= 0) ::close(fd_);
}

NetNamespace::NetNamespace(NetNamespace&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

std::string NetNamespace::path() const {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_);
}

void NetNamespace::inside(const std::function<void()>& work) const {
  std::exception_ptr thrown;
  std::thread([&] {
    try {
      if (::setns(fd_, CLONE_NEWNET) != 0) fail("entering a network namespace");
      work();
    } catch (...) {
      thrown = std::current_exception();
    }
  }).join();
  if (thrown) std::rethrow_exception(thrown);
}

void NetNamespace::run(const std::vector<std::string>& command) const {
  Process process(command, {{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}}, fd_);
  if (process.exit_code() == 0) return;
  std::string line;
  for (const std::string& word : command) line += word + " ";
  throw std::runtime_error(line + "failed: " + process.err());
}

int open_tun(const NetNamespace& where, const std::string& device, const std::string& address) {
  int tun = -1;
  where.inside([&] {
    tun = ::open(kTunDevice, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (tun < 0) fail(kTunDevice);
    ifreq request{};
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    device.copy(static_cast<char*>(request.ifr_name), IFNAMSIZ - 1);
    if (::ioctl(tun, TUNSETIFF, &request) != 0) fail("a TUN device");
  });
  where.run({"/usr/sbin/ip", "address", "add", address, "dev", device});
  where.run({"/usr/sbin/ip", "link", "set", device, "up"});
  return tun;
}

}  // namespace shoal::cluster
