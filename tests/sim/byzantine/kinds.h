#pragma once

#include <deque>
#include <map>

#include "tests/sim/byzantine/hostile.h"

namespace shoal::sim {

class WrongDigest final : public HostileWorker {
 public:
  explicit WrongDigest(WorkerParts parts);

 private:
  void before(PeerEvent&) override;
  std::uint64_t twist_;  // its own: no two liars agree by chance
};

class Colluder final : public HostileWorker {
 public:
  using HostileWorker::HostileWorker;

 private:
  void before(PeerEvent&) override;
};

class Copier final : public HostileWorker {
 public:
  using HostileWorker::HostileWorker;

 private:
  void before(PeerEvent&) override;
  void after(PeerActions&) override;
  void learn(const JobId&, UnitIndex first, const PackedOutputs&);
  ComputeDone answer(const StartCompute&);
  std::map<std::pair<JobId, UnitIndex>, Bytes> seen_;  // outputs of others
  std::vector<Send> questions_;                        // to put with the next actions
  std::set<JobId> led_;                                // at some time
};

class Equivocator final : public HostileWorker {
 public:
  using HostileWorker::HostileWorker;

 private:
  struct Batch {
    PackedOutputs outputs;  // with one unit changed
    std::vector<Hash256> digests;
    Hash256 root;
  };
  void before(PeerEvent&) override;
  void after(PeerActions&) override;
  std::map<std::uint64_t, JobId> chunks_;
  std::map<std::pair<JobId, Range>, Batch> other_;  // what the second commitment says
};

class Replayer final : public HostileWorker {
 public:
  using HostileWorker::HostileWorker;

 private:
  void before(PeerEvent&) override;
  void after(PeerActions&) override;
  void keep(const Bytes& bytes);
  std::deque<Bytes> old_;
};

class FreeRider final : public HostileWorker {
 public:
  using HostileWorker::HostileWorker;

 private:
  void after(PeerActions&) override;
};

class Hoarder final : public HostileWorker {
 public:
  using HostileWorker::HostileWorker;

 private:
  void before(PeerEvent&) override;
  void after(PeerActions&) override;
  std::map<JobId, NodeId> leaders_;  // who gave it units last
  bool asks_ = false;                // it was given something: there is more
};

class Garbage final : public HostileWorker {
 public:
  using HostileWorker::HostileWorker;

 private:
  void after(PeerActions&) override;
};

class Forger final : public HostileWorker {
 public:
  using HostileWorker::HostileWorker;

 private:
  void after(PeerActions&) override;
};

}  // namespace shoal::sim
