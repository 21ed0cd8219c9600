#include <shoal/shoal.h>

#include <cstdint>
#include <fstream>
#include <iostream>
#include <string>

// A checksum of each file that is named, computed where the file is not.
struct Checksum {
  std::uint64_t bytes = 0;
  std::uint64_t sum = 0;
  SHOAL_FIELDS(bytes, sum)
};

Checksum sum_of(const shoal::Nothing&, const shoal::Bytes& file) {
  Checksum checksum{.bytes = file.size(), .sum = 14'695'981'039'346'656'037U};
  for (const std::uint8_t byte : file) {
    checksum.sum = (checksum.sum ^ byte) * 1'099'511'628'211U;
  }
  return checksum;
}

const shoal::Kernel<shoal::Nothing, shoal::Bytes, Checksum> kSum{"checksum", sum_of};

// FILES. Then, on stderr, the most that this process has held in memory.
int main(int argc, char** argv) {
  return shoal::run(argc, argv, {kSum}, [](shoal::Session& session) {
    shoal::InputFiles files;
    for (const std::string& file : session.arguments()) files.paths.emplace_back(file);
    auto job = session.map(kSum, {}, files);
    for (const auto& result : job.in_order()) {
      if (result.ok()) {
        std::cout << result.unit() << ' ' << result.value().bytes << ' ' << result.value().sum;
      } else {
        std::cout << result.unit() << ' ' << result.failure().message;
      }
      std::cout << std::endl;
    }
    // Not getrusage(), which counts what the process was before it began this program as well.
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmHWM:")) std::cerr << line << std::endl;
    }
    return 0;
  });
}
