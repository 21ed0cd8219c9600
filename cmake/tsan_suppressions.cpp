// libzmq, what deciphers and writes for it, and oneTBB are Debian's builds, without
// ThreadSanitizer: it cannot see their atomics, nor that what is handed to an arena was written
// before. NOLINTBEGIN(bugprone-reserved-identifier): the name is ThreadSanitizer's.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:libzmq.so\n"
         "called_from_lib:libsodium.so\n"
         "called_from_lib:libstdc++.so\n"
         "called_from_lib:libtbb.so\n"
         "race:tbb::detail\n"
         "race:oneapi/tbb/task_arena.h\n";
}
// NOLINTEND(bugprone-reserved-identifier)
