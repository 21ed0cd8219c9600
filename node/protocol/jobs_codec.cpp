#include "node/protocol/codec_detail.h"
#include "node/protocol/jobs.capnp.h"

namespace shoal {
namespace codec {
namespace {

// The texts of one job among many: with these, kJobsLed of them fit into one message.
constexpr std::size_t kStatusTextBytes = 256;

}  // namespace

static_assert(static_cast<int>(wire::KernelKind::PROGRAM) ==
              static_cast<int>(KernelKind::kProgram));
static_assert(static_cast<int>(wire::Comparison::EQUIVALENT) ==
              static_cast<int>(Comparison::kEquivalent));
static_assert(static_cast<int>(wire::ControlCommand::PRIORITY) ==
              static_cast<int>(ControlCommand::kPriority));
static_assert(static_cast<int>(wire::SubmitOutcome::STORAGE_FAILED) ==
              static_cast<int>(SubmitOutcome::kStorageFailed));
static_assert(static_cast<int>(wire::JobPhase::CANCELLED) ==
              static_cast<int>(JobPhase::kCancelled));

void write(StructBuilder any, const Manifest& from) {
  auto to = any.as<wire::Manifest>();
  to.setNonce(raw(from.nonce));
  to.setName(text(front_of(from.name, limits::kTextBytes)));
  to.setKernelKind(static_cast<wire::KernelKind>(from.kernel_kind));
  to.setKernel(text(from.kernel));
  if (from.program) to.setProgram(raw(*from.program));
  to.setProgramBytes(from.program_bytes);
  to.setParameters(raw(from.parameters));
  to.setUnits(from.units);
  if (from.inputs) to.setInputs(raw(*from.inputs));
  to.setInputsBytes(from.inputs_bytes);
  to.setQuorum(from.quorum);
  to.setMaxAttempts(from.max_attempts);
  to.setComparison(static_cast<wire::Comparison>(from.comparison));
  to.setDistinctBlocks(from.distinct_blocks);
  to.setUnitWallMs(from.unit_wall_ms);
  to.setUnitMemoryBytes(from.unit_memory_bytes);
  to.setOutputBytesMax(from.output_bytes_max);
  to.setPriority(from.priority);
  to.setCreated(from.created);
  to.setKeepS(from.keep_s);
  if (!from.contents.empty()) {
    auto contents = to.initContents(list_size(from.contents.size(), limits::kManifestContents));
    for (unsigned i = 0; i < contents.size(); ++i) {
      contents[i].setId(raw(from.contents[i].id));
      contents[i].setLength(from.contents[i].length);
    }
  }
  if (!from.needs.empty()) {
    auto needs = to.initNeeds(list_size(from.needs.size(), limits::kManifestNeeds));
    for (unsigned i = 0; i < needs.size(); ++i) {
      needs.set(i, text(from.needs[i], limits::kNeedBytes));
    }
  }
  if (from.submitter) to.setSubmitter(raw(*from.submitter));
}

namespace {

void read_kernel(wire::Manifest::Reader from, Manifest& to, Reading& reading) {
  reading.enumerant(from.getKernelKind(), to.kernel_kind, KernelKind::kProgram,
                    "manifest.kernel_kind");
  reading.text(from.getKernel(), to.kernel, "manifest.kernel");
  if (from.hasProgram()) {
    reading.id(from.getProgram(), to.program.emplace(), "manifest.program");
  }
  reading.require(to.program.has_value() == brings_program(to.kernel_kind), "manifest.program",
                  "does not go with the kind of kernel");
  reading.number(from.getProgramBytes(), to.program_bytes, limits::kContentBytes,
                 "manifest.program_bytes");
  reading.bytes(from.getParameters(), to.parameters, limits::kParameterBytes,
                "manifest.parameters");
}

void read_contents(wire::Manifest::Reader from, Manifest& to, Reading& reading) {
  auto contents = from.getContents();
  if (!reading.within(contents.size(), limits::kManifestContents, "manifest.contents")) return;
  to.contents.resize(contents.size());
  for (unsigned i = 0; i < contents.size(); ++i) {
    reading.id(contents[i].getId(), to.contents[i].id, "manifest.contents.id");
    reading.number(contents[i].getLength(), to.contents[i].length, limits::kContentBytes,
                   "manifest.contents.length");
  }
  auto needs = from.getNeeds();
  if (!reading.within(needs.size(), limits::kManifestNeeds, "manifest.needs")) return;
  to.needs.resize(needs.size());
  for (unsigned i = 0; i < needs.size(); ++i) {
    reading.text(needs[i], to.needs[i], "manifest.needs", limits::kNeedBytes);
  }
}

void read_policy(wire::Manifest::Reader from, Manifest& to, Reading& reading) {
  to.quorum = from.getQuorum();
  reading.require(1 <= to.quorum && to.quorum <= limits::kQuorumMax, "manifest.quorum",
                  "is out of range");
  to.max_attempts = from.getMaxAttempts();
  reading.require(1 <= to.max_attempts && to.max_attempts <= limits::kAttemptsMax,
                  "manifest.max_attempts", "is out of range");
  reading.enumerant(from.getComparison(), to.comparison, Comparison::kEquivalent,
                    "manifest.comparison");
  to.distinct_blocks = from.getDistinctBlocks();
  reading.number(from.getUnitWallMs(), to.unit_wall_ms, kDurationMsMax, "manifest.unit_wall_ms");
  to.unit_memory_bytes = from.getUnitMemoryBytes();
  reading.number(from.getOutputBytesMax(), to.output_bytes_max, limits::kOutputBytes,
                 "manifest.output_bytes_max");
  to.priority = from.getPriority();
}

}  // namespace

void read(StructReader any, Manifest& to, Reading& reading) {
  auto from = any.as<wire::Manifest>();
  reading.exactly(from.getNonce(), to.nonce, "manifest.nonce");
  reading.text(from.getName(), to.name, "manifest.name");
  read_kernel(from, to, reading);
  reading.number(from.getUnits(), to.units, limits::kUnitsPerJob, "manifest.units");
  reading.require(to.units > 0, "manifest.units", "is zero");
  if (from.hasInputs()) reading.id(from.getInputs(), to.inputs.emplace(), "manifest.inputs");
  reading.number(from.getInputsBytes(), to.inputs_bytes, limits::kContentBytes,
                 "manifest.inputs_bytes");
  read_policy(from, to, reading);
  reading.unix_ms(from.getCreated(), to.created, "manifest.created");
  reading.number(from.getKeepS(), to.keep_s, kDurationMsMax / 1000, "manifest.keep_s");
  read_contents(from, to, reading);
  if (from.hasSubmitter()) {
    reading.id(from.getSubmitter(), to.submitter.emplace(), "manifest.submitter");
  }
}

void write(StructBuilder any, const Control& from) {
  auto to = any.as<wire::Control>();
  to.setJob(raw(from.job));
  to.setSequence(from.sequence);
  to.setCommand(static_cast<wire::ControlCommand>(from.command));
  to.setPriority(from.priority);
}
void read(StructReader any, Control& to, Reading& reading) {
  auto from = any.as<wire::Control>();
  reading.id(from.getJob(), to.job, "control.job");
  reading.number(from.getSequence(), to.sequence, kSequenceMax, "control.sequence");
  reading.enumerant(from.getCommand(), to.command, ControlCommand::kPriority, "control.command");
  to.priority = from.getPriority();
}

void write(StructBuilder any, const Submit& from) {
  auto to = any.as<wire::Submit>();
  write(to.initManifest(), from.manifest);
  write_terms(to.initTerms(list_size(from.terms.size(), limits::kTermsPerChain)), from.terms);
}
void read(StructReader any, Submit& to, Reading& reading) {
  auto from = any.as<wire::Submit>();
  read(from.getManifest(), to.manifest, reading, "submit.manifest", limits::kManifestBytes);
  read_terms(from.getTerms(), to.terms, reading, "submit.terms");
}

void write(StructBuilder any, const SubmitReply& from) {
  auto to = any.as<wire::SubmitReply>();
  to.setJob(raw(from.job));
  to.setOutcome(static_cast<wire::SubmitOutcome>(from.outcome));
  to.setDetail(text(front_of(from.detail, limits::kTextBytes)));
}
void read(StructReader any, SubmitReply& to, Reading& reading) {
  auto from = any.as<wire::SubmitReply>();
  reading.id(from.getJob(), to.job, "submit_reply.job");
  reading.enumerant(from.getOutcome(), to.outcome, SubmitOutcome::kStorageFailed,
                    "submit_reply.outcome");
  reading.text(from.getDetail(), to.detail, "submit_reply.detail");
}

namespace {

void write_spread(wire::Spread::Builder to, const Spread& from) {
  to.setMedian(from.median);
  to.setMost(from.most);
}
Spread read_spread(wire::Spread::Reader from) { return {from.getMedian(), from.getMost()}; }

void write_usage(wire::JobUsage::Builder to, const JobUsage& from) {
  to.setUnits(from.units);
  to.setCpuMsOfAll(from.cpu_ms_all);
  write_spread(to.initWallMs(), from.wall_ms);
  write_spread(to.initCpuMs(), from.cpu_ms);
  write_spread(to.initMemoryKib(), from.memory_kib);
}
void read_usage(wire::JobUsage::Reader from, JobUsage& to) {
  to.units = from.getUnits();
  to.cpu_ms_all = from.getCpuMsOfAll();
  to.wall_ms = read_spread(from.getWallMs());
  to.cpu_ms = read_spread(from.getCpuMs());
  to.memory_kib = read_spread(from.getMemoryKib());
}

void write_status(wire::JobStatus::Builder to, const JobStatus& from) {
  to.setJob(raw(from.job));
  to.setPhase(static_cast<wire::JobPhase>(from.phase));
  to.setUnits(from.units);
  to.setVerified(from.verified);
  to.setFailed(from.failed);
  to.setDisputed(from.disputed);
  to.setCommitted(from.committed);
  to.setLeased(from.leased);
  to.setWorkers(from.workers);
  to.setMoved(from.moved);
  to.setRecomputed(from.recomputed);
  to.setUnblinded(from.unblinded);
  to.setWaitingFor(text(front_of(from.waiting_for, kStatusTextBytes)));
  to.setName(text(front_of(from.name, kStatusTextBytes)));
  to.setSubmitter(raw(from.submitter));
  to.setCreated(from.created);
  to.setLeads(from.leads);
  to.setEpoch(from.epoch);
  to.setStewards(raw(from.stewards));
  to.setStewardsHere(from.stewards_here);
  to.setKeptUntil(from.kept_until);
  to.setPriority(from.priority);
  to.setInputsHeld(from.inputs_held);
  to.setLargeOutputs(from.large_outputs);
  to.setThinOutputs(from.thin_outputs);
  to.setKeepS(from.keep_s);
  if (from.usage != JobUsage()) write_usage(to.initUsage(), from.usage);
}
void read_status(wire::JobStatus::Reader from, JobStatus& to, Reading& reading) {
  reading.id(from.getJob(), to.job, "job_status.job");
  reading.enumerant(from.getPhase(), to.phase, JobPhase::kCancelled, "job_status.phase");
  to.units = from.getUnits();
  to.verified = from.getVerified();
  to.failed = from.getFailed();
  to.disputed = from.getDisputed();
  to.committed = from.getCommitted();
  to.leased = from.getLeased();
  to.workers = from.getWorkers();
  to.moved = from.getMoved();
  to.recomputed = from.getRecomputed();
  to.unblinded = from.getUnblinded();
  reading.text(from.getWaitingFor(), to.waiting_for, "job_status.waiting_for", kStatusTextBytes);
  reading.text(from.getName(), to.name, "job_status.name", kStatusTextBytes);
  reading.id(from.getSubmitter(), to.submitter, "job_status.submitter");
  reading.unix_ms(from.getCreated(), to.created, "job_status.created");
  to.leads = from.getLeads();
  to.epoch = from.getEpoch();
  reading.ids(from.getStewards(), to.stewards, limits::kStewards, "job_status.stewards");
  to.stewards_here = from.getStewardsHere();
  reading.unix_ms(from.getKeptUntil(), to.kept_until, "job_status.kept_until");
  to.priority = from.getPriority();
  to.inputs_held = from.getInputsHeld();
  to.large_outputs = from.getLargeOutputs();
  to.thin_outputs = from.getThinOutputs();
  reading.number(from.getKeepS(), to.keep_s, kDurationMsMax / 1000, "job_status.keep_s");
  read_usage(from.getUsage(), to.usage);
}

}  // namespace

void write(StructBuilder any, const JobStatusRequest& from) {
  auto to = any.as<wire::JobStatusRequest>();
  to.setJob(raw(from.job));
  to.setSubmitter(raw(from.submitter));
}
void read(StructReader any, JobStatusRequest& to, Reading& reading) {
  auto from = any.as<wire::JobStatusRequest>();
  reading.id(from.getJob(), to.job, "job_status_request.job");
  reading.id(from.getSubmitter(), to.submitter, "job_status_request.submitter");
}

void write(StructBuilder any, const JobStatusReply& from) {
  auto to = any.as<wire::JobStatusReply>().initJobs(list_size(from.jobs.size(), limits::kJobsLed));
  for (unsigned i = 0; i < to.size(); ++i) write_status(to[i], from.jobs[i]);
}
void read(StructReader any, JobStatusReply& to, Reading& reading) {
  auto from = any.as<wire::JobStatusReply>().getJobs();
  if (!reading.within(from.size(), limits::kJobsLed, "job_status_reply.jobs")) return;
  to.jobs.resize(from.size());
  for (unsigned i = 0; i < from.size(); ++i) read_status(from[i], to.jobs[i], reading);
}

void write(StructBuilder any, const ControlRequest& from) {
  write(any.as<wire::ControlRequest>().initControl(), from.control);
}
void read(StructReader any, ControlRequest& to, Reading& reading) {
  read(any.as<wire::ControlRequest>().getControl(), to.control, reading, "control_request.control");
}

void write(StructBuilder any, const JobFind& from) {
  auto to = any.as<wire::JobFind>();
  to.setJob(raw(from.job));
  to.setWithManifest(from.with_manifest);
}
void read(StructReader any, JobFind& to, Reading& reading) {
  auto from = any.as<wire::JobFind>();
  reading.id(from.getJob(), to.job, "job_find.job");
  to.with_manifest = from.getWithManifest();
}

void write(StructBuilder any, const JobFound& from) {
  auto to = any.as<wire::JobFound>();
  to.setJob(raw(from.job));
  if (from.leader) write(to.initLeader(), *from.leader);
  write_terms(to.initTerms(list_size(from.terms.size(), limits::kTermsPerChain)), from.terms);
  write_list(to.initStewards(list_size(from.stewards.size(), limits::kStewards)), from.stewards);
  if (from.manifest) write(to.initManifest(), *from.manifest);
}
void read(StructReader any, JobFound& to, Reading& reading) {
  auto from = any.as<wire::JobFound>();
  reading.id(from.getJob(), to.job, "job_found.job");
  if (from.hasLeader()) {
    read(from.getLeader(), to.leader.emplace(), reading, "job_found.leader", limits::kRecordBytes);
  }
  read_terms(from.getTerms(), to.terms, reading, "job_found.terms");
  read_list(from.getStewards(), to.stewards, reading, "job_found.stewards", limits::kStewards,
            limits::kRecordBytes);
  if (from.hasManifest()) {
    read(from.getManifest(), to.manifest.emplace(), reading, "job_found.manifest",
         limits::kManifestBytes);
  }
}

}  // namespace codec

// What a manifest says is the scientist's; so limits are not asserted here. One that is past them
// does not decode, and no steward takes it.
Bytes encode(const Manifest& manifest) {
  const std::size_t guess = codec::wire_bytes(manifest.parameters) +
                            codec::wire_bytes(manifest.name) + codec::wire_bytes(manifest.kernel) +
                            512;
  return codec::encode_root<wire::Manifest>(manifest, guess);
}
Bytes encode(const Control& control) { return codec::encode_root<wire::Control>(control); }

Result<Manifest, DecodeError> decode_manifest(ByteView bytes) {
  return codec::decode_root<wire::Manifest, Manifest>(bytes, "manifest", limits::kManifestBytes);
}
Result<Control, DecodeError> decode_control(ByteView bytes) {
  return codec::decode_root<wire::Control, Control>(bytes, "control", codec::kSmallFactBytes);
}

}  // namespace shoal
