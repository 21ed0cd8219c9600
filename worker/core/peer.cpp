#include "worker/core/peer.h"

#include <algorithm>
#include <utility>

#include "node/content/core/exchange.h"
#include "node/protocol/address.h"
#include "node/reach/core/pass_through.h"
#include "worker/core/admission.h"
#include "worker/core/custody.h"
#include "worker/core/labor.h"
#include "worker/core/membership.h"
#include "worker/core/pins.h"
#include "worker/core/stewardship.h"
#include "worker/core/store_groups.h"

namespace shoal {
namespace {

constexpr std::uint32_t kNewsHopsMax = 16;
constexpr std::size_t kNewsFanOut = 8;
constexpr Duration kFetchPatience = 30s;
constexpr Duration kOwnDiskPatience = 1s;  // of what nobody is said to have: is it here?

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace

// The parts of a peer, and who hears which message. It decides nothing itself.
struct Peer::Impl {
  Impl(PeerConfig c, const Signer& s, const SignatureChecker& k, Rng r, RecoveredState recovered)
      : config(std::move(c)),
        signer(s),
        checker(k),
        rng(r),
        out(s.id()),
        membership(config, signer, checker, rng.fork()),
        custody(config, checker, signer.id()),
        stewardship(config, signer, checker, membership, custody, rng.fork()),
        labor(config, signer, checker, membership, custody, rng.fork()),
        exchange(rng.fork()),
        pins(config, membership, exchange),
        reach(reach_config(), signer, rng.fork()) {
    for (const StoredFact& fact : recovered.facts) {
      if (fact.kind != FactKind::kPeer) continue;
      const bool has_place = fact.about == NodeId();
      const auto record = unpack_signed(fact.bytes);
      if (!record) continue;
      membership.recover(*record, has_place ? std::optional(fact.sequence) : std::nullopt);
    }
    exchange.limit_rates(config.upload_rate, config.download_rate);
    custody.recover(recovered.facts);
    exchange.limit_traffic(config.traffic_caps, config.traffic, config.unix_ms_at_zero);
    stewardship.recover(recovered.facts);
    labor.recover(recovered.facts);
  }

  PeerConfig config;
  const Signer& signer;
  const SignatureChecker& checker;
  Rng rng;
  Instant now;
  Outbox out;
  Membership membership;
  Custody custody;
  Stewardship stewardship;
  Labor labor;
  Exchange exchange;
  Pins pins;
  Reach reach;
  StoreGroups groups;
  const std::vector<std::string> own_endpoints = config.record.endpoints;  // without `mapped`
  std::string mapped;
  std::map<NodeId, Signed> visitors;  // submitters that are linked, and can be dialled

  // --- links: each of them passes through `reach` ---
  ReachConfig reach_config() {
    ReachConfig reach_config;
    reach_config.hello = {config.pool, Role::kWorker,
                          [this] { return membership.record_of(signer.id()); }};
    for (const auto& door : config.doors) reach_config.doors.insert(door.node);
    for (const std::string& endpoint : config.record.endpoints) {
      const auto at = split_endpoint(endpoint);
      if (at && reach_config.port == 0) reach_config.port = at->port;
    }
    return reach_config;
  }
  void take(LinkUp& up) { reach.on(now, std::move(up)); }
  void take(LinkLost& lost) { reach.on(now, std::move(lost)); }
  void take(Probed& probed) { reach.on(now, probed); }
  template <class Event>
  void take(Event& event) {
    on(event);
  }
  PeerActions actions_of_step() {
    return pass_through<PeerAction>(
        reach, now, [&](auto& event) { on(event); },
        [&] {
          settle();
          if (reach.via() != membership.via()) membership.set_via(now, reach.via(), out);
          return out.take();
        });
  }

