#pragma once

#include <optional>
#include <string>

#include "node/protocol/limits.h"
#include "node/protocol/messages.h"

// Who keeps a job, and who may say so. The rules, and why each is there:
//
// - The submitter's signature needs no other: it is his job.
// - With the stewards unchanged, one of them may sign: the others may be dead, and two leaders at
//   once cost double work only.
// - Stewards are replaced by a majority of those before, so that one that lies cannot surround
//   itself with keys of its own.
// - An epoch may be ahead of the one before by kEpochStep at most, and the submitter's own may be
//   kFirstEpoch at most, so that nobody can take the last one there is: a steward could not lead
//   then, whatever became of the others.
//
// What an attacker can do: a steward that lies can make itself the leader, again and again, and a
// leader that lies defeats any quorum anyway (docs/protocol.md). Checking a chain costs a signature
// for each term and endorsement, at most limits::kTermsPerChain * limits::kStewards.
namespace shoal {

namespace limits {
inline constexpr std::uint64_t kFirstEpoch = 1ULL << 62;
}  // namespace limits

// The term in force: the last one, if all of the chain holds; else what does not.
Result<Term, std::string> term_in_force(const TermChain&, const JobId&, const NodeId& submitter,
                                        const SignatureChecker&);

// The term that the last one says to be in force, unchecked; nothing where it is unreadable or
// there is none.
std::optional<Term> last_term(const TermChain&);

// Whether `a` counts rather than `b`, both being terms in force: a strict order on which all agree.
bool outranks(const TermChain& a, const TermChain& b);

// The chain with `next` at its end, which must follow from it. Elections that it makes meaningless
// are left out. Nothing where the chain would become too long; its last place is for an election,
// which must be possible however often stewards were replaced. Nor where `next` is no term that
// others could read.
std::optional<TermChain> extended(TermChain chain, SignedTerm next);

bool same_stewards(const Term& a, const Term& b);  // in whatever order
// Signatures that a term with other stewards than `before` needs.
std::size_t majority_of(const Term& before);
bool is_steward(const Term&, const NodeId&);

// As a ledger keeps it.
Bytes encode_chain(const JobId&, const TermChain&);
Result<TermChain, DecodeError> decode_chain(ByteView);

}  // namespace shoal
