#include "node/protocol/codec_detail.h"
#include "node/protocol/reach.capnp.h"

namespace shoal::codec {

void write(StructBuilder any, const DialBackRequest& from) {
  auto to = any.as<wire::DialBackRequest>();
  to.setNonce(from.nonce);
  to.setPort(from.port);
}
void read(StructReader any, DialBackRequest& to, Reading&) {
  auto from = any.as<wire::DialBackRequest>();
  to.nonce = from.getNonce();
  to.port = from.getPort();
}

void write(StructBuilder any, const DialBackReply& from) {
  auto to = any.as<wire::DialBackReply>();
  to.setNonce(from.nonce);
  to.setAccepted(from.accepted);
  to.setObservedAddress(text(from.observed_address, limits::kEndpointBytes));
}
void read(StructReader any, DialBackReply& to, Reading& reading) {
  auto from = any.as<wire::DialBackReply>();
  to.nonce = from.getNonce();
  to.accepted = from.getAccepted();
  reading.text(from.getObservedAddress(), to.observed_address, "dial_back_reply.observed_address",
               limits::kEndpointBytes);
}

void write(StructBuilder any, const DialBack& from) {
  any.as<wire::DialBack>().setNonce(from.nonce);
}
void read(StructReader any, DialBack& to, Reading&) {
  to.nonce = any.as<wire::DialBack>().getNonce();
}

void write(StructBuilder, const Reserve&) {}
void read(StructReader, Reserve&, Reading&) {}

void write(StructBuilder any, const Reserved& from) {
  any.as<wire::Reserved>().setAccepted(from.accepted);
}
void read(StructReader any, Reserved& to, Reading&) {
  to.accepted = any.as<wire::Reserved>().getAccepted();
}

void write(StructBuilder any, const Reverse& from) {
  auto to = any.as<wire::Reverse>();
  to.setFrom(raw(from.from));
  to.setTo(raw(from.to));
  to.setPort(from.port);
  to.setAddress(text(from.address, limits::kEndpointBytes));
  if (!from.node.is_zero()) to.setNode(raw(from.node));
}
void read(StructReader any, Reverse& to, Reading& reading) {
  auto from = any.as<wire::Reverse>();
  reading.id(from.getFrom(), to.from, "reverse.from");
  reading.id(from.getTo(), to.to, "reverse.to");
  to.port = from.getPort();
  reading.text(from.getAddress(), to.address, "reverse.address", limits::kEndpointBytes);
  if (from.hasNode()) reading.id(from.getNode(), to.node, "reverse.node");
}

void write(StructBuilder any, const CircuitOpen& from) {
  auto to = any.as<wire::CircuitOpen>();
  to.setFrom(raw(from.from));
  to.setTo(raw(from.to));
  to.setRandom(raw(from.random));
  to.setAddress(text(from.address, limits::kEndpointBytes));
  to.setPunchPort(from.punch_port);
  if (!from.node.is_zero()) to.setNode(raw(from.node));
}
void read(StructReader any, CircuitOpen& to, Reading& reading) {
  auto from = any.as<wire::CircuitOpen>();
  reading.id(from.getFrom(), to.from, "circuit_open.from");
  reading.id(from.getTo(), to.to, "circuit_open.to");
  reading.id(from.getRandom(), to.random, "circuit_open.random");
  reading.text(from.getAddress(), to.address, "circuit_open.address", limits::kEndpointBytes);
  to.punch_port = from.getPunchPort();
  if (from.hasNode()) reading.id(from.getNode(), to.node, "circuit_open.node");
}

void write(StructBuilder any, const CircuitAnswer& from) {
  auto to = any.as<wire::CircuitAnswer>();
  to.setFrom(raw(from.from));
  to.setTo(raw(from.to));
  to.setAccepted(from.accepted);
  to.setRandom(raw(from.random));
  to.setDetail(text(front_of(from.detail, limits::kTextBytes)));
  to.setAddress(text(from.address, limits::kEndpointBytes));
  to.setPunchPort(from.punch_port);
}
void read(StructReader any, CircuitAnswer& to, Reading& reading) {
  auto from = any.as<wire::CircuitAnswer>();
  reading.id(from.getFrom(), to.from, "circuit_answer.from");
  reading.id(from.getTo(), to.to, "circuit_answer.to");
  to.accepted = from.getAccepted();
  reading.id(from.getRandom(), to.random, "circuit_answer.random");
  reading.text(from.getDetail(), to.detail, "circuit_answer.detail");
  reading.text(from.getAddress(), to.address, "circuit_answer.address", limits::kEndpointBytes);
  to.punch_port = from.getPunchPort();
}

void write(StructBuilder any, const CircuitData& from) {
  auto to = any.as<wire::CircuitData>();
  to.setFrom(raw(from.from));
  to.setTo(raw(from.to));
  check(from.sealed.size() <= limits::kCircuitBytes, "more was to be sent than a circuit carries");
  to.setSealed(raw(from.sealed));
}
void read(StructReader any, CircuitData& to, Reading& reading) {
  auto from = any.as<wire::CircuitData>();
  reading.id(from.getFrom(), to.from, "circuit_data.from");
  reading.id(from.getTo(), to.to, "circuit_data.to");
  reading.bytes(from.getSealed(), to.sealed, limits::kCircuitBytes, "circuit_data.sealed");
}

void write(StructBuilder any, const CircuitEnd& from) {
  auto to = any.as<wire::CircuitEnd>();
  to.setFrom(raw(from.from));
  to.setTo(raw(from.to));
  to.setDetail(text(front_of(from.detail, limits::kTextBytes)));
}
void read(StructReader any, CircuitEnd& to, Reading& reading) {
  auto from = any.as<wire::CircuitEnd>();
  reading.id(from.getFrom(), to.from, "circuit_end.from");
  reading.id(from.getTo(), to.to, "circuit_end.to");
  reading.text(from.getDetail(), to.detail, "circuit_end.detail");
}

}  // namespace shoal::codec
