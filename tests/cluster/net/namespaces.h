#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

// Linux namespaces as a test's own little machines. Nothing here touches the machine's real
// network.
namespace shoal::cluster {

// Why this process can have no network of its own; empty where it has one. The first call moves the
// process into namespaces of its own (user, mounts, network), in which it may do what root may;
// main() makes it while there is one thread, since the kernel asks for that. No rights are needed.
const std::string& no_own_network();

// A network namespace. It lives as long as this object, a process inside, or a socket made inside;
// all of those end with the test, however that ends, so that nothing is ever left behind.
class NetNamespace {
 public:
  // Empty but for loopback, which is up.
  NetNamespace();
  ~NetNamespace();
  NetNamespace(NetNamespace&& other) noexcept;
  NetNamespace& operator=(NetNamespace&&) = delete;

  // For Process: it then runs inside.
  int descriptor() const { return fd_; }
  // A name by which other programs can find it while this process lives.
  std::string path() const;
  // Does the work on a thread of its own, and waits for it. Sockets stay where they were made: who
  // holds several of them is on several machines at once. Do not start a Process there, it would
  // die with that thread.
  void inside(const std::function<void()>& work) const;
  // Runs a program inside. Throws what it said if it fails.
  void run(const std::vector<std::string>& command) const;

 private:
  int fd_ = -1;
};

// A TUN device inside, up, with that address ("198.18.1.1/32"): what the namespace sends there can
// be read from the descriptor, a packet at a time, and the other way round. It goes with its
// descriptor.
int open_tun(const NetNamespace& where, const std::string& device, const std::string& address);

}  // namespace shoal::cluster
