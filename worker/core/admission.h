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

// Why its owner will have nothing to do with the job; nothing: he has not said so.
std::optional<Objection> objection_of_owner(const PeerConfig&, const NodeId& submitter,
                                            const Manifest&);
// Why this worker would not keep the job as a steward; nothing: it would.
std::optional<Objection> objection_to_keeping(const PeerConfig&, const Signed& manifest,
                                              const Manifest&);
// Why it would not compute the job's units. A steward need not have what the units need.
std::optional<Objection> objection_to_computing(const PeerConfig&, const Signed& manifest,
                                                const Manifest&);

// What his worker says about that to whoever asks how it is; "": he refuses nothing.
std::string refusals_text(const PeerConfig&, const NodeId& asker);

}  // namespace shoal
