#include "node/link/socket_poll.h"

#include <zmq.h>

#include <cerrno>

#include "node/protocol/result.h"

namespace shoal {

void SocketPoll::add(void* socket) {
  int fd = -1;
  std::size_t size = sizeof fd;
  check(zmq_getsockopt(socket, ZMQ_FD, &fd, &size) == 0, "a socket has no descriptor");
  sockets_.push_back({socket, fd, true});
}

void SocketPoll::used(void* socket) {
  for (Socket& each : sockets_) {
    if (each.handle == socket) each.used = true;
  }
}

// Takes the socket's commands in: its descriptor is readable again at the next one.
bool SocketPoll::has_message(Socket& socket) {
  int events = 0;
  std::size_t size = sizeof events;
  int rc = -1;
  do {
    rc = zmq_getsockopt(socket.handle, ZMQ_EVENTS, &events, &size);
  } while (rc < 0 && zmq_errno() == EINTR);
  check(rc == 0, "a socket does not tell whether it has a message");
  const bool any = (events & ZMQ_POLLIN) != 0;
  // One that is told of may be left unread.
  socket.used = any;
  return any;
}

bool SocketPoll::wait(long timeout_ms, const std::vector<int>& fds, std::vector<bool>& ready) {
  ready.assign(sockets_.size() + fds.size(), false);
  for (std::size_t i = 0; i < sockets_.size(); ++i) {
    if (!sockets_[i].used || !has_message(sockets_[i])) continue;
    ready[i] = true;
    timeout_ms = 0;
  }
  polled_.clear();
  for (const Socket& socket : sockets_) polled_.push_back({socket.fd, POLLIN, 0});
  for (const int fd : fds) polled_.push_back({fd, POLLIN, 0});
  if (::poll(polled_.data(), polled_.size(), static_cast<int>(timeout_ms)) < 0) return false;
  for (std::size_t i = 0; i < polled_.size(); ++i) {
    if (polled_[i].revents == 0) continue;
    ready[i] = i >= sockets_.size() || ready[i] || has_message(sockets_[i]);
  }
  return true;
}

}  // namespace shoal
