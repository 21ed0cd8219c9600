#include "tests/cluster/holder.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <variant>

#include "node/content/core/exchange.h"
#include "node/protocol/hash.h"
#include "node/protocol/limits.h"
#include "node/protocol/result.h"
#include "node/protocol/ticket.h"
#include "node/state/clock.h"
#include "tests/cluster/process.h"

namespace shoal::cluster {
namespace {

constexpr std::chrono::milliseconds kTurn{20};
constexpr std::uint32_t kSampled = 16;

KeyPair next_key() {
  static std::atomic<std::uint8_t> number{0};
  std::array<std::uint8_t, KeyPair::kSeedBytes> seed{0x48};
  seed[1] = ++number;
  return KeyPair(seed);
}

}  // namespace

Holder::Holder(const std::string& ticket, Bytes content, Answer answer)
    : key_(next_key()), bytes_(std::move(content)), answer_(std::move(answer)) {
  const ByteView all = bytes_;
  for (std::size_t at = 0; at < all.size(); at += kContentLeafBytes) {
    leaves_.push_back(content_leaf(all.subspan(at, std::min(kContentLeafBytes, all.size() - at))));
  }
  name_ = {content_id(bytes_), bytes_.size()};
  const auto pool = parse_ticket(ticket, Ed25519Checker());
  check(pool.has_value(), "the ticket of a test is unreadable");
  for (const Ticket::Door& door : pool->doors) doors_.emplace_back(door.node, door.endpoint);
  LinkConfig config;
  config.pool = pool->pool;
  config.listen = "tcp://127.0.0.1:0";
  auto link = Link::open(config, key_);
  check(link.has_value(), "a holder cannot listen");
  link_ = std::move(*link);
  NodeRecord record;
  record.node = key_.id();
  record.pool = pool->pool;
  record.endpoints = {"tcp://127.0.0.1:" + std::to_string(link_->port())};
  record.threads = 1;
  record.agent = "holder";
  record.sequence = unix_ms_now();
  record.ttl_s = 600;
  record_ = sign_fact(key_, Purpose::kRecord, encode(record));
  link_->set_record(record_);
  thread_ = std::thread([this] { run(); });
}

Holder::~Holder() {
  leave();
  thread_.join();
}

bool Holder::await(const std::function<bool()>& holds) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, holds);
}

void Holder::run() {
  for (const auto& [node, endpoint] : doors_) link_->perform(Dial{node, endpoint});
  std::vector<bool> readable;
  while (!leaving_) {
    for (LinkEvent& event : link_->wait(kTurn, {}, readable)) {
      if (const auto* up = std::get_if<LinkUp>(&event)) {
        ++linked_;
        if (up->role == Role::kCoordinator) {
          link_->perform(Send{up->peer, encode(Message(Announce{record_}))});
          link_->perform(Send{up->peer, encode(Message(SampleRequest{kSampled, 0}))});
        } else {
          for (const Holdings& all : holdings_of_all(name_.id, name_.length)) {
            link_->perform(Send{up->peer, encode(Message(all))});
          }
        }
      } else if (const auto* received = std::get_if<Received>(&event)) {
        if (const auto message = decode(received->bytes)) hear(received->peer, *message);
      }
      if (leaving_) break;
    }
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  }
  link_.reset();
  gone_ = true;
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void Holder::hear(const NodeId& from, const Message& message) {
  if (const auto* sample = std::get_if<Sample>(&message)) {
    for (const Signed& record : sample->records) {
      const auto what = decode_record(record.body);
      if (!what || what->node == key_.id() || what->endpoints.empty()) continue;
      link_->perform(Dial{what->node, what->endpoints.front()});
    }
  } else if (std::holds_alternative<WorkRequest>(message)) {
    link_->perform(Send{from, encode(Message(NoWork{}))});
  } else if (const auto* held = std::get_if<Holdings>(&message); held && held->fetching) {
    if (held->content != name_.id) return;
    for (const Holdings& all : holdings_of_all(name_.id, name_.length)) {
      link_->perform(Send{from, encode(Message(all))});
    }
  } else if (const auto* request = std::get_if<BlockRequest>(&message)) {
    if (request->content != name_.id || request->length != name_.length) return;
    ++asked_;
    auto block = answer_(honest_block(request->first_leaf));
    if (!block) return;
    ++sent_blocks_;
    if (!sent_.emplace(from, request->first_leaf).second) ++sent_again_;
    link_->perform(Send{from, encode(Message(std::move(*block)))});
  }
}

Block Holder::honest_block(std::uint64_t first_leaf) const {
  const std::uint64_t last =
      std::min<std::uint64_t>(first_leaf + limits::kBlockLeaves, leaves_.size());
  const std::size_t begin = first_leaf * kContentLeafBytes;
  const std::size_t end = std::min<std::size_t>(last * kContentLeafBytes, bytes_.size());
  return Block{name_.id, first_leaf, to_bytes(ByteView(bytes_).subspan(begin, end - begin)),
               merkle_range_proof(leaves_, first_leaf, last), false};
}

}  // namespace shoal::cluster
