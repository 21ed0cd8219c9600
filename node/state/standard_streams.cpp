#include "node/state/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <initializer_list>

namespace shoal {

void occupy_closed_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) >= 0) continue;
    // The lowest number that is free, which is this one.
    const int flags = stream == STDIN_FILENO ? O_WRONLY : O_RDONLY;
    if (::open("/dev/null", flags | O_NOCTTY) < 0) return;
  }
}

bool stdout_arrived() { return std::fflush(stdout) == 0 && std::ferror(stdout) == 0; }

}  // namespace shoal
