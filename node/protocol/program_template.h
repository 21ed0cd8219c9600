#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "node/protocol/program_spec.h"

// Placeholders in a program's arguments and in the names of its outputs, in the habit of GNU
// parallel:
//
//   {}      the unit's entry: the line, the number, the JSON
//   {.}     without its extension          {/}     without its folders
//   {/.}    without either                 {//}    its folder
//   {#}     the unit's number, from 1      {name}  the unit's name, fit for a file
//   {field} a field of the JSON object, or {1}, {2}... a column of the line
//
// Other braces stand for themselves, as do {{field}} and the like, which loses a pair of them.
namespace shoal {

// The error names a placeholder that the unit has nothing for.
Result<std::string, std::string> fill_template(std::string_view text, const ProgramUnit& unit);

// A unit's name: its field "name", or its line (or first column) without folders and extension,
// or where it has other fields its number; with letters, digits, '.', '_', '-' alone. Two units may
// have the same.
std::string name_of(const ProgramUnit& unit);

// Whether `path` is what `pattern` stands for: `*` and `?` are any part of a name, but not a '/'.
bool matches_pattern(std::string_view pattern, std::string_view path);

}  // namespace shoal
