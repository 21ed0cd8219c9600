#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <vector>

#include "node/content/core/refusals.h"
#include "sdk/cli/commands.h"

// What the owner of this machine refuses, and his worker with him: `shoal content refuse` and
// `accept`, and what the other commands on contents ask.
namespace shoal::cli {

// Below `content`.
void add_refusals(CLI::App& content, Chosen& chosen);
Result<std::vector<Refusal>, Failure> refusals_at(const std::filesystem::path& worker_state);
// An error if this machine is to have nothing to do with it.
Result<void, Failure> not_refused(const ContentText& content);

}  // namespace shoal::cli
