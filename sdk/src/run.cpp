#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "node/state/key_file.h"
#include "node/state/standard_streams.h"
#include "sdk/host/host.h"
#include "sdk/src/exit_code.h"
#include "sdk/src/places.h"
#include "shoal/session.h"

namespace shoal {
namespace {

std::string ticket_from_file(const std::filesystem::path& file) {
  auto text = read_text_file(file, 64 * 1024);
  if (!text) {
    throw Error(ErrorCode::kBadTicket, "The ticket cannot be read: " + text.error().what);
  }
  return std::move(*text);
}

// Takes what is ours out of the command line.
SessionOptions options_from(int argc, char** argv) {
  SessionOptions options;
  std::string pool;
  bool local = false;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--local") {
      local = true;
    } else if (argument == "--pool") {
      if (++i == argc) {
        throw Error(ErrorCode::kUsage, "--pool needs a ticket, or @FILE with one in it.");
      }
      pool = argv[i];
    } else if (argument.starts_with("--pool=")) {
      pool = argument.substr(7);
    } else {
      options.arguments.push_back(argument);
    }
  }
  if (local) return options;
  if (pool.empty()) {
    if (const char* text = std::getenv("SHOAL_TICKET")) pool = text;
  }
  std::error_code ignored;
  if (pool.empty() && std::filesystem::exists(default_ticket_file(), ignored)) {
    pool = "@" + default_ticket_file().string();
  }
  options.ticket = pool.starts_with('@') ? ticket_from_file(pool.substr(1)) : pool;
  return options;
}

// Which of the program's own arguments there are, only the program knows.
int print_help(const char* program) {
  std::printf(
      "Usage: %s [--local | --pool TICKET] [ARGUMENTS of the program's own]\n\n"
      "Options:\n"
      "  --help                      Print this and exit\n"
      "  --local                     Compute here, whatever else is set\n"
      "  --pool TICKET               Submit to this pool (@FILE reads the ticket from a file).\n"
      "                              Without it: $SHOAL_TICKET, then the pool that `shoal pool\n"
      "                              use` has set, then here\n",
      program);
  return stdout_arrived() ? 0 : 1;
}

bool wants_help(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--pool") {
      ++i;
    } else if (std::string_view(argv[i]) == "--help") {
      return true;
    }
  }
  return false;
}

}  // namespace

int run(int argc, char** argv, std::vector<KernelEntry> kernels,
        const std::function<int(Session&)>& program) {
  if (const auto channels = take_host_channels()) return serve_executor(kernels, *channels);
  occupy_closed_streams();
  if (wants_help(argc, argv)) return print_help(argv[0]);
  try {
    SessionOptions options = options_from(argc, argv);
    options.kernels = std::move(kernels);
    options.notice = [](const std::string& line) {
      std::fprintf(stderr, "shoal: %s\n", line.c_str());
    };
    Session session(std::move(options));
    return program(session);
  } catch (const Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return exit_code_of(error.code());
  }
}

}  // namespace shoal
