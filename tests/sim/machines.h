#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "coordinator/core/rendezvous.h"
#include "sdk/core/submitter.h"
#include "worker/core/peer.h"

// The state machines as the world drives them. The plain ones are the real Peer, Submitter and
// Rendezvous; hostile nodes and planted bugs wrap them, so that production code knows of neither.
namespace shoal::sim {

class WorkerMachine {
 public:
  virtual ~WorkerMachine() = default;
  virtual PeerActions step(Instant now, PeerEvent event) = 0;
  virtual std::optional<Instant> next_deadline() const = 0;
  virtual void check_invariants() const = 0;
  virtual WorkerStatus status() const = 0;
  // For its Hello; nothing: it shows none.
  virtual std::optional<Signed> sign_record(Instant) { return std::nullopt; }
  virtual std::vector<Via> via() const { return {}; }
  virtual std::vector<JobStatus> jobs_led() const = 0;
};

class SubmitterMachine {
 public:
  virtual ~SubmitterMachine() = default;
  virtual SubmitterActions step(Instant now, SubmitterEvent event) = 0;
  virtual std::optional<Instant> next_deadline() const = 0;
};

// What a machine is made of. References outlive the machine.
struct WorkerParts {
  PeerConfig config;
  const Signer& signer;
  const SignatureChecker& checker;
  Rng rng;
  RecoveredState recovered;
  // Where hostile nodes tell what an honest one did wrong, such as revealing to who must not see.
  std::function<void(const std::string&)> accuse;
};
struct SubmitterParts {
  SubmitterConfig config;
  const Signer& signer;
  const SignatureChecker& checker;
  Rng rng;
};
using WorkerFactory = std::function<std::unique_ptr<WorkerMachine>(WorkerParts)>;
using SubmitterFactory = std::function<std::unique_ptr<SubmitterMachine>(SubmitterParts)>;

// The real ones.
class PlainWorker : public WorkerMachine {
 public:
  explicit PlainWorker(WorkerParts parts)
      : peer_(std::move(parts.config), parts.signer, parts.checker, parts.rng,
              std::move(parts.recovered)) {}
  PeerActions step(Instant now, PeerEvent event) override {
    return peer_.step(now, std::move(event));
  }
  std::optional<Instant> next_deadline() const override { return peer_.next_deadline(); }
  void check_invariants() const override { peer_.check_invariants(); }
  WorkerStatus status() const override { return peer_.status(); }
  std::optional<Signed> sign_record(Instant now) override { return peer_.sign_record(now); }
  std::vector<Via> via() const override { return peer_.via(); }
  std::vector<JobStatus> jobs_led() const override { return peer_.jobs_led(); }

 private:
  Peer peer_;
};

class PlainSubmitter : public SubmitterMachine {
 public:
  explicit PlainSubmitter(SubmitterParts parts)
      : submitter_(std::move(parts.config), parts.signer, parts.checker, parts.rng) {}
  SubmitterActions step(Instant now, SubmitterEvent event) override {
    return submitter_.step(now, std::move(event));
  }
  std::optional<Instant> next_deadline() const override { return submitter_.next_deadline(); }

 private:
  Submitter submitter_;
};

template <class Machine>
WorkerFactory worker_factory() {
  return [](WorkerParts parts) { return std::make_unique<Machine>(std::move(parts)); };
}
template <class Machine>
SubmitterFactory submitter_factory() {
  return [](SubmitterParts parts) { return std::make_unique<Machine>(std::move(parts)); };
}

}  // namespace shoal::sim
