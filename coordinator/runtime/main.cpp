#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "coordinator/core/rendezvous.h"
#include "coordinator/runtime/options.h"
#include "node/link/link.h"
#include "node/state/clock.h"
#include "node/state/memory_limit.h"
#include "node/state/standard_streams.h"
#include "node/state/supervise.h"

namespace {

using namespace shoal;

constexpr int kExitError = 1;
constexpr int kExitUsage = 2;
constexpr int kExitCannotListen = 4;
// At a time: each stays for a moment.
constexpr std::size_t kVisitorsMax = 4096;

void say(const std::string& text) { std::fprintf(stderr, "shoal-coordinator: %s\n", text.c_str()); }

// From now on these signals are read, in the same loop as messages. Before any thread is started,
// so that none of them takes a signal for itself.
int open_signals() {
  sigset_t wanted = ending_signals();
  sigaddset(&wanted, SIGUSR1);
  check(pthread_sigmask(SIG_BLOCK, &wanted, nullptr) == 0, "signals cannot be blocked");
  const int fd = ::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC);
  check(fd >= 0, "signals cannot be read");
  return fd;
}

void print_figures(const RendezvousFigures& r, const Link::Figures& l) {
  std::fprintf(
      stderr,
      "{\"schema\":1,\"records\":%llu,\"announcements\":%llu,\"samples\":%llu,"
      "\"refused\":%llu,\"bytes_in\":%llu,\"bytes_out\":%llu,\"job_bytes\":%llu,"
      "\"links\":%llu,\"link_messages_in\":%llu,\"link_messages_out\":%llu,"
      "\"link_bytes_in\":%llu,\"link_bytes_out\":%llu,\"link_refused\":%llu}\n",
      static_cast<unsigned long long>(r.records), static_cast<unsigned long long>(r.announcements),
      static_cast<unsigned long long>(r.samples), static_cast<unsigned long long>(r.refused),
      static_cast<unsigned long long>(r.bytes_in), static_cast<unsigned long long>(r.bytes_out),
      static_cast<unsigned long long>(r.job_bytes), static_cast<unsigned long long>(l.links),
      static_cast<unsigned long long>(l.messages_in),
      static_cast<unsigned long long>(l.messages_out), static_cast<unsigned long long>(l.bytes_in),
      static_cast<unsigned long long>(l.bytes_out), static_cast<unsigned long long>(l.refused));
}

class Coordinator {
 public:
  Coordinator(const CoordinatorOptions& options, const Identity& identity, Link& link)
      : options_(options),
        link_(link),
        rendezvous_(config_for(identity.ticket), checker_, Rng(random_seed())) {}

  // Until a signal ends it.
  void run(int signals) {
    const std::vector<int> fds{signals};
    std::vector<bool> readable;
    while (!ended_) {
      for (LinkEvent& event : link_.wait(std::chrono::hours(1), fds, readable)) {
        std::visit([this](auto& e) { step(std::move(e)); }, event);
      }
      if (readable[0]) read_signals(signals);
    }
    print_figures(rendezvous_.figures(), link_.figures());
  }

 private:
  static RendezvousConfig config_for(const Ticket& ticket) {
    RendezvousConfig config;
    config.pool = ticket.pool;
    config.unix_ms_at_zero = unix_ms_at_zero();
    return config;
  }

  // Nobody was asked to dial here: who probes a coordinator is not heard. And it sends no bulk.
  template <class Event>
  void step(Event event) {
    if constexpr (!std::is_same_v<Event, Probed> && !std::is_same_v<Event, BulkSent>) {
      for (const RendezvousAction& action : rendezvous_.step(boottime_now(), std::move(event))) {
        perform(action);
      }
    }
  }
  void perform(const RendezvousAction& action) {
    std::visit(
        [this](const auto& a) {
          if constexpr (std::is_same_v<std::decay_t<decltype(a)>, Tell>) {
            if (options_.verbose || a.level >= LogLevel::kInfo) say(a.text);
          } else {
            link_.perform(a);
          }
        },
        action);
  }

  void read_signals(int signals) {
    signalfd_siginfo info{};
    while (::read(signals, &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGUSR1) {
        print_figures(rendezvous_.figures(), link_.figures());
      } else {
        ended_ = true;
      }
    }
  }

  const CoordinatorOptions& options_;
  Link& link_;
  Ed25519Checker checker_;
  Rendezvous rendezvous_;
  bool ended_ = false;
};

int run_supervised(std::vector<std::string> arguments) {
  std::error_code unknown;
  Supervised coordinator;
  // The path, not /proc/self/exe: after an upgrade the next start is the new program.
  coordinator.program = std::filesystem::read_symlink("/proc/self/exe", unknown);
  coordinator.arguments = without_flag(std::move(arguments), "--supervise");
  coordinator.final_codes = {0, kExitUsage};
  coordinator.say = [](LogLevel, const std::string& text) { say(text); };
  return supervise(coordinator);
}

std::string endpoint_with_port(const std::string& listen, std::uint16_t port) {
  return listen.substr(0, listen.rfind(':') + 1) + std::to_string(port);
}

}  // namespace

int main(int argc, char** argv) {
  occupy_closed_streams();
  const ParsedOptions parsed = parse_options(argc, argv, SHOAL_VERSION);
  if (!parsed.options) return stdout_arrived() ? parsed.exit_code : kExitError;
  const CoordinatorOptions& options = *parsed.options;
  if (options.supervise) return run_supervised({argv + 1, argv + argc});
  if (options.memory_bytes != 0 && !limit_memory(options.memory_bytes)) {
    say("the system takes no limit on memory; the coordinator runs without one");
  }

  const auto identity = load_identity(options);
  if (!identity) {
    say(identity.error());
    return kExitUsage;
  }
  const int signals = open_signals();
  LinkConfig config;
  config.pool = identity->ticket.pool;
  config.role = Role::kCoordinator;
  config.listen = options.listen;
  config.links_max = kVisitorsMax;
  const auto link = Link::open(config, identity->key);
  if (!link) {
    say(link.error().what);
    return link.error().fault == LinkFault::kBadEndpoint ? kExitUsage : kExitCannotListen;
  }
  std::printf("ready %s %s\n", endpoint_with_port(options.listen, (*link)->port()).c_str(),
              to_hex(identity->key.id()).c_str());
  std::fflush(stdout);
  Coordinator(options, *identity, **link).run(signals);
  ::close(signals);
  return 0;
}
