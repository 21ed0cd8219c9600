#pragma once

#include <string>

#include "node/protocol/result.h"

namespace shoal {

// For the executor of wasm modules: once its engine is up and before it looks at a stranger's
// module, it gives away all that it does not need to compute. From then on there is an empty root,
// no file, program, socket or process can be opened, started or reached, and the only calls left
// are those for memory, threads, clocks and the descriptors that are open already. Threads may run;
// new ones may be started. There is no way back.
//
// Under sanitizers the calls stay as they were: their reports need what is taken away.
//
// The error is a sentence; the process must then not run anything of a stranger's. Works with or
// without shoal-sandbox around it: what is missing (no namespaces: Landlock instead of an empty
// root) is made good as far as the system can.
Result<void, std::string> seal_for_wasm();

// By which shoal-sandbox tells of the descriptor to ask for an empty root.
inline constexpr char kSealVariable[] = "SHOAL_SANDBOX_SEAL_FD";

}  // namespace shoal
