#include "tests/sim/swarm.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <variant>
#include <vector>

#include "node/content/core/exchange.h"
#include "node/protocol/hash.h"
#include "tests/sim/chance.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/mix.h"

namespace shoal::sim {
namespace {

constexpr std::uint64_t kBlockBytes = limits::kBlockLeaves * kContentLeafBytes;
constexpr std::uint64_t kBlockOnTheLine = kBlockBytes + 1024;  // with its proof and its headers
constexpr std::uint32_t kFirstKnown = 5;  // peers that one knows when it comes, at random
constexpr Duration kSilence = 10s;        // until a link to one that has crashed is given up

std::uint64_t block_at(std::uint64_t first_leaf) { return first_leaf / limits::kBlockLeaves; }

// Eight bytes in place of a block's.
Bytes token_of(const ContentId& id, std::uint64_t first_leaf) {
  Bytes token;
  append64(token, splitmix(load64(id.bytes.data()) ^ first_leaf));
  return token;
}
std::optional<Hash256> check_token(const ContentId& id, std::uint64_t length, const Block& block) {
  const bool placed = block.first_leaf % limits::kBlockLeaves == 0 &&
                      block.first_leaf / limits::kBlockLeaves < blocks_of(length);
  if (block.missing || block.content != id || !placed) return std::nullopt;
  if (block.bytes != token_of(id, block.first_leaf)) return std::nullopt;
  return Hash256{};
}

struct Letter {
  std::uint32_t from = 0, to = 0;
  std::uint64_t session_from = 0, session_to = 0;  // of a process that is gone nothing arrives
  Bytes bytes;
  bool bulk = false;
  bool down = false;  // it has left the sender's line, and is now to pass the receiver's
};
struct Wake {
  std::uint32_t node = 0;
  Time at = 0;
};
struct Crash {
  std::uint32_t node = 0;
};
struct Return {
  std::uint32_t node = 0;
};
struct Departed {  // the line of `node` has carried a block for `to`
  std::uint32_t node = 0, to = 0;
  std::uint64_t session = 0, session_to = 0;
};
struct Silent {  // `node` gives its link to `gone` up
  std::uint32_t node = 0, gone = 0;
  std::uint64_t session = 0, session_gone = 0;
};
using Event = std::variant<Letter, Wake, Crash, Return, Departed, Silent>;

struct Member {
  NodeId id;
  std::unique_ptr<Exchange> exchange;  // nothing: it is away
  std::uint64_t session = 0;
  Time up_free = 0, down_free = 0;  // when its line has carried all that it was given
  Time wake_at = 0;                 // 0: never
  BlockBits disk;
  std::vector<bool> links;  // with whom it has one
  std::uint32_t dialled = 0;
  std::uint64_t sent = 0;    // bytes of blocks
  std::uint64_t queued = 0;  // blocks that it was given for its line
  Time since = 0;            // it has been there without a break
  Time present = 0;          // and was before, until it had everything
  Time done = 0;
  Rng fate{0};
};

class SwarmRun {
 public:
  explicit SwarmRun(const SwarmOptions& options)
      : options_(options),
        rng_(options.seed),
        length_(options.content_mib << 20),
        blocks_(blocks_of(length_)) {
    append_id(0x5eed, id_.bytes);
    members_.resize(options.peers + 1);  // the first is the seed
    for (std::uint32_t i = 0; i < members_.size(); ++i) {
      append_id(i, members_[i].id.bytes);
      members_[i].fate = Rng(splitmix(options.seed ^ i));
      by_id_[members_[i].id] = i;
    }
    for (Member& member : members_) {
      member.disk = BlockBits(blocks_);
      member.links.resize(members_.size());
    }
    for (std::uint64_t i = 0; i < blocks_; ++i) members_[0].disk.set(i);
  }

  SwarmReport run() {
    for (std::uint32_t i = 0; i < members_.size(); ++i) {
      members_[i].exchange = std::make_unique<Exchange>(rng_.fork(), check_token);
      if (i > 0 && options_.session_s > 0) queue_.push(away_at(i, 0), Crash{i});
    }
    for (std::uint32_t i = 1; i < members_.size(); ++i) begin(i);
    const Time end = seconds(options_.limit_s);
    while (report_.done < options_.peers && !queue_.empty() && queue_.next_time() < end) {
      now_ = queue_.next_time();
      Event event = queue_.pop();
      std::visit([this](auto& what) { on(what); }, event);
    }
    return finish();
  }

