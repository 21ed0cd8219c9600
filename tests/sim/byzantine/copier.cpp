#include "tests/sim/byzantine/kinds.h"
#include "tests/sim/kernel.h"

// Computes nothing. It asks everybody to reveal what they have committed, as only a leader may, and
// the leader for receipts; what it learns it shows as its own work, what it does not it invents.
namespace shoal::sim {

void Copier::before(PeerEvent& event) {
  const auto* received = std::get_if<Received>(&event);
  if (received == nullptr) return;
  const auto message = decode(received->bytes);
  if (!message) return;
  if (const auto* grant = std::get_if<LeaseGrant>(&*message)) {
    for (const Range range : grant->ranges) {
      const RevealRequest request{grant->job, range, range, RevealDetail::kOutputs};
      for (const NodeId& peer : linked()) {
        questions_.push_back({peer, encode(Message(request))});
      }
    }
    questions_.push_back({received->peer, encode(Message(ResultsRequest{grant->job, 0, 1 << 16}))});
  } else if (const auto* reveal = std::get_if<Reveal>(&*message)) {
    // Who led may still be shown what was on its way, or comes from one who has not heard yet that
    // another leads. A leader sees what it likes: no quorum protects a job from one that lies.
    if (reveal->lapsed || leads(reveal->job) || led_.contains(reveal->job)) return;
    accuse_("was shown a commitment of a job that it never led");
    if (reveal->outputs) learn(reveal->job, reveal->part.first, *reveal->outputs);
  } else if (const auto* results = std::get_if<Results>(&*message)) {
    for (const Bytes& bytes : results->receipts) {
      const auto receipt = decode_receipt(bytes);
      if (receipt) learn(results->job, receipt->range.first, receipt->outputs);
    }
  }
}

void Copier::learn(const JobId& job, UnitIndex first, const PackedOutputs& outputs) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < outputs.sizes.size(); ++i) {
    const std::size_t size = outputs.sizes[i];
    if (size > limits::kInlineOutputBytes || at + size > outputs.inline_bytes.size()) continue;
    const auto from = outputs.inline_bytes.begin() + static_cast<std::ptrdiff_t>(at);
    seen_[{job, first + i}] = Bytes(from, from + static_cast<std::ptrdiff_t>(size));
    at += size;
  }
}

ComputeDone Copier::answer(const StartCompute& order) {
  const SimKernel kernel = kernel_of(*order.manifest);
  ComputeDone done;
  done.chunk = order.chunk;
  done.compute_ns = kernel.unit_ns * order.range.size();
  ComputeDone::Run run;
  run.range = order.range;
  for (UnitIndex unit = order.range.first; unit < order.range.last; ++unit) {
    if (kernel.output_bytes > limits::kInlineOutputBytes) {
      ContentId invented;
      for (std::uint8_t& byte : invented.bytes) byte = static_cast<std::uint8_t>(rng_.next());
      run.outputs.sizes.push_back(kernel.output_bytes);
      run.outputs.large.push_back(invented);
      continue;
    }
    const auto found = seen_.find({order.job, unit});
    Bytes output = found != seen_.end() ? found->second
                                        : unit_output(kernel, order.job, unit, rng_.next() | 1, 0);
    run.outputs.sizes.push_back(output.size());
    run.outputs.inline_bytes.insert(run.outputs.inline_bytes.end(), output.begin(), output.end());
  }
  done.done.push_back(std::move(run));
  return done;
}

void Copier::after(PeerActions& actions) {
  for (const JobStatus& job : jobs_led()) {
    if (job.leads) led_.insert(job.job);
  }
  PeerActions kept;
  for (PeerAction& action : actions) {
    if (const auto* order = std::get_if<StartCompute>(&action)) {
      tell_peer(answer(*order));
    } else {
      kept.push_back(std::move(action));
    }
  }
  for (Send& question : questions_) kept.push_back(std::move(question));
  questions_.clear();
  actions = std::move(kept);
}

}  // namespace shoal::sim
