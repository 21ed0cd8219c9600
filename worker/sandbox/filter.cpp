#include "worker/sandbox/filter.h"

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "node/protocol/sanitized.h"

namespace shoal {
namespace {

struct Release {
  void operator()(void* filter) const { ::seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, Release>;

constexpr std::uint64_t kNamespaceFlags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID |
                                          CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                                          CLONE_NEWCGROUP;

// To look into, or steer, other processes; to change what is mounted, or the namespaces; to gain
// rights; to change the machine; and large, seldom used parts of the kernel.
constexpr std::array kForbidden = {"process_vm_readv",
                                   "process_vm_writev",
                                   "process_madvise",
                                   "kcmp",
                                   "pidfd_getfd",
                                   "mount",
                                   "umount",
                                   "umount2",
                                   "pivot_root",
                                   "chroot",
                                   "fsopen",
                                   "fsconfig",
                                   "fsmount",
                                   "fspick",
                                   "move_mount",
                                   "open_tree",
                                   "mount_setattr",
                                   "unshare",
                                   "setns",
                                   "setreuid",
                                   "setregid",
                                   "setresuid",
                                   "setresgid",
                                   "setfsuid",
                                   "setfsgid",
                                   "setgroups",
                                   "capset",
                                   "sethostname",
                                   "setdomainname",
                                   "settimeofday",
                                   "clock_settime",
                                   "clock_adjtime",
                                   "adjtimex",
                                   "stime",
                                   "ioprio_set",
                                   "add_key",
                                   "request_key",
                                   "keyctl",
                                   "bpf",
                                   "perf_event_open",
                                   "init_module",
                                   "finit_module",
                                   "delete_module",
                                   "kexec_load",
                                   "kexec_file_load",
                                   "reboot",
                                   "swapon",
                                   "swapoff",
                                   "acct",
                                   "quotactl",
                                   "quotactl_fd",
                                   "syslog",
                                   "iopl",
                                   "ioperm",
                                   "modify_ldt",
                                   "vhangup",
                                   "lookup_dcookie",
                                   "name_to_handle_at",
                                   "open_by_handle_at",
                                   "fanotify_init",
                                   "migrate_pages",
                                   "move_pages",
                                   "vmsplice"};

// clone3 hides its flags behind a pointer, where a filter cannot look. The others keep memory that
// no limit counts, or take what the system gives to all of the user's processes together: there are
// 128 inotify instances as a rule.
constexpr std::array kNotThere = {
    "clone3",       "io_uring_setup", "io_uring_enter", "io_uring_register",
    "userfaultfd",  "memfd_create",   "memfd_secret",   "shmget",
    "semget",       "msgget",         "mq_open",        "inotify_init",
    "inotify_init1"};

// They write out what all of the machine has written, again and again if they are called so: what
// this program has written lies in memory. So they succeed, and do nothing.
constexpr std::array kInVain = {"sync", "syncfs"};

constexpr std::array kComputing = {"read",
                                   "write",
                                   "readv",
                                   "writev",
                                   "recvfrom",
                                   "recvmsg",
                                   "sendto",
                                   "sendmsg",
                                   "poll",
                                   "ppoll",
                                   "close",
                                   "shutdown",
                                   "fstat",
                                   "lseek",
                                   "mmap",
                                   "munmap",
                                   "mremap",
                                   "mprotect",
                                   "pkey_mprotect",
                                   "pkey_alloc",
                                   "pkey_free",
                                   "madvise",
                                   "brk",
                                   "membarrier",
                                   "futex",
                                   "futex_waitv",
                                   "set_robust_list",
                                   "rseq",
                                   "sched_yield",
                                   "sched_getaffinity",
                                   "sched_getparam",
                                   "sched_getscheduler",
                                   "getcpu",
                                   "getpid",
                                   "gettid",
                                   "getuid",
                                   "geteuid",
                                   "getgid",
                                   "getegid",
                                   "getrandom",
                                   "getrusage",
                                   "clock_gettime",
                                   "clock_getres",
                                   "gettimeofday",
                                   "time",
                                   "nanosleep",
                                   "clock_nanosleep",
                                   "restart_syscall",
                                   "rt_sigaction",
                                   "rt_sigprocmask",
                                   "rt_sigreturn",
                                   "rt_sigtimedwait",
                                   "rt_sigqueueinfo",
                                   "rt_tgsigqueueinfo",
                                   "sigaltstack",
                                   "tgkill",
                                   "exit",
                                   "exit_group",
                                   "epoll_wait",
                                   "epoll_pwait",
                                   "epoll_ctl",
                                   "eventfd2",
                                   "pipe2",
                                   "timerfd_settime",
                                   "uname",
                                   "sysinfo",
                                   "arch_prctl",
                                   "set_tid_address",
                                   "prlimit64",
                                   "getrlimit"};

constexpr std::array kNeverComputing = {"execve",
                                        "execveat",
                                        "fork",
                                        "vfork",
                                        "ptrace",
                                        "socket",
                                        "socketpair",
                                        "connect",
                                        "bind",
                                        "kill",
                                        "tkill",
                                        "unshare",
                                        "setns",
                                        "mount",
                                        "umount2",
                                        "pivot_root",
                                        "chroot",
                                        "keyctl",
                                        "bpf",
                                        "perf_event_open",
                                        "io_uring_setup",
                                        "userfaultfd",
                                        "process_vm_readv",
                                        "process_vm_writev",
                                        "init_module",
                                        "finit_module",
                                        "setuid",
                                        "setresuid"};

tl::unexpected<std::string> filter_failed(int negative_errno) {
  errno = -negative_errno;
  return step_failed("seccomp");
}

// Calls that this processor or this libseccomp does not know are left out.
template <typename Names>
int add_all(scmp_filter_ctx filter, std::uint32_t action, const Names& names) {
  for (const char* name : names) {
    const int call = ::seccomp_syscall_resolve_name(name);
    if (call < 0) continue;
    if (const int error = ::seccomp_rule_add(filter, action, call, 0); error != 0) return error;
  }
  return 0;
}

int restrict_clone(scmp_filter_ctx filter) {
  for (std::uint64_t flag = 1; flag <= kNamespaceFlags; flag <<= 1) {
    if ((kNamespaceFlags & flag) == 0) continue;
    if (const int error = ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                             SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
        error != 0) {
      return error;
    }
  }
  return 0;
}

// Programs that make sure of having no rights beyond their user's take the ids that they have: that
// changes nothing, and some give up where it fails.
int restrict_ids(scmp_filter_ctx filter) {
  constexpr std::uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
  const int error =
      ::seccomp_rule_add(filter, refuse, SCMP_SYS(setuid), 1, SCMP_A0(SCMP_CMP_NE, ::getuid()));
  if (error != 0) return error;
  return ::seccomp_rule_add(filter, refuse, SCMP_SYS(setgid), 1, SCMP_A0(SCMP_CMP_NE, ::getgid()));
}

// The kernel looks at no more of an argument that is an `int`, whatever stands above.
constexpr scmp_datum_t kInt = 0xffffffff;

// Nothing but pairs of sockets that are connected from the start. What is in them counts by their
// number (herd.cpp), so that none may hold more than others.
int restrict_sockets(scmp_filter_ctx filter) {
  constexpr std::uint32_t refuse = SCMP_ACT_ERRNO(EAFNOSUPPORT);
  int error = ::seccomp_rule_add(filter, refuse, SCMP_SYS(socket), 0);
  if (error != 0) return error;
  error = ::seccomp_rule_add(filter, refuse, SCMP_SYS(socketpair), 1,
                             SCMP_A0(SCMP_CMP_NE, static_cast<scmp_datum_t>(AF_UNIX)));
  if (error != 0) return error;
  return ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(setsockopt), 2,
                            SCMP_A1(SCMP_CMP_MASKED_EQ, kInt, SOL_SOCKET),
                            SCMP_A2(SCMP_CMP_MASKED_EQ, kInt, SO_SNDBUF));
}

// The first process of the namespace measures and freezes the others. It is of the same user as
// they are, who may therefore take its descriptors and its processor time from it.
int spare_the_first_process(scmp_filter_ctx filter) {
  constexpr std::uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
  constexpr scmp_datum_t first = 1;
  for (const int call : {SCMP_SYS(prlimit64), SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_setattr),
                         SCMP_SYS(sched_setparam), SCMP_SYS(sched_setscheduler)}) {
    const int error =
        ::seccomp_rule_add(filter, refuse, call, 1, SCMP_A0(SCMP_CMP_MASKED_EQ, kInt, first));
    if (error != 0) return error;
  }
  const int error = ::seccomp_rule_add(filter, refuse, SCMP_SYS(setpriority), 1,
                                       SCMP_A0(SCMP_CMP_MASKED_EQ, kInt, PRIO_USER));
  if (error != 0) return error;
  return ::seccomp_rule_add(filter, refuse, SCMP_SYS(setpriority), 2,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, kInt, PRIO_PROCESS),
                            SCMP_A1(SCMP_CMP_MASKED_EQ, kInt, first));
}

// A handler of cores is started by the system, outside of any sandbox and as root, for each process
// that dies. It is not where the limit is one byte (limits.cpp). Programs that want no core of
// themselves believe that they have seen to it.
int keep_limit_of_cores(scmp_filter_ctx filter) {
  constexpr std::uint32_t in_vain = SCMP_ACT_ERRNO(0);
  constexpr auto core = SCMP_A1(SCMP_CMP_MASKED_EQ, kInt, RLIMIT_CORE);
  const int error = ::seccomp_rule_add(filter, in_vain, SCMP_SYS(setrlimit), 1,
                                       SCMP_A0(SCMP_CMP_MASKED_EQ, kInt, RLIMIT_CORE));
  if (error != 0) return error;
  return ::seccomp_rule_add(filter, in_vain, SCMP_SYS(prlimit64), 2, core, SCMP_A2(SCMP_CMP_NE, 0));
}

// With a lease on a content of the worker's, whoever opens that waits for 45 s.
int refuse_leases(scmp_filter_ctx filter) {
  return ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fcntl), 1,
                            SCMP_A1(SCMP_CMP_MASKED_EQ, kInt, F_SETLEASE));
}

