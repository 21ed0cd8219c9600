#include "node/protocol/codec_detail.h"
#include "node/protocol/rendezvous.capnp.h"

namespace shoal {
namespace codec {

static_assert(static_cast<int>(wire::Role::COORDINATOR) == static_cast<int>(Role::kCoordinator));
static_assert(static_cast<int>(wire::RefusalReason::BAD_MESSAGE) ==
              static_cast<int>(RefusalReason::kBadMessage));

void write(StructBuilder any, const Signed& from) {
  auto to = any.as<wire::Signed>();
  to.setSigner(raw(from.signer));
  to.setBody(raw(from.body));
  to.setSignature(raw(from.signature.bytes));
}
void read(StructReader any, Signed& to, Reading& reading, const char* field, std::size_t body_max) {
  auto from = any.as<wire::Signed>();
  reading.id(from.getSigner(), to.signer, field);
  reading.bytes(from.getBody(), to.body, body_max, field);
  reading.exactly(from.getSignature(), to.signature.bytes, field);
}

namespace {

template <class List>
void write_names(List to, const std::vector<std::string>& from, std::size_t bytes_max) {
  for (unsigned i = 0; i < to.size(); ++i) to.set(i, text(from[i], bytes_max));
}
void read_names(capnp::List<capnp::Text>::Reader from, std::vector<std::string>& to,
                std::size_t count_max, std::size_t bytes_max, Reading& reading, const char* field) {
  if (!reading.within(from.size(), count_max, field)) return;
  to.resize(from.size());
  for (unsigned i = 0; i < from.size(); ++i) reading.text(from[i], to[i], field, bytes_max);
}

}  // namespace

void write(StructBuilder any, const NodeRecord& from) {
  auto to = any.as<wire::NodeRecord>();
  to.setNode(raw(from.node));
  to.setPool(raw(from.pool));
  to.setRole(static_cast<wire::Role>(from.role));
  write_names(to.initEndpoints(list_size(from.endpoints.size(), limits::kEndpoints)),
              from.endpoints, limits::kEndpointBytes);
  to.setThreads(from.threads);
  to.setMemoryBytes(from.memory_bytes);
  write_names(to.initKernels(list_size(from.kernels.size(), limits::kKernelNames)), from.kernels,
              limits::kTextBytes);
  to.setRunsNativeFromAnyone(from.runs_native_from_anyone);
  to.setRunsWasm(from.runs_wasm);
  to.setAgent(text(front_of(from.agent, limits::kTextBytes)));
  to.setSequence(from.sequence);
  to.setTtlS(from.ttl_s);
  auto via = to.initVia(list_size(from.via.size(), limits::kVia));
  for (unsigned i = 0; i < via.size(); ++i) {
    via[i].setNode(raw(from.via[i].node));
    via[i].setEndpoint(text(from.via[i].endpoint, limits::kEndpointBytes));
  }
  if (from.owner) {
    to.setOwner(raw(from.owner->owner));
    to.setOwnerSignature(raw(from.owner->signature.bytes));
  }
}
void read(StructReader any, NodeRecord& to, Reading& reading) {
  auto from = any.as<wire::NodeRecord>();
  reading.id(from.getNode(), to.node, "record.node");
  reading.id(from.getPool(), to.pool, "record.pool");
  reading.enumerant(from.getRole(), to.role, Role::kCoordinator, "record.role");
  read_names(from.getEndpoints(), to.endpoints, limits::kEndpoints, limits::kEndpointBytes, reading,
             "record.endpoints");
  to.threads = from.getThreads();
  to.memory_bytes = from.getMemoryBytes();
  read_names(from.getKernels(), to.kernels, limits::kKernelNames, limits::kTextBytes, reading,
             "record.kernels");
  to.runs_native_from_anyone = from.getRunsNativeFromAnyone();
  to.runs_wasm = from.getRunsWasm();
  reading.text(from.getAgent(), to.agent, "record.agent");
  reading.unix_ms(from.getSequence(), to.sequence, "record.sequence");
  to.ttl_s = from.getTtlS();
  auto via = from.getVia();
  if (!reading.within(via.size(), limits::kVia, "record.via")) return;
  to.via.resize(via.size());
  for (unsigned i = 0; i < via.size(); ++i) {
    reading.id(via[i].getNode(), to.via[i].node, "record.via.node");
    reading.text(via[i].getEndpoint(), to.via[i].endpoint, "record.via.endpoint",
                 limits::kEndpointBytes);
  }
  if (from.hasOwner()) {
    OwnerMark& mark = to.owner.emplace();
    reading.id(from.getOwner(), mark.owner, "record.owner");
    reading.exactly(from.getOwnerSignature(), mark.signature.bytes, "record.owner_signature");
  }
}

void write(StructBuilder any, const Hello& from) {
  auto to = any.as<wire::Hello>();
  to.setVersion(from.version);
  to.setPool(raw(from.pool));
  to.setNode(raw(from.node));
  to.setRole(static_cast<wire::Role>(from.role));
  if (from.record) write(to.initRecord(), *from.record);
  to.setSession(from.session);
}
void read(StructReader any, Hello& to, Reading& reading) {
  auto from = any.as<wire::Hello>();
  to.version = from.getVersion();
  reading.id(from.getPool(), to.pool, "hello.pool");
  reading.id(from.getNode(), to.node, "hello.node");
  reading.enumerant(from.getRole(), to.role, Role::kCoordinator, "hello.role");
  if (from.hasRecord()) {
    read(from.getRecord(), to.record.emplace(), reading, "hello.record", limits::kRecordBytes);
  }
  to.session = from.getSession();
}

void write(StructBuilder any, const Refused& from) {
  auto to = any.as<wire::Refused>();
  to.setReason(static_cast<wire::RefusalReason>(from.reason));
  to.setDetail(text(front_of(from.detail, limits::kTextBytes)));
}
void read(StructReader any, Refused& to, Reading& reading) {
  auto from = any.as<wire::Refused>();
  reading.enumerant(from.getReason(), to.reason, RefusalReason::kBadMessage, "refused.reason");
  reading.text(from.getDetail(), to.detail, "refused.detail");
}

void write(StructBuilder any, const Announce& from) {
  write(any.as<wire::Announce>().initRecord(), from.record);
}
void read(StructReader any, Announce& to, Reading& reading) {
  read(any.as<wire::Announce>().getRecord(), to.record, reading, "announce.record",
       limits::kRecordBytes);
}

void write(StructBuilder any, const Announced& from) {
  auto to = any.as<wire::Announced>();
  to.setObservedAddress(text(from.observed_address, limits::kTextBytes));
  to.setTtlS(from.ttl_s);
}
void read(StructReader any, Announced& to, Reading& reading) {
  auto from = any.as<wire::Announced>();
  reading.text(from.getObservedAddress(), to.observed_address, "announced.observed_address");
  to.ttl_s = from.getTtlS();
}

void write(StructBuilder any, const SampleRequest& from) {
  auto to = any.as<wire::SampleRequest>();
  to.setCount(from.count);
  to.setCookie(from.cookie);
}
void read(StructReader any, SampleRequest& to, Reading&) {
  auto from = any.as<wire::SampleRequest>();
  to.count = from.getCount();
  to.cookie = from.getCookie();
}

void write(StructBuilder any, const Sample& from) {
  auto to = any.as<wire::Sample>();
  write_list(to.initRecords(list_size(from.records.size(), limits::kSampleRecords)), from.records);
  to.setCookie(from.cookie);
  to.setNodesKnown(from.nodes_known);
}
void read(StructReader any, Sample& to, Reading& reading) {
  auto from = any.as<wire::Sample>();
  read_list(from.getRecords(), to.records, reading, "sample.records", limits::kSampleRecords,
            limits::kRecordBytes);
  to.cookie = from.getCookie();
  to.nodes_known = from.getNodesKnown();
}

void write(StructBuilder, const Leave&) {}
void read(StructReader, Leave&, Reading&) {}

}  // namespace codec

Bytes encode(const NodeRecord& record) {
  Bytes bytes = codec::encode_root<wire::NodeRecord>(record);
  check(bytes.size() <= limits::kRecordBytes, "a record past its limit was to be signed");
  return bytes;
}
Result<NodeRecord, DecodeError> decode_record(ByteView bytes) {
  return codec::decode_root<wire::NodeRecord, NodeRecord>(bytes, "record", limits::kRecordBytes);
}

}  // namespace shoal
