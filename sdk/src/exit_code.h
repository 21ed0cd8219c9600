#pragma once

#include "shoal/error.h"

namespace shoal {

// What a program ends with because of an Error that nobody has caught: shoal/session.h and
// docs/commands.md promise it.
int exit_code_of(ErrorCode code);

}  // namespace shoal
