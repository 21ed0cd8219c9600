#include "tests/sim/byzantine/kinds.h"
#include "tests/sim/mix.h"

// Those whose results are wrong.
namespace shoal::sim {
namespace {

void twist_results(PeerEvent& event, std::uint64_t twist) {
  auto* done = std::get_if<ComputeDone>(&event);
  if (done == nullptr) return;
  for (ComputeDone::Run& run : done->done) twist_all(run.outputs, twist);
}

}  // namespace

WrongDigest::WrongDigest(WorkerParts parts)
    : HostileWorker(std::move(parts)), twist_(load64(signer_.id().bytes.data()) | 1) {}

void WrongDigest::before(PeerEvent& event) { twist_results(event, twist_); }

void Colluder::before(PeerEvent& event) { twist_results(event, 0xc011'0de5); }

}  // namespace shoal::sim
