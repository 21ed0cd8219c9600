#include "coordinator/core/rendezvous.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <utility>

#include "coordinator/core/record_table.h"
#include "node/protocol/record_dates.h"

namespace shoal {
namespace {

// Whose requests are counted at once: past this, newcomers wait for the next window.
constexpr std::size_t kAddressesWatched = limits::kCoordinatorRecords;
constexpr Duration kRateWindow = 60s;
constexpr std::uint32_t kAskedOfEachVisitor = 32;
constexpr std::size_t kSharersShare = 16;  // of the records, so many times fewer are of sharers
// More than come and go in the while in which visitors are asked; past it the latest are forgotten.
constexpr std::size_t kGoneRemembered = 4096;

std::uint32_t whole_seconds(Duration d) { return static_cast<std::uint32_t>(d / 1s); }

// Many nodes on one machine are a test or a demonstration, and no stranger can come from there.
bool is_exempt(const std::string& address) {
  return address.starts_with("127.") || address == "::1";
}

// Cookies of an earlier run of this coordinator must not be taken for this one's: changes are
// numbered from the time of its start on, in steps that no run can exhaust.
std::uint64_t first_change_at(UnixMs started) {
  constexpr unsigned kChangesPerMsBits = 20;
  return (static_cast<std::uint64_t>(std::max<UnixMs>(started, 0)) << kChangesPerMsBits) + 1;
}

bool is_rendezvous(const Message& message) {
  return std::holds_alternative<Hello>(message) || std::holds_alternative<Refused>(message) ||
         std::holds_alternative<Announce>(message) || std::holds_alternative<Announced>(message) ||
         std::holds_alternative<SampleRequest>(message) ||
         std::holds_alternative<Sample>(message) || std::holds_alternative<Leave>(message);
}

}  // namespace

struct Rendezvous::Impl {
  Impl(RendezvousConfig c, const SignatureChecker& s, Rng r)
      : config(std::move(c)), checker(s), rng(r) {}

  void on(Instant now, LinkUp& event);
  void on(Instant now, LinkLost& event);
  void on(Instant now, Received& event);
  void on_announce(Instant now, const NodeId& peer, Announce& message);
  void show_other_record(const NodeId& peer, const NodeRecord& said);
  void on_sample_request(Instant now, const NodeId& peer, const SampleRequest& message);
  void on_sample(Instant now, const NodeId& peer, Sample& message);
  void on_leave(Instant now, const NodeId& peer);
  bool has_left_since(const NodeRecord& record) const;
  // What is wrong with a record in itself, but for its dates; empty: nothing.
  std::string fault_of(const NodeId& node, const Signed& fact, const NodeRecord& record) const;
  // Likewise, with its dates: its maker's clock is wrong, or this one's.
  std::string clock_fault(Instant now, const NodeRecord& record) const;
  bool within_rate(Instant now, const std::string& address);
  void reply(const NodeId& peer, const Message& message);
  void refuse(const NodeId& peer, const std::string& why);
  RecordTable& table(Instant now);

