// libzmq, what deciphers and writes for it, and oneTBB are Debian's builds, without
// ThreadSanitizer: it cannot see their atomics. Nor does it see that what LocalRun hands to an
// arena was written before, so that all of local_run.cpp is passed over.

// NOLINTBEGIN(bugprone-reserved-identifier): the name is ThreadSanitizer's.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:libzmq.so\n"
         "called_from_lib:libsodium.so\n"
         "called_from_lib:libstdc++.so\n"
         "called_from_lib:libtbb.so\n"
         "race:tbb::detail\n"
         "race:sdk/src/local_run.cpp\n";
}
// NOLINTEND(bugprone-reserved-identifier)
