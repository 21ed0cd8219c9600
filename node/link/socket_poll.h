#pragma once
#include <poll.h>

#include <vector>

namespace shoal {

// Waits for ZeroMQ sockets and plain descriptors together, on the thread that uses the sockets.
//
// zmq_poll() asks every socket twice at each call, which is some system calls each time, and a node
// waits hundreds of times a second. A socket that was not used since it was last asked can only
// have news when its descriptor (ZMQ_FD, edge-triggered) is readable, so that is all that is asked
// of it. The price: used() must be called whenever a socket sent, received, connected or
// disconnected, or what this call left behind is never heard of.
class SocketPoll {
 public:
  // Not owned. Their order is that in which they are looked at.
  void add(void* socket);
  void used(void* socket);

  // Sets `ready` for each socket, in the order of add(), and then for each of `fds`. False: a
  // signal came first. timeout_ms below zero: for ever.
  bool wait(long timeout_ms, const std::vector<int>& fds, std::vector<bool>& ready);

 private:
  struct Socket {
    void* handle;
    int fd;
    bool used;  // since it was last found to have nothing to read
  };
  static bool has_message(Socket&);

  std::vector<Socket> sockets_;
  std::vector<pollfd> polled_;
};

}  // namespace shoal
