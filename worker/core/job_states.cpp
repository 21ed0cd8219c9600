#include "worker/core/job_led.h"

// How far units have come, for those who go on with them.
namespace shoal {

// Of its first replica alone: whoever verifies must not begin with what another says.
void JobLed::on_state(const NodeId& from, UnitState state, Outbox& out) {
  if (state.unit >= units_.units()) return;
  const std::vector<std::uint64_t> leases = leases_.of(from);
  const bool held = std::any_of(leases.begin(), leases.end(), [&](std::uint64_t id) {
    const Lease& lease = *leases_.find(id);
    return lease.kind == LeaseKind::kPrimary && lease.held.contains(state.unit);
  });
  if (!held) return;
  out.tell(LogLevel::kDebug, "is told how far unit " + std::to_string(state.unit) + " of job " +
                                 short_hex(id_) + " is: whoever takes it over goes on from there");
  states_.keep(state.unit, std::move(state.state));
}

// `before`: whom it took the units from, or itself.
void JobLed::send_states(const NodeId& worker, Member& member, const std::vector<Range>& ranges,
                         const NodeId& before, Outbox& out) {
  std::vector<std::pair<UnitIndex, Bytes>> states;
  for (Range range : ranges) {
    states_.for_each_in(
        range, [&](UnitIndex unit, const Bytes& state) { states.emplace_back(unit, state); });
  }
  for (auto& [unit, state] : states) {
    if (!may_go_on(unit, worker, before)) {
      states_.drop({unit, unit + 1});
    } else if (worker == context_.self) {
      out.act(KeepState{.job = id_, .unit = unit, .state = std::move(state)});
    } else {
      introduce(worker, member, out);
      out.send(worker, UnitState{.job = id_, .unit = unit, .state = std::move(state)});
    }
  }
}

// Who goes on from another's state comes to the same as that one, right or wrong: together they are
// one opinion, and else a single key could have its own confirmed. So who had the unit before
// counts no more. Where too few others are left to outvote the two the unit begins anew.
bool JobLed::may_go_on(UnitIndex unit, const NodeId& worker, const NodeId& before) {
  if (manifest_->quorum == 1) return true;
  const auto had_it = [&](const Replica& replica) {
    return replica.worker != worker && replica.kind == LeaseKind::kPrimary &&
           is_awaited(replica.state);
  };
  const auto& segment = units_.first_overlapping({unit, unit + 1})->second;
  std::uint32_t others = 0;
  for (const auto& [id, member] : members_) {
    if (!member.linked || !member.asked || id == worker || id == before) continue;
    const Replica* own = segment.find(id);
    const bool may_compute_it =
        own == nullptr ? eligible(segment, id, member) : !had_it(*own) && is_awaited(own->state);
    if (may_compute_it && ++others == manifest_->quorum) break;
  }
  if (others < manifest_->quorum) return false;
  units_.update({unit, unit + 1}, [&](UnitIndex, UnitMap::Segment& one) {
    for (Replica& replica : one.replicas) {
      if (had_it(replica)) replica.state = ReplicaState::kRejected;
    }
    if (one.find(before) == nullptr) {
      one.replicas.push_back(Replica{.worker = before, .state = ReplicaState::kRejected});
    }
  });
  return true;
}

}  // namespace shoal
