#include "worker/core/admission.h"

#include <algorithm>

namespace shoal {
namespace {

bool contains(const auto& list, const auto& what) {
  return std::find(list.begin(), list.end(), what) != list.end();
}

std::optional<Objection> objection_to_submitter(const PeerConfig& config, const NodeId& submitter,
                                                const std::string& what) {
  if (config.native_from_anyone || contains(config.trusted_submitters, submitter)) return {};
  return Objection{SubmitOutcome::kNotTrusted, what + ", and submitter " + to_hex(submitter) +
                                                   " is not trusted here (--trust)"};
}

}  // namespace

std::optional<Objection> objection_of_owner(const PeerConfig& config, const NodeId& submitter,
                                            const Manifest& what) {
  if (config.refused.submitters.contains(submitter)) {
    return Objection{SubmitOutcome::kFull, "its owner refuses what " + short_hex(submitter) +
                                               " submits (shoal content refuse)"};
  }
  if (config.refused.contents.empty()) return {};
  for (const ContentName& content : contents_of(what)) {
    if (!config.refused.contents.contains(content.id)) continue;
    return Objection{SubmitOutcome::kFull, "its owner refuses content " + short_hex(content.id) +
                                               ", which the job needs (shoal content refuse)"};
  }
  return {};
}

std::optional<Objection> objection_to_keeping(const PeerConfig& config, const Signed& manifest,
                                              const Manifest& what) {
  if (auto objection = objection_of_owner(config, manifest.signer, what)) return objection;
  if (what.quorum == 0 || what.quorum > limits::kQuorumMax || what.max_attempts == 0) {
    return Objection{SubmitOutcome::kInvalid,
                     "its quorum or its number of attempts is out of bounds"};
  }
  if (brings_program(what.kernel_kind) && !what.program) {
    return Objection{SubmitOutcome::kInvalid, "it names no program"};
  }
  if (what.kernel_kind == KernelKind::kWasm && what.program_bytes > limits::kModuleBytes) {
    return Objection{SubmitOutcome::kInvalid,
                     "its module has " + std::to_string(what.program_bytes) + " bytes, and " +
                         std::to_string(limits::kModuleBytes) + " are the most"};
  }
  switch (what.kernel_kind) {
    case KernelKind::kShipped:
      if (contains(config.record.kernels, what.kernel)) return {};
      return Objection{SubmitOutcome::kUnknownKernel,
                       "its kernel '" + what.kernel + "' is not among those of this version"};
    case KernelKind::kNative:
      return objection_to_submitter(config, manifest.signer, "it brings a native program");
    case KernelKind::kWasm:
      return {};
    case KernelKind::kProgram:
      return objection_to_submitter(config, manifest.signer, "it runs a program");
  }
  return Objection{SubmitOutcome::kInvalid, "its kind of kernel is unknown here"};
}

std::optional<Objection> objection_to_computing(const PeerConfig& config, const Signed& manifest,
                                                const Manifest& what) {
  const auto reason = config.cannot_run.find(what.kernel_kind);
  const bool cannot = reason != config.cannot_run.end();
  if (auto objection = objection_to_keeping(config, manifest, what)) {
    // A worker that runs no kernels that ship names none: that is no matter of its version.
    if (cannot && objection->outcome == SubmitOutcome::kUnknownKernel) {
      objection->why = reason->second;
    }
    return objection;
  }
  if (cannot) return Objection{SubmitOutcome::kUnknownKernel, reason->second};
  // A unit given here would fail at once, and spend one of its attempts.
  const std::uint64_t lent = config.record.memory_bytes;
  if (lent != 0 && what.unit_memory_bytes > lent) {
    return Objection{SubmitOutcome::kUnknownKernel,
                     "a unit needs " + std::to_string(what.unit_memory_bytes >> 20) +
                         " MiB of memory, and this worker lends " + std::to_string(lent >> 20) +
                         " MiB"};
  }
  for (const std::string& need : what.needs) {
    if (!config.programs.contains(need)) {
      return Objection{SubmitOutcome::kUnknownKernel,
                       "it needs the program '" + need + "', which is not installed here"};
    }
  }
  return {};
}

std::string refusals_text(const PeerConfig& config, const NodeId& asker) {
  if (config.refused.empty()) return {};
  if (config.refused.submitters.contains(asker)) return "; its owner refuses what you submit";
  return "; its owner refuses " + std::to_string(config.refused.submitters.size()) +
         " submitters, " + std::to_string(config.refused.contents.size()) + " contents";
}

}  // namespace shoal
