#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "worker/sandbox/seal.h"

// What an engine does: comes up with a thread, seals itself, computes; and then what somebody would
// do who has broken out of it.
namespace {

void say(const char* what) {
  std::printf("%s\n", what);
  std::fflush(stdout);
}

void try_to_open(const char* path) {
  say(::open(path, O_RDONLY) < 0 ? strerrorname_np(errno) : "DONE");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string attack = argc > 1 ? argv[1] : "";
  std::atomic<int> stage{0};
  std::thread before([&] {
    stage.wait(0);
    // The seal holds for threads that were there before it.
    if (attack == "thread") ::socket(AF_UNIX, SOCK_STREAM, 0);
  });
  if (const auto sealed = shoal::seal_for_wasm(); !sealed) {
    std::printf("not sealed: %s\n", sealed.error().c_str());
    return 1;
  }
  say("sealed");
  if (attack == "compute") {
    std::vector<std::vector<char>> memory;
    for (int i = 0; i < 8; ++i) memory.emplace_back(1 << 20);
    std::thread after([] { say("a new thread"); });
    after.join();
  } else if (attack == "open") {
    for (const char* path : {"/", "/usr/bin/sh", "/proc/self/maps", "/dev/null", "/scratch"}) {
      try_to_open(path);
    }
  } else if (attack == "exec") {
    ::execl("/usr/bin/sh", "sh", "-c", "echo DONE", nullptr);
  } else if (attack == "fork") {
    ::fork();
  } else if (attack == "socket") {
    ::socket(AF_INET, SOCK_STREAM, 0);
  }
  stage = 1;
  stage.notify_all();
  before.join();
  say("still here");
  return 0;
}
