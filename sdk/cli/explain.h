#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sdk/core/submitter.h"

// How a job is, in words: why nothing happens, who keeps it, what it took.
namespace shoal::cli {

std::string units_text(std::uint64_t count);  // "1 unit", "2 units"

// `status`: nothing where no worker that can be reached keeps the job; `seen` then says why.
std::string explanation(const std::optional<JobStatus>& status,
                        const std::optional<WorkersReady>& seen);

// Who keeps the job, for how long, and what would be lost with them. Empty where its stewards are
// not told of.
std::string keeping_text(const JobStatus& status);
// What would be lost if its submitter left now.
std::string leaving_text(const JobStatus& status);

// What its units took, in rows of a heading and a text; none where nothing was measured.
std::vector<std::pair<const char*, std::string>> usage_rows(const JobUsage& usage);

// What a worker's record says that it takes from nobody: "; takes no WebAssembly". Empty: it says
// no such thing. Of programs and native code it does not tell.
std::string not_taken_text(const NodeRecord& worker);

}  // namespace shoal::cli