// A program may ask which it has, by all bits, and have its pages executable and at addresses that
// do not change: GNU Common Lisp ends where it may not. A rule may look at a number once only, so
// these refuse what has one of two other bits and not the next, and none but all then has any.
int restrict_personality(scmp_filter_ctx filter) {
  constexpr std::uint64_t own = READ_IMPLIES_EXEC | ADDR_NO_RANDOMIZE;
  constexpr std::uint64_t first = 1;
  const auto refuse = [&](std::uint64_t has, std::uint64_t lacks) {
    return ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(personality), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, has | lacks, has));
  };
  int error = 0;
  std::uint64_t before = first;
  for (std::uint64_t bit = first << 1; bit <= 0x80000000 && error == 0; bit <<= 1) {
    error = refuse((own & bit) != 0 ? first : before, bit);
    if ((own & bit) == 0) before = bit;
  }
  return error != 0 ? error : refuse(before, first);
}

// Sanitizers stop threads by ptrace() to look for leaks, and may start the program once more with
// another personality.
int restrict_tracing(scmp_filter_ctx filter) {
  if (kSanitized) return 0;
  const int error = ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ptrace), 0);
  return error != 0 ? error : restrict_personality(filter);
}

int allow_threads(scmp_filter_ctx filter) {
  constexpr scmp_datum_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
  const int error = ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                       SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread));
  if (error != 0) return error;
  return ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

