#include "sdk/host/host.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>

#include "node/protocol/executor_messages.h"
#include "node/protocol/limits.h"
#include "sdk/host/fault_marks.h"
#include "sdk/host/unit_loop.h"

namespace shoal {
namespace {

constexpr std::size_t kReadBytes = 256 * 1024;

// A descriptor's number in the environment; -1 where there is none.
int descriptor_from(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr || *text == '\0') return -1;
  char* end = nullptr;
  const long number = std::strtol(text, &end, 10);
  if (*end != '\0' || number < 0 || number > 1'000'000) return -1;
  return static_cast<int>(number);
}

// The page shared with the worker, or one of our own where nobody looks.
class Page {
 public:
  explicit Page(int fd) {
    if (fd >= 0) {
      void* memory = mmap(nullptr, sizeof(RunningPage), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
      if (memory != MAP_FAILED) shared_ = static_cast<RunningPage*>(memory);
    }
    if (shared_ == nullptr) own_ = std::make_unique<RunningPage>();
  }
  ~Page() {
    if (shared_ != nullptr) munmap(shared_, sizeof(RunningPage));
  }
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;
  RunningPage& get() { return shared_ != nullptr ? *shared_ : *own_; }

 private:
  RunningPage* shared_ = nullptr;
  std::unique_ptr<RunningPage> own_;
};

// Writes whole frames, one after another, from many threads.
class Sender {
 public:
  explicit Sender(int fd) : fd_(fd) {}

  // Once the worker is gone, what is sent is lost: the reader will see the end as well. It does not
  // where a kernel has closed the socket under it, and would wait for ever.
  void send(ByteView frame) {
    std::lock_guard lock(mutex_);
    while (!failed_ && !frame.empty()) {
      const ssize_t sent = ::send(fd_, frame.data(), frame.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        frame = frame.subspan(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN) {
        pollfd ready{fd_, POLLOUT, 0};
        poll(&ready, 1, -1);
      } else if (errno == EBADF || errno == ENOTSOCK) {
        _exit(kExecutorSocketClosedStatus);
      } else if (errno != EINTR) {
        failed_ = true;
      }
    }
  }
  bool failed() {
    std::lock_guard lock(mutex_);
    return failed_;
  }

 private:
  int fd_;
  std::mutex mutex_;
  bool failed_ = false;
};

// The process in which exit() would be a kernel's doing, and not that of a child which it made.
std::atomic<pid_t> serving{0};

// What main() left behind must not be destroyed while units run on other threads.
void on_exit_of_a_kernel(int status, void*) {
  if (serving != getpid()) return;
  std::fflush(stdout);
  std::fprintf(stderr, "shoal executor: a kernel called exit(%d)\n", status);
  _exit(status);
}

// False: the worker sent what only an executor may send.
bool perform(UnitLoop& loop, const ExecutorMessage& message, std::shared_ptr<const Bytes> frame) {
  if (const auto* run = std::get_if<RunChunk>(&message)) {
    loop.perform(*run, std::move(frame));
  } else if (const auto* setup = std::get_if<ExecutorSetup>(&message)) {
    loop.perform(*setup);
  } else if (const auto* drop = std::get_if<ExecutorDrop>(&message)) {
    loop.perform(*drop);
  } else if (const auto* cancel = std::get_if<ExecutorCancel>(&message)) {
    loop.perform(*cancel);
  } else if (const auto* checkpoint = std::get_if<ExecutorCheckpoint>(&message)) {
    loop.perform(*checkpoint);
  } else if (const auto* compare = std::get_if<ExecutorCompare>(&message)) {
    loop.perform(*compare, std::move(frame));
  } else {
    return false;
  }
  return true;
}

// False where the stream cannot be followed any more.
bool perform_whole_frames(FrameSplitter& frames, UnitLoop& loop) {
  for (;;) {
    auto body = frames.next();
    if (!body) {
      std::fprintf(stderr, "shoal executor: %s\n", body.error().what.c_str());
      return false;
    }
    if (!*body) return true;
    auto frame = std::make_shared<const Bytes>(to_bytes(**body));
    auto message = decode_executor_body(*frame);
    if (!message || !perform(loop, *message, frame)) {
      std::fprintf(stderr, "shoal executor: %s\n",
                   message ? "a message from the wrong side" : message.error().what.c_str());
      return false;
    }
  }
}

}  // namespace

bool is_executor_process() { return descriptor_from(kExecutorSocketVariable) >= 0; }

std::optional<HostChannels> take_host_channels() {
  if (!is_executor_process()) return std::nullopt;
  HostChannels channels;
  channels.socket = descriptor_from(kExecutorSocketVariable);
  channels.page = descriptor_from(kExecutorPageVariable);
  channels.note_faults = true;
  for (int fd : {channels.socket, channels.page}) {
    if (fd >= 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  unsetenv(kExecutorSocketVariable);
  unsetenv(kExecutorPageVariable);
  return channels;
}

namespace {

int serve(const std::vector<KernelEntry>& kernels, const HostChannels& channels) {
  Page page(channels.page);
  Sender sender(channels.socket);
  ExecutorHello hello;
  for (const KernelEntry& kernel : kernels) hello.kernels.push_back(kernel.name);
  sender.send(encode_executor_frame(hello));

  UnitLoop loop(kernels, page.get(), [&](Bytes frame) { sender.send(frame); });
  if (!channels.refusal.empty()) loop.refuse_all(channels.refusal);
  FrameSplitter frames;
  for (;;) {
    const auto room = frames.room(kReadBytes);
    const ssize_t got = recv(channels.socket, room.data(), room.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) {
      pollfd ready{channels.socket, POLLIN, 0};
      poll(&ready, 1, -1);
      continue;
    }
    if (got <= 0) return got == 0 && !sender.failed() ? 0 : 1;
    frames.filled(static_cast<std::size_t>(got));
    if (!perform_whole_frames(frames, loop)) return 1;
  }
}

}  // namespace

int serve_executor(const std::vector<KernelEntry>& kernels, const HostChannels& channels) {
  if (!channels.note_faults) return serve(kernels, channels);
  install_fault_marks();
  // What a kernel printed before it crashed must not be lost in a buffer.
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (on_exit(on_exit_of_a_kernel, nullptr) == 0) serving = getpid();
  const int status = serve(kernels, channels);
  serving = 0;
  return status;
}

int serve_executor(const std::vector<KernelEntry>& kernels, int fd) {
  return serve_executor(kernels, HostChannels{fd, -1, false, {}});
}

}  // namespace shoal