  const RendezvousConfig config;
  const SignatureChecker& checker;
  Rng rng;
  std::unique_ptr<RecordTable> records;  // from the first step on, which tells the time
  std::unique_ptr<RecordTable> sharers;  // submitters that serve a content; likewise
  struct Visitor {
    NodeId node;  // whose key it holds
    Role role = Role::kWorker;
    std::string address;  // that it is seen at
    bool asked = false;   // whom it knows
  };
  std::map<NodeId, Visitor> links;
  // Who took its record back: others know it still, and would bring it here again when asked.
  struct Gone {
    UnixMs at = 0;  // no record from before counts
    Instant until;  // when the last of these has expired
  };
  std::map<NodeId, Gone> gone;
  // Requests in the window that began at window_start, by address.
  std::map<std::string, std::size_t> requests;
  Instant window_start;
  std::size_t visitors_asked = 0;
  RendezvousFigures figures;
  RendezvousActions actions;
};

RecordTable& Rendezvous::Impl::table(Instant now) {
  if (!records) {
    const UnixMs started = config.unix_ms_at_zero + now.ns / 1'000'000;
    records = std::make_unique<RecordTable>(config.records_max, config.records_per_address,
                                            first_change_at(started));
    sharers =
        std::make_unique<RecordTable>(std::max<std::size_t>(config.records_max / kSharersShare, 1),
                                      config.records_per_address, first_change_at(started));
    window_start = now;
  }
  return *records;
}

void Rendezvous::Impl::on(Instant, LinkUp& event) {
  Visitor& visitor = links[event.peer];
  visitor = {.node = event.node(), .role = event.role, .address = std::move(event.address)};
  if (event.role != Role::kWorker || visitors_asked == config.visitors_asked_max) return;
  ++visitors_asked;
  visitor.asked = true;
  reply(event.peer, SampleRequest{.count = kAskedOfEachVisitor});
}

void Rendezvous::Impl::on(Instant, LinkLost& event) { links.erase(event.peer); }

void Rendezvous::Impl::on(Instant now, Received& event) {
  figures.bytes_in += event.bytes.size();
  const auto link = links.find(event.peer);
  if (link == links.end()) return;
  const Visitor& visitor = link->second;
  if (!within_rate(now, visitor.address)) {
    return refuse(event.peer,
                  "more requests from " + visitor.address + " than one address may make");
  }
  auto message = decode(event.bytes);
  if (!message) {
    if (message.error().fault == DecodeFault::kUnknown) return;  // of a newer version of ours
    return refuse(event.peer, "a message that cannot be read: " + message.error().what);
  }
  if (auto* announce = std::get_if<Announce>(&*message)) {
    return on_announce(now, event.peer, *announce);
  }
  if (const auto* request = std::get_if<SampleRequest>(&*message)) {
    return on_sample_request(now, event.peer, *request);
  }
  if (auto* sample = std::get_if<Sample>(&*message); sample && visitor.asked) {
    return on_sample(now, event.peer, *sample);
  }
  if (std::holds_alternative<Leave>(*message)) return on_leave(now, event.peer);
  if (!is_rendezvous(*message)) figures.job_bytes += event.bytes.size();
  refuse(event.peer, std::string(name_of(*message)) + " is not for a coordinator");
}

std::string Rendezvous::Impl::fault_of(const NodeId& node, const Signed& fact,
                                       const NodeRecord& record) const {
  if (fact.signer != node || record.node != node) return "a node announces itself alone";
  if (record.pool != config.pool) return "a record of another pool";
  if (fact.body.size() > limits::kRecordBytes) return "a record that is too large";
  if (record.ttl_s == 0 || record.ttl_s > whole_seconds(limits::kRecordTtl)) {
    return "a record that is to be kept for no time, or too long";
  }
  return "";
}

std::string Rendezvous::Impl::clock_fault(Instant now, const NodeRecord& record) const {
  const UnixMs unix_now = config.unix_ms_at_zero + now.ns / 1'000'000;
  const auto seconds = [](UnixMs ms) { return std::to_string(ms / 1000) + " s "; };
  if (dated_ahead(record, unix_now)) {
    return "its clock is " + seconds(record.sequence - unix_now) +
           "ahead of this coordinator's: set both by NTP";
  }
  if (expired(record, unix_now)) {
    return "its clock is " + seconds(unix_now - record.sequence) +
           "behind this coordinator's: set both by NTP";
  }
  return "";
}

void Rendezvous::Impl::on_announce(Instant now, const NodeId& peer, Announce& message) {
  const auto record = decode_record(message.record.body);
  if (!record) return refuse(peer, "a record that cannot be read: " + record.error().what);
  const NodeId& node = links.at(peer).node;
  const std::string& address = links.at(peer).address;
  const std::string fault = fault_of(node, message.record, *record);
  if (!fault.empty()) return refuse(peer, fault);
  const std::string clock = clock_fault(now, *record);
  if (!clock.empty()) {
    // Its owner can do something about it, once it is told: it hangs up itself.
    reply(peer, Refused{RefusalReason::kNotAllowed, clock});
    ++figures.refused;
    return;
  }

  // Nobody asks a submitter for work: those who fetch a content are told of it, and nobody else.
  RecordTable& kept = record->role == Role::kSubmitter ? *sharers : *records;
  const auto outcome =
      kept.would_put(message.record, record->sequence, address, is_exempt(address));
  if (outcome == RecordTable::Put::kTaken || outcome == RecordTable::Put::kSame) {
    // For the same bytes too: the signature beside them may be another.
    if (!signature_holds(checker, Purpose::kRecord, message.record)) {
      return refuse(peer, "a record whose signature does not hold");
    }
  }
  ++figures.announcements;
  gone.erase(node);
  show_other_record(peer, *record);
  switch (outcome) {
    case RecordTable::Put::kTaken:
      kept.put(std::move(message.record), record->sequence, address,
               now + std::chrono::seconds(record->ttl_s));
      break;
    case RecordTable::Put::kSame:
      break;
    case RecordTable::Put::kOlder:
    case RecordTable::Put::kFull:
    case RecordTable::Put::kAddressFull:
      ++figures.refused;
      break;
  }
  // What is kept, if not what was sent: none is 0 s.
  reply(peer, Announced{address, whole_seconds(kept.time_left(node, now))});
}

// A node that was restarted or moved knows that it has signed the record itself, or that it is too
// old. Two processes with one key take turns here, and each learns so of the other.
void Rendezvous::Impl::show_other_record(const NodeId& peer, const NodeRecord& said) {
  const Visitor& visitor = links.at(peer);
  const auto held = records->held(visitor.node);
  if (!held) return;
  const auto before = decode_record(held->record.body);
  const bool same = before && before->endpoints == said.endpoints && before->via == said.via &&
                    held->address == visitor.address;
  if (!same) reply(peer, Announce{held->record});
}

void Rendezvous::Impl::on_sample_request(Instant, const NodeId& peer,
                                         const SampleRequest& message) {
  const std::size_t count = std::min<std::size_t>(message.count, limits::kSampleRecords);
  Sample sample;
  auto changed =
      message.cookie == 0 ? std::nullopt : records->changed_since(message.cookie, count, peer, rng);
  sample.records = changed ? std::move(*changed) : records->sample(count, peer, rng);
  // Where there are many workers, they know who has what.
  const Visitor& visitor = links.at(peer);
  if (visitor.role == Role::kSubmitter && sample.records.size() < count) {
    auto more = sharers->sample(count - sample.records.size(), visitor.node, rng);
    std::move(more.begin(), more.end(), std::back_inserter(sample.records));
  }
  sample.cookie = records->last_change();
  sample.nodes_known = records->size();
  ++figures.samples;
  reply(peer, std::move(sample));
}

// Each record is signed by its node, and as good as if that had come; until it does, it counts for
// the address of who brought it. What a node has said here itself is left alone.
void Rendezvous::Impl::on_sample(Instant now, const NodeId& peer, Sample& message) {
  Visitor& visitor = links.at(peer);
  visitor.asked = false;
  const UnixMs unix_now = config.unix_ms_at_zero + now.ns / 1'000'000;
  for (Signed& fact : message.records) {
    const auto record = decode_record(fact.body);
    if (!record || record->role != Role::kWorker || records->held(fact.signer)) continue;
    if (!fault_of(fact.signer, fact, *record).empty()) continue;
    if (!clock_fault(now, *record).empty() || has_left_since(*record)) continue;
    const UnixMs age_ms = std::max<UnixMs>(unix_now - record->sequence, 0);
    const Duration left = std::chrono::seconds(record->ttl_s) - std::chrono::milliseconds(age_ms);
    if (left <= Duration(0)) continue;
    const auto outcome =
        records->would_put(fact, record->sequence, visitor.address, is_exempt(visitor.address));
    if (outcome != RecordTable::Put::kTaken) continue;
    if (!signature_holds(checker, Purpose::kRecord, fact)) continue;
    records->put(std::move(fact), record->sequence, visitor.address, now + left);
  }
}

void Rendezvous::Impl::on_leave(Instant now, const NodeId& peer) {
  const NodeId node = links.at(peer).node;
  if (const auto held = records->held(node)) {
    if (gone.size() >= kGoneRemembered) {
      std::erase_if(gone, [&](const auto& entry) { return entry.second.until <= now; });
    }
    const auto record = decode_record(held->record.body);
    // Its clock may be ahead of this one's.
    const UnixMs at = std::max(config.unix_ms_at_zero + now.ns / 1'000'000,
                               record ? record->sequence : UnixMs{0});
    if (gone.size() < kGoneRemembered) gone[node] = {at, now + 2 * limits::kRecordTtl};
  }
  records->remove(node);
  sharers->remove(node);
  links.erase(peer);
  actions.emplace_back(Drop{peer, "it has left"});  // so that it knows
}

bool Rendezvous::Impl::has_left_since(const NodeRecord& record) const {
  const auto found = gone.find(record.node);
  return found != gone.end() && record.sequence <= found->second.at;
}

// A window for all addresses at once, so that the table empties itself every minute and nothing has
// to be kept for an address that asks no more.
bool Rendezvous::Impl::within_rate(Instant now, const std::string& address) {
  if (now - window_start >= kRateWindow) {
    window_start = now;
    requests.clear();
  }
  if (is_exempt(address)) return true;
  const auto found = requests.find(address);
  if (found == requests.end()) {
    if (requests.size() >= kAddressesWatched) return false;
    requests.emplace(address, 1);
    return config.requests_per_address_per_minute > 0;
  }
  if (found->second >= config.requests_per_address_per_minute) return false;
  ++found->second;
  return true;
}

void Rendezvous::Impl::reply(const NodeId& peer, const Message& message) {
  Bytes bytes = encode(message);
  figures.bytes_out += bytes.size();
  actions.emplace_back(Send{peer, std::move(bytes)});
}

void Rendezvous::Impl::refuse(const NodeId& peer, const std::string& why) {
  ++figures.refused;
  links.erase(peer);
  actions.emplace_back(Drop{peer, why});
  actions.emplace_back(Tell{LogLevel::kDebug, "dropped " + short_hex(peer) + ": " + why});
}

Rendezvous::Rendezvous(RendezvousConfig config, const SignatureChecker& checker, Rng rng)
    : impl_(std::make_unique<Impl>(std::move(config), checker, rng)) {}
Rendezvous::~Rendezvous() = default;
Rendezvous::Rendezvous(Rendezvous&&) noexcept = default;

RendezvousActions Rendezvous::step(Instant now, RendezvousEvent event) {
  impl_->table(now).expire(now);
  impl_->sharers->expire(now);
  std::visit([&](auto& e) { impl_->on(now, e); }, event);
  return std::exchange(impl_->actions, {});
}

RendezvousFigures Rendezvous::figures() const {
  RendezvousFigures figures = impl_->figures;
  figures.records = impl_->records ? impl_->records->size() : 0;
  return figures;
}

void Rendezvous::check_invariants() const {
  check(impl_->actions.empty(), "all actions are handed out");
  check(impl_->requests.size() <= kAddressesWatched, "more addresses than there may be");
  check(impl_->gone.size() <= kGoneRemembered, "more nodes that left than are remembered");
  if (impl_->records) impl_->records->check_invariants();
  if (impl_->sharers) impl_->sharers->check_invariants();
}

}  // namespace shoal
