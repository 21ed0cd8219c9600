#include "node/protocol/terms.h"

#include <algorithm>
#include <set>

namespace shoal {

bool is_steward(const Term& term, const NodeId& node) {
  return std::find(term.stewards.begin(), term.stewards.end(), node) != term.stewards.end();
}

bool same_stewards(const Term& a, const Term& b) {
  return a.stewards.size() == b.stewards.size() &&
         std::all_of(a.stewards.begin(), a.stewards.end(),
                     [&](const NodeId& node) { return is_steward(b, node); });
}

std::size_t majority_of(const Term& before) { return before.stewards.size() / 2 + 1; }

namespace {

// Empty: `next` may follow `before`.
std::string objection(const Term& before, const Term& next, const SignedTerm& paper,
                      const SignatureChecker& checker) {
  if (next.epoch <= before.epoch) return "its epochs do not rise";
  if (next.epoch - before.epoch > limits::kEpochStep) return "an epoch jumps";
  std::set<NodeId> signers;
  const auto count = [&](const NodeId& signer, const Signature& signature) {
    if (is_steward(before, signer) &&
        checker.holds(signer, Purpose::kTerm, paper.term.body, signature)) {
      signers.insert(signer);
    }
  };
  count(paper.term.signer, paper.term.signature);
  if (signers.empty()) return "a term is not signed by a steward of the one before";
  if (same_stewards(before, next)) return {};
  for (const Endorsement& more : paper.endorsements) count(more.signer, more.signature);
  if (signers.size() < majority_of(before)) return "stewards were replaced without a majority";
  return {};
}

}  // namespace

Result<Term, std::string> term_in_force(const TermChain& chain, const JobId& job,
                                        const NodeId& submitter, const SignatureChecker& checker) {
  if (chain.empty()) return tl::unexpected(std::string("it is empty"));
  std::optional<Term> before;
  for (const SignedTerm& paper : chain) {
    auto term = decode_term(paper.term.body);
    if (!term) return tl::unexpected(term.error().what);
    if (term->job != job) return tl::unexpected(std::string("a term is of another job"));
    if (!before) {
      if (paper.term.signer != submitter || !signature_holds(checker, Purpose::kTerm, paper.term)) {
        return tl::unexpected(std::string("its first term is not signed by the submitter"));
      }
      if (term->epoch > limits::kFirstEpoch) {
        return tl::unexpected(std::string("its first epoch leaves no room for others"));
      }
    } else if (std::string why = objection(*before, *term, paper, checker); !why.empty()) {
      return tl::unexpected(std::move(why));
    }
    before = std::move(*term);
  }
  return *before;
}

std::optional<Term> last_term(const TermChain& chain) {
  if (chain.empty()) return std::nullopt;
  auto term = decode_term(chain.back().term.body);
  if (!term) return std::nullopt;
  return std::move(*term);
}

bool outranks(const TermChain& a, const TermChain& b) {
  const auto of_a = last_term(a), of_b = last_term(b);
  if (!of_a || !of_b) return of_a.has_value();
  if (of_a->epoch != of_b->epoch) return of_a->epoch > of_b->epoch;
  return a.back().term.body < b.back().term.body;
}

std::optional<TermChain> extended(TermChain chain, SignedTerm next) {
  const auto last = last_term(chain);
  const auto then = decode_term(next.term.body);
  if (!then) return std::nullopt;
  // The last one was an election among the stewards of the one before it: whatever follows from it
  // follows from that one as well, unless it had gone so far ahead that this would be a jump.
  if (last && chain.size() > 1) {
    const auto before = decode_term(chain[chain.size() - 2].term.body);
    if (before && same_stewards(*before, *last) &&
        then->epoch - before->epoch <= limits::kEpochStep) {
      chain.pop_back();
    }
  }
  const bool election = last && same_stewards(*last, *then);
  if (chain.size() >= limits::kTermsPerChain - (election ? 0 : 1)) return std::nullopt;
  chain.push_back(std::move(next));
  return chain;
}

}  // namespace shoal
