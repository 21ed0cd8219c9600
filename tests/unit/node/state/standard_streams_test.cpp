#include "node/state/standard_streams.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>

namespace shoal {
namespace {

bool fails_with_ebadf(ssize_t done) { return done == -1 && errno == EBADF; }

// 0: what was opened after `closed` were closed is none of the three, and they are as if closed.
int code_without(std::initializer_list<int> closed) {
  for (const int stream : closed) ::close(stream);
  occupy_closed_streams();
  const int file = ::open("/dev/zero", O_RDWR | O_CLOEXEC);
  if (file <= STDERR_FILENO) return 1;
  char byte = 'x';
  for (const int stream : closed) {
    const bool as_closed = fails_with_ebadf(stream == STDIN_FILENO ? ::read(stream, &byte, 1)
                                                                   : ::write(stream, &byte, 1));
    if (!as_closed) return 2;
  }
  return 0;
}

TEST(StandardStreams, WhatIsOpenedNeverTakesThePlaceOfOneThatIsClosed) {
  // Each in a process of its own.
  const auto ends_well = testing::ExitedWithCode(0);
  EXPECT_EXIT(::_exit(code_without({STDIN_FILENO})), ends_well, "");
  EXPECT_EXIT(::_exit(code_without({STDOUT_FILENO})), ends_well, "");
  EXPECT_EXIT(::_exit(code_without({STDERR_FILENO})), ends_well, "");
  EXPECT_EXIT(::_exit(code_without({STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})), ends_well, "");
}

TEST(StandardStreams, AnOpenOneIsLeftAsItIs) {
  const auto code = [] {
    int ends[2];
    if (::pipe(ends) != 0 || ::dup2(ends[1], STDOUT_FILENO) < 0) return 1;
    occupy_closed_streams();
    char byte = 'x';
    return ::write(STDOUT_FILENO, &byte, 1) == 1 && ::read(ends[0], &byte, 1) == 1 ? 0 : 2;
  };
  EXPECT_EXIT(::_exit(code()), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace shoal