int allow_names_of_threads(scmp_filter_ctx filter) {
  for (const int what : {PR_SET_NAME, PR_GET_NAME, PR_SET_VMA}) {
    if (const int error = ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                                             SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(what)));
        error != 0) {
      return error;
    }
  }
  return 0;
}

}  // namespace

Step deny_dangerous_calls() {
  const Filter filter(::seccomp_init(SCMP_ACT_ALLOW));
  if (!filter) return step_failed("seccomp");
  int error = add_all(filter.get(), SCMP_ACT_ERRNO(EPERM), kForbidden);
  if (error == 0) error = add_all(filter.get(), SCMP_ACT_ERRNO(ENOSYS), kNotThere);
  if (error == 0) error = add_all(filter.get(), SCMP_ACT_ERRNO(0), kInVain);
  for (const auto restrict : {restrict_clone, restrict_ids, restrict_sockets, restrict_tracing,
                              spare_the_first_process, keep_limit_of_cores, refuse_leases}) {
    if (error == 0) error = restrict(filter.get());
  }
  if (error == 0) error = ::seccomp_load(filter.get());
  if (error != 0) return filter_failed(error);
  return {};
}

Step allow_computing_alone() {
  const Filter filter(::seccomp_init(SCMP_ACT_ERRNO(EPERM)));
  if (!filter) return step_failed("seccomp");
  int error = ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);
  if (error == 0) error = add_all(filter.get(), SCMP_ACT_ALLOW, kComputing);
  if (error == 0) error = add_all(filter.get(), SCMP_ACT_KILL_PROCESS, kNeverComputing);
  for (const auto allow : {allow_threads, allow_names_of_threads}) {
    if (error == 0) error = allow(filter.get());
  }
  if (error == 0) error = ::seccomp_load(filter.get());
  if (error != 0) return filter_failed(error);
  return {};
}

}  // namespace shoal
