#include "node/protocol/program_output.h"

#include <algorithm>
#include <string_view>

#include "node/protocol/program_spec.h"

namespace shoal {
namespace {

constexpr std::string_view kMagic = "shoalpo1";
constexpr std::uint8_t kHasStandardOutput = 1;
constexpr std::size_t kFileBytesMin = 4 + 1 + 8;

void append_number(Bytes& to, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) to.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}
void append_bytes(Bytes& to, ByteView bytes, int length_bytes) {
  append_number(to, bytes.size(), length_bytes);
  to.insert(to.end(), bytes.begin(), bytes.end());
}

// Reads on after a fault, but gives nothing more.
class Reader {
 public:
  explicit Reader(ByteView bytes) : left_(bytes) {}

  std::uint64_t number(std::size_t bytes) {
    const ByteView from = take(bytes);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < from.size(); ++i) value |= std::uint64_t{from[i]} << (8 * i);
    return value;
  }
  ByteView bytes(std::size_t length_bytes) { return take(number(length_bytes)); }
  ByteView take(std::uint64_t size) {
    if (size > left_.size()) cut_off_ = true;
    if (cut_off_) return {};
    const ByteView taken = left_.first(size);
    left_ = left_.subspan(size);
    return taken;
  }
  bool cut_off() const { return cut_off_; }
  ByteView left() const { return left_; }

 private:
  ByteView left_;
  bool cut_off_ = false;
};

tl::unexpected<DecodeError> refused(DecodeFault fault, const char* what) {
  return tl::unexpected(DecodeError{fault, std::string("program output: ") + what});
}

// As name_of() makes them: neither a hidden file nor an option, and nothing that a shell minds.
bool is_name(const std::string& name) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  return !name.empty() && name.size() <= limits::kProgramPathBytes && name[0] != '.' &&
         name[0] != '-' && name.find_first_not_of(kLetters) == std::string::npos;
}

// "a" and "a/b" cannot both be files.
bool lies_within(const std::string& path, const std::string& other) {
  return path.size() > other.size() && path.starts_with(other) && path[other.size()] == '/';
}

std::optional<DecodeError> read_files(Reader& reader, std::vector<ProgramOutput::File>& files) {
  const auto fault = [](DecodeFault kind, const char* what) { return refused(kind, what).value(); };
  const std::uint64_t count = reader.number(4);
  if (count > limits::kProgramOutputFiles) return fault(DecodeFault::kTooLarge, "too many files");
  if (count > reader.left().size() / kFileBytesMin) {
    return fault(DecodeFault::kMalformed, "is cut off");
  }
  for (std::uint64_t i = 0; i < count && !reader.cut_off(); ++i) {
    ProgramOutput::File file;
    file.path = as_text(reader.bytes(4));
    const std::uint64_t executable = reader.number(1);
    file.bytes = reader.bytes(8);
    if (reader.cut_off()) break;
    if (!is_path_below(file.path)) {
      return fault(DecodeFault::kBadValue, "a path leads out of the folder");
    }
    if (executable > 1) return fault(DecodeFault::kBadValue, "a flag is neither set nor not");
    file.executable = executable == 1;
    if (!files.empty() && files.back().path >= file.path) {
      return fault(DecodeFault::kBadValue, "the files are not in order");
    }
    files.push_back(std::move(file));
  }
  for (std::size_t i = 0; i < files.size(); ++i) {
    // Names between "a" and "a/b" in order, as "a-", are few; those after "a/b" need no look.
    for (std::size_t k = i + 1; k < files.size(); ++k) {
      if (!files[k].path.starts_with(files[i].path)) break;
      if (lies_within(files[k].path, files[i].path)) {
        return fault(DecodeFault::kBadValue, "a file lies within a file");
      }
    }
  }
  return std::nullopt;
}

}  // namespace

Bytes encode(const ProgramOutput& output) {
  std::size_t size = kMagic.size() + 64 + output.name.size();
  if (output.standard_output) size += output.standard_output->size();
  for (const auto& file : output.files) {
    size += kFileBytesMin + file.path.size() + file.bytes.size();
  }
  Bytes bytes;
  bytes.reserve(size);
  bytes.insert(bytes.end(), kMagic.begin(), kMagic.end());
  bytes.push_back(output.exit_status);
  bytes.push_back(output.standard_output ? kHasStandardOutput : 0);
  append_bytes(bytes, as_bytes(output.name), 4);
  if (output.standard_output) append_bytes(bytes, *output.standard_output, 8);
  append_number(bytes, output.files.size(), 4);
  for (const auto& file : output.files) {
    append_bytes(bytes, as_bytes(file.path), 4);
    bytes.push_back(file.executable ? 1 : 0);
    append_bytes(bytes, file.bytes, 8);
  }
  return bytes;
}

Result<ProgramOutput, DecodeError> decode_program_output(ByteView bytes) {
  Reader reader(bytes);
  if (as_text(reader.take(kMagic.size())) != kMagic) {
    return refused(DecodeFault::kMalformed, "does not begin with \"shoalpo1\"");
  }
  ProgramOutput output;
  output.exit_status = static_cast<std::uint8_t>(reader.number(1));
  const std::uint64_t flags = reader.number(1);
  if (flags > kHasStandardOutput) return refused(DecodeFault::kBadValue, "has unknown flags");
  output.name = as_text(reader.bytes(4));
  if (flags == kHasStandardOutput) output.standard_output = reader.bytes(8);
  if (auto fault = read_files(reader, output.files)) return tl::unexpected(std::move(*fault));
  if (reader.cut_off()) return refused(DecodeFault::kMalformed, "is cut off");
  if (!reader.left().empty()) return refused(DecodeFault::kMalformed, "has a tail");
  // It becomes the name of a folder.
  if (!is_name(output.name)) {
    return refused(DecodeFault::kBadValue, "its name is none");
  }
  return output;
}

}  // namespace shoal
