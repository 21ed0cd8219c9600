#include <shoal/shoal.h>

#include <sys/resource.h>

#include <cstdint>
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

// FILES. Then, on stderr, the most that this process has held in memory, in KiB.
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
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    std::cerr << "memory " << used.ru_maxrss << std::endl;
    return 0;
  });
}
