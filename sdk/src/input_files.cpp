#include "sdk/src/input_files.h"

#include <cstring>
#include <fstream>
#include <string>

#include "node/protocol/input_pack.h"
#include "shoal/error.h"
#include "shoal/kernel.h"

namespace shoal {

std::uint64_t size_of_input(const std::filesystem::path& file) {
  std::error_code fault;
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorCode::kUsage, file.string() + " cannot be an input: " + why);
  };
  const bool is_file = std::filesystem::is_regular_file(file, fault);
  if (fault) refuse(fault.message());
  if (!is_file) refuse("it is not a file");
  const std::uint64_t size = std::filesystem::file_size(file, fault);
  if (fault) refuse(fault.message());
  if (size > kInputBytesMax) {
    refuse("it has " + std::to_string(size) + " bytes, and a unit is handed at most " +
           std::to_string(kInputBytesMax) + ". Split it.");
  }
  std::ifstream opened(file, std::ios::binary);
  if (!opened) refuse(std::strerror(errno));
  return size;
}

Bytes read_input(const std::filesystem::path& file) {
  std::ifstream opened(file, std::ios::binary | std::ios::ate);
  const auto size = opened ? opened.tellg() : std::streampos(-1);
  Bytes bytes(size < 0 ? 0 : static_cast<std::size_t>(size));
  opened.seekg(0);
  opened.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!opened) throw UnitRefused("the input " + file.string() + " cannot be read any more");
  return bytes;
}

}  // namespace shoal
