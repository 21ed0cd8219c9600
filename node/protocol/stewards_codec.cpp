#include <algorithm>

#include "node/protocol/codec_detail.h"
#include "node/protocol/stewards.capnp.h"

namespace shoal {
namespace codec {

void write(StructBuilder any, const Term& from) {
  auto to = any.as<wire::Term>();
  to.setJob(raw(from.job));
  to.setEpoch(from.epoch);
  to.setStewards(raw(from.stewards));
}
void read(StructReader any, Term& to, Reading& reading) {
  auto from = any.as<wire::Term>();
  reading.id(from.getJob(), to.job, "term.job");
  reading.number(from.getEpoch(), to.epoch, kSequenceMax, "term.epoch");
  reading.require(to.epoch > 0, "term.epoch", "is zero");
  reading.ids(from.getStewards(), to.stewards, limits::kStewards, "term.stewards");
  reading.require(!to.stewards.empty(), "term.stewards", "are none");
  for (auto it = to.stewards.begin(); it != to.stewards.end(); ++it) {
    reading.require(std::find(to.stewards.begin(), it, *it) == it, "term.stewards",
                    "name one node twice");
  }
}

namespace {

void write_endorsement(wire::Endorsement::Builder to, const Endorsement& from) {
  to.setSigner(raw(from.signer));
  to.setSignature(raw(from.signature.bytes));
}
void read_endorsement(wire::Endorsement::Reader from, Endorsement& to, Reading& reading) {
  reading.id(from.getSigner(), to.signer, "endorsement.signer");
  reading.exactly(from.getSignature(), to.signature.bytes, "endorsement.signature");
}

}  // namespace

void write(StructBuilder any, const SignedTerm& from) {
  auto to = any.as<wire::SignedTerm>();
  write(to.initTerm(), from.term);
  auto endorsements = to.initEndorsements(list_size(from.endorsements.size(), limits::kStewards));
  for (unsigned i = 0; i < endorsements.size(); ++i) {
    write_endorsement(endorsements[i], from.endorsements[i]);
  }
}
void read(StructReader any, SignedTerm& to, Reading& reading) {
  auto from = any.as<wire::SignedTerm>();
  read(from.getTerm(), to.term, reading, "signed_term.term", kSmallFactBytes);
  auto endorsements = from.getEndorsements();
  if (!reading.within(endorsements.size(), limits::kStewards, "signed_term.endorsements")) return;
  to.endorsements.resize(endorsements.size());
  for (unsigned i = 0; i < endorsements.size(); ++i) {
    read_endorsement(endorsements[i], to.endorsements[i], reading);
  }
}

void write(StructBuilder any, const TermNotice& from) {
  auto to = any.as<wire::TermNotice>();
  to.setJob(raw(from.job));
  write_terms(to.initTerms(list_size(from.terms.size(), limits::kTermsPerChain)), from.terms);
  write_list(to.initRecords(list_size(from.records.size(), limits::kStewards)), from.records);
}
void read(StructReader any, TermNotice& to, Reading& reading) {
  auto from = any.as<wire::TermNotice>();
  reading.id(from.getJob(), to.job, "term_notice.job");
  read_terms(from.getTerms(), to.terms, reading, "term_notice.terms");
  read_list(from.getRecords(), to.records, reading, "term_notice.records", limits::kStewards,
            limits::kRecordBytes);
}

void write(StructBuilder, const Heartbeat&) {}
void read(StructReader, Heartbeat&, Reading&) {}

void write(StructBuilder any, const Enlist& from) {
  auto to = any.as<wire::Enlist>();
  write(to.initManifest(), from.manifest);
  write_terms(to.initTerms(list_size(from.terms.size(), limits::kTermsPerChain)), from.terms);
}
void read(StructReader any, Enlist& to, Reading& reading) {
  auto from = any.as<wire::Enlist>();
  read(from.getManifest(), to.manifest, reading, "enlist.manifest", limits::kManifestBytes);
  read_terms(from.getTerms(), to.terms, reading, "enlist.terms");
}

void write(StructBuilder any, const EnlistReply& from) {
  auto to = any.as<wire::EnlistReply>();
  to.setJob(raw(from.job));
  to.setAccepted(from.accepted);
  to.setDetail(text(front_of(from.detail, limits::kTextBytes)));
}
void read(StructReader any, EnlistReply& to, Reading& reading) {
  auto from = any.as<wire::EnlistReply>();
  reading.id(from.getJob(), to.job, "enlist_reply.job");
  to.accepted = from.getAccepted();
  reading.text(from.getDetail(), to.detail, "enlist_reply.detail");
}

void write(StructBuilder any, const EndorseRequest& from) {
  write(any.as<wire::EndorseRequest>().initTerm(), from.term);
}
void read(StructReader any, EndorseRequest& to, Reading& reading) {
  read(any.as<wire::EndorseRequest>().getTerm(), to.term, reading, "endorse_request.term",
       kSmallFactBytes);
}

void write(StructBuilder any, const Endorse& from) {
  auto to = any.as<wire::Endorse>();
  to.setJob(raw(from.job));
  to.setEpoch(from.epoch);
  write_endorsement(to.initEndorsement(), from.endorsement);
}
void read(StructReader any, Endorse& to, Reading& reading) {
  auto from = any.as<wire::Endorse>();
  reading.id(from.getJob(), to.job, "endorse.job");
  to.epoch = from.getEpoch();
  read_endorsement(from.getEndorsement(), to.endorsement, reading);
}

void write(StructBuilder any, const Keep& from) {
  auto to = any.as<wire::Keep>();
  to.setJob(raw(from.job));
  write_terms(to.initTerms(list_size(from.terms.size(), limits::kTermsPerChain)), from.terms);
  check(from.receipt.size() <= limits::kKeepReceiptBytes, "a receipt past its limit");
  if (!from.receipt.empty()) to.setReceipt(raw(from.receipt));
  write_list(to.initHolders(list_size(from.holders.size(), limits::kKeepHolders)), from.holders);
}
void read(StructReader any, Keep& to, Reading& reading) {
  auto from = any.as<wire::Keep>();
  reading.id(from.getJob(), to.job, "keep.job");
  read_terms(from.getTerms(), to.terms, reading, "keep.terms");
  reading.bytes(from.getReceipt(), to.receipt, limits::kKeepReceiptBytes, "keep.receipt");
  read_list(from.getHolders(), to.holders, reading, "keep.holders", limits::kKeepHolders,
            limits::kRecordBytes);
}

void write(StructBuilder any, const Kept& from) {
  auto to = any.as<wire::Kept>();
  to.setJob(raw(from.job));
  to.setOutput(raw(from.output));
  to.setHolder(raw(from.holder));
  to.setHeld(from.held);
  to.setDetail(text(front_of(from.detail, limits::kTextBytes)));
}
void read(StructReader any, Kept& to, Reading& reading) {
  auto from = any.as<wire::Kept>();
  reading.id(from.getJob(), to.job, "kept.job");
  reading.id(from.getOutput(), to.output, "kept.output");
  reading.id(from.getHolder(), to.holder, "kept.holder");
  to.held = from.getHeld();
  reading.text(from.getDetail(), to.detail, "kept.detail");
}

}  // namespace codec

Bytes encode(const Term& term) { return codec::encode_root<wire::Term>(term, 256); }
Result<Term, DecodeError> decode_term(ByteView bytes) {
  return codec::decode_root<wire::Term, Term>(bytes, "term", codec::kSmallFactBytes);
}

// A chain by itself, as a ledger keeps it, is the notice that would carry it.
Bytes encode_chain(const JobId& job, const TermChain& terms) {
  return codec::encode_root<wire::TermNotice>(TermNotice{.job = job, .terms = terms, .records = {}},
                                              codec::wire_bytes(terms) + 128);
}
Result<TermChain, DecodeError> decode_chain(ByteView bytes) {
  auto notice = codec::decode_root<wire::TermNotice, TermNotice>(bytes, "chain of terms");
  if (!notice) return tl::unexpected(notice.error());
  return std::move(notice->terms);
}

}  // namespace shoal
