#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "worker/sandbox/confine.h"
#include "worker/sandbox/probe.h"

// shoal-sandbox: started by shoal-worker for each executor. See docs/sandbox.md.
namespace {

constexpr int kUsage = 2;
constexpr const char* kAbout =
    "shoal-worker starts this program around each executor. shoal-sandbox --probe says which\n"
    "layers work on this machine.\n";

std::string own_path() {
  std::array<char, 4096> path{};
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  return length > 0 ? std::string(path.data(), static_cast<std::size_t>(length)) : std::string();
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments == std::vector<std::string>{shoal::kLookAround}) {
    std::puts(shoal::look_around().c_str());
    return 0;
  }
  if (arguments == std::vector<std::string>{"--probe"}) {
    std::fputs(shoal::to_text(shoal::probe_sandbox(own_path())).c_str(), stdout);
    return 0;
  }
  if (arguments == std::vector<std::string>{"--help"}) {
    std::fputs(kAbout, stdout);
    return 0;
  }
  const auto policy = shoal::parse_policy(arguments);
  if (!policy) {
    std::fprintf(stderr, "shoal-sandbox: %s\n%s", policy.error().c_str(), kAbout);
    return kUsage;
  }
  shoal::confine(*policy);
}
