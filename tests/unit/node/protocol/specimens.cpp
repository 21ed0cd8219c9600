#include "tests/unit/node/protocol/specimens.h"

#include <utility>

#include "node/protocol/limits.h"

namespace shoal::specimens {

Signed signed_bytes(std::uint8_t first, std::size_t body_bytes) {
  Signed fact;
  fact.signer = id<NodeId>(first);
  for (std::size_t i = 0; i < body_bytes; ++i) {
    fact.body.push_back(static_cast<std::uint8_t>(first + i));
  }
  for (std::uint8_t& byte : fact.signature.bytes) byte = --first;
  return fact;
}

std::vector<Hash256> hashes(std::uint8_t first, std::size_t count) {
  std::vector<Hash256> hashes;
  for (std::size_t i = 0; i < count; ++i) {
    hashes.push_back(id<Hash256>(static_cast<std::uint8_t>(first + 7 * i)));
  }
  return hashes;
}

PackedOutputs outputs() {
  PackedOutputs outputs;
  outputs.sizes = {3, 70'000, 0, 1024, 1025};
  outputs.inline_bytes.assign(1027, 0x5A);
  outputs.inline_bytes.front() = 1;
  outputs.inline_bytes.back() = 2;
  outputs.large = {id<ContentId>(11), id<ContentId>(12)};
  return outputs;
}
PackedOutputs measured_outputs() {
  PackedOutputs measured = outputs();
  for (std::uint32_t i = 0; i < measured.sizes.size(); ++i) {
    measured.costs.push_back(
        {70'000 + i, 65'000 + i, 300'000 + i, 1, static_cast<std::uint8_t>(i)});
  }
  return measured;
}

NodeRecord record() {
  NodeRecord record;
  record.node = id<NodeId>(1);
  record.pool = id<PoolId>(2);
  record.role = Role::kCoordinator;
  record.endpoints = {"tcp://192.0.2.1:5555", "tcp://[2001:db8::1]:5555"};
  record.threads = 12;
  record.memory_bytes = 8ULL << 30;
  record.kernels = {"align", "mandelbrot"};
  record.runs_native_from_anyone = true;
  record.agent = "shoal/0.1.0";
  record.sequence = 1'700'000'000'123;
  record.ttl_s = 600;
  return record;
}

Manifest manifest() {
  Manifest manifest;
  for (std::uint8_t i = 0; i < 16; ++i) manifest.nonce[i] = static_cast<std::uint8_t>(200 + i);
  manifest.name = "all against all";
  manifest.kernel_kind = KernelKind::kNative;
  manifest.kernel = "align";
  manifest.program = id<ContentId>(3);
  manifest.program_bytes = 1'234'567;
  manifest.parameters = {9, 8, 7, 0, 255};
  manifest.units = 1'000'000'000;
  manifest.inputs = id<ContentId>(4);
  manifest.inputs_bytes = 7'654'321;
  manifest.quorum = 3;
  manifest.max_attempts = 5;
  manifest.comparison = Comparison::kEquivalent;
  manifest.distinct_blocks = true;
  manifest.unit_wall_ms = 60'001;
  manifest.unit_memory_bytes = 1ULL << 29;
  manifest.output_bytes_max = 1ULL << 30;
  manifest.priority = -4;
  manifest.created = 1'700'000'000'456;
  return manifest;
}

Commitment commitment() {
  return {id<JobId>(5), id<NodeId>(6), {1000, 1000 + limits::kUnitsPerBatch}, id<Hash256>(7)};
}

Failure failure() {
  return {id<JobId>(5),          id<NodeId>(6),        limits::kUnitsPerJob - 1,
          FailureKind::kRefused, "no such sequence: ", "line 1\nline 2\n"};
}

Transfer transfer() {
  return {id<JobId>(5), 3, 17, {{10, 20}, {40, limits::kUnitsPerJob}}, id<NodeId>(8),
          id<NodeId>(9)};
}

Control control() { return {id<JobId>(5), 42, ControlCommand::kPriority, -7}; }

Snapshot snapshot() { return {id<JobId>(5), 90, 7, 3, id<Hash256>(10)}; }

Grant grant() {
  return {id<JobId>(5), 3, 17, LeaseKind::kVerify, {{10, 20}, {40, limits::kUnitsPerJob}},
          id<NodeId>(9)};
}

Term term() { return {id<JobId>(5), 4, {id<NodeId>(8), id<NodeId>(9), id<NodeId>(10)}}; }

ComparisonVerdict comparison_verdict() {
  return {id<JobId>(5), id<NodeId>(6), 77, hashes(20, 3), true};
}

namespace {

TermChain terms() {
  const Endorsement first{id<NodeId>(21), signed_bytes(22, 0).signature};
  const Endorsement second{id<NodeId>(23), signed_bytes(24, 0).signature};
  return {{signed_bytes(25, 200), {}}, {signed_bytes(26, 201), {first, second}}};
}

std::vector<Support> supports(std::size_t units) {
  Support first{signed_bytes(30, 152), id<Hash256>(31), id<Hash256>(32), {}, {}, false};
  Support second{signed_bytes(33, 152), id<Hash256>(34), id<Hash256>(35),
                 hashes(36, units),     hashes(37, 4),   true};
  return {first, second};
}

}  // namespace

Receipt verified_receipt() {
  Receipt receipt;
  receipt.sequence = 12;
  receipt.range = {500, 505};
  receipt.end = UnitEnd::kVerified;
  receipt.outputs = outputs();
  receipt.supports = supports(5);
  receipt.comparisons = {signed_bytes(38, 200)};
  return receipt;
}
Receipt disputed_receipt() {
  Receipt receipt;
  receipt.sequence = 13;
  receipt.range = {505, 507};
  receipt.end = UnitEnd::kDisputed;
  receipt.supports = supports(2);
  return receipt;
}
Receipt failed_receipt() {
  Receipt receipt;
  receipt.sequence = 14;
  receipt.range = {507, 508};
  receipt.end = UnitEnd::kFailed;
  receipt.failures = {signed_bytes(39, 300), signed_bytes(40, 301), signed_bytes(41, 0)};
  return receipt;
}

namespace {

JobStatus job_status() {
  JobStatus status;
  status.job = id<JobId>(5);
  status.phase = JobPhase::kPaused;
  status.units = 1;
  status.verified = 2;
  status.failed = 3;
  status.disputed = 4;
  status.committed = 5;
  status.leased = 6;
  status.workers = 7;
  status.moved = 8;
  status.recomputed = 9;
  status.unblinded = 10;
  status.waiting_for = "one more worker";
  status.name = "all against all";
  status.submitter = id<NodeId>(50);
  status.created = 1'700'000'000'789;
  return status;
}

WorkerStatus worker_status() {
  WorkerStatus status;
  status.node = id<NodeId>(51);
  status.agent = "shoal/0.1.0";
  status.threads = 1;
  status.peers = 2;
  status.units_computed = 3;
  status.units_stolen = 4;
  status.units_failed = 5;
  status.jobs_led = 6;
  status.backlog_units = 7;
  status.doing = "computing";
  return status;
}

WorkerStatus reached_status() {
  WorkerStatus status = worker_status();
  status.reachability = Reachability::kUnreachable;
  status.links_direct = 8;
  status.links_reversed = 9;
  status.links_punched = 10;
  status.links_relayed = 11;
  return status;
}

void add_rendezvous(std::vector<Message>& all) {
  all.push_back(Hello{7, id<PoolId>(2), id<NodeId>(1), Role::kSubmitter, signed_bytes(60, 333)});
  all.push_back(Refused{RefusalReason::kTooBusy, "come back in a minute"});
  all.push_back(Announce{signed_bytes(61, 400)});
  all.push_back(Announced{"2001:db8::2", 600});
  all.push_back(SampleRequest{64, 99});
  all.push_back(Sample{{signed_bytes(62, 300), signed_bytes(63, 299)}, 100, 12'345});
  all.push_back(Leave{});
}

void add_jobs(std::vector<Message>& all) {
  all.push_back(Submit{signed_bytes(64, 5000)});
  all.push_back(SubmitReply{id<JobId>(5), SubmitOutcome::kStorageFailed, "the disk is full"});
  all.push_back(JobStatusRequest{id<JobId>(5), id<NodeId>(50)});
  all.push_back(JobStatusReply{{job_status(), job_status()}});
  all.push_back(ControlRequest{signed_bytes(65, 80)});
  all.push_back(JobFind{id<JobId>(5)});
  all.push_back(JobFound{id<JobId>(5), signed_bytes(66, 301)});
}

void add_work(std::vector<Message>& all) {
  const std::vector<Range> ranges = {{0, 1}, {5, 1'000'000}};
  const WorkAvailable news{id<JobId>(5), signed_bytes(67, 302), 2};
  all.push_back(news);
  all.push_back(WorkRequest{id<JobId>(5), 8, 1'234'567, 89});
  all.push_back(
      LeaseGrant{id<JobId>(5), 1, 22, LeaseKind::kDouble, ranges, 60'000, signed_bytes(68, 600)});
  all.push_back(NoWork{id<JobId>(5), {signed_bytes(69, 303), signed_bytes(70, 304)}, {news, news}});
  all.push_back(LeaseReport{id<JobId>(5), 1, {{22, ranges}, {23, {{7, 9}}}}, 1'234'568, ""});
  all.push_back(LeaseRevoke{id<JobId>(5), ranges, true});
  all.push_back(StealRequest{id<JobId>(5), 4});
  all.push_back(StealReply{id<JobId>(5), signed_bytes(71, 250), 59'000});
  all.push_back(TransferNotice{signed_bytes(72, 250), signed_bytes(73, 0).signature});
  all.push_back(TransferReply{id<JobId>(5), 22, 24, ranges, 58'000});
}

void add_verification(std::vector<Message>& all) {
  all.push_back(
      CommitNotice{{signed_bytes(74, 152), signed_bytes(75, 152)}, id<JobId>(5), 98'765'432});
  all.push_back(FailureNotice{{signed_bytes(76, 500), signed_bytes(77, 501)}});
  all.push_back(RevealRequest{id<JobId>(5), {100, 200}, {120, 125}, RevealDetail::kOutputs});
  all.push_back(Reveal{id<JobId>(5),
                       {100, 200},
                       {120, 125},
                       id<Hash256>(78),
                       id<Hash256>(79),
                       hashes(80, 5),
                       outputs(),
                       hashes(81, 9),
                       true});
  all.push_back(CompareRequest{id<JobId>(5), 121, outputs()});
  all.push_back(CompareReply{signed_bytes(82, 240)});
}

void add_results_and_content(std::vector<Message>& all) {
  all.push_back(ResultsRequest{id<JobId>(5), 12, 1 << 20});
  all.push_back(Results{id<JobId>(5), {Bytes(100, 1), Bytes(101, 2), Bytes()}});
  all.push_back(JobOver{signed_bytes(83, 150)});
  all.push_back(BlockRequest{id<ContentId>(3), 1'234'567, 32});
  all.push_back(Block{id<ContentId>(3), 32, Bytes(3000, 0xC3), hashes(84, 6), true});
  all.push_back(WorkerStatusRequest{});
  all.push_back(worker_status());
}

void add_stewards(std::vector<Message>& all) {
  const std::vector<Range> ranges = {{0, 1}, {5, 1'000'000}};
  all.push_back(TermNotice{id<JobId>(5), terms(), {signed_bytes(85, 305), signed_bytes(86, 306)}});
  all.push_back(Heartbeat{});
  all.push_back(Enlist{signed_bytes(87, 600), terms()});
  all.push_back(EnlistReply{id<JobId>(5), true, "with pleasure"});
  all.push_back(EndorseRequest{signed_bytes(88, 202)});
  all.push_back(Endorse{id<JobId>(5), 6, terms()[1].endorsements[0]});
  all.push_back(Rejoin{id<JobId>(5),
                       6,
                       {{signed_bytes(89, 190), ranges}, {signed_bytes(90, 191), {}}},
                       8,
                       1'234'567});
  all.push_back(RejoinReply{id<JobId>(5), 6, {{5, 22, signed_bytes(91, 192)}}, 60'000, ranges});
}

void add_reach(std::vector<Message>& all) {
  const NodeId from = id<NodeId>(8);
  const NodeId to = id<NodeId>(9);
  all.push_back(DialBackRequest{0x0102030405060708, 4242});
  all.push_back(DialBackReply{0x0102030405060708, true, "2001:db8::1"});
  all.push_back(DialBack{0x0102030405060709});
  all.push_back(Reserve{});
  all.push_back(Reserved{true});
  all.push_back(Reverse{from, to, 4243, "192.0.2.7"});
  all.push_back(CircuitOpen{from, to, id<Hash256>(10), "192.0.2.7"});
  all.push_back(CircuitAnswer{from, to, true, id<Hash256>(11), "with pleasure", "192.0.2.8"});
  all.push_back(CircuitData{from, to, Bytes(300, 0x5A)});
  all.push_back(CircuitEnd{from, to, "two minutes are over"});
}

void add_swarm(std::vector<Message>& all) {
  all.push_back(BlockCancel{id<ContentId>(3), 48});
  all.push_back(Holdings{id<ContentId>(3), 100'000'000, 8, {0x81, 0x00, 0x7f}, true});
  all.push_back(HoldersRequest{id<ContentId>(3), 100'000'000});
  all.push_back(Holders{id<ContentId>(3), {signed_bytes(92, 301), signed_bytes(93, 302)}});
}

}  // namespace

// Fields that older programs did not send, one message for each that has any.
std::vector<Message> grown_messages() {
  const std::vector<Range> ranges = {{0, 1}, {5, 1'000'000}};
  JobStatus status = job_status();
  status.leads = true;
  status.epoch = 7;
  status.stewards = {id<NodeId>(8), id<NodeId>(9)};
  status.stewards_here = 2;
  status.kept_until = 1'700'000'604'800;
  status.priority = -3;
  return {
      Submit{signed_bytes(64, 5000), terms()},
      JobStatusReply{{status}},
      JobFind{id<JobId>(5), true},
      JobFound{id<JobId>(5),
               signed_bytes(66, 301),
               terms(),
               {signed_bytes(92, 300)},
               signed_bytes(93, 600)},
      WorkAvailable{id<JobId>(5), signed_bytes(67, 302), 2, terms()},
      LeaseGrant{id<JobId>(5), 1, 22, LeaseKind::kDouble, ranges, 60'000, signed_bytes(68, 600),
                 signed_bytes(94, 220), terms()},
      TransferReply{id<JobId>(5), 22, 24, ranges, 58'000, signed_bytes(95, 221)},
      Reveal{id<JobId>(5),
             {120, 125},
             {120, 125},
             id<Hash256>(77),
             id<Hash256>(78),
             {},
             measured_outputs(),
             {},
             false},
      CompareRequest{id<JobId>(5), 121, outputs(), {signed_bytes(96, 301), signed_bytes(97, 302)}},
      ResultsRequest{id<JobId>(5), 12, 1 << 20, ranges, true},
      Results{id<JobId>(5), {Bytes(100, 1)}, true},
      reached_status(),
      CircuitOpen{id<NodeId>(8), id<NodeId>(9), id<Hash256>(10), "192.0.2.7", 30'001},
      CircuitAnswer{id<NodeId>(8), id<NodeId>(9), true, id<Hash256>(11), "", "192.0.2.8", 30'002},
  };
}

std::vector<Message> messages() {
  std::vector<Message> all;
  add_rendezvous(all);
  add_jobs(all);
  add_work(all);
  add_verification(all);
  add_results_and_content(all);
  add_stewards(all);
  add_reach(all);
  add_swarm(all);
  all.push_back(UnitState{id<JobId>(5), limits::kUnitsPerJob - 1, {1, 2, 0, 255}});
  all.push_back(Keep{id<JobId>(5), terms(), Bytes(700, 0x3C), {signed_bytes(96, 303)}});
  all.push_back(Kept{id<JobId>(5), id<ContentId>(3), id<NodeId>(8), true, "it was here"});
  return all;
}

std::vector<Message> bare_messages() {
  const JobId job = id<JobId>(5);
  const Range units{0, 1};
  return {
      Hello{},
      Refused{},
      Announced{},
      SampleRequest{},
      Sample{},
      JobStatusRequest{},
      JobStatusReply{},
      JobFound{job, {}},
      WorkRequest{},
      LeaseGrant{},
      NoWork{},
      LeaseReport{job, 1, {{2, {}}}, 0, ""},
      LeaseRevoke{},
      StealReply{},
      TransferReply{},
      CommitNotice{},
      FailureNotice{},
      Reveal{job, units, units, {}, {}, {}, {}, {}, false},
      Reveal{job, units, units, {}, {}, {}, PackedOutputs{{0}, {}, {}}, {}, false},
      Results{},
      BlockRequest{},
      Block{},
      TermNotice{},
      EnlistReply{},
      Rejoin{},
      RejoinReply{},
      DialBackReply{},
      Reserved{},
      Reverse{},
      CircuitAnswer{},
      CircuitData{},
      CircuitEnd{},
      BlockCancel{},
      Holdings{},
      HoldersRequest{},
      Holders{},
      UnitState{},
      Keep{},
      Kept{},
  };
}

namespace {

template <class T, class Decode>
Specimen specimen(std::string name, const T& value, Decode decode) {
  Specimen specimen;
  specimen.name = std::move(name);
  specimen.bytes = encode(value);
  specimen.decodes_to_it = [value, decode](ByteView bytes) {
    auto decoded = decode(bytes);
    return decoded && *decoded == value;
  };
  specimen.encoded_again = [decode](ByteView bytes) -> Result<Bytes, DecodeError> {
    auto decoded = decode(bytes);
    if (!decoded) return tl::unexpected(decoded.error());
    return encode(*decoded);
  };
  return specimen;
}

}  // namespace

std::vector<Specimen> all() {
  std::vector<Specimen> all;
  for (const Message& message : messages()) {
    all.push_back(specimen("message-" + std::string(name_of(message)), message, decode));
  }
  for (const Message& message : grown_messages()) {
    all.push_back(specimen("message-" + std::string(name_of(message)) + "-2", message, decode));
  }
  const Hello of_session{1,          id<PoolId>(2), id<NodeId>(1), Role::kSubmitter, std::nullopt,
                         0xA5A5'0001};
  all.push_back(specimen("message-Hello-2", Message(of_session), decode));
  const Reverse session_reverse{id<NodeId>(12), id<NodeId>(9), 4243, "192.0.2.7", id<NodeId>(8)};
  all.push_back(specimen("message-Reverse-2", Message(session_reverse), decode));
  const CircuitOpen session_open{id<NodeId>(12), id<NodeId>(9), id<Hash256>(10),
                                 "192.0.2.7",    30'001,        id<NodeId>(8)};
  all.push_back(specimen("message-CircuitOpen-3", Message(session_open), decode));
  JobStatus watched = job_status();
  watched.inputs_held = 3;
  watched.large_outputs = 1'000'001;
  watched.thin_outputs = 17;
  all.push_back(specimen("message-JobStatusReply-3", Message(JobStatusReply{{watched}}), decode));
  watched.keep_s = 2'592'000;
  all.push_back(specimen("message-JobStatusReply-4", Message(JobStatusReply{{watched}}), decode));
  JobStatus with_usage = job_status();
  with_usage.usage = {96, 1'234'567, {10, 20}, {30, 40}, {50, 60}};
  all.push_back(
      specimen("message-JobStatusReply-5", Message(JobStatusReply{{with_usage}}), decode));
  const LeaseReport of_paused{
      id<JobId>(5), 1, {{22, {{7, 9}}}}, 1'234'568, "its owner has paused it"};
  all.push_back(specimen("message-LeaseReport-2", Message(of_paused), decode));
  WorkerStatus mapped = reached_status();
  mapped.mapped = "tcp://192.0.2.1:4300";
  all.push_back(specimen("message-WorkerStatus-3", Message(mapped), decode));
  Manifest kept_longer = manifest();
  kept_longer.keep_s = 86'400;
  all.push_back(specimen("fact-Manifest-2", kept_longer, decode_manifest));
  NodeRecord relayed = record();
  relayed.via = {{id<NodeId>(71), "tcp://192.0.2.9:5555"},
                 {id<NodeId>(72), "tcp://[2001:db8::9]:1"}};
  all.push_back(specimen("fact-NodeRecord-2", relayed, decode_record));
  all.push_back(specimen("fact-Grant", grant(), decode_grant));
  all.push_back(specimen("fact-Term", term(), decode_term));
  Manifest of_program = manifest();
  of_program.kernel_kind = KernelKind::kProgram;
  of_program.program.reset();
  of_program.program_bytes = 0;
  of_program.contents = {{id<ContentId>(11), 1}, {id<ContentId>(12), 1ULL << 33}};
  of_program.needs = {"hmmsearch", "povray"};
  all.push_back(specimen("fact-Manifest-3", of_program, decode_manifest));
  NodeRecord sandboxed = record();
  sandboxed.runs_wasm = true;
  all.push_back(specimen("fact-NodeRecord-3", sandboxed, decode_record));
  NodeRecord of_an_owner = record();
  of_an_owner.owner = OwnerMark{id<NodeId>(81), signed_bytes(82, 1).signature};
  all.push_back(specimen("fact-NodeRecord-4", of_an_owner, decode_record));
  Manifest of_a_submitter = manifest();
  of_a_submitter.submitter = id<NodeId>(83);
  all.push_back(specimen("fact-Manifest-4", of_a_submitter, decode_manifest));
  all.push_back(specimen("fact-NodeRecord", record(), decode_record));
  all.push_back(specimen("fact-Manifest", manifest(), decode_manifest));
  all.push_back(specimen("fact-Commitment", commitment(), decode_commitment));
  all.push_back(specimen("fact-Failure", failure(), decode_failure));
  all.push_back(specimen("fact-Transfer", transfer(), decode_transfer));
  all.push_back(specimen("fact-Control", control(), decode_control));
  all.push_back(specimen("fact-Snapshot", snapshot(), decode_snapshot));
  all.push_back(
      specimen("fact-ComparisonVerdict", comparison_verdict(), decode_comparison_verdict));
  all.push_back(specimen("receipt-verified", verified_receipt(), decode_receipt));
  all.push_back(specimen("receipt-disputed", disputed_receipt(), decode_receipt));
  all.push_back(specimen("receipt-failed", failed_receipt(), decode_receipt));
  Failure measured = failure();
  measured.cost = UnitCost{90'000, 80'000, 4'000'000, 0, 11};
  all.push_back(specimen("fact-Failure-2", measured, decode_failure));
  Receipt shown = disputed_receipt();
  shown.differing = {slice(outputs(), 0, 2), slice(measured_outputs(), 1, 3)};
  all.push_back(specimen("receipt-disputed-2", shown, decode_receipt));
  return all;
}

}  // namespace shoal::specimens
