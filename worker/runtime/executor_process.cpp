#include "worker/runtime/executor_process.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "node/protocol/limits.h"
#include "node/state/remove_folder.h"

namespace shoal {
namespace {

constexpr std::size_t kReadBytes = 256 * 1024;
// In one go, so that a child that never stops writing does not keep the network thread.
constexpr std::size_t kReadBytesPerCall = 16 << 20;
constexpr std::size_t kOutputBytesPerCall = 1 << 20;

// How many bytes the UTF-8 character at the front of `text` has; 0: it is none.
std::size_t utf8_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = lead < 0x80       ? 1
                             : lead >> 5 == 6  ? 2
                             : lead >> 4 == 14 ? 3
                             : lead >> 3 == 30 ? 4
                                               : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

std::string clean_end_of(std::string_view text, std::size_t bytes_max) {
  if (text.size() > bytes_max) text.remove_prefix(text.size() - bytes_max);
  std::string clean;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const auto first = static_cast<unsigned char>(text[0]);
    const bool control = (first < 0x20 && first != '\n' && first != '\t') || first == 0x7f;
    if (length == 0 || control) {
      clean.push_back('?');
      text.remove_prefix(1);
    } else {
      clean.append(text.substr(0, length));
      text.remove_prefix(length);
    }
  }
  return clean;
}

std::string describe_wait_status(int status) {
  if (WIFEXITED(status)) return "ended with status " + std::to_string(WEXITSTATUS(status));
  if (!WIFSIGNALED(status)) return "ended";
  const char* name = sigabbrev_np(WTERMSIG(status));
  return name != nullptr ? std::string("died of SIG") + name
                         : "died of signal " + std::to_string(WTERMSIG(status));
}

Result<std::unique_ptr<ExecutorProcess>, std::string> ExecutorProcess::start(
    const LaunchSpec& spec) {
  std::error_code error;
  std::filesystem::create_directories(spec.scratch, error);
  if (error) {
    return tl::unexpected("cannot make the folder " + spec.scratch.string() + ": " +
                          error.message());
  }
  auto child = launch_executor(spec);
  if (!child) {
    remove_folder(spec.scratch);
    return tl::unexpected(child.error());
  }
  return std::unique_ptr<ExecutorProcess>(new ExecutorProcess(std::move(*child), spec.scratch));
}

ExecutorProcess::~ExecutorProcess() {
  kill();
  if (!status_) {
    while (waitpid(child_.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  for (int fd : {child_.socket, child_.control, child_.output, child_.pid_fd}) close(fd);
  unmap_page(child_.page);
  remove_folder(scratch_);
}

void ExecutorProcess::queue(Bytes frame) {
  queued_bytes_ += frame.size();
  queued_.push_back(std::move(frame));
  write_queued();
}

void ExecutorProcess::write_queued() {
  while (!queued_.empty()) {
    const Bytes& frame = queued_.front();
    const ssize_t sent = send(child_.socket, frame.data() + written_, frame.size() - written_,
                              MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) {  // it is gone, which its process descriptor will tell
      queued_.clear();
      queued_bytes_ = written_ = 0;
      return;
    }
    written_ += static_cast<std::size_t>(sent);
    queued_bytes_ -= static_cast<std::size_t>(sent);
    if (written_ < frame.size()) continue;
    queued_.pop_front();
    written_ = 0;
  }
}

void ExecutorProcess::expect_outputs(std::uint64_t output_bytes_max) {
  frames_.allow(std::max(frames_.allowed(), executor_frame_bytes_max(output_bytes_max)));
}

std::string ExecutorProcess::read_frames(const std::function<std::string(ByteView body)>& take,
                                         bool to_the_end) {
  std::size_t taken = 0;
  while (!finished_reading_ && (to_the_end || taken < kReadBytesPerCall)) {
    const auto room = frames_.room(kReadBytes);
    const ssize_t got = recv(child_.socket, room.data(), room.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0) {
      finished_reading_ = true;
      break;
    }
    taken += static_cast<std::size_t>(got);
    frames_.filled(static_cast<std::size_t>(got));
    for (;;) {
      auto body = frames_.next();
      std::string wrong = body ? (*body ? take(**body) : "") : body.error().what;
      if (!wrong.empty()) {
        finished_reading_ = true;
        return wrong;
      }
      if (!*body) break;
    }
  }
  return {};
}

void ExecutorProcess::read_output() {
  std::size_t taken = 0;
  char buffer[16 * 1024];
  while (!output_closed_ && taken < kOutputBytesPerCall) {
    const ssize_t got = read(child_.output, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0) {
      output_closed_ = true;
      break;
    }
    taken += static_cast<std::size_t>(got);
    output_end_.append(buffer, static_cast<std::size_t>(got));
    if (output_end_.size() > limits::kFailureTextBytes) {
      output_end_.erase(0, output_end_.size() - limits::kFailureTextBytes);
    }
  }
}

std::string ExecutorProcess::output_end() const {
  return clean_end_of(output_end_, limits::kFailureTextBytes);
}

void ExecutorProcess::order(HerdOrder what) {
  ::send(child_.control, &what, sizeof what, MSG_NOSIGNAL | MSG_DONTWAIT);
}

std::optional<HerdNews> ExecutorProcess::usage() {
  read_news();
  return usage_;
}

void ExecutorProcess::kill() {
  if (status_) return;
  // Its group too: a kernel may have started programs. The group may not be there yet.
  ::kill(-child_.pid, SIGKILL);
  ::kill(child_.pid, SIGKILL);
}

void ExecutorProcess::read_news() {
  HerdNews news;
  while (recv(child_.control, &news, sizeof news, MSG_DONTWAIT) ==
         static_cast<ssize_t>(sizeof news)) {
    if (news.kind == HerdNews::Kind::kEnded) ending_ = news;
    if (news.kind == HerdNews::Kind::kUsage) usage_ = news;
  }
}

std::optional<int> ExecutorProcess::reap() {
  if (status_) return status_;
  int status = 0;
  if (waitpid(child_.pid, &status, WNOHANG) == child_.pid) {
    ::kill(-child_.pid, SIGKILL);  // what a kernel started must not outlive it
    status_ = status;
    read_news();
    if (child_.group != nullptr && child_.group->out_of_memory()) {
      // All have ended at once, and the sandbox had no time to tell.
      if (!ending_) ending_ = HerdNews{.kind = HerdNews::Kind::kEnded, .wait_status = status};
      ending_->out_of_memory = true;
    }
  }
  return status_;
}

}  // namespace shoal