 private:
  static Time seconds(double s) { return static_cast<Time>(s * 1e9); }
  static double to_s(Time t) { return static_cast<double>(t) / 1e9; }
  void append_id(std::uint64_t number, std::array<std::uint8_t, 32>& bytes) const {
    for (std::size_t at = 0; at < bytes.size(); at += 8) {
      const std::uint64_t word = splitmix(options_.seed ^ (number << 8) ^ at);
      std::memcpy(bytes.data() + at, &word, sizeof word);
    }
  }
  Instant instant() const { return Instant{now_ + 1}; }
  Time away_at(std::uint32_t i, Time from) {
    return from + seconds(exponential(members_[i].fate, options_.session_s));
  }
  Time latency(std::uint32_t a, std::uint32_t b) const {
    Rng own(splitmix(options_.seed ^ ((std::uint64_t{std::min(a, b)} << 32) | std::max(a, b))));
    const auto span = static_cast<double>((options_.latency_max - options_.latency_min).count());
    return options_.latency_min.count() + static_cast<Time>(span * own.unit());
  }
  Time time_on_line(std::uint64_t bytes) const {
    return seconds(static_cast<double>(bytes) * 8 / (options_.mbit * 1e6));
  }

  // A process starts, on the disk that is there.
  void begin(std::uint32_t i) {
    Member& member = members_[i];
    member.since = now_;
    if (member.done == 0) act(i, member.exchange->want(instant(), id_, length_, {}, 3600s));
    for (std::uint32_t n = 0; n < kFirstKnown; ++n) {
      const auto other = static_cast<std::uint32_t>(rng_.below(members_.size()));
      dial(i, other);
      if (member.done == 0 && linked(i, other)) {
        act(i, member.exchange->add_hearsay(instant(), id_, members_[other].id));
      }
    }
  }
  bool linked(std::uint32_t a, std::uint32_t b) const { return members_[a].links[b]; }
  void dial(std::uint32_t from, std::uint32_t to) {
    if (from == to || !members_[to].exchange || linked(from, to)) return;
    members_[from].links[to] = members_[to].links[from] = true;
    act(to, members_[to].exchange->link_up(instant(), members_[from].id));
    act(from, members_[from].exchange->link_up(instant(), members_[to].id));
  }

  void act(std::uint32_t i, ExchangeActions actions) {
    Member& member = members_[i];
    for (ExchangeAction& action : actions) {
      if (auto* send = std::get_if<Send>(&action)) {
        post(i, by_id_.at(send->peer), std::move(*send));
      } else if (auto* open = std::get_if<OpenContent>(&action)) {
        const bool whole = member.disk.all();
        ContentOpened opened{open->id, open->length, whole, {}, open->for_reader};
        for (std::uint64_t block = 0; !whole && block < blocks_; ++block) {
          if (member.disk.test(block)) opened.blocks_held.push_back(first_leaf_of(block));
        }
        act(i, member.exchange->on_opened(instant(), opened));
      } else if (auto* store = std::get_if<StoreBlock>(&action)) {
        member.disk.set(block_at(store->first_leaf));
        const bool whole = member.disk.all();
        act(i, member.exchange->on_stored(instant(), {store->id, store->first_leaf, whole, {}}));
      } else if (auto* read = std::get_if<ReadBlock>(&action)) {
        Block block{
            read->id, read->first_leaf, {}, {}, !member.disk.test(block_at(read->first_leaf))};
        if (!block.missing) block.bytes = token_of(read->id, read->first_leaf);
        act(i, member.exchange->on_read(instant(), {read->reader, std::move(block)}));
      } else if (auto* arrived = std::get_if<ContentArrived>(&action)) {
        if (!arrived->error.empty()) {  // as the owner of a pin does
          act(i, member.exchange->want(instant(), id_, length_, {}, 3600s));
        } else if (member.done == 0) {
          member.done = now_;
          member.present += now_ - member.since;
          ++report_.done;
        }
      }
    }
    wake_later(i);
  }
  void wake_later(std::uint32_t i) {
    Member& member = members_[i];
    const auto next = member.exchange->next_deadline();
    const Time at = next ? std::max(next->ns, now_) : 0;
    if (at == 0 || (member.wake_at != 0 && member.wake_at <= at && member.wake_at > now_)) return;
    member.wake_at = at;
    queue_.push(at, Wake{i, at});
  }

