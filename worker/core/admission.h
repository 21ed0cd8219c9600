#pragma once

#include <optional>
#include <string>

#include "worker/core/peer.h"

// What a donor's worker takes of whom. Pure functions of the donor's own settings and a manifest.
namespace shoal {

struct Objection {
  SubmitOutcome outcome = SubmitOutcome::kInvalid;
  std::string why;  // "no kernel 'x' ships here"
};

// Why this worker would not keep the job as a steward; nothing: it would.
std::optional<Objection> objection_to_keeping(const PeerConfig&, const Signed& manifest,
                                              const Manifest&);
// Why it would not compute the job's units. A steward need not have what the units need.
std::optional<Objection> objection_to_computing(const PeerConfig&, const Signed& manifest,
                                                const Manifest&);

}  // namespace shoal
