#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <string>

#include "node/protocol/ids.h"
#include "tests/unit/node/protocol/specimens.h"

// Messages as earlier versions sent them, in hex, must go on meaning what they meant. The files are
// written by this test when SHOAL_WRITE_GOLDEN=1, once for each new message; a file that is there
// is history and is not written again.
namespace shoal {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBytesPerLine = 40;

fs::path golden_folder() { return fs::path(SHOAL_SOURCE_DIR) / "tests" / "golden"; }

bool writing() {
  const char* value = std::getenv("SHOAL_WRITE_GOLDEN");
  return value != nullptr && std::string(value) == "1";
}

void write_golden(const fs::path& path, ByteView bytes) {
  std::ofstream file(path);
  for (std::size_t at = 0; at < bytes.size(); at += kBytesPerLine) {
    file << to_hex(bytes.subspan(at, std::min(kBytesPerLine, bytes.size() - at))) << '\n';
  }
  file.close();
  ASSERT_TRUE(file) << "could not write " << path;
}

std::optional<Bytes> read_golden(const fs::path& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::string hex;
  for (std::string line; std::getline(file, line);) hex += line;
  return from_hex(hex, hex.size() / 2);
}

TEST(Golden, OldMessagesStillMeanWhatTheyMeant) {
  for (const specimens::Specimen& specimen : specimens::all()) {
    const fs::path path = golden_folder() / (specimen.name + ".hex");
    if (writing() && !fs::exists(path)) {
      fs::create_directories(golden_folder());
      ASSERT_NO_FATAL_FAILURE(write_golden(path, specimen.bytes));
    }
    const auto bytes = read_golden(path);
    ASSERT_TRUE(bytes.has_value())
        << path << " is missing or not hex; run this test once with SHOAL_WRITE_GOLDEN=1";
    EXPECT_TRUE(specimen.decodes_to_it(*bytes))
        << path << " no longer decodes to what it meant: the schema changed what it may not change";
  }
}

TEST(Golden, EveryFileBelongsToAMessage) {
  std::set<std::string> names;
  for (const specimens::Specimen& specimen : specimens::all()) {
    names.insert(specimen.name + ".hex");
  }
  ASSERT_TRUE(fs::is_directory(golden_folder())) << golden_folder();
  for (const fs::directory_entry& entry : fs::directory_iterator(golden_folder())) {
    EXPECT_TRUE(names.contains(entry.path().filename().string()))
        << entry.path() << " is read by nobody: a message must not vanish from the protocol";
  }
}

}  // namespace
}  // namespace shoal