  void post(std::uint32_t from, std::uint32_t to, Send send) {
    if (!linked(from, to)) return;
    ++report_.messages;
    Member& sender = members_[from];
    Letter letter{from,      to,       sender.session, members_[to].session, std::move(send.bytes),
                  send.bulk, send.bulk};
    Time at = now_;
    if (send.bulk) {  // what is small overtakes
      sender.up_free = std::max(sender.up_free, now_) + time_on_line(kBlockOnTheLine);
      sender.sent += kBlockBytes;
      at = sender.up_free;
      report_.queued_most = std::max(report_.queued_most, ++sender.queued);
      queue_.push(at, Departed{from, to, sender.session, members_[to].session});
    }
    queue_.push(at + latency(from, to), std::move(letter));
  }

  void on(Letter& letter) {
    Member& to = members_[letter.to];
    const bool there = to.exchange && to.session == letter.session_to &&
                       linked(letter.to, letter.from) &&
                       members_[letter.from].session == letter.session_from;
    if (!there) return;
    if (letter.down) {
      letter.down = false;
      to.down_free = std::max(to.down_free, now_) + time_on_line(kBlockOnTheLine);
      queue_.push(to.down_free, std::move(letter));
      return;
    }
    auto message = decode(letter.bytes);
    check(message.has_value(), "an exchange sent what is no message");
    std::visit([&](auto& what) { hear(letter.to, letter.from, what); }, *message);
  }
  void hear(std::uint32_t i, std::uint32_t from, const BlockRequest& m) {
    act(i, members_[i].exchange->on_request(instant(), members_[from].id, m));
  }
  void hear(std::uint32_t i, std::uint32_t from, const BlockCancel& m) {
    members_[i].exchange->on_cancel(members_[from].id, m);
  }
  void hear(std::uint32_t i, std::uint32_t from, Block& m) {
    if (!m.missing) {
      ++report_.blocks;
      if (members_[i].disk.test(block_at(m.first_leaf))) ++report_.blocks_twice;
    }
    act(i, members_[i].exchange->on_block(instant(), members_[from].id, std::move(m)));
  }
  void hear(std::uint32_t i, std::uint32_t from, const Holdings& m) {
    act(i, members_[i].exchange->on_holdings(instant(), members_[from].id, m));
  }
  // As the worker does (worker/core/peer.cpp).
  void hear(std::uint32_t i, std::uint32_t from, const HoldersRequest& m) {
    Holders answer{m.content, {}};
    for (const NodeId& node : members_[i].exchange->holders_of(m.content)) {
      if (answer.records.size() >= limits::kHoldersPerMessage) break;
      if (node != members_[from].id) answer.records.push_back(Signed{node, {}, {}});
    }
    post(i, from, Send{members_[from].id, encode(Message(std::move(answer)))});
  }
  void hear(std::uint32_t i, std::uint32_t, const Holders& m) {
    Member& member = members_[i];
    std::size_t here = 0;
    for (const NodeId& node : member.exchange->sources_of(id_)) {
      here += linked(i, by_id_.at(node)) ? 1 : 0;
    }
    for (const Signed& record : m.records) {
      if (here >= limits::kContentPeers || !member.exchange->wants(id_)) return;
      const std::uint32_t other = by_id_.at(record.signer);
      if (other == i) continue;
      dial(i, other);
      if (!linked(i, other)) continue;
      ++here;
      act(i, member.exchange->add_hearsay(instant(), id_, record.signer));
    }
  }
  template <class M>
  void hear(std::uint32_t, std::uint32_t, const M&) {
    check(false, "an exchange sent what is not its to send");
  }