  // --- events ---
  void on(const Started&) {
    drop_refused();
    membership.on_started(now, out);
    stewardship.on_started(now, out);
    labor.on_started(now, out);
    custody.on_started([this](const JobId& job) { return busy_with(job); });
    perform(pins.fetch(now));
  }
  void on(const Leaving&) { membership.leave(out); }
  void on(const DeadlineReached&) {
    reach.on_deadline(now);
    membership.on_deadline(now, out);
    stewardship.on_deadline(now, out);
    if (exchange.next_deadline() && *exchange.next_deadline() <= now) {
      perform(exchange.on_deadline(now));
    }
    perform(pins.on_deadline(now));
    groups.on_deadline(now, out);
  }
  void on(const LinkUp& up) {
    membership.on_link_up(now, up, out);
    stewardship.on_link_up(now, up.peer, out);
    labor.on_link_up(now, up.peer, out);
    if (up.path != LinkPath::kRelayed) {
      const AddressScope scope = scope_of(up.address);
      perform(exchange.link_up(
          now, up.peer, scope == AddressScope::kLoopback || scope == AddressScope::kPrivate));
    }
    if (up.role == Role::kSubmitter && up.record && up.record->signer == up.node()) {
      visitors.insert_or_assign(up.peer, *up.record);  // whoever is sent it checks it
    }
    if (up.session_of && up.path != LinkPath::kRelayed) {  // it may have what its node is to have
      for (const ContentId& content : exchange.wanted_of(*up.session_of)) {
        perform(exchange.add_hearsay(now, content, up.peer));
      }
    }
    perform(pins.on_link_up(now, up, out));
    if (up.role != Role::kWorker) return;
    for (const JobId& job : stewardship.running()) out.send(up.peer, own_news(job));
    for (WorkAvailable& news : labor.jobs_heard_of()) {
      if (news.leader.signer != up.peer && news.leader.signer != signer.id()) {
        out.send(up.peer, std::move(news));
      }
    }
  }
  void on(const LinkLost& lost) {
    membership.on_link_lost(now, lost, out);
    stewardship.on_link_lost(now, lost, out);
    labor.on_link_lost(now, lost.peer, out);
    perform(exchange.link_lost(now, lost.peer));
    visitors.erase(lost.peer);
  }
  void on(const Received& received) {
    if (!membership.note_use(now, received.peer)) return;
    auto message = decode(received.bytes);
    if (message) return hear(received.peer, std::move(*message));
    if (message.error().fault == DecodeFault::kUnknown) return;
    out.tell(LogLevel::kWarning, "peer " + short_hex(received.peer) +
                                     " sent what is no message: " + message.error().what);
    out.act(Drop{received.peer, "bad message: " + message.error().what});
  }
  void on(const PortMapped& news) {
    if (news.endpoint == mapped) return;
    mapped = news.endpoint;
    std::vector<std::string>& endpoints = config.record.endpoints;
    endpoints = own_endpoints;
    // First: for those outside it is the only one that leads here.
    if (!mapped.empty()) endpoints.insert(endpoints.begin(), mapped);
    if (endpoints.size() > limits::kEndpoints) endpoints.resize(limits::kEndpoints);
    const auto at = split_endpoint(mapped);
    reach.set_outer_port(now, at ? at->port : 0);
    membership.announce(now, out);
  }
  void on(const StoreDone& done) {
    auto facts = groups.done(done.token);
    if (!facts) return;
    stewardship.disk_waits(groups.waits_since());
    stewardship.on_stored(now, *facts, done.error, out);
    custody.on_stored(*facts, done.error, out);
    if (done.error.empty()) return;
    out.tell(LogLevel::kError, "cannot store: " + done.error);
    for (StoredFact& fact : *facts) {
      // What a worker keeps for itself is computed again where it is lost.
      if (goes_with(fact.kind) != Erase::What::kKept) continue;
      if (stewardship.find(fact.job) != nullptr) groups.try_again(now, std::move(fact));
    }
  }
  void on(ReceiptsLoaded& loaded) {
    if (loaded.reader == signer.id()) return stewardship.on_own_receipts(now, loaded, out);
    if (JobLed* job = stewardship.find(loaded.job)) {
      job->delivery().loaded(loaded.reader, std::move(loaded.receipts), out);
    }
  }
  void on(Refuse& refuse) {
    config.refused = std::move(refuse.refusals);
    drop_refused();
    perform(pins.fetch(now));  // what is refused no more
  }
  void on(const Lend& lend) { labor.lend(lend.what, out); }
  void on(ComputeDone& done) { labor.on_compute_done(now, std::move(done), out); }
  void on(StateSaved& saved) { labor.on_state_saved(std::move(saved), out); }
  void on(const CompareDone& done) { labor.on_compare_done(done, out); }
  void on(const ContentsLost& lost) { labor.on_contents_lost(now, lost.job, out); }
  void on(const ContentOpened& opened) { perform(exchange.on_opened(now, opened)); }
  void on(const BlockStored& stored) { perform(exchange.on_stored(now, stored)); }
  void on(BlockRead& read) { perform(exchange.on_read(now, std::move(read))); }
  void on(const BulkSent& sent) { perform(exchange.on_bulk_sent(now, sent.peer)); }

