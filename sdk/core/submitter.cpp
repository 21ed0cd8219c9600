#include "sdk/core/submitter.h"

#include <algorithm>
#include <utility>

#include "node/protocol/address.h"
#include "node/reach/core/pass_through.h"
#include "sdk/core/submitter_impl.h"

namespace shoal {

Submitter::Submitter(SubmitterConfig config, const Signer& signer, const SignatureChecker& checker,
                     Rng rng)
    : impl_(std::make_unique<Impl>(std::move(config), signer, checker, rng)) {}
Submitter::~Submitter() = default;
Submitter::Submitter(Submitter&&) noexcept = default;

SubmitterActions Submitter::step(Instant now, SubmitterEvent event) {
  check(now >= impl_->now, "time went backwards");
  impl_->now = now;
  impl_->out.clear();
  std::visit([this](auto& e) { impl_->take(e); }, event);
  return impl_->actions_of_step();
}

ReachConfig Submitter::Impl::reach_config() const {
  ReachConfig reach_config;
  reach_config.hello = {.pool = config.pool,
                        .role = Role::kSubmitter,
                        .record = [] { return std::nullopt; },
                        .session = config.session};
  for (const Ticket::Door& door : config.doors) reach_config.doors.insert(door.node);
  reach_config.port = config.port;
  reach_config.asks_to_be_dialled = false;
  reach_config.relays = false;
  reach_config.takes_calls =
      config.takes_calls;  // or a stranger would be as good as a worker that was found
  return reach_config;
}

SubmitterActions Submitter::Impl::actions_of_step() {
  return pass_through<SubmitterAction>(
      reach, now, [this](auto& event) { on(event); },
      [this] {
        finish_censuses();
        return std::exchange(out, {});
      });
}

std::optional<Instant> Submitter::next_deadline() const { return impl_->next_deadline(); }

bool Submitter::has_left() const { return impl_->leaving && impl_->announced.empty(); }

std::optional<Instant> Submitter::Impl::next_deadline() const {
  std::optional<Instant> next = exchange.next_deadline();
  const auto consider = [&next](std::optional<Instant> t) {
    if (t && (!next || *t < *next)) next = t;
  };
  consider(reach.next_deadline());
  consider(look_for_holders);
  consider(dial_holders_at);
  if (search.active) {
    consider(search.ends);
    consider(search.ask_again);
  }
  for (const auto& [id, c] : contacts) consider(c.dial_ends);
  for (const auto& [id, job] : jobs) {
    consider(job.timer);
    consider(job.look);
  }
  for (const auto& [content, output] : outputs) consider(output.look_at);
  for (const auto& [content, what] : loose) {
    if (what.passes_on_since) consider(passed_on_at(what));
  }
  for (const Census& census : censuses) {
    if (census.begun) consider(census.ends);
  }
  return next;
}

void Submitter::Impl::on(const SubmitterStarted&) {
  // Before anybody asks: a session's first job should not have to wait for this.
  begin_search();
}

void Submitter::Impl::on(const SubmitterDeadline&) {
  reach.on_deadline(now);
  std::vector<NodeId> late;
  for (const auto& [id, c] : contacts) {
    if (c.dial_ends && *c.dial_ends <= now) late.push_back(id);
  }
  for (const NodeId& id : late) {
    out.push_back(Drop{id, "no answer"});
    link_gone(id, "no answer");
  }
  search_deadline();
  std::vector<JobId> due;
  for (const auto& [id, job] : jobs) {
    if ((job.timer && *job.timer <= now) || (job.look && *job.look <= now)) due.push_back(id);
  }
  for (const JobId& id : due) job_deadline(id);
  contents_deadline();
  outputs_deadline();
  pass(exchange.on_deadline(now));
  tell_who_waits();
}

void Submitter::Impl::on(const LinkUp& up) {
  if (up.record) absorb(*up.record, NodeId{});
  const bool of_content = up.role == Role::kSubmitter && !loose.empty();
  if (of_content && up.record && up.record->signer == up.peer) absorb_holder(*up.record, NodeId{});
  Contact* c = contact(up.peer);
  if (!c) {
    out.push_back(Drop{up.peer, "too many peers"});
    return;
  }
  c->linked = true;
  c->linked_at = now;
  c->path = up.path;
  c->dial_ends.reset();
  c->missed.reset();
  c->address = up.address;
  c->worker = up.role == Role::kWorker;
  // Others who fetch are told where it is; whoever is sent its record checks it.
  if (of_content && up.session_of && up.record && up.record->signer == *up.session_of) {
    c->session_of = up.session_of;
    c->signed_record = up.record;
  }
  if (say_farewell(up.peer)) return;
  if (search.active && is_door(up.peer)) {
    if (!c->worker) announce_to(up.peer);
    ask_for_peers({up.peer, {}});
  } else if (of_content) {
    c->of_content = true;
  } else if (!c->worker) {
    c->linked = false;
    out.push_back(Drop{up.peer, "nothing to ask"});
    return;
  }
  if (exchanges(*c)) {
    const AddressScope scope = scope_of(up.address);
    pass(exchange.link_up(now, up.peer,
                          scope == AddressScope::kLoopback || scope == AddressScope::kPrivate));
    content_link_up(up.peer);
  }
  if (c->worker) {
    if (!c->dialled.empty()) out.push_back(PeerMet{{up.peer, c->dialled}});
    job_link_up(up.peer);
    census_link_up(up.peer);
  }
  review();
}

void Submitter::Impl::on(const LinkLost& lost) { link_gone(lost.peer, lost.why); }

void Submitter::Impl::on(const Received& received) {
  const auto it = contacts.find(received.peer);
  if (it == contacts.end() || !it->second.linked) return;
  auto message = decode(received.bytes);
  if (!message) {
    if (message.error().fault == DecodeFault::kUnknown) return;  // from a newer program
    out.push_back(Drop{received.peer, "sent what is not a message: " + message.error().what});
    link_gone(received.peer, "it sent what is not a message");
    return;
  }
  std::visit([&](auto& m) { heard(received.peer, m); }, *message);
}

void Submitter::Impl::on(const ContentOpened& opened) { pass(exchange.on_opened(now, opened)); }
void Submitter::Impl::on(const BlockStored& stored) {
  pass(exchange.on_stored(now, stored));
  tell_progress(stored.id);
}
void Submitter::Impl::on(BlockRead& read) { pass(exchange.on_read(now, std::move(read))); }
void Submitter::Impl::on(const BulkSent& sent) {
  note_passing_on(sent.peer);
  pass(exchange.on_bulk_sent(now, sent.peer));
}

void Submitter::Impl::heard(const NodeId& from, BlockRequest& request) {
  // Content is too much for a circuit.
  if (!serves(request.content) || !reach.connected(from)) {
    Block missing;
    missing.content = request.content;
    missing.first_leaf = request.first_leaf;
    missing.missing = true;
    send(from, missing);
    return;
  }
  for (auto& [id, job] : jobs) {
    // A steward that fetches is alive, however long the program or the inputs take.
    for (Seat& seat : job.seats) {
      if (seat.node == from) seat.heard = now;
    }
  }
  note_passing_on(from);
  pass(exchange.on_request(now, from, request));
}

void Submitter::Impl::heard(const NodeId& from, Block& block) {
  const ContentId content = block.content;
  pass(exchange.on_block(now, from, std::move(block)));
  if (exchange.wants(content) && !exchange.is_useful(content, from)) review();
}

void Submitter::Impl::send(const NodeId& to, const Message& message) {
  out.push_back(Send{to, encode(message)});
}

void Submitter::Impl::pass(ExchangeActions actions) {
  for (ExchangeAction& action : actions) {
    std::visit(
        [this](auto& a) {
          if constexpr (std::is_same_v<std::decay_t<decltype(a)>, ContentArrived>) {
            output_arrived(a);
            content_arrived(a);
          } else {
            out.push_back(std::move(a));
          }
        },
        action);
  }
}

Duration Submitter::Impl::jittered(Duration d) {
  return d / 2 + Duration(static_cast<std::int64_t>(
                     rng.below(static_cast<std::uint64_t>(d.count() / 2) + 1)));
}

}  // namespace shoal
