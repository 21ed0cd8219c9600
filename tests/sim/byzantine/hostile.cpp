#include "tests/sim/byzantine/hostile.h"

#include <algorithm>

#include "tests/sim/byzantine/kinds.h"

namespace shoal::sim {

std::string_view name_of(Behaviour behaviour) {
  switch (behaviour) {
    case Behaviour::kWrongDigest:
      return "wrong-digest";
    case Behaviour::kColluder:
      return "colluder";
    case Behaviour::kCopier:
      return "copier";
    case Behaviour::kEquivocator:
      return "equivocator";
    case Behaviour::kReplayer:
      return "replayer";
    case Behaviour::kFreeRider:
      return "free-rider";
    case Behaviour::kHoarder:
      return "hoarder";
    case Behaviour::kGarbage:
      return "garbage";
    case Behaviour::kForger:
      return "forger";
  }
  return "";
}

std::optional<Behaviour> behaviour_of(std::string_view name) {
  for (const Behaviour behaviour : kAllBehaviours) {
    if (name_of(behaviour) == name) return behaviour;
  }
  return std::nullopt;
}

bool lies_about_results(Behaviour behaviour) {
  switch (behaviour) {
    case Behaviour::kWrongDigest:
    case Behaviour::kColluder:
    case Behaviour::kCopier:
    case Behaviour::kEquivocator:
      return true;
    case Behaviour::kReplayer:
    case Behaviour::kFreeRider:
    case Behaviour::kHoarder:
    case Behaviour::kGarbage:
    case Behaviour::kForger:
      return false;
  }
  return false;
}

WorkerFactory hostile_factory(Behaviour behaviour) {
  switch (behaviour) {
    case Behaviour::kWrongDigest:
      return worker_factory<WrongDigest>();
    case Behaviour::kColluder:
      return worker_factory<Colluder>();
    case Behaviour::kCopier:
      return worker_factory<Copier>();
    case Behaviour::kEquivocator:
      return worker_factory<Equivocator>();
    case Behaviour::kReplayer:
      return worker_factory<Replayer>();
    case Behaviour::kFreeRider:
      return worker_factory<FreeRider>();
    case Behaviour::kHoarder:
      return worker_factory<Hoarder>();
    case Behaviour::kGarbage:
      return worker_factory<Garbage>();
    case Behaviour::kForger:
      return worker_factory<Forger>();
  }
  return {};
}

HostileWorker::HostileWorker(WorkerParts parts)
    : signer_(parts.signer),
      rng_(parts.rng.fork()),
      accuse_(std::move(parts.accuse)),
      peer_(std::move(parts.config), parts.signer, parts.checker, parts.rng,
            std::move(parts.recovered)) {}

PeerActions HostileWorker::step(Instant now, PeerEvent event) {
  PeerActions all;
  waiting_.push_back(std::move(event));
  // A peer that is answered at once asks for more at once: not without end.
  for (int rounds = 0; rounds < 64 && !waiting_.empty(); ++rounds) {
    PeerEvent next = std::move(waiting_.front());
    waiting_.erase(waiting_.begin());
    if (const auto* up = std::get_if<LinkUp>(&next)) {
      if (up->role != Role::kCoordinator) linked_.insert(up->peer);
    } else if (const auto* lost = std::get_if<LinkLost>(&next)) {
      linked_.erase(lost->peer);
    }
    before(next);
    PeerActions actions = peer_.step(now, std::move(next));
    after(actions);
    std::move(actions.begin(), actions.end(), std::back_inserter(all));
  }
  return all;
}

bool HostileWorker::leads(const JobId& job) const {
  const std::vector<JobStatus> led = peer_.jobs_led();
  return std::any_of(led.begin(), led.end(),
                     [&](const JobStatus& s) { return s.job == job && s.leads; });
}

std::optional<NodeId> HostileWorker::somebody() {
  if (linked_.empty()) return std::nullopt;
  auto chosen = linked_.begin();
  std::advance(chosen, static_cast<std::ptrdiff_t>(rng_.below(linked_.size())));
  return *chosen;
}

namespace {

void twist_bytes(std::uint8_t* at, std::size_t size, std::uint64_t twist) {
  for (std::size_t i = 0; i < std::min<std::size_t>(8, size); ++i) {
    at[i] ^= static_cast<std::uint8_t>(twist >> (8 * i));
  }
}

}  // namespace

void twist_output(PackedOutputs& outputs, std::uint64_t unit, std::uint64_t twist) {
  std::size_t at = 0;
  std::size_t large = 0;
  for (std::uint64_t i = 0; i < unit; ++i) {
    if (outputs.sizes[i] > limits::kInlineOutputBytes) {
      ++large;
    } else {
      at += outputs.sizes[i];
    }
  }
  const std::uint64_t size = outputs.sizes[unit];
  if (size > limits::kInlineOutputBytes) {
    twist_bytes(outputs.large[large].bytes.data(), 32, twist);
  } else {
    twist_bytes(outputs.inline_bytes.data() + at, size, twist);
  }
}

void twist_all(PackedOutputs& outputs, std::uint64_t twist) {
  std::size_t at = 0;
  for (const std::uint64_t size : outputs.sizes) {
    if (size > limits::kInlineOutputBytes) continue;
    twist_bytes(outputs.inline_bytes.data() + at, size, twist);
    at += size;
  }
  for (ContentId& id : outputs.large) twist_bytes(id.bytes.data(), 32, twist);
}

}  // namespace shoal::sim
