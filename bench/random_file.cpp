#include "bench/random_file.h"

#include <algorithm>
#include <fstream>
#include <vector>

#include "node/protocol/rng.h"

namespace shoal::bench {

Measured write_random_file(const std::filesystem::path& path, std::uint64_t bytes) {
  constexpr std::size_t kPieceBytes = 1 << 20;
  Rng rng(bytes);
  std::ofstream file(path, std::ios::binary);
  std::vector<std::uint64_t> words(kPieceBytes / sizeof(std::uint64_t));
  for (std::uint64_t written = 0; written < bytes; written += kPieceBytes) {
    for (std::uint64_t& word : words) word = rng.next();
    file.write(reinterpret_cast<const char*>(words.data()),
               static_cast<std::streamsize>(std::min<std::uint64_t>(kPieceBytes, bytes - written)));
  }
  file.close();
  if (file) return {};
  return tl::unexpected("cannot write " + path.string());
}

}  // namespace shoal::bench
