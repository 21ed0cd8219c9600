#include <shoal/shoal.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <iostream>
#include <string>

// What a program may do with its handle to a job.
std::uint64_t square(const shoal::Nothing&, std::uint64_t unit) { return unit * unit + 1; }

const shoal::Kernel<shoal::Nothing, std::uint64_t, std::uint64_t> kSquare{"square", square};

void take_all(shoal::Job<std::uint64_t> job) {
  for (const auto& result : job.in_order()) {
    std::cout << result.unit() << ' '
              << (result.ok() ? std::to_string(result.value()) : result.failure().message) << '\n';
  }
}

// Of so many units, as soon as so many have ended; then, on stderr, the most memory that it took.
void take_some(shoal::Job<std::uint64_t> job, std::uint64_t wanted) {
  for (const auto& result : job.results()) {
    if (result.ok() && result.value() == square({}, result.unit()) && --wanted == 0) break;
  }
  job.cancel();
  std::cout << job.id() << ' ' << wanted << std::endl;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) std::cerr << line << std::endl;
  }
}

// drop UNITS | attach JOB | some UNITS WANTED
int main(int argc, char** argv) {
  return shoal::run(argc, argv, {kSquare}, [](shoal::Session& session) {
    const auto& words = session.arguments();
    if (words.at(0) == "attach") {
      take_all(session.attach(kSquare, words.at(1)));
      return 0;
    }
    auto job = session.map(kSquare, {}, shoal::IndexSpace{std::stoull(words.at(1))});
    if (words.at(0) == "some") {
      take_some(std::move(job), std::stoull(words.at(2)));
      return 0;
    }
    const std::string id = job.id();
    { const auto dropped = std::move(job); }
    std::cout << id << std::endl;
    ::pause();  // its session stays
    return 0;
  });
}
