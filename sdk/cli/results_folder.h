#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "node/protocol/hash.h"
#include "node/protocol/program_output.h"
#include "sdk/cli/outcome.h"
#include "shoal/job.h"

// A folder with what units of programs have left behind:
//
//   NAME/...           a unit's outputs, under their own names; `stdout`, if that is a result
//   NAME/error.txt     why there is none: the last message, and the end of what it wrote to stderr
//   .shoal-units       a line of JSON for each unit that has ended
//
// A result is known by the unit's key (program_job.h) and the digest of what was written; so the
// folder tells which results of a job are there already, whatever job brought them.
//
// One process at a time; not thread-safe.
namespace shoal::cli {

inline constexpr char kResultsUsual[] = "results";
inline constexpr char kUnitsFile[] = ".shoal-units";

class ResultsFolder {
 public:
  // Makes the folder where it is not there. A folder that another process writes to is refused.
  static Result<ResultsFolder, Failure> open(const std::filesystem::path& folder);
  ~ResultsFolder();
  ResultsFolder(ResultsFolder&& other) noexcept;
  ResultsFolder& operator=(ResultsFolder&&) = delete;

  // Whether the verified result is here, as it was written: its bytes are read and hashed.
  bool holds(const Hash256& key) const;
  bool failed(const Hash256& key) const;

  // `owner` tells the unit from all others that the folder may have: its key in hexadecimal, or,
  // where that is not known, words that no key is. One whose name is taken gets its number behind
  // it. Returns the name that it has.
  Result<std::string, Failure> put(std::uint64_t unit, const std::string& owner, ByteView encoded,
                                   const std::optional<UnitUsage>& usage);
  Result<std::string, Failure> put_failure(std::uint64_t unit, const std::string& owner,
                                           const std::string& name, const UnitError& error);
  const std::filesystem::path& path() const { return folder_; }

 private:
  struct Entry {
    std::string owner;  // the key, or else the unit
    bool ok = false;
    std::string digest;
    int exit_status = 0;
    bool standard_output = false;
    std::string name;       // of the folder
    std::string unit_name;  // as the result has it
  };
  explicit ResultsFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}
  Result<void, Failure> read_index();
  void remember(Entry entry);
  std::string free_name(const std::string& wanted, const std::string& owner, std::uint64_t unit);
  Result<void, Failure> note(const std::string& line);
  std::optional<Bytes> read_back(const Entry& entry) const;

  std::filesystem::path folder_;
  int lock_fd_ = -1;
  std::map<std::string, Entry> by_owner_;
  std::map<std::string, std::string> owners_;  // by the folder's name
};

// What a failed unit wrote last, for people: without the ends of lines behind it, and with a word
// for a program that was silent. Empty where nothing was asked, as of a dispute.
std::string last_words(const UnitError& error);

}  // namespace shoal::cli