  // --- messages ---
  void hear(const NodeId& from, Message message) {
    std::visit([&](auto& m) { hear(from, m); }, message);
  }
  void hear(const NodeId& from, const Announced&) { membership.on_announced(now, from, out); }
  void hear(const NodeId& from, const SampleRequest& m) {
    membership.on_sample_request(now, from, m, out);
  }
  void hear(const NodeId& from, const Sample& m) { membership.on_sample(now, from, m, out); }
  void hear(const NodeId& from, const Submit& m) { stewardship.on_submit(now, from, m, out); }
  void hear(const NodeId& from, const JobStatusRequest& m) {
    stewardship.on_status_request(now, from, m, out);
  }
  // A follower has asked its leader how it is.
  void hear(const NodeId& from, const JobStatusReply& m) {
    for (const JobStatus& job : m.jobs) {
      stewardship.on_leader_status(now, from, job, labor.asks_in_vain(job.job), out);
    }
  }
  void hear(const NodeId& from, const ControlRequest& m) {
    stewardship.on_control(now, from, m, out);
    labor.on_control(m.control, out);
  }
  void hear(const NodeId& from, const JobFind& m) {
    JobFound found;
    found.job = m.job;
    if (const JobLed* job = stewardship.find(m.job)) {
      TermNotice notice = stewardship.notice_of(m.job);
      found.leader = membership.record_of(job->term().stewards.front());
      found.terms = std::move(notice.terms);
      found.stewards = std::move(notice.records);
      if (m.with_manifest) found.manifest = job->signed_manifest();
      // Who looks for its leader need not wait for one.
      if (auto control = job->cancelled_by()) out.send(from, ControlRequest{std::move(*control)});
    } else {
      labor.tell(m, found);
    }
    out.send(from, std::move(found));
  }
  void hear(const NodeId& from, const WorkAvailable& m) {
    if (m.leader.signer == signer.id() || !membership.learn(now, m.leader, out)) return;
    // A leader of yesterday does not know yet that it is one.
    if (auto better = from == m.leader.signer ? labor.better_than(m) : std::nullopt) {
      return out.send(from, std::move(*better));
    }
    stewardship.hear_of(now, m.job, m.terms, out);
    if (!labor.hear_of(now, from, m, out) || m.hops >= kNewsHopsMax) return;
    std::vector<NodeId> others = membership.linked_workers();
    std::erase(others, from);
    std::erase(others, m.leader.signer);
    WorkAvailable on = m;
    on.hops += 1;
    for (std::size_t i = 0; i < std::min(others.size(), kNewsFanOut); ++i) {
      std::swap(others[i], others[i + rng.below(others.size() - i)]);
      out.send(others[i], on);
    }
  }
  void hear(const NodeId& from, const WorkRequest& m) {
    JobLed* job = m.job ? stewardship.find(*m.job) : nullptr;
    if (job != nullptr && (job->leading() || !job->active())) {
      return job->on_work_request(now, from, m, out);
    }
    if (job != nullptr) return out.send(from, stewardship.notice_of(*m.job));
    if (m.job && stewardship.left(*m.job)) return;
    if (m.job) return out.send(from, LeaseRevoke{.job = *m.job, .ranges = {}, .job_over = true});
    out.send(from, NoWork{.job = std::nullopt, .holders = {}, .jobs = labor.jobs_heard_of()});
  }
  void hear(const NodeId& from, LeaseGrant& m) { labor.on_grant(now, from, std::move(m), out); }
  void hear(const NodeId& from, const NoWork& m) {
    labor.on_no_work(now, from, m, out);
    for (const WorkAvailable& news : m.jobs) hear(from, news);
  }
  void hear(const NodeId& from, const LeaseReport& m) {
    JobLed* job = stewardship.led(m.job);
    if (job != nullptr && !job->on_report(now, from, m, out)) {
      out.send(from, stewardship.notice_of(m.job));
    }
  }
  void hear(const NodeId& from, const LeaseRevoke& m) { labor.on_revoke(from, m, out); }
  void hear(const NodeId& from, const StealRequest& m) {
    labor.on_steal_request(now, from, m, out);
  }
  void hear(const NodeId& from, const StealReply& m) { labor.on_steal_reply(now, from, m, out); }
  void hear(const NodeId& from, const TransferNotice& m) {
    auto transfer = decode_transfer(m.by_victim.body);
    JobLed* job = transfer ? stewardship.led(transfer->job) : nullptr;
    if (job != nullptr) job->on_transfer(now, from, m, out);
  }
  // To a leader, or from it.
  void hear(const NodeId& from, UnitState& m) {
    if (JobLed* job = stewardship.led(m.job)) return job->on_state(from, std::move(m), out);
    labor.on_state(from, std::move(m), out);
  }
  void hear(const NodeId& from, const TransferReply& m) { labor.on_transfer_reply(from, m, out); }
  void hear(const NodeId& from, const CommitNotice& m) {
    if (JobLed* job = stewardship.led(m.job)) job->on_commit(now, from, m, out);
  }
  void hear(const NodeId& from, const FailureNotice& m) {
    for (const Signed& failure : m.failures) {
      auto what = decode_failure(failure.body);
      JobLed* job = what ? stewardship.led(what->job) : nullptr;
      if (job != nullptr) job->on_failure(now, from, failure, out);
    }
  }
  void hear(const NodeId& from, const RevealRequest& m) { labor.on_reveal_request(from, m, out); }
  void hear(const NodeId& from, Reveal& m) {
    if (JobLed* job = stewardship.led(m.job)) job->on_reveal(now, from, std::move(m), out);
  }
  void hear(const NodeId& from, const CompareRequest& m) {
    labor.on_compare_request(now, from, m, out);
  }
  void hear(const NodeId& from, const CompareReply& m) {
    auto what = decode_comparison_verdict(m.verdict.body);
    JobLed* job = what ? stewardship.led(what->job) : nullptr;
    if (job != nullptr) job->on_verdict(now, from, m.verdict, out);
  }
  void hear(const NodeId& from, const ResultsRequest& m) {
    if (stewardship.may_read(m.job, from)) {
      stewardship.find(m.job)->delivery().request(from, m, out);
    }
  }
  void hear(const NodeId& from, const JobOver& m) { stewardship.on_job_over(from, m, out); }
  void hear(const NodeId& from, const BlockRequest& m) {
    // Content is too much for a circuit.
    if (!reach.connected(from) || refuses(m.content)) {
      return out.send(from, Block{m.content, m.first_leaf, {}, {}, true});
    }
    perform(exchange.on_request(now, from, m));
  }
  void hear(const NodeId& from, Block& m) { perform(exchange.on_block(now, from, std::move(m))); }
  void hear(const NodeId& from, const Holdings& m) {
    if (!reach.connected(from) || refuses(m.content)) return;
    perform(exchange.on_holdings(now, from, m));
  }
  void hear(const NodeId& from, const HoldersRequest& m) {
    stewardship.on_sought(now, from, m.content, out);
    Holders answer{m.content, {}};
    std::set<NodeId> holders = stewardship.holders_of(m.content);
    for (const NodeId& node : exchange.holders_of(m.content)) holders.insert(node);
    for (const NodeId& node : holders) {
      if (answer.records.size() >= limits::kHoldersPerMessage) break;
      auto record = node == from ? std::nullopt : record_of(node);
      if (record) answer.records.push_back(std::move(*record));
    }
    out.send(from, std::move(answer));
  }
  void hear(const NodeId&, const Holders& m) {
    // Those who are linked and have nothing are no reason to leave out who has it.
    std::size_t suppliers = exchange.suppliers_of(m.content);
    for (const Signed& record : m.records) {
      if (suppliers >= limits::kContentPeers) return;
      if (record.signer == signer.id() || !exchange.takes(m.content, record.signer)) continue;
      if (!membership.learn(now, record, out)) continue;
      ++suppliers;
      for (const NodeId& holder : membership.reach_all(now, record.signer, out)) {
        perform(exchange.add_hearsay(now, m.content, holder));
      }
    }
  }
  void hear(const NodeId& from, const BlockCancel& m) { exchange.on_cancel(from, m); }
  void hear(const NodeId& from, const WorkerStatusRequest&) {
    WorkerStatus answer = status();
    answer.doing += refusals_text(config, membership.node_of(from));
    out.send(from, std::move(answer));
  }
  void hear(const NodeId&, const JobFound& m) { labor.on_job_found(now, m, out); }
  void hear(const NodeId& from, const Results& m) { stewardship.on_results(now, from, m, out); }
  void hear(const NodeId& from, const TermNotice& m) {
    stewardship.on_term_notice(now, from, m, out);
    labor.on_term_notice(now, from, m, out);
  }
  void hear(const NodeId& from, const Heartbeat&) { stewardship.on_heartbeat(now, from); }
  void hear(const NodeId& from, const Enlist& m) { stewardship.on_enlist(from, m, out); }
  void hear(const NodeId& from, const EnlistReply& m) {
    stewardship.on_enlist_reply(now, from, m, out);
  }
  void hear(const NodeId& from, const EndorseRequest& m) {
    stewardship.on_endorse_request(from, m, out);
  }
  void hear(const NodeId& from, const Endorse& m) { stewardship.on_endorse(now, from, m, out); }
  void hear(const NodeId& from, const Keep& m) {
    for (const Signed& holder : m.holders) membership.learn(now, holder, out);
    custody.on_keep(from, m, out);
  }
  void hear(const NodeId& from, const Kept& m) { stewardship.on_kept(now, from, m, out); }
  void hear(const NodeId& from, const Rejoin& m) {
    if (JobLed* job = stewardship.find(m.job); job != nullptr && !job->leading() && !job->over()) {
      out.send(from, stewardship.notice_of(m.job));
    } else if (job != nullptr) {
      job->on_rejoin(now, from, m, out);
    } else if (!stewardship.left(m.job)) {
      out.send(from, LeaseRevoke{.job = m.job, .ranges = {}, .job_over = true});
    }
  }
  void hear(const NodeId& from, const RejoinReply& m) { labor.on_rejoin_reply(now, from, m, out); }
  template <class M>
  requires requires(Reach& r, const M& m) { r.heard(Instant{}, NodeId{}, m); }
  void hear(const NodeId& from, const M& m) { reach.heard(now, from, m); }
  // Its relays have changed; or it had another record of this node.
  void hear(const NodeId& from, const Announce& m) {
    const NodeId& node = m.record.signer;
    if (node == from || node == signer.id()) membership.learn(now, m.record, out);
  }
  // Spoken by others to others: a peer that sends one of these here gets no answer.
  void hear(const NodeId&, const Hello&) {}
  void hear(const NodeId& from, const Refused& m) { membership.on_refused(now, from, m, out); }
  void hear(const NodeId&, const Leave&) {}
  void hear(const NodeId&, const SubmitReply&) {}
  void hear(const NodeId&, const WorkerStatus&) {}

