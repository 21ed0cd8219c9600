#include "node/protocol/record_dates.h"
#include "node/protocol/shared_key.h"
#include "worker/core/membership.h"

// The records of nodes: this one's own, and those of others, in memory and on disk.
namespace shoal {

Signed Membership::own_record(Instant now) {
  NodeRecord record = config_.record;
  record.node = signer_.id();
  record.pool = config_.pool;
  // Of two within one millisecond the later one counts.
  own_sequence_ = std::max(unix_ms(now), own_sequence_ + 1);
  record.sequence = own_sequence_;
  record.via = via_;
  record.ttl_s = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(limits::kRecordTtl).count());
  own_records_.add(own_sequence_);
  own_ = sign_fact(signer_, Purpose::kRecord, encode(record));
  return *own_;
}

// Of a node that has had several places the disk has several records.
void Membership::recover(const Signed& record, std::optional<std::uint64_t> place) {
  auto what = decode_record(record.body);
  if (!what || what->node != record.signer || what->pool != config_.pool) return;
  if (what->node == signer_.id()) return;
  const auto known = contacts_.find(what->node);
  if (known == contacts_.end()) {
    make_room();
  } else if (known->second.record && known->second.what.sequence >= what->sequence) {
    return;
  }
  Contact& contact = contacts_[what->node];
  if (place && free_places_.erase(*place) > 0) {
    if (contact.place) free_places_.insert(*contact.place);
    contact.place = place;
  }
  contact.record = record;
  contact.what = std::move(*what);
  note_if_idle(record.signer);
}

bool Membership::learn(Instant now, const Signed& record, Outbox& out) {
  auto what = decode_record(record.body);
  if (!what || what->node != record.signer || what->pool != config_.pool) return false;
  if (what->node == signer_.id()) {
    look_at_own(now, record, *what, out);
    return true;
  }
  auto it = contacts_.find(what->node);
  if (it != contacts_.end() && it->second.record && it->second.what.sequence >= what->sequence) {
    return true;
  }
  if (expired(*what, unix_ms(now)) || dated_ahead(*what, unix_ms(now))) return false;
  if (!signature_holds(checker_, Purpose::kRecord, record)) return false;
  if (it == contacts_.end()) make_room();
  Contact& contact = contacts_[what->node];
  const bool is_new =
      !contact.record || contact.what.endpoints != what->endpoints || contact.what.via != what->via;
  contact.record = record;
  contact.what = std::move(*what);
  note_if_idle(record.signer);
  if (is_new) keep_on_disk(contact, out);
  return true;
}

// The next one in its place is written over it, so that nobody can fill the disk.
void Membership::keep_on_disk(Contact& contact, Outbox& out) {
  if (!contact.place && !free_places_.empty()) {
    contact.place = *free_places_.begin();
    free_places_.erase(free_places_.begin());
  }
  if (!contact.place) return;  // more are linked than are worth remembering
  out.store_soon(StoredFact{.kind = FactKind::kPeer,
                            .job = {},
                            .sequence = *contact.place,
                            .about = {},
                            .bytes = pack_signed(*contact.record)});
}

void Membership::forget(std::map<NodeId, Contact>::iterator contact) {
  if (contact->second.place) free_places_.insert(*contact->second.place);
  idle_.erase(contact->first);
  contacts_.erase(contact);
}

// Forgets a contact at random, so that nobody can fill the table with what he wants kept.
void Membership::make_room() {
  while (contacts_.size() >= limits::kKnownPeers && !idle_.empty()) {
    forget(contacts_.find(idle_.draw(rng_)));
  }
}

// A worker that was restarted elsewhere sees by its sequence that the record is an old one. Where
// two processes have one key each is shown the other's, as coordinators do too.
void Membership::show_other_record(const LinkUp& up, Outbox& out) const {
  const auto known = contacts_.find(up.peer);
  if (!up.record || known == contacts_.end() || !known->second.record) return;
  const auto said = decode_record(up.record->body);
  const NodeRecord& before = known->second.what;
  if (!said || (said->endpoints == before.endpoints && said->via == before.via)) return;
  out.send(up.peer, Announce{*known->second.record});
}

void Membership::look_at_own(Instant now, const Signed& record, const NodeRecord& what,
                             Outbox& out) {
  if (!own_records_.is_of_another(what.sequence)) return;
  if (!signature_holds(checker_, Purpose::kRecord, record)) return;
  const bool news = !twin_ || now - twin_->told >= limits::kRecordTtl;
  twin_ = Twin{.endpoint = what.endpoints.empty() ? "an address that it does not say"
                                                  : what.endpoints.front(),
               .heard_of = now,
               .told = news ? now : twin_->told};
  if (!news) return;
  out.tell(LogLevel::kWarning,
           twin_text(now) + ". Links and leases go back and forth between the two");
  // It is shown this record in turn. Not each time: there may be many of them.
  announce(now, out);
}

std::string Membership::twin_text(Instant now) const {
  if (!twin_ || now - twin_->heard_of >= limits::kRecordTtl) return "";
  return std::string(kKeyIsShared) + ", at " + twin_->endpoint +
         ": the state folder was copied. End one of the two, and start it with a --state of its "
         "own, in which a new key is made";
}

}  // namespace shoal
