#pragma once

#include <optional>
#include <string>

#include "sdk/core/submitter.h"

// Why nothing happens, in one line each.
namespace shoal::cli {

// `status`: nothing where no worker that can be reached leads the job; `seen` then says why.
std::string explanation(const std::optional<JobStatus>& status,
                        const std::optional<WorkersReady>& seen);

}  // namespace shoal::cli
