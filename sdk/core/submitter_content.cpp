#include <algorithm>
#include <array>
#include <utility>

#include "sdk/core/submitter_impl.h"

// Contents that are shared or fetched for their own sake. Who shares one tells some workers of it,
// and who fetches one asks some workers who has it. Both choose those whose ids are the nearest to
// the content's: in a large pool, too, they meet at the same ones.
namespace shoal {
namespace {

constexpr std::size_t kRendezvous = 16;
constexpr Duration kLookAgain = 30s;
constexpr Duration kTellEvery = 200ms;

using Distance = std::array<std::uint8_t, 32>;

Distance distance(const NodeId& node, const ContentId& content) {
  Distance between{};
  for (std::size_t i = 0; i < between.size(); ++i) {
    between[i] = static_cast<std::uint8_t>(node.bytes[i] ^ content.bytes[i]);
  }
  return between;
}

}  // namespace

void Submitter::Impl::on(const ShareContent& share) {
  loose[share.content] = LooseContent{share.length, false, {}, {}};
  if (!look_for_holders) look_for_holders = now + kLookAgain;
  begin_search();
  for (const auto& [node, c] : std::map<NodeId, Contact>(contacts)) {
    if (c.linked && c.path != LinkPath::kRelayed) content_link_up(node);
  }
  review();
}

void Submitter::Impl::on(const FetchContent& fetch) {
  loose[fetch.content] = LooseContent{fetch.length, true, {}, {}};
  pass(exchange.want(now, fetch.content, fetch.length, {}, fetch.patience));
  begin_search();
  for (const auto& [node, c] : std::map<NodeId, Contact>(contacts)) {
    if (c.linked && c.path != LinkPath::kRelayed) content_link_up(node);
  }
  review();
}

void Submitter::Impl::dial_for_contents() {
  for (auto& [content, what] : loose) {
    if (!settled()) return;
    std::vector<std::pair<Distance, NodeId>> workers;
    for (const auto& [node, c] : contacts) {
      if (valid_worker(c) && reachable(c)) workers.emplace_back(distance(node, content), node);
    }
    std::sort(workers.begin(), workers.end());
    if (workers.size() > kRendezvous) workers.resize(kRendezvous);
    for (const auto& [between, node] : workers) {
      if (!contacts.at(node).linked && what.tried.insert(node).second) dial(node);
    }
  }
}

void Submitter::Impl::content_link_up(const NodeId& node) {
  std::vector<ContentId> fetched;
  for (const auto& [content, what] : loose) {
    if (what.fetching) {
      fetched.push_back(content);
    } else {
      send(node, holdings_for(node, content, what.length));
    }
  }
  // A small one is there before it could be told who has it.
  for (const ContentId& content : fetched) pass(exchange.add_hearsay(now, content, node));
}

void Submitter::Impl::heard(const NodeId& from, Holdings& holdings) {
  if (!serves(holdings.content)) {
    if (!holdings.fetching) return;
    return send(from, Holdings{holdings.content, holdings.length, 0, {}, false});
  }
  if (reach.connected(from)) pass(exchange.on_holdings(now, from, holdings));
}

void Submitter::Impl::heard(const NodeId& from, HoldersRequest& request) {
  Holders answer{request.content, {}};
  for (const NodeId& node : exchange.holders_of(request.content)) {
    const auto it = contacts.find(node);
    if (node == from || it == contacts.end() || !it->second.signed_record) continue;
    if (answer.records.size() >= limits::kHoldersPerMessage) break;
    answer.records.push_back(*it->second.signed_record);
  }
  send(from, answer);
}

void Submitter::Impl::heard(const NodeId&, Holders& holders) {
  if (!exchange.wants(holders.content)) return;
  for (const Signed& record : holders.records) {
    if (record.signer == signer.id() || !absorb_holder(record)) continue;
    pass(exchange.add_hearsay(now, holders.content, record.signer));
    const auto what = loose.find(holders.content);
    if (what == loose.end() || what->second.tried.insert(record.signer).second) {
      dial(record.signer);
    }
  }
}

// As absorb(), but of anybody in the pool that lets itself be dialled.
bool Submitter::Impl::absorb_holder(const Signed& fact) {
  if (absorb(fact)) return true;
  auto record = decode_record(fact.body);
  if (!record || record->node != fact.signer || record->pool != config.pool ||
      record->role != Role::kSubmitter || record->sequence + 1000LL * record->ttl_s <= unix_now() ||
      !signature_holds(checker, Purpose::kRecord, fact)) {
    return false;
  }
  Contact* c = contact(fact.signer);
  if (!c) return false;
  c->record = std::move(*record);
  c->signed_record = fact;
  c->of_content = true;
  return true;
}

void Submitter::Impl::content_arrived(const ContentArrived& arrived) {
  const auto it = loose.find(arrived.id);
  if (it == loose.end() || !it->second.fetching) return;
  out.push_back(ContentReady{arrived.id, arrived.error});
  if (!arrived.error.empty()) {
    loose.erase(it);
    return;
  }
  it->second.fetching = false;  // from now on it is shared, as long as this session lasts
}

void Submitter::Impl::tell_progress(const ContentId& content) {
  const auto it = loose.find(content);
  if (it == loose.end() || it->second.told + kTellEvery > now) return;
  const auto progress = exchange.progress(content);
  if (!progress) return;
  it->second.told = now;
  out.push_back(ContentUnderWay{content, *progress});
}

void Submitter::Impl::contents_deadline() {
  if (!look_for_holders || *look_for_holders > now) return;
  look_for_holders.reset();
  if (loose.empty()) return;
  look_for_holders = now + kLookAgain;
  for (auto& [content, what] : loose) what.tried.clear();
  begin_search();
  review();
}

}  // namespace shoal