  // --- what the donor refuses ---
  void drop_refused() {
    const std::vector<NodeId> workers = membership.linked_workers();
    stewardship.reconsider(out);
    labor.reconsider(out);
    custody.reconsider(workers, out);
    for (const ContentId& id : config.refused.contents) {
      pins.lose(id);
      if (exchange.wants(id)) {
        exchange.forget(id);
        perform({not_wanted(id)});
      }
      out.act(DropContent{.id = id, .refused = true});
    }
  }
  bool refuses(const ContentId& id) const { return config.refused.contents.contains(id); }
  static ContentArrived not_wanted(const ContentId& id) {
    return {id, "the owner of this worker refuses content " + short_hex(id)};
  }

  // Of a worker as it is known here, or of a submitter that is linked and lets itself be dialled.
  std::optional<Signed> record_of(const NodeId& node) const {
    const auto visitor = visitors.find(node);
    return visitor == visitors.end() ? membership.record_of(node) : visitor->second;
  }

  // --- what the parts ask of each other ---
  void want(const ContentId& content, std::uint64_t length, const std::vector<NodeId>& nodes) {
    if (refuses(content)) return perform({not_wanted(content)});
    std::vector<NodeId> sources;
    for (const NodeId& node : nodes) {
      if (node == signer.id()) continue;
      for (const NodeId& peer : membership.reach_all(now, node, out)) sources.push_back(peer);
    }
    const Duration patience = nodes.empty() ? kOwnDiskPatience : kFetchPatience;
    perform(exchange.want(now, content, length, sources, patience));
  }
  WorkAvailable own_news(const JobId& job) {
    auto record = membership.record_of(signer.id());
    return {.job = job,
            .leader = record ? *record : membership.own_record(now),
            .hops = 0,
            .terms = stewardship.find(job)->terms()};
  }
  void perform(ExchangeActions actions) {
    for (auto& action : actions) {
      std::visit(Overloaded{[&](ContentArrived& arrived) {
                              stewardship.on_content(now, arrived.id, arrived.error, out);
                              labor.on_content(now, arrived.id, arrived.error, out);
                              custody.on_content(arrived.id, arrived.error);
                              pins.on_content(now, arrived, out);
                            },
                            [&](auto& other) { out.act(std::move(other)); }},
                 action);
    }
  }
  // Whether there was anything to fetch.
  bool fetch(const std::vector<ContentNeed>& needs) {
    for (const ContentNeed& need : needs) want(need.id, need.length, need.sources);
    return !needs.empty();
  }
  void settle() {
    bool again = true;
    while (again) {
      again = false;
      while (out.has_own_message()) {
        hear(signer.id(), out.next_own_message());
        again = true;
      }
      for (const JobId& job : stewardship.take_news()) {
        const WorkAvailable news = own_news(job);
        if (const auto better = labor.better_than(news)) {
          stewardship.hear_of(now, job, better->terms, out);
          again = true;
          continue;
        }
        labor.hear_of(now, signer.id(), news, out);
        for (const NodeId& worker : membership.linked_workers()) out.send(worker, news);
        again = true;
      }
      again |= fetch(stewardship.take_content_needs());
      again |= fetch(labor.take_content_needs());
      again |= fetch(custody.take_content_needs());
      labor.advance(now, out);
      again |= out.has_own_message();
    }
    custody.advance(
        now, [this](const JobId& job) { return busy_with(job); },
        [this] { return contents_in_use(); }, out);
    if (groups.due(now, out)) {
      labor.flush_saved(out);
      groups.store(now, out);
      stewardship.disk_waits(groups.waits_since());
    }
  }