  void on(const Wake& wake) {
    Member& member = members_[wake.node];
    if (!member.exchange || member.wake_at != wake.at) return;
    member.wake_at = 0;
    act(wake.node, member.exchange->on_deadline(instant()));
  }
  void on(const Crash& crash) {
    Member& member = members_[crash.node];
    ++report_.crashes;
    if (member.done == 0) member.present += now_ - member.since;
    member.exchange.reset();
    member.wake_at = 0;
    member.queued = 0;
    member.up_free = member.down_free = now_;
    for (std::uint32_t other = 0; other < members_.size(); ++other) {
      if (!member.links[other]) continue;
      member.links[other] = false;
      queue_.push(now_ + kSilence.count(),
                  Silent{other, crash.node, members_[other].session, member.session});
    }
    queue_.push(now_ + seconds(exponential(member.fate, options_.pause_s)), Return{crash.node});
  }
  void on(const Departed& departed) {
    Member& member = members_[departed.node];
    if (!member.exchange || member.session != departed.session) return;
    --member.queued;
    if (!linked(departed.node, departed.to) ||
        members_[departed.to].session != departed.session_to) {
      return;
    }
    act(departed.node, member.exchange->on_bulk_sent(instant(), members_[departed.to].id));
  }
  void on(const Silent& silent) {
    Member& member = members_[silent.node];
    const bool same = member.exchange && member.session == silent.session;
    if (!same || linked(silent.gone, silent.node) || !linked(silent.node, silent.gone)) return;
    member.links[silent.gone] = false;
    act(silent.node, member.exchange->link_lost(instant(), members_[silent.gone].id));
  }
  void on(const Return& back) {
    Member& member = members_[back.node];
    ++member.session;
    member.exchange = std::make_unique<Exchange>(rng_.fork(), check_token);
    // Whoever has not noticed yet does now.
    for (std::uint32_t other = 0; other < members_.size(); ++other) {
      if (!members_[other].exchange || !linked(other, back.node)) continue;
      members_[other].links[back.node] = false;
      act(other, members_[other].exchange->link_lost(instant(), member.id));
    }
    queue_.push(away_at(back.node, now_), Crash{back.node});
    begin(back.node);
  }

  SwarmReport finish() {
    report_.options = options_;
    report_.ideal_s = to_s(time_on_line(length_));
    std::vector<Time> times;
    for (std::uint32_t i = 1; i < members_.size(); ++i) {
      if (members_[i].done == 0) continue;
      times.push_back(members_[i].present);
      report_.last_s = std::max(report_.last_s, to_s(members_[i].done));
    }
    std::sort(times.begin(), times.end());
    if (!times.empty()) {
      report_.median_s = to_s(times[times.size() / 2]);
      report_.p90_s = to_s(times[times.size() * 9 / 10]);
      report_.worst_s = to_s(times.back());
    }
    report_.seed_sent = static_cast<double>(members_[0].sent) / static_cast<double>(length_);
    return report_;
  }

  const SwarmOptions options_;
  Rng rng_;
  const std::uint64_t length_;
  const std::uint64_t blocks_;
  ContentId id_;
  Time now_ = 0;
  EventQueue<Event> queue_;
  std::vector<Member> members_;
  std::unordered_map<NodeId, std::uint32_t> by_id_;
  SwarmReport report_;
};

}  // namespace

SwarmReport run_swarm(const SwarmOptions& options) { return SwarmRun(options).run(); }

std::string json_of(const SwarmReport& report) {
  const SwarmOptions& options = report.options;
  const nlohmann::ordered_json json = {{"scenario", "swarm"},
                                       {"seed", options.seed},
                                       {"peers", options.peers},
                                       {"content_mib", options.content_mib},
                                       {"mbit", options.mbit},
                                       {"session_s", options.session_s},
                                       {"pause_s", options.pause_s},
                                       {"done", report.done},
                                       {"crashes", report.crashes},
                                       {"last_s", report.last_s},
                                       {"ideal_s", report.ideal_s},
                                       {"median_s", report.median_s},
                                       {"p90_s", report.p90_s},
                                       {"worst_s", report.worst_s},
                                       {"ratio", report.worst_s / report.ideal_s},
                                       {"seed_sent", report.seed_sent},
                                       {"queued_most", report.queued_most},
                                       {"blocks", report.blocks},
                                       {"blocks_twice", report.blocks_twice},
                                       {"messages", report.messages}};
  return json.dump();
}

}  // namespace shoal::sim
