#pragma once

#include <memory>
#include <optional>
#include <string>

#include "node/protocol/program_output.h"
#include "node/protocol/program_spec.h"

namespace shoal {

// Whether two results of a program stand for the same one, by the rules of its job. Symmetric. Safe
// to use from several threads.
class ProgramComparer {
 public:
  // The error names a pattern that is none.
  static Result<ProgramComparer, std::string> make(const ProgramComparison& rules);

  // `text` without the lines that the rules drop; nothing: it has none, or is no text.
  std::optional<Bytes> without_dropped(ByteView text) const;

  // Nothing: they are the same. Else which file differs, and the first line that does, of both.
  std::optional<std::string> difference(const ProgramOutput& a, const ProgramOutput& b) const;

 private:
  struct Patterns;
  std::optional<std::string> difference_of_texts(ByteView a, ByteView b) const;
  bool same_line(std::string_view a, std::string_view b) const;
  bool same_word(std::string_view a, std::string_view b) const;

  ProgramComparison rules_;
  std::shared_ptr<const Patterns> patterns_;
};

}  // namespace shoal
