#include <algorithm>
#include <cmath>
#include <set>

#include "node/protocol/codec_detail.h"
#include "node/protocol/program.capnp.h"
#include "node/protocol/program_spec.h"

namespace shoal {
namespace {

namespace wire = wire_program;
using codec::Reading;
using codec::text;

// Sums of this and any product of two indices stay within 64 bits.
constexpr std::int64_t kNumberMax = 1'000'000'000'000'000;

bool is_variable_name(std::string_view name) {
  return !name.empty() && name.find('=') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

template <class List>
void write_texts(List to, const std::vector<std::string>& from) {
  for (unsigned i = 0; i < from.size(); ++i) to.set(i, text(from[i]));
}

template <class List>
void write_variables(List to, const std::vector<ProgramVariable>& from) {
  for (unsigned i = 0; i < from.size(); ++i) {
    to[i].setName(text(from[i].first));
    to[i].setValue(text(from[i].second));
  }
}

// A C string on the way into a system call: one with a zero in it would be another.
void read_words(Reading& reading, capnp::Text::Reader from, std::string& to, const char* field,
                std::size_t bytes_max) {
  reading.text(from, to, field, bytes_max);
  reading.require(to.find('\0') == std::string::npos, field, "has a zero byte in it");
}

void read_texts(Reading& reading, capnp::List<capnp::Text>::Reader from,
                std::vector<std::string>& to, std::size_t count_max, std::size_t bytes_max,
                const char* field) {
  if (!reading.within(from.size(), count_max, field)) return;
  to.resize(from.size());
  for (unsigned i = 0; i < from.size(); ++i) read_words(reading, from[i], to[i], field, bytes_max);
}

void read_variables(Reading& reading, capnp::List<wire::Variable>::Reader from,
                    std::vector<ProgramVariable>& to, std::size_t count_max, const char* field) {
  if (!reading.within(from.size(), count_max, field)) return;
  to.resize(from.size());
  for (unsigned i = 0; i < from.size(); ++i) {
    read_words(reading, from[i].getName(), to[i].first, field, limits::kTextBytes);
    read_words(reading, from[i].getValue(), to[i].second, field, limits::kProgramArgumentBytes);
    reading.require(is_variable_name(to[i].first), field, "has a name that is none");
  }
}

void read_files(Reading& reading, capnp::List<wire::File>::Reader from,
                std::vector<ProgramFile>& to) {
  if (!reading.within(from.size(), limits::kProgramFiles, "program.files")) return;
  to.resize(from.size());
  std::set<std::string> paths;
  for (unsigned i = 0; i < from.size(); ++i) {
    ProgramFile& file = to[i];
    reading.text(from[i].getPath(), file.path, "program.files.path", limits::kProgramPathBytes);
    reading.require(is_path_below(file.path), "program.files.path",
                    "leads out of the working folder");
    reading.require(paths.insert(file.path).second, "program.files.path", "is there twice");
    file.content = from[i].getContent();
    reading.require(file.content < limits::kManifestContents, "program.files.content",
                    "is out of range");
    file.folder = from[i].getFolder();
    file.executable = from[i].getExecutable();
  }
  for (const std::string& path : paths) {
    for (std::size_t at = path.find('/'); at != std::string::npos; at = path.find('/', at + 1)) {
      reading.require(!paths.contains(path.substr(0, at)), "program.files.path",
                      "lies within another one");
    }
  }
}

void read_comparison(Reading& reading, wire::Comparison::Reader from, ProgramComparison& to) {
  to.text = from.getText();
  to.images = from.getImages();
  read_texts(reading, from.getDropped(), to.dropped, limits::kProgramDropped, limits::kTextBytes,
             "program.comparison.dropped");
  const auto tolerance = [&](double value, double& kept) {
    if (reading.require(std::isfinite(value) && value >= 0, "program.comparison",
                        "has a tolerance that is none")) {
      kept = value;
    }
  };
  tolerance(from.getRelative(), to.relative);
  tolerance(from.getAbsolute(), to.absolute);
  read_texts(reading, from.getProgram(), to.program, limits::kProgramArguments,
             limits::kProgramArgumentBytes, "program.comparison.program");
}

void read(Reading& reading, wire::ProgramSpec::Reader from, ProgramSpec& to) {
  read_texts(reading, from.getArguments(), to.arguments, limits::kProgramArguments,
             limits::kProgramArgumentBytes, "program.arguments");
  reading.require(!to.arguments.empty() && !to.arguments.front().empty(), "program.arguments",
                  "name no program");
  read_files(reading, from.getFiles(), to.files);
  read_texts(reading, from.getOutputs(), to.outputs, limits::kProgramOutputs,
             limits::kProgramPathBytes, "program.outputs");
  for (const std::string& output : to.outputs) {
    reading.require(is_path_below(output), "program.outputs", "leads out of the working folder");
  }
  to.standard_output = from.getStandardOutput();
  read_variables(reading, from.getEnvironment(), to.environment, limits::kProgramVariables,
                 "program.environment");
  auto statuses = from.getExitStatuses();
  if (reading.within(statuses.size(), 256, "program.exit_statuses")) {
    to.exit_statuses.clear();
    for (const std::uint8_t status : statuses) to.exit_statuses.push_back(status);
  }
  reading.require(!to.exit_statuses.empty(), "program.exit_statuses", "is empty");
  reading.number(from.getWallMs(), to.wall_ms, codec::kDurationMsMax, "program.wall_ms");
  to.memory_bytes = from.getMemoryBytes();
  reading.number(from.getOutputBytesMax(), to.output_bytes_max, limits::kOutputBytes,
                 "program.output_bytes_max");
  const auto number = [&](std::int64_t value, std::int64_t& kept, const char* field) {
    if (reading.require(-kNumberMax <= value && value <= kNumberMax, field, "is out of range")) {
      kept = value;
    }
  };
  number(from.getFirst(), to.first, "program.first");
  number(from.getStep(), to.step, "program.step");
  reading.require(-limits::kProgramStepMax <= to.step && to.step <= limits::kProgramStepMax,
                  "program.step", "is out of range");
  read_comparison(reading, from.getComparison(), to.comparison);
}

void write(wire::ProgramSpec::Builder to, const ProgramSpec& from) {
  const auto count = [](const auto& list) { return static_cast<unsigned>(list.size()); };
  write_texts(to.initArguments(count(from.arguments)), from.arguments);
  auto files = to.initFiles(count(from.files));
  for (unsigned i = 0; i < from.files.size(); ++i) {
    files[i].setPath(text(from.files[i].path));
    files[i].setContent(from.files[i].content);
    files[i].setFolder(from.files[i].folder);
    files[i].setExecutable(from.files[i].executable);
  }
  write_texts(to.initOutputs(count(from.outputs)), from.outputs);
  to.setStandardOutput(from.standard_output);
  write_variables(to.initEnvironment(count(from.environment)), from.environment);
  auto statuses = to.initExitStatuses(count(from.exit_statuses));
  for (unsigned i = 0; i < from.exit_statuses.size(); ++i) statuses.set(i, from.exit_statuses[i]);
  to.setWallMs(from.wall_ms);
  to.setMemoryBytes(from.memory_bytes);
  to.setOutputBytesMax(from.output_bytes_max);
  to.setFirst(from.first);
  to.setStep(from.step);
  auto comparison = to.initComparison();
  comparison.setText(from.comparison.text);
  comparison.setImages(from.comparison.images);
  write_texts(comparison.initDropped(count(from.comparison.dropped)), from.comparison.dropped);
  comparison.setRelative(from.comparison.relative);
  comparison.setAbsolute(from.comparison.absolute);
  write_texts(comparison.initProgram(count(from.comparison.program)), from.comparison.program);
}

}  // namespace

bool is_path_below(std::string_view path) {
  if (path.empty() || path.size() > limits::kProgramPathBytes) return false;
  for (const char c : path) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  while (true) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    if (part.empty() || part == "." || part == "..") return false;
    if (end == path.size()) return true;
    path.remove_prefix(end + 1);
  }
}

ProgramUnit numbered_unit(const ProgramSpec& spec, UnitIndex unit) {
  return {std::to_string(spec.first + static_cast<std::int64_t>(unit) * spec.step), {}, unit};
}

Bytes encode(const ProgramSpec& spec) {
  return codec::build(codec::kScratchBytes, [&](codec::Arena& arena) {
    write(arena.initRoot<wire::ProgramSpec>(), spec);
  });
}

Bytes encode(const ProgramUnit& unit) {
  return codec::build(codec::kScratchBytes, [&](codec::Arena& arena) {
    auto to = arena.initRoot<wire::ProgramUnit>();
    to.setEntry(text(unit.entry));
    to.setNumber(unit.number);
    write_variables(to.initFields(static_cast<unsigned>(unit.fields.size())), unit.fields);
  });
}

Result<ProgramSpec, DecodeError> decode_program_spec(ByteView bytes) {
  ProgramSpec spec;
  auto fault = codec::read_frame(bytes, limits::kParameterBytes, "program",
                                 [&](capnp::MessageReader& m, Reading& reading) {
                                   read(reading, m.getRoot<wire::ProgramSpec>(), spec);
                                 });
  if (fault) return tl::unexpected(std::move(*fault));
  return spec;
}

Result<ProgramUnit, DecodeError> decode_program_unit(ByteView bytes) {
  ProgramUnit unit;
  auto fault = codec::read_frame(bytes, limits::kProgramUnitBytes, "unit",
                                 [&](capnp::MessageReader& m, Reading& reading) {
                                   auto from = m.getRoot<wire::ProgramUnit>();
                                   reading.unit(from.getNumber(), unit.number, "unit.number");
                                   read_words(reading, from.getEntry(), unit.entry, "unit.entry",
                                              limits::kProgramUnitBytes / 2);
                                   read_variables(reading, from.getFields(), unit.fields,
                                                  limits::kProgramFields, "unit.fields");
                                 });
  if (fault) return tl::unexpected(std::move(*fault));
  return unit;
}

}  // namespace shoal
