#include <algorithm>
#include <utility>

#include "node/protocol/result.h"
#include "tests/sim/world.h"

// What the world does with the actions of the state machines, and what it tells them.
namespace shoal::sim {
namespace {

void mix(RunningHash& hash, std::string_view text) { hash.add(as_bytes(text)); }
template <class Tag>
void mix(RunningHash& hash, const Id<Tag>& id) {
  hash.add(id.view());
}
void mix(RunningHash& hash, std::uint64_t word) { hash.add(word); }
void mix(RunningHash& hash, const Range& range) {
  hash.add(range.first);
  hash.add(range.last);
}
template <class... Parts>
void mix_all(RunningHash& hash, const Parts&... parts) {
  (mix(hash, parts), ...);
}

void add_to(RunningHash& h, const Dial& a) { mix_all(h, 1, a.peer, std::string_view(a.endpoint)); }
void add_to(RunningHash& h, const Send& a) {
  mix_all(h, 2, a.peer);
  h.add(a.bytes);
}
void add_to(RunningHash& h, const Drop& a) { mix_all(h, 3, a.peer, std::string_view(a.why)); }
void add_to(RunningHash& h, const Tell& a) { mix_all(h, 4, std::string_view(a.text)); }
void add_to(RunningHash& h, const Store& a) {
  mix_all(h, 5, a.token);
  for (const StoredFact& fact : a.facts) {
    mix_all(h, static_cast<std::uint64_t>(fact.kind), fact.job, fact.sequence, fact.about);
    h.add(fact.bytes);
  }
}
void add_to(RunningHash& h, const Erase& a) { mix_all(h, 27, a.job, static_cast<int>(a.what)); }
void add_to(RunningHash& h, const Probe& a) {
  mix_all(h, 23, a.peer, std::string_view(a.endpoint), a.nonce);
}
void add_to(RunningHash& h, const LoadReceipts& a) { mix_all(h, 6, a.job, a.reader, a.after); }
void add_to(RunningHash& h, const StartCompute& a) { mix_all(h, 7, a.chunk, a.job, a.range); }
void add_to(RunningHash& h, const CancelCompute& a) { mix_all(h, 8, a.chunk); }
void add_to(RunningHash& h, const KeepState& a) {
  mix_all(h, 28, a.job, a.unit);
  h.add(a.state);
}
void add_to(RunningHash& h, const StartCompare& a) {
  mix_all(h, 9, a.job, a.unit);
  h.add(a.candidates.inline_bytes);
}
void add_to(RunningHash& h, const ForgetJob& a) { mix_all(h, 10, a.job); }
void add_to(RunningHash& h, const OpenContent& a) { mix_all(h, 11, a.id, a.length); }
void add_to(RunningHash& h, const StoreBlock& a) {
  mix_all(h, 12, a.id, a.first_leaf);
  h.add(a.bytes);
}
void add_to(RunningHash& h, const ReadBlock& a) { mix_all(h, 13, a.id, a.first_leaf, a.reader); }
void add_to(RunningHash& h, const DropContent& a) { mix_all(h, 31, a.id); }
void add_to(RunningHash& h, const JobAccepted& a) {
  mix_all(h, 14, a.job);
  for (const Ticket::Door& door : a.stewards) mix_all(h, 14, door.node);
}
void add_to(RunningHash& h, const StewardsChanged& a) {
  mix_all(h, 26, a.job);
  for (const Ticket::Door& door : a.stewards) mix_all(h, 26, door.node);
}
void add_to(RunningHash& h, const JobRefused& a) {
  mix_all(h, 15, a.job, static_cast<std::uint64_t>(a.why), std::string_view(a.what));
}
void add_to(RunningHash& h, const ReceiptReady& a) {
  mix_all(h, 16, a.job, a.receipt.sequence, a.receipt.range);
  mix_all(h, static_cast<std::uint64_t>(a.receipt.end));
  h.add(a.receipt.outputs.inline_bytes);
}
void add_to(RunningHash& h, const ReceiptBad& a) {
  mix_all(h, 17, a.job, std::string_view(a.what));
}
void add_to(RunningHash& h, const StatusReady& a) { mix_all(h, 18, a.job, a.jobs.size()); }
void add_to(RunningHash& h, const WorkersReady& a) { mix_all(h, 19, a.workers.size()); }
void add_to(RunningHash& h, const OutputReady& a) {
  mix_all(h, 20, a.content, std::string_view(a.error));
}
void add_to(RunningHash& h, const JobClosed& a) { mix_all(h, 21, a.job, a.snapshot.results); }
void add_to(RunningHash& h, const ContentReady& a) {
  mix_all(h, 29, a.content, std::string_view(a.error));
}
void add_to(RunningHash& h, const ContentUnderWay& a) { mix_all(h, 30, a.content); }
void add_to(RunningHash& h, const PeerMet& a) { mix_all(h, 24, a.peer.node); }
void add_to(RunningHash& h, const Notice& a) { mix_all(h, 22, std::string_view(a.text)); }

std::vector<NodeId> supporters_of(const Receipt& receipt) {
  std::vector<NodeId> result;
  for (const Support& support : receipt.supports) result.push_back(support.commitment.signer);
  return result;
}

}  // namespace

template <class Action>
void World::note(const Node& node, const Action& action) {
  hash_.add(static_cast<std::uint64_t>(now_));
  hash_.add(node.index);
  add_to(hash_, action);
}

void World::step(Node& node, PeerEvent event) {
  if (!node.alive || stopped_ || spins(node)) return;
  PeerActions actions = node.peer->step(node.clock.local(now_), std::move(event));
  for (PeerAction& action : actions) {
    std::visit(
        [&](auto& one) {
          note(node, one);
          perform(node, std::move(one));
        },
        action);
  }
  arm(node, node.peer->next_deadline());
}

void World::step(Node& node, SubmitterEvent event) {
  if (!node.alive || stopped_ || spins(node)) return;
  SubmitterActions actions = node.submitter->step(node.clock.local(now_), std::move(event));
  for (SubmitterAction& action : actions) {
    std::visit(
        [&](auto& one) {
          note(node, one);
          perform(node, std::move(one));
        },
        action);
  }
  arm(node, node.submitter->next_deadline());
}

void World::step(Node& node, RendezvousEvent event) {
  if (!node.alive || stopped_ || spins(node)) return;
  RendezvousActions actions = node.rendezvous->step(node.clock.local(now_), std::move(event));
  for (RendezvousAction& action : actions) {
    std::visit(
        [&](auto& one) {
          note(node, one);
          perform(node, std::move(one));
        },
        action);
  }
}

void World::deliver(NodeIndex index, LinkUp event) {
  Node& node = *nodes_[index];
  if (options_.log) say(index, "link to " + name_of_node(by_id_.at(event.peer)) + " is up");
  if (node.peer) return step(node, PeerEvent(std::move(event)));
  if (node.submitter) return step(node, SubmitterEvent(std::move(event)));
  if (node.rendezvous) step(node, RendezvousEvent(std::move(event)));
}

void World::deliver(NodeIndex index, LinkLost event) {
  Node& node = *nodes_[index];
  if (options_.log) {
    const auto peer = index_of(event.peer);
    say(index, "link to " + (peer ? name_of_node(*peer) : "?") + " is lost: " + event.why);
  }
  if (node.peer) return step(node, PeerEvent(std::move(event)));
  if (node.submitter) return step(node, SubmitterEvent(std::move(event)));
  if (node.rendezvous) step(node, RendezvousEvent(std::move(event)));
}

void World::deliver(NodeIndex index, Received event) {
  Node& node = *nodes_[index];
  if (options_.trace) {
    const auto message = decode(event.bytes);
    say(index, "<- " + name_of_node(by_id_.at(event.peer)) + " " +
                   (message ? std::string(shoal::name_of(*message)) : "undecodable") + ", " +
                   std::to_string(event.bytes.size()) + " bytes");
  }
  if (node.peer) return step(node, PeerEvent(std::move(event)));
  if (node.submitter) return step(node, SubmitterEvent(std::move(event)));
  if (node.rendezvous) step(node, RendezvousEvent(std::move(event)));
}

void World::deliver(NodeIndex index, BulkSent event) {
  Node& node = *nodes_[index];
  if (node.peer) return step(node, PeerEvent(event));
  if (node.submitter) step(node, SubmitterEvent(event));
}

void World::deliver(NodeIndex index, Probed event) {
  Node& node = *nodes_[index];
  if (node.peer) step(node, PeerEvent(event));
}

void World::perform(Node& node, Probe probe) { network_.probe(node.index, probe); }

void World::perform(Node& node, Dial dial) { network_.dial(node.index, dial); }

void World::perform(Node& node, Send send) {
  const auto to = index_of(send.peer);
  if (to) network_.send(node.index, *to, std::move(send.bytes), send.bulk);
}

void World::perform(Node& node, Drop drop) {
  const auto of = index_of(drop.peer);
  if (of) {
    for (const auto& checker : checkers_) checker->on_drop(*this, node.index, *of, drop.why);
  }
  network_.drop(node.index, drop);
}

void World::perform(Node& node, Tell tell) { say(node.index, tell.text); }

void World::perform(Node& node, Erase erase) { node.disk.erase(std::move(erase)); }

void World::perform(Node& node, Store store) {
  if (!node.disk.write(std::move(store))) return;
  queue_.push(now_ + options_.disk_sync.count(), DiskSynced{node.index, node.incarnation});
}

void World::perform(Node& node, LoadReceipts load) {
  inject(node, options_.disk_read, PeerEvent(node.disk.perform(load)));
}

void World::perform(Node& node, StartCompute order) {
  const Manifest& manifest = *order.manifest;
  if (order.range.empty() || order.range.last > manifest.units) {
    violated("executor", name_of_node(node.index) + " computes units that the job does not have");
    return;
  }
  for (const auto& content : {manifest.program, manifest.inputs}) {
    if (content && !node.contents.holds(*content)) {
      violated("executor", name_of_node(node.index) + " computes without program or inputs");
    }
  }
  const Executor::Due due = node.executor->start(now_, order);
  queue_.push(due.at, ChunkDue{node.index, node.incarnation, due.version, due.chunk});
}

void World::perform(Node& node, CancelCompute cancel) {
  for (const Executor::Due& due : node.executor->cancel(now_, cancel.chunk)) {
    queue_.push(due.at, ChunkDue{node.index, node.incarnation, due.version, due.chunk});
  }
}

// The kernels of this world are too quick to save anything.
void World::perform(Node&, const KeepState&) {}

void World::perform(Node& node, StartCompare order) {
  CompareDone done;
  done.job = order.job;
  done.unit = order.unit;
  const auto digests = digests_of(order.candidates);
  if (!digests || digests->empty()) {
    done.error = "the candidates do not fit together";
    return inject(node, 1ms, PeerEvent(std::move(done)));
  }
  done.digests = *digests;
  done.all_match = true;
  const SimKernel kernel = kernel_of(*order.manifest);
  const PackedOutputs reference = slice(order.candidates, 0, 1);
  for (std::uint64_t i = 1; i < order.candidates.sizes.size(); ++i) {
    const PackedOutputs other = slice(order.candidates, i, i + 1);
    if (!equivalent_outputs(kernel, reference.inline_bytes, other.inline_bytes)) {
      done.all_match = false;
    }
  }
  inject(node, 1ms, PeerEvent(std::move(done)));
}

void World::perform(Node&, ForgetJob) {}

void World::perform(Node& node, OpenContent open) {
  ContentOpened opened = node.contents.perform(open, library_);
  if (node.peer) return inject(node, options_.disk_read, PeerEvent(std::move(opened)));
  inject(node, options_.disk_read, SubmitterEvent(std::move(opened)));
}

void World::perform(Node& node, StoreBlock store) {
  std::string fault;
  BlockStored stored = node.contents.perform(store, library_, fault);
  if (!fault.empty()) violated("content", name_of_node(node.index) + " " + fault);
  if (node.peer) return inject(node, options_.disk_sync, PeerEvent(std::move(stored)));
  inject(node, options_.disk_sync, SubmitterEvent(std::move(stored)));
}

void World::perform(Node& node, ReadBlock read) {
  BlockRead answer = node.contents.perform(read, library_);
  if (node.peer) return inject(node, options_.disk_read, PeerEvent(std::move(answer)));
  inject(node, options_.disk_read, SubmitterEvent(std::move(answer)));
}

void World::perform(Node& node, const DropContent& drop) { node.contents.drop(drop.id); }

ComputeDone World::compute(Node& node, const Executor::Finished& finished) {
  const StartCompute& order = finished.order;
  const SimKernel kernel = kernel_of(*order.manifest);
  ComputeDone done;
  done.chunk = order.chunk;
  done.compute_ns = static_cast<std::uint64_t>(finished.thread_time);
  bool run_open = false;
  for (UnitIndex unit = order.range.first; unit < order.range.last; ++unit) {
    if (unit_fails(kernel, unit)) {
      done.failed.push_back({unit, FailureKind::kThrew, "the unit cannot be computed", ""});
      run_open = false;
      continue;
    }
    if (!run_open) {
      done.done.push_back({{unit, unit}, {}});
      run_open = true;
    }
    ComputeDone::Run& run = done.done.back();
    ++run.range.last;
    ++node.units_computed;
    if (kernel.output_bytes <= 8 && !kernel.noisy) {
      run.outputs.sizes.push_back(8);
      append64(run.outputs.inline_bytes, unit_word(order.job, unit, 0));
      continue;
    }
    Bytes output = unit_output(kernel, order.job, unit, 0, node.worker.noise);
    run.outputs.sizes.push_back(output.size());
    if (output.size() <= limits::kInlineOutputBytes) {
      run.outputs.inline_bytes.insert(run.outputs.inline_bytes.end(), output.begin(), output.end());
    } else {
      const ContentId id = library_.put(std::move(output));
      node.contents.hold_whole(id);
      run.outputs.large.push_back(id);
    }
  }
  return done;
}

void World::perform(Node& node, JobAccepted accepted) {
  JobRun* job = job_of(accepted.job);
  if (job == nullptr || job->submitter != node.index) {
    return violated("world", "a job was accepted that nobody submitted");
  }
  const bool first = !job->accepted;
  job->ended_in_session = {};
  if (first) job->accepted = now_;
  remember_stewards(*job, std::move(accepted.stewards), std::move(accepted.terms));
  say(node.index,
      job->manifest.name + " is accepted by " + (job->steward ? name_of_node(*job->steward) : "?"));
  for (const auto& checker : checkers_) {
    if (first) checker->on_accepted(*this, *job);
  }
  inject(node, Duration{}, SubmitterEvent(WantReceipts{job->id}));
}

void World::perform(Node&, StewardsChanged changed) {
  if (JobRun* job = job_of(changed.job)) {
    remember_stewards(*job, std::move(changed.stewards), std::move(changed.terms));
  }
}

void World::remember_stewards(JobRun& job, std::vector<Ticket::Door> doors, TermChain terms) {
  job.stewards.clear();
  for (const Ticket::Door& door : doors) {
    if (const auto index = index_of(door.node)) job.stewards.push_back(*index);
  }
  job.steward.reset();
  if (!job.stewards.empty()) job.steward = job.stewards.front();
  job.steward_doors = std::move(doors);
  job.terms = std::move(terms);
}

void World::perform(Node& node, JobRefused refused) {
  JobRun* job = job_of(refused.job);
  say(node.index, "refused: " + refused.what);
  if (job == nullptr) return;
  job->refusals.push_back(refused);
  const bool to_close = job->spec.close_when_done && !job->snapshot;
  if (job->cancelled || (job->done() && !to_close)) return;
  switch (refused.why) {
    case JobRefused::Why::kOtherPool:
    case JobRefused::Why::kQuorumTooLarge:
    case JobRefused::Why::kUnknownKernel:
    case JobRefused::Why::kNotTrusted:
      return;
    case JobRefused::Why::kNoPeers:
    case JobRefused::Why::kNoCoordinator:
    case JobRefused::Why::kStewardRefused:
    case JobRefused::Why::kUnknownJob:
      break;
  }
  // As a patient application: the fault may pass.
  if (job->accepted) {
    inject(
        node, 5s,
        SubmitterEvent(AttachJob{job->id, job->signed_manifest, job->steward_doors, job->terms}));
  } else {
    inject(node, 5s, SubmitterEvent(SubmitJob{job->signed_manifest, job->spec.wait_for_quorum}));
  }
}

void World::perform(Node& node, ReceiptReady ready) {
  JobRun* job = job_of(ready.job);
  if (job == nullptr || job->submitter != node.index) {
    return violated("world", "a receipt came for a job that nobody submitted");
  }
  const Receipt& receipt = ready.receipt;
  job->fresh = ready.fresh;
  job->receipt_from = index_of(ready.from);
  for (const auto& checker : checkers_) checker->on_receipt(*this, *job, receipt);
  ++job->receipts;
  const bool news = !job->ended.contains(receipt.range);
  for (const Range range : ready.fresh) {
    job->ended.add(range);
    job->ended_in_session.add(range);
    switch (receipt.end) {
      case UnitEnd::kVerified:
        job->verified.add(range);
        break;
      case UnitEnd::kDisputed:
        job->disputed.add(range);
        break;
      case UnitEnd::kFailed:
        job->failed.add(range);
        break;
    }
  }
  job->last_receipt = now_;
  inject(node, Duration{}, SubmitterEvent(TakenReceipts{job->id, ready.number}));
  if (news && receipt.end == UnitEnd::kVerified && !receipt.outputs.large.empty()) {
    std::size_t large = 0;
    for (const std::uint64_t size : receipt.outputs.sizes) {
      if (size <= limits::kInlineOutputBytes || large >= receipt.outputs.large.size()) continue;
      const ContentId id = receipt.outputs.large[large++];
      WantOutput want{job->id, id, size, supporters_of(receipt)};
      if (job->fetching.emplace(id, want).second) {
        inject(node, Duration{}, SubmitterEvent(std::move(want)));
      }
    }
  }
  settle(*job);
  // A submitter that died between the last result and the end of the closing closes again.
  if (job->finished && *job->finished < now_ && !job->snapshot && job->spec.close_when_done &&
      job->ended_in_session.size() == job->manifest.units) {
    inject(node, Duration{}, SubmitterEvent(CloseJob{job->id}));
  }
}

void World::settle(JobRun& job) {
  if (job.finished || job.ended.size() != job.manifest.units || !job.fetching.empty()) return;
  job.finished = now_;
  if (!job.cancelled) --unfinished_;
  say(job.submitter, job.manifest.name + " is finished");
  if (job.spec.close_when_done) {
    inject(*nodes_[job.submitter], Duration{}, SubmitterEvent(CloseJob{job.id}));
  }
}

void World::perform(Node& node, ReceiptBad bad) {
  say(node.index, "bad receipt: " + bad.what);
  if (JobRun* job = job_of(bad.job)) ++job->bad_receipts;
}

void World::perform(Node&, StatusReady ready) {
  if (JobRun* job = job_of(ready.job)) job->status = std::move(ready.jobs);
}

void World::perform(Node&, WorkersReady) {}

void World::perform(Node& node, OutputReady ready) {
  JobRun* job = job_of(ready.job);
  if (job == nullptr) return;
  const auto found = job->fetching.find(ready.content);
  if (found == job->fetching.end()) return;
  if (!ready.error.empty()) {
    say(node.index, "output not to be had: " + ready.error);
    return inject(node, 5s, SubmitterEvent(found->second));
  }
  if (!node.contents.holds(ready.content)) {
    violated("content", "an output was reported as fetched that is not here");
  }
  ++job->fetched;
  job->fetching.erase(found);
  settle(*job);
}

void World::perform(Node&, JobClosed closed) {
  if (JobRun* job = job_of(closed.job)) job->snapshot = closed.snapshot;
}

void World::perform(Node& node, Notice notice) { say(node.index, notice.text); }

}  // namespace shoal::sim