  bool busy_with(const JobId& job) const { return stewardship.keeps(job) || labor.works_for(job); }
  std::set<ContentId> contents_in_use() const {
    std::set<ContentId> used;
    stewardship.add_needed(used);
    labor.add_needed(used);
    custody.add_needed(used);
    pins.add_needed(used);
    exchange.add_wanted(used);
    for (const ContentId& id : config.refused.contents) used.erase(id);
    return used;
  }

  WorkerStatus status() const {
    WorkerStatus status;
    status.node = signer.id();
    status.agent = config.record.agent;
    status.threads = config.record.threads;
    membership.fill(status);
    status.jobs_led = stewardship.jobs_led();
    labor.fill(status);
    if (const std::string twin = membership.twin_text(now); !twin.empty()) {
      status.doing += "; " + twin;
    }
    status.reachability = reach.reachability();
    status.mapped = mapped;
    return status;
  }
};

Peer::Peer(PeerConfig config, const Signer& signer, const SignatureChecker& checker, Rng rng,
           RecoveredState recovered)
    : impl_(std::make_unique<Impl>(std::move(config), signer, checker, rng, std::move(recovered))) {
}
Peer::~Peer() = default;
Peer::Peer(Peer&&) noexcept = default;

PeerActions Peer::step(Instant now, PeerEvent event) {
  check(now >= impl_->now, "time went backwards");
  impl_->now = now;
  std::visit([&](auto& e) { impl_->take(e); }, event);
  return impl_->actions_of_step();
}

std::optional<Instant> Peer::next_deadline() const {
  std::optional<Instant> next;
  for (auto at : {impl_->membership.next_deadline(), impl_->stewardship.next_deadline(),
                  impl_->labor.next_deadline(), impl_->custody.next_deadline(),
                  impl_->exchange.next_deadline(), impl_->reach.next_deadline(),
                  impl_->groups.next_deadline(impl_->out), impl_->pins.next_deadline()}) {
    if (at && (!next || *at < *next)) next = at;
  }
  return next;
}

void Peer::check_invariants() const {
  impl_->membership.check_invariants();
  impl_->stewardship.check_invariants();
  impl_->labor.check_invariants();
  impl_->custody.check_invariants();
  impl_->exchange.check_invariants();
  impl_->reach.check_invariants();
}

Reachability Peer::reachability() const { return impl_->reach.reachability(); }
const std::vector<std::string>& Peer::endpoints() const { return impl_->config.record.endpoints; }
Signed Peer::sign_record(Instant now) { return impl_->membership.own_record(now); }
const std::vector<Via>& Peer::via() const { return impl_->reach.via(); }
bool Peer::has_left() const { return impl_->membership.has_left(); }
bool Peer::nothing_in_hand() const { return impl_->labor.nothing_in_hand(); }
const Traffic& Peer::traffic() const { return impl_->exchange.traffic(); }

std::set<ContentId> Peer::contents_needed() const { return impl_->contents_in_use(); }
WorkerStatus Peer::status() const { return impl_->status(); }
std::vector<JobStatus> Peer::jobs_led() const { return impl_->stewardship.statuses(impl_->now); }

}  // namespace shoal
