#pragma once

#include <vector>

#include "node/content/store/content_store.h"
#include "node/protocol/facts.h"
#include "node/protocol/program_spec.h"
#include "sdk/cli/program_wish.h"

// From what the user asks for to a job of KernelKind::kProgram.
namespace shoal::cli {

struct ProgramJob {
  ProgramSpec spec;
  std::vector<ContentName> contents;  // by ProgramFile::content; in the store
  std::vector<std::string> needs;
  std::vector<ProgramUnit> units;
  bool numbered = false;  // a unit's argument follows from its index: no inputs are needed
};

// What can be told to be wrong before anything runs is told here, in a sentence that says what to
// do: a placeholder that a unit has nothing for, a file that is not there, a program that nobody
// would have. Needs no pool.
Result<ProgramJob, Failure> plan_program(const ProgramWish& wish);
// The same, once the store is there: hashes the inputs and puts them into it.
Result<void, Failure> put_contents(const ProgramWish& wish, ContentStore& store, ProgramJob& job);

// A result of a unit is known by what it was computed from, not by where it stands in a list: the
// program, its files, and the unit's arguments.
Hash256 unit_key(const ProgramJob& job, const ProgramUnit& unit);

// Of `units`, those that are to be computed. Policy (quorum and the like) is the caller's to set.
Result<Manifest, Failure> manifest_of(const ProgramJob& job, const std::vector<ProgramUnit>& units,
                                      const ProgramWish& wish, ContentStore& store);

}  // namespace shoal::cli
