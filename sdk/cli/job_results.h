#pragma once

#include "sdk/cli/output.h"
#include "sdk/cli/pool_access.h"

namespace shoal::cli {

// Prints each unit's end as one line of JSON, in the order in which they arrive, until every unit
// has ended. Receipts of the job must have been asked for.
Result<Tally, Failure> print_results(PoolAccess& pool, const JobId& job, std::uint64_t units,
                                     const Settings& settings);
// Signs that all was received: the pool may forget the job. To be called only once what was printed
// is safe, since it cannot be had again.
void close_job(PoolAccess& pool, const JobId& job);

}  // namespace shoal::cli
