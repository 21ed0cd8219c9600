#include "node/protocol/facts.h"
#include "node/protocol/messages.h"
#include "node/state/clock.h"
#include "tests/cluster/attack_clients.h"

// Messages that are in order, each of which costs the victim more than the sender.
namespace shoal::cluster {
namespace {

using link_test::RawClient;

Signed record_at(const Victim& victim, const KeyPair& key, std::uint16_t port, UnixMs sequence) {
  NodeRecord record;
  record.node = key.id();
  record.pool = victim.pool;
  record.endpoints = {"tcp://127.0.0.1:" + std::to_string(port)};
  record.threads = 64;
  record.kernels = {"mandelbrot"};
  record.sequence = sequence;
  record.ttl_s = 600;
  return sign_fact(key, Purpose::kRecord, encode(record));
}

// The next answer to a question that is at hand. What the victim says of its own accord, as a
// worker does of its jobs, is passed over.
bool take_answer(RawClient& client) {
  while (const auto message = client.receive()) {
    if (std::holds_alternative<Sample>(*message)) return true;
  }
  return false;
}

// Everything before has been dealt with, or the victim has hung up.
bool caught_up(RawClient& client) {
  client.send(encode(Message(SampleRequest{1, 0})), false);
  return client.await([&] { return take_answer(client) || was_ended(client); });
}

}  // namespace

bool records_that_change_without_end(const Victim& victim) {
  constexpr int kChanges = 5'000;
  constexpr int kAtOnce = 50;
  const KeyPair key = attacker_key(10, 0);
  const auto client = linked(victim, key, victim.port);
  if (!client) return false;
  UnixMs sequence = unix_ms_now() - kChanges;
  for (int i = 0; i < kChanges && !was_ended(*client); ++i) {
    const Signed record = record_at(victim, key, static_cast<std::uint16_t>(1 + i), ++sequence);
    client->send(encode(Message(Announce{record})), false);
    if (i % kAtOnce == 0 && !caught_up(*client)) return false;
  }
  return caught_up(*client);
}

bool strangers_without_end(const Victim& victim) {
  constexpr std::uint32_t kSamples = 40;
  std::unique_ptr<RawClient> client;
  std::uint32_t stranger = 0;
  for (std::uint32_t i = 0; i < kSamples; ++i) {
    // A coordinator that has not asked hangs up.
    if (!client || was_ended(*client)) client = linked(victim, attacker_key(11, i), victim.port);
    if (!client) return false;
    Sample sample;
    for (std::size_t n = 0; n < limits::kSampleRecords; ++n) {
      const KeyPair key = attacker_key(12, ++stranger);
      sample.records.push_back(record_at(victim, key, 1, unix_ms_now()));
    }
    client->send(encode(Message(std::move(sample))), false);
    if (!caught_up(*client)) return false;
  }
  return true;
}

bool questions_without_end(const Victim& victim) {
  constexpr std::uint32_t kQuestions = 3'000;
  constexpr std::uint32_t kAtOnce = 100;
  const auto client = linked(victim, attacker_key(13, 0), victim.port);
  if (!client) return false;
  const Bytes question = encode(Message(SampleRequest{limits::kSampleRecords, 0}));
  std::uint32_t asked = 0;
  std::uint32_t answered = 0;
  return client->await([&] {
    while (asked < kQuestions && asked - answered < kAtOnce) {
      client->send(question, false);
      ++asked;
    }
    while (take_answer(*client)) ++answered;
    return answered >= kQuestions || was_ended(*client);
  });
}

bool comings_and_goings(const Victim& victim) {
  constexpr std::uint32_t kVisits = 300;
  for (std::uint32_t i = 0; i < kVisits; ++i) {
    const KeyPair key = attacker_key(14, i % 8);
    RawClient client(key, victim.node, victim.port);
    Hello hello;
    hello.pool = victim.pool;
    hello.node = key.id();
    // Another address each time: as if it were several processes.
    hello.record = record_at(victim, key, static_cast<std::uint16_t>(1 + i), unix_ms_now());
    client.send(encode(Message(std::move(hello))), false);
    if (!client.await([&] { return client.receive_bytes() || was_ended(client); })) return false;
  }
  return true;
}

}  // namespace shoal::cluster
