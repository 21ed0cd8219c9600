#pragma once

#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "tests/sim/machines.h"

// Hostile workers. Each wraps a real peer and changes what goes in and out of it, so that it
// behaves well enough to be believed until it does not. It signs with its own key and no other.
namespace shoal::sim {

enum class Behaviour : std::uint8_t {
  kWrongDigest,  // every result is wrong, each liar in its own way
  kColluder,     // every result is wrong, all colluders in the same way
  kCopier,       // computes nothing: shows what it could copy, else inventions
  kEquivocator,  // two signed commitments for each batch, that differ in one unit
  kReplayer,     // sends old messages again, its own and others'
  kFreeRider,    // takes leases and never computes
  kHoarder,      // takes and steals all that it can, and never computes
  kGarbage,      // random and mutated bytes
  kForger,       // as a steward: changes the results on their way to the submitter
};
inline constexpr Behaviour kAllBehaviours[] = {
    Behaviour::kWrongDigest, Behaviour::kColluder, Behaviour::kCopier,
    Behaviour::kEquivocator, Behaviour::kReplayer, Behaviour::kFreeRider,
    Behaviour::kHoarder,     Behaviour::kGarbage,  Behaviour::kForger};
std::string_view name_of(Behaviour);  // "wrong-digest"
std::optional<Behaviour> behaviour_of(std::string_view name);
// May its results be wrong?
bool lies_about_results(Behaviour);
WorkerFactory hostile_factory(Behaviour);

class HostileWorker : public WorkerMachine {
 public:
  explicit HostileWorker(WorkerParts parts);
  PeerActions step(Instant now, PeerEvent event) final;
  std::optional<Instant> next_deadline() const override { return peer_.next_deadline(); }
  void check_invariants() const override {}
  WorkerStatus status() const override { return peer_.status(); }
  std::vector<JobStatus> jobs_led() const override { return peer_.jobs_led(); }

 protected:
  // What the peer is about to be told; may be changed.
  virtual void before(PeerEvent&) {}
  // What the peer wants done; may be changed.
  virtual void after(PeerActions&) {}
  // Tells the peer something more, once this step's actions are out.
  void tell_peer(PeerEvent event) { waiting_.push_back(std::move(event)); }
  bool leads(const JobId&) const;
  // One of the workers and submitters that it is linked to. Coordinators are left alone: what they
  // must carry is counted.
  std::optional<NodeId> somebody();
  const std::set<NodeId>& linked() const { return linked_; }

  const Signer& signer_;
  Rng rng_;
  std::function<void(const std::string&)> accuse_;

 private:
  Peer peer_;
  std::set<NodeId> linked_;
  std::vector<PeerEvent> waiting_;
};

// Changes the output of one unit of a pack. The same twist makes the same change.
void twist_output(PackedOutputs&, std::uint64_t unit, std::uint64_t twist);
// Changes them all.
void twist_all(PackedOutputs&, std::uint64_t twist);

}  // namespace shoal::sim
