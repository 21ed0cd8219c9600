#include "node/protocol/codec_detail.h"
#include "node/protocol/reach.capnp.h"
#include "node/protocol/work.capnp.h"

namespace shoal {
namespace codec {

static_assert(static_cast<int>(wire::LeaseKind::DOUBLE) == static_cast<int>(LeaseKind::kDouble));
static_assert(static_cast<int>(wire::Reachability::UNREACHABLE) ==
              static_cast<int>(Reachability::kUnreachable));

namespace {

// News of jobs in one NoWork; with the holders beside them they fit into one message.
constexpr std::size_t kJobsTold = limits::kSampleRecords;

template <class List>
void write_ranges(List to, const std::vector<Range>& from) {
  for (unsigned i = 0; i < to.size(); ++i) {
    auto range = to[i];
    range.setFirst(from[i].first);
    range.setLast(from[i].last);
  }
}
unsigned ranges_size(const std::vector<Range>& ranges) {
  return list_size(ranges.size(), limits::kRangesPerMessage);
}
void read_ranges(capnp::List<wire::Range>::Reader from, std::vector<Range>& to, Reading& reading,
                 const char* field) {
  if (!reading.within(from.size(), limits::kRangesPerMessage, field)) return;
  to.resize(from.size());
  for (unsigned i = 0; i < from.size(); ++i) {
    auto range = from[i];
    reading.range(range.getFirst(), range.getLast(), to[i], field);
  }
}

// A Grant as bytes: no longer than its ranges make it.
constexpr std::size_t kGrantBytes = 16 * limits::kRangesPerMessage + kSmallFactBytes;

void read_grant(StructReader from, Signed& to, Reading& reading, const char* field) {
  read(from, to, reading, field, kGrantBytes);
}

}  // namespace

void write(StructBuilder any, const WorkAvailable& from) {
  auto to = any.as<wire::WorkAvailable>();
  to.setJob(raw(from.job));
  write(to.initLeader(), from.leader);
  to.setHops(from.hops);
  write_terms(to.initTerms(list_size(from.terms.size(), limits::kTermsPerChain)), from.terms);
}
void read(StructReader any, WorkAvailable& to, Reading& reading) {
  auto from = any.as<wire::WorkAvailable>();
  reading.id(from.getJob(), to.job, "work_available.job");
  read(from.getLeader(), to.leader, reading, "work_available.leader", limits::kRecordBytes);
  to.hops = from.getHops();
  read_terms(from.getTerms(), to.terms, reading, "work_available.terms");
}

void write(StructBuilder any, const WorkRequest& from) {
  auto to = any.as<wire::WorkRequest>();
  if (from.job) to.setJob(raw(*from.job));
  to.setThreads(from.threads);
  to.setUnitNs(from.unit_ns);
  to.setBacklogUnits(from.backlog_units);
}
void read(StructReader any, WorkRequest& to, Reading& reading) {
  auto from = any.as<wire::WorkRequest>();
  if (from.hasJob()) reading.id(from.getJob(), to.job.emplace(), "work_request.job");
  to.threads = from.getThreads();
  reading.number(from.getUnitNs(), to.unit_ns, kDurationNsMax, "work_request.unit_ns");
  reading.number(from.getBacklogUnits(), to.backlog_units, limits::kUnitsPerJob,
                 "work_request.backlog_units");
}

void write(StructBuilder any, const LeaseGrant& from) {
  auto to = any.as<wire::LeaseGrant>();
  to.setJob(raw(from.job));
  to.setEpoch(from.epoch);
  to.setLease(from.lease);
  to.setKind(static_cast<wire::LeaseKind>(from.kind));
  write_ranges(to.initRanges(ranges_size(from.ranges)), from.ranges);
  to.setDurationMs(from.duration_ms);
  if (from.manifest) write(to.initManifest(), *from.manifest);
  if (from.grant) write(to.initGrant(), *from.grant);
  write_terms(to.initTerms(list_size(from.terms.size(), limits::kTermsPerChain)), from.terms);
}
void read(StructReader any, LeaseGrant& to, Reading& reading) {
  auto from = any.as<wire::LeaseGrant>();
  reading.id(from.getJob(), to.job, "lease_grant.job");
  to.epoch = from.getEpoch();
  to.lease = from.getLease();
  reading.enumerant(from.getKind(), to.kind, LeaseKind::kDouble, "lease_grant.kind");
  read_ranges(from.getRanges(), to.ranges, reading, "lease_grant.ranges");
  reading.number(from.getDurationMs(), to.duration_ms, kDurationMsMax, "lease_grant.duration_ms");
  if (from.hasManifest()) {
    read(from.getManifest(), to.manifest.emplace(), reading, "lease_grant.manifest",
         limits::kManifestBytes);
  }
  if (from.hasGrant())
    read_grant(from.getGrant(), to.grant.emplace(), reading, "lease_grant.grant");
  read_terms(from.getTerms(), to.terms, reading, "lease_grant.terms");
}

void write(StructBuilder any, const NoWork& from) {
  auto to = any.as<wire::NoWork>();
  if (from.job) to.setJob(raw(*from.job));
  write_list(to.initHolders(list_size(from.holders.size(), limits::kSampleRecords)), from.holders);
  auto jobs = to.initJobs(list_size(from.jobs.size(), kJobsTold));
  for (unsigned i = 0; i < jobs.size(); ++i) write(jobs[i], from.jobs[i]);
}
void read(StructReader any, NoWork& to, Reading& reading) {
  auto from = any.as<wire::NoWork>();
  if (from.hasJob()) reading.id(from.getJob(), to.job.emplace(), "no_work.job");
  read_list(from.getHolders(), to.holders, reading, "no_work.holders", limits::kSampleRecords,
            limits::kRecordBytes);
  auto jobs = from.getJobs();
  if (!reading.within(jobs.size(), kJobsTold, "no_work.jobs")) return;
  to.jobs.resize(jobs.size());
  for (unsigned i = 0; i < jobs.size(); ++i) read(jobs[i], to.jobs[i], reading);
}

void write(StructBuilder any, const LeaseReport& from) {
  auto to = any.as<wire::LeaseReport>();
  to.setJob(raw(from.job));
  to.setEpoch(from.epoch);
  auto leases = to.initLeases(list_size(from.leases.size(), limits::kRangesPerMessage));
  for (unsigned i = 0; i < leases.size(); ++i) {
    auto held = leases[i];
    held.setLease(from.leases[i].lease);
    write_ranges(held.initRanges(ranges_size(from.leases[i].ranges)), from.leases[i].ranges);
  }
  to.setUnitNs(from.unit_ns);
  to.setDeclines(text(front_of(from.declines, limits::kTextBytes)));
}
void read(StructReader any, LeaseReport& to, Reading& reading) {
  auto from = any.as<wire::LeaseReport>();
  reading.text(from.getDeclines(), to.declines, "lease_report.declines");
  reading.id(from.getJob(), to.job, "lease_report.job");
  to.epoch = from.getEpoch();
  reading.number(from.getUnitNs(), to.unit_ns, kDurationNsMax, "lease_report.unit_ns");
  auto leases = from.getLeases();
  if (!reading.within(leases.size(), limits::kRangesPerMessage, "lease_report.leases")) return;
  to.leases.resize(leases.size());
  std::size_t ranges = 0;
  for (unsigned i = 0; i < leases.size(); ++i) {
    to.leases[i].lease = leases[i].getLease();
    read_ranges(leases[i].getRanges(), to.leases[i].ranges, reading, "lease_report.ranges");
    ranges += to.leases[i].ranges.size();
    if (!reading.within(ranges, limits::kRangesPerMessage, "lease_report.ranges")) return;
  }
}

void write(StructBuilder any, const LeaseRevoke& from) {
  auto to = any.as<wire::LeaseRevoke>();
  to.setJob(raw(from.job));
  write_ranges(to.initRanges(ranges_size(from.ranges)), from.ranges);
  to.setJobOver(from.job_over);
}
void read(StructReader any, LeaseRevoke& to, Reading& reading) {
  auto from = any.as<wire::LeaseRevoke>();
  reading.id(from.getJob(), to.job, "lease_revoke.job");
  read_ranges(from.getRanges(), to.ranges, reading, "lease_revoke.ranges");
  to.job_over = from.getJobOver();
}

void write(StructBuilder any, const StealRequest& from) {
  auto to = any.as<wire::StealRequest>();
  to.setJob(raw(from.job));
  to.setThreads(from.threads);
}
void read(StructReader any, StealRequest& to, Reading& reading) {
  auto from = any.as<wire::StealRequest>();
  reading.id(from.getJob(), to.job, "steal_request.job");
  to.threads = from.getThreads();
}

void write(StructBuilder any, const Transfer& from) {
  auto to = any.as<wire::Transfer>();
  to.setJob(raw(from.job));
  to.setEpoch(from.epoch);
  to.setLease(from.lease);
  write_ranges(to.initRanges(ranges_size(from.ranges)), from.ranges);
  to.setGiver(raw(from.from));
  to.setTaker(raw(from.to));
}
void read(StructReader any, Transfer& to, Reading& reading) {
  auto from = any.as<wire::Transfer>();
  reading.id(from.getJob(), to.job, "transfer.job");
  to.epoch = from.getEpoch();
  to.lease = from.getLease();
  read_ranges(from.getRanges(), to.ranges, reading, "transfer.ranges");
  reading.id(from.getGiver(), to.from, "transfer.from");
  reading.id(from.getTaker(), to.to, "transfer.to");
}

void write(StructBuilder any, const StealReply& from) {
  auto to = any.as<wire::StealReply>();
  to.setJob(raw(from.job));
  if (from.transfer) write(to.initTransfer(), *from.transfer);
  to.setDurationMs(from.duration_ms);
}
void read(StructReader any, StealReply& to, Reading& reading) {
  auto from = any.as<wire::StealReply>();
  reading.id(from.getJob(), to.job, "steal_reply.job");
  if (from.hasTransfer()) {
    read(from.getTransfer(), to.transfer.emplace(), reading, "steal_reply.transfer");
  }
  reading.number(from.getDurationMs(), to.duration_ms, kDurationMsMax, "steal_reply.duration_ms");
}

void write(StructBuilder any, const TransferNotice& from) {
  auto to = any.as<wire::TransferNotice>();
  write(to.initByVictim(), from.by_victim);
  to.setByThief(raw(from.by_thief.bytes));
}
void read(StructReader any, TransferNotice& to, Reading& reading) {
  auto from = any.as<wire::TransferNotice>();
  read(from.getByVictim(), to.by_victim, reading, "transfer_notice.by_victim");
  reading.exactly(from.getByThief(), to.by_thief.bytes, "transfer_notice.by_thief");
}

void write(StructBuilder any, const TransferReply& from) {
  auto to = any.as<wire::TransferReply>();
  to.setJob(raw(from.job));
  to.setLease(from.lease);
  to.setNewLease(from.new_lease);
  write_ranges(to.initRanges(ranges_size(from.ranges)), from.ranges);
  to.setDurationMs(from.duration_ms);
  if (from.grant) write(to.initGrant(), *from.grant);
}
void read(StructReader any, TransferReply& to, Reading& reading) {
  auto from = any.as<wire::TransferReply>();
  reading.id(from.getJob(), to.job, "transfer_reply.job");
  to.lease = from.getLease();
  to.new_lease = from.getNewLease();
  read_ranges(from.getRanges(), to.ranges, reading, "transfer_reply.ranges");
  reading.number(from.getDurationMs(), to.duration_ms, kDurationMsMax,
                 "transfer_reply.duration_ms");
  if (from.hasGrant()) {
    read_grant(from.getGrant(), to.grant.emplace(), reading, "transfer_reply.grant");
  }
}

void write(StructBuilder any, const Grant& from) {
  auto to = any.as<wire::Grant>();
  to.setJob(raw(from.job));
  to.setEpoch(from.epoch);
  to.setLease(from.lease);
  to.setKind(static_cast<wire::LeaseKind>(from.kind));
  write_ranges(to.initRanges(ranges_size(from.ranges)), from.ranges);
  to.setWorker(raw(from.worker));
}
void read(StructReader any, Grant& to, Reading& reading) {
  auto from = any.as<wire::Grant>();
  reading.id(from.getJob(), to.job, "grant.job");
  to.epoch = from.getEpoch();
  to.lease = from.getLease();
  reading.enumerant(from.getKind(), to.kind, LeaseKind::kDouble, "grant.kind");
  read_ranges(from.getRanges(), to.ranges, reading, "grant.ranges");
  reading.id(from.getWorker(), to.worker, "grant.worker");
}

void write(StructBuilder any, const Rejoin& from) {
  auto to = any.as<wire::Rejoin>();
  to.setJob(raw(from.job));
  to.setEpoch(from.epoch);
  auto parts = to.initParts(list_size(from.parts.size(), limits::kGrantsPerMessage));
  for (unsigned i = 0; i < parts.size(); ++i) {
    auto part = parts[i];
    write(part.initGrant(), from.parts[i].grant);
    write_ranges(part.initHeld(ranges_size(from.parts[i].held)), from.parts[i].held);
  }
  to.setThreads(from.threads);
  to.setUnitNs(from.unit_ns);
}
void read(StructReader any, Rejoin& to, Reading& reading) {
  auto from = any.as<wire::Rejoin>();
  reading.id(from.getJob(), to.job, "rejoin.job");
  to.epoch = from.getEpoch();
  to.threads = from.getThreads();
  reading.number(from.getUnitNs(), to.unit_ns, kDurationNsMax, "rejoin.unit_ns");
  auto parts = from.getParts();
  if (!reading.within(parts.size(), limits::kGrantsPerMessage, "rejoin.parts")) return;
  to.parts.resize(parts.size());
  for (unsigned i = 0; i < parts.size(); ++i) {
    read_grant(parts[i].getGrant(), to.parts[i].grant, reading, "rejoin.grant");
    read_ranges(parts[i].getHeld(), to.parts[i].held, reading, "rejoin.held");
  }
}

void write(StructBuilder any, const RejoinReply& from) {
  auto to = any.as<wire::RejoinReply>();
  to.setJob(raw(from.job));
  to.setEpoch(from.epoch);
  auto leases = to.initLeases(list_size(from.leases.size(), limits::kGrantsPerMessage));
  for (unsigned i = 0; i < leases.size(); ++i) {
    auto lease = leases[i];
    lease.setOldEpoch(from.leases[i].old_epoch);
    lease.setOldLease(from.leases[i].old_lease);
    write(lease.initGrant(), from.leases[i].grant);
  }
  to.setDurationMs(from.duration_ms);
  write_ranges(to.initOpen(ranges_size(from.open)), from.open);
}
void read(StructReader any, RejoinReply& to, Reading& reading) {
  auto from = any.as<wire::RejoinReply>();
  reading.id(from.getJob(), to.job, "rejoin_reply.job");
  to.epoch = from.getEpoch();
  reading.number(from.getDurationMs(), to.duration_ms, kDurationMsMax, "rejoin_reply.duration_ms");
  read_ranges(from.getOpen(), to.open, reading, "rejoin_reply.open");
  auto leases = from.getLeases();
  if (!reading.within(leases.size(), limits::kGrantsPerMessage, "rejoin_reply.leases")) return;
  to.leases.resize(leases.size());
  for (unsigned i = 0; i < leases.size(); ++i) {
    to.leases[i].old_epoch = leases[i].getOldEpoch();
    to.leases[i].old_lease = leases[i].getOldLease();
    read_grant(leases[i].getGrant(), to.leases[i].grant, reading, "rejoin_reply.grant");
  }
}

void write(StructBuilder any, const UnitState& from) {
  auto to = any.as<wire::UnitState>();
  to.setJob(raw(from.job));
  to.setUnit(from.unit);
  check(from.state.size() <= limits::kUnitStateBytes, "a unit's state past its limit");
  to.setState(raw(from.state));
}
void read(StructReader any, UnitState& to, Reading& reading) {
  auto from = any.as<wire::UnitState>();
  reading.id(from.getJob(), to.job, "unit_state.job");
  reading.number(from.getUnit(), to.unit, limits::kUnitsPerJob, "unit_state.unit");
  reading.bytes(from.getState(), to.state, limits::kUnitStateBytes, "unit_state.state");
}

void write(StructBuilder, const WorkerStatusRequest&) {}
void read(StructReader, WorkerStatusRequest&, Reading&) {}

void write(StructBuilder any, const WorkerStatus& from) {
  auto to = any.as<wire::WorkerStatus>();
  to.setNode(raw(from.node));
  to.setAgent(text(front_of(from.agent, limits::kTextBytes)));
  to.setThreads(from.threads);
  to.setPeers(from.peers);
  to.setUnitsComputed(from.units_computed);
  to.setUnitsStolen(from.units_stolen);
  to.setUnitsFailed(from.units_failed);
  to.setJobsLed(from.jobs_led);
  to.setBacklogUnits(from.backlog_units);
  to.setDoing(text(front_of(from.doing, limits::kTextBytes)));
  to.setReachability(static_cast<wire::Reachability>(from.reachability));
  to.setLinksDirect(from.links_direct);
  to.setLinksReversed(from.links_reversed);
  to.setLinksPunched(from.links_punched);
  to.setLinksRelayed(from.links_relayed);
  to.setMapped(text(from.mapped, limits::kEndpointBytes));
}
void read(StructReader any, WorkerStatus& to, Reading& reading) {
  auto from = any.as<wire::WorkerStatus>();
  reading.id(from.getNode(), to.node, "worker_status.node");
  reading.text(from.getAgent(), to.agent, "worker_status.agent");
  to.threads = from.getThreads();
  to.peers = from.getPeers();
  to.units_computed = from.getUnitsComputed();
  to.units_stolen = from.getUnitsStolen();
  to.units_failed = from.getUnitsFailed();
  to.jobs_led = from.getJobsLed();
  to.backlog_units = from.getBacklogUnits();
  reading.text(from.getDoing(), to.doing, "worker_status.doing");
  reading.enumerant(from.getReachability(), to.reachability, Reachability::kUnreachable,
                    "worker_status.reachability");
  to.links_direct = from.getLinksDirect();
  to.links_reversed = from.getLinksReversed();
  to.links_punched = from.getLinksPunched();
  to.links_relayed = from.getLinksRelayed();
  reading.text(from.getMapped(), to.mapped, "worker_status.mapped", limits::kEndpointBytes);
}

}  // namespace codec

Bytes encode(const Grant& grant) {
  return codec::encode_root<wire::Grant>(grant, codec::wire_bytes(grant.ranges) + 192);
}
Result<Grant, DecodeError> decode_grant(ByteView bytes) {
  return codec::decode_root<wire::Grant, Grant>(bytes, "grant", codec::kGrantBytes);
}
Bytes encode(const Transfer& transfer) {
  return codec::encode_root<wire::Transfer>(transfer, codec::wire_bytes(transfer.ranges) + 256);
}
Result<Transfer, DecodeError> decode_transfer(ByteView bytes) {
  return codec::decode_root<wire::Transfer, Transfer>(
      bytes, "transfer", 16 * limits::kRangesPerMessage + codec::kSmallFactBytes);
}

}  // namespace shoal
