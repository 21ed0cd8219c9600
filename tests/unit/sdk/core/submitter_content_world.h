#pragma once

#include <string>
#include <vector>

#include "node/protocol/hash.h"
#include "node/protocol/limits.h"
#include "tests/unit/sdk/core/submitter_world.h"

namespace shoal {

// A session that shares or fetches a content of ten blocks.
class SubmitterContent : public World {
 protected:
  static constexpr std::uint64_t kBlockBytes = limits::kBlockLeaves * kContentLeafBytes;
  static constexpr std::uint64_t kLength = 10 * kBlockBytes;
  const ContentId content = content_id(as_bytes("only its name counts here"));
  KeyPair friend_key = key_of(50);

  NodeRecord record_at(const KeyPair& key, const std::string& endpoint) const {
    NodeRecord r;
    r.node = key.id();
    r.pool = pool_id();
    r.role = Role::kSubmitter;
    r.endpoints = {endpoint};
    r.sequence = kUnixZero;
    r.ttl_s = 600;
    return r;
  }
  Signed sharer(const KeyPair& key, const std::string& endpoint) const {
    return sign_fact(key, Purpose::kRecord, encode(record_at(key, endpoint)));
  }
  Signed record_of_friend() const { return sharer(friend_key, "tcp://10.0.0.50:9050"); }
  // Others can dial it, at an address of its network.
  void start_sharing() {
    SubmitterConfig config;
    config.pool = pool_id();
    config.doors = {{coordinator.id(), "tcp://10.0.0.1:7000"}};
    config.unix_ms_at_zero = kUnixZero;
    config.takes_calls = true;
    config.record = record_at(me, "tcp://192.168.7.1:5000");
    submitter = std::make_unique<Submitter>(config, me, checker, Rng(7));
    step(SubmitterStarted{});
  }
  // What is said of a fetch that nothing more happens to.
  std::string end_of_fetch() {
    for (int i = 0; i < 1000; ++i) {
      if (auto ready = take<ContentReady>(); !ready.empty()) return ready[0].error;
      pass();
    }
    ADD_FAILURE() << "the fetch does not end";
    return {};
  }
  // The coordinator was dialled, comes up, and knows the first `n` workers.
  void pool_knows(std::size_t n) {
    EXPECT_EQ(dialled(), std::vector<NodeId>{coordinator.id()});
    std::vector<Signed> records;
    for (std::size_t i = 0; i < n; ++i) records.push_back(record(workers[i]));
    introduce(records);
    take<Drop>();
  }
  void fetch() {
    step(FetchContent{content, kLength});
    EXPECT_EQ(take<OpenContent>().size(), 1u);
    step(ContentOpened{content, kLength, false, {}});
  }
  Holdings holdings(std::uint8_t bits, bool fetching = false) const {
    return {content, kLength, 0, bits == 0 ? Bytes{} : Bytes{bits, 0}, fetching};
  }
};

}  // namespace shoal
