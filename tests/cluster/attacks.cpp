#include "tests/cluster/attack_clients.h"

#include <zmq.h>

#include <algorithm>
#include <future>
#include <limits>
#include <memory>
#include <string>

#include "node/protocol/facts.h"
#include "node/protocol/messages.h"
#include "node/protocol/rng.h"
#include "tests/unit/node/protocol/specimens.h"

namespace shoal::cluster {
namespace {

using link_test::kPatience;
using link_test::RawClient;
using link_test::RawOptions;
using link_test::RawTcp;
using link_test::Throttle;

constexpr std::uint32_t kMost32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kMost64 = std::numeric_limits<std::uint64_t>::max();

}  // namespace

KeyPair attacker_key(std::uint32_t attack, std::uint32_t n) {
  std::array<std::uint8_t, KeyPair::kSeedBytes> seed{0x66};
  std::memcpy(seed.data() + 8, &attack, sizeof attack);
  std::memcpy(seed.data() + 16, &n, sizeof n);
  return KeyPair(seed);
}

bool was_ended(RawClient& client) {
  return client.saw(ZMQ_EVENT_DISCONNECTED | link_test::kFailed);
}

std::unique_ptr<RawClient> linked(const Victim& victim, const KeyPair& key, std::uint16_t port) {
  auto client = std::make_unique<RawClient>(key, victim.node, port);
  client->hello(key.id(), victim.pool);
  const bool answered =
      client->await([&] { return client->receive().has_value() || was_ended(*client); });
  return answered && !was_ended(*client) ? std::move(client) : nullptr;
}

bool open_and_say_nothing(const Victim& victim) {
  std::vector<RawTcp> connections;
  for (int i = 0; i < 300; ++i) connections.emplace_back(victim.port);
  return std::all_of(connections.begin(), connections.end(),
                     [](RawTcp& c) { return c.await_cut(); });
}

bool storm_of_handshakes(const Victim& victim) {
  void* context = zmq_ctx_new();
  Hello hello;
  hello.pool = victim.pool;
  std::vector<void*> sockets;
  for (std::uint32_t i = 0; i < 200; ++i) {
    const KeyPair key = attacker_key(1, i);
    void* socket = zmq_socket(context, ZMQ_DEALER);
    link_test::set(socket, ZMQ_LINGER, 0);
    link_test::set(socket, ZMQ_CURVE_PUBLICKEY, curve_key_of(key.id())->view());
    link_test::set(socket, ZMQ_CURVE_SECRETKEY, key.curve_secret());
    link_test::set(socket, ZMQ_CURVE_SERVERKEY, curve_key_of(victim.node)->view());
    link_test::set(socket, ZMQ_RCVTIMEO,
                   static_cast<int>(kPatience / std::chrono::milliseconds(1)));
    const std::string endpoint = "tcp://127.0.0.1:" + std::to_string(victim.port);
    check(zmq_connect(socket, endpoint.c_str()) == 0, "connect");
    hello.node = key.id();
    const Bytes bytes = encode(Message(hello));
    zmq_send(socket, bytes.data(), bytes.size(), 0);
    sockets.push_back(socket);
  }
  // The victim's own Hello comes back on each.
  const bool answered = std::all_of(sockets.begin(), sockets.end(), [](void* socket) {
    Bytes bytes(8192);
    return zmq_recv(socket, bytes.data(), bytes.size(), 0) > 0;
  });
  for (void* socket : sockets) zmq_close(socket);
  zmq_ctx_term(context);
  return answered;
}

bool messages_without_an_end(const Victim& victim) {
  // Of one message, and all that passes if nobody minds.
  constexpr std::size_t kBytes = 128 << 20;
  static const Bytes part(64 * 1024, 7);
  std::vector<std::unique_ptr<Throttle>> throttles;
  std::vector<std::unique_ptr<RawClient>> clients;
  for (std::uint32_t i = 0; i < 6; ++i) {
    throttles.push_back(std::make_unique<Throttle>(victim.port, kBytes, kBytes));
    clients.push_back(linked(victim, attacker_key(2, i), throttles.back()->port()));
    if (!clients.back()) return false;
    for (std::size_t sent = 0; sent <= kBytes; sent += part.size()) {
      clients.back()->send_constant(part, true);
    }
    clients.back()->send_constant(part, false);
  }
  return std::all_of(throttles.begin(), throttles.end(),
                     [](const auto& throttle) { return throttle->await_cut(); });
}

bool messages_in_many_parts(const Victim& victim) {
  const auto client = linked(victim, attacker_key(3, 0), victim.port);
  if (!client) return false;
  const Bytes part(256, 7);
  for (int i = 0; i < 20'000; ++i) client->send(part, true);
  client->send(part, false);
  return client->await([&] { return was_ended(*client); });
}

bool frames_that_are_too_large(const Victim& victim) {
  for (std::uint32_t i = 0; i < 6; ++i) {
    const auto client = linked(victim, attacker_key(4, i), victim.port);
    if (!client) return false;
    client->send(Bytes(limits::kMessageBytes << i, 7), false);
    if (i == 0) client->send(Bytes(limits::kMessageBytes + 1, 7), false);
    if (!client->await([&] { return was_ended(*client); })) return false;
  }
  return true;
}

bool claimed_routing_ids(const Victim& victim) {
  for (std::uint32_t i = 0; i < 24; ++i) {
    const KeyPair key = attacker_key(5, i);
    // As a node names its own dials; as libzmq names a client's; as nobody does.
    const std::vector<std::string> claims{{1, 0, 0, 0, 0, 0, 0, static_cast<char>(i + 1)},
                                          {0, 0, 0, 0, static_cast<char>(i)},
                                          std::string(i + 1, 'x')};
    RawClient client(key, victim.node, victim.port, RawOptions{.routing_id = claims[i % 3]});
    client.hello(key.id(), victim.pool);
    // The second kind cannot be told from an honest one, and is let in.
    if (!client.await([&] { return was_ended(client) || client.receive().has_value(); }))
      return false;
  }
  return true;
}

bool slow_readers(const Victim& victim) {
  constexpr std::size_t kRequests = 4000;
  struct Reader {
    std::unique_ptr<Throttle> throttle;
    std::unique_ptr<RawClient> client;
  };
  std::vector<Reader> readers;
  for (std::uint32_t i = 0; i < 4; ++i) {
    Reader& reader = readers.emplace_back();
    reader.throttle = std::make_unique<Throttle>(victim.port, std::size_t{1} << 40, 4096);
    reader.client = linked(victim, attacker_key(6, i), reader.throttle->port());
    if (!reader.client) return false;
    const Bytes peers = encode(Message(SampleRequest{kMost32, 0}));
    const Bytes jobs = encode(Message(JobStatusRequest{}));
    for (std::size_t n = 0; n < kRequests; ++n)
      reader.client->send(n % 2 == 0 ? peers : jobs, false);
  }
  // All requests are with the victim, or it has had enough.
  return std::all_of(readers.begin(), readers.end(),
                     [](const Reader& reader) { return reader.throttle->await(kRequests * 64); });
}

bool noise(const Victim& victim) {
  Rng rng(7);
  std::unique_ptr<RawClient> client;
  const std::vector<Message> messages = specimens::messages();
  for (std::uint32_t i = 0; i < 100; ++i) {
    if (!client || was_ended(*client)) client = linked(victim, attacker_key(7, i), victim.port);
    if (!client) return false;
    Bytes bytes = encode(messages[rng.below(messages.size())]);
    for (std::uint64_t n = 1 + rng.below(8); n > 0; --n) {
      bytes[rng.below(bytes.size())] = static_cast<std::uint8_t>(rng.next());
    }
    if (i % 4 == 0) bytes.resize(rng.below(bytes.size()));
    client->send(bytes, false);
  }
  return true;
}

namespace {

Signed manifest_of(const KeyPair& key, const std::function<void(Manifest&)>& change) {
  Manifest manifest;
  manifest.name = std::string(limits::kTextBytes, '\x1b');
  manifest.kernel = "mandelbrot";
  manifest.units = limits::kUnitsPerJob;
  manifest.quorum = limits::kQuorumMax;
  manifest.max_attempts = kMost32;
  manifest.unit_wall_ms = kMost64;
  manifest.unit_memory_bytes = kMost64;
  manifest.output_bytes_max = limits::kOutputBytes;
  manifest.priority = std::numeric_limits<std::int32_t>::min();
  manifest.created = std::numeric_limits<UnixMs>::max();
  change(manifest);
  return sign_fact(key, Purpose::kManifest, encode(manifest));
}

Signed record_of(const Victim& victim, const KeyPair& key) {
  NodeRecord record;
  record.node = key.id();
  record.pool = victim.pool;
  record.endpoints.assign(limits::kEndpoints, "tcp://127.0.0.1:1");
  record.threads = kMost32;
  record.memory_bytes = kMost64;
  record.kernels.assign(limits::kKernelNames, "mandelbrot");
  record.sequence = std::numeric_limits<UnixMs>::max();
  record.ttl_s = kMost32;
  return sign_fact(key, Purpose::kRecord, encode(record));
}

std::vector<Message> of_jobs(const KeyPair& key) {
  const ContentId nowhere = specimens::id<ContentId>(99);
  std::vector<Message> all;
  // Jobs that no pool can do. Their stewards wait, and do nothing else.
  all.push_back(Submit{manifest_of(key, [](Manifest& m) { m.kernel = "no-such-kernel"; })});
  all.push_back(Submit{manifest_of(key, [](Manifest& m) { m.units = 0; })});
  all.push_back(Submit{manifest_of(key, [](Manifest& m) { m.quorum = 0; })});
  all.push_back(Submit{manifest_of(key, [&](Manifest& m) {
    m.inputs = nowhere;
    m.inputs_bytes = limits::kContentBytes;
  })});
  all.push_back(Submit{manifest_of(key, [&](Manifest& m) {
    m.kernel_kind = KernelKind::kNative;
    m.program = nowhere;
    m.program_bytes = limits::kContentBytes;
  })});
  all.push_back(Submit{
      manifest_of(key, [](Manifest& m) { m.parameters.assign(limits::kParameterBytes, 0xff); })});
  const JobId job = specimens::id<JobId>(98);
  all.push_back(ControlRequest{sign_fact(
      key, Purpose::kControl,
      encode(Control{job, kMost64, ControlCommand::kCancel, std::numeric_limits<int>::min()}))});
  all.push_back(JobOver{
      sign_fact(key, Purpose::kSnapshot, encode(Snapshot{job, kMost64, kMost64, kMost64, {}}))});
  return all;
}

std::vector<Message> of_work(const Victim& victim, const KeyPair& key) {
  const JobId job = specimens::id<JobId>(98);
  const Range whole{0, limits::kUnitsPerJob};
  std::vector<Range> ranges;
  for (std::uint64_t i = 0; i < limits::kRangesPerMessage; ++i)
    ranges.push_back({2 * i, 2 * i + 1});
  const Signed manifest = manifest_of(key, [](Manifest&) {});
  std::vector<Message> all;
  all.push_back(WorkRequest{std::nullopt, kMost32, kMost64, kMost64});
  all.push_back(WorkRequest{job, kMost32, kMost64, kMost64});
  all.push_back(WorkAvailable{job, record_of(victim, key), kMost32});
  all.push_back(
      NoWork{job, {record_of(victim, key)}, {WorkAvailable{job, record_of(victim, key), 0}}});
  all.push_back(LeaseGrant{job, kMost64, kMost64, LeaseKind::kPrimary, {whole}, kMost64, manifest});
  all.push_back(LeaseGrant{job, kMost64, kMost64, LeaseKind::kVerify, ranges, 0, manifest});
  all.push_back(LeaseReport{job, kMost64, {{kMost64, ranges}}, kMost64, "no"});
  all.push_back(LeaseRevoke{job, ranges, true});
  all.push_back(StealRequest{job, kMost32});
  all.push_back(TransferReply{job, kMost64, kMost64, ranges, kMost64});
  all.push_back(RevealRequest{job, whole, whole, RevealDetail::kOutputs});
  CommitNotice notice;
  notice.job = job;
  notice.compute_ns = kMost64;
  notice.commitments.assign(
      limits::kBatchesPerMessage,
      sign_fact(key, Purpose::kCommitment,
                encode(Commitment{job, key.id(), {0, limits::kUnitsPerBatch}, {}})));
  all.push_back(std::move(notice));
  return all;
}

std::vector<Message> of_data(const Victim& victim, const KeyPair& key) {
  const JobId job = specimens::id<JobId>(98);
  const ContentId content = specimens::id<ContentId>(99);
  std::vector<Message> all;
  all.push_back(ResultsRequest{job, kMost64, kMost64});
  all.push_back(BlockRequest{content, limits::kContentBytes, 0});
  all.push_back(BlockRequest{content, kMost64, kMost64 - kMost64 % limits::kBlockLeaves});
  all.push_back(Block{content, 0, Bytes(256 * 1024, 1), {}, false});
  all.push_back(Announce{record_of(victim, key)});
  all.push_back(Announced{"not an address", kMost32});
  all.push_back(SampleRequest{kMost32, kMost64});
  all.push_back(Sample{std::vector<Signed>(limits::kSampleRecords, record_of(victim, key)), kMost64,
                       kMost64});
  all.push_back(JobFind{job});
  all.push_back(JobFound{job, record_of(victim, key)});
  return all;
}

}  // namespace

namespace {

std::vector<Message> absurd_messages_of(const Victim& victim, const KeyPair& author) {
  std::vector<Message> all = specimens::messages();
  for (auto&& more : {specimens::bare_messages(), of_jobs(author), of_work(victim, author),
                      of_data(victim, author)}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

// Every `step`th of all, from `first` on.
bool send_absurd_messages(const Victim& victim, std::uint32_t first, std::uint32_t step) {
  const KeyPair author = attacker_key(8, first);
  const std::vector<Message> all = absurd_messages_of(victim, author);
  std::unique_ptr<RawClient> client;
  for (std::size_t i = first; i < all.size(); i += step) {
    // Who is hung up on comes back.
    if (!client || was_ended(*client)) client = linked(victim, author, victim.port);
    if (!client) return false;
    client->send(encode(all[i]), false);
    // Asked after each, so that each is dealt with: an answer of any kind, or the end.
    client->send(encode(Message(WorkerStatusRequest{})), false);
    const auto dealt_with = [&] {
      return client->receive_bytes().has_value() || was_ended(*client);
    };
    if (!client->await(dealt_with)) return false;
  }
  return true;
}

}  // namespace

bool absurd_messages(const Victim& victim) {
  // Side by side: a coordinator takes a quarter of a second to hang up with a word of explanation.
  constexpr std::uint32_t kAuthors = 8;
  std::vector<std::future<bool>> all;
  for (std::uint32_t i = 0; i < kAuthors; ++i) {
    all.push_back(
        std::async(std::launch::async, [=] { return send_absurd_messages(victim, i, kAuthors); }));
  }
  return std::all_of(all.begin(), all.end(), [](auto& one) { return one.get(); });
}

std::vector<Attack> all_attacks() {
  return {open_and_say_nothing,
          storm_of_handshakes,
          messages_without_an_end,
          messages_in_many_parts,
          frames_that_are_too_large,
          claimed_routing_ids,
          slow_readers,
          noise,
          absurd_messages,
          records_that_change_without_end,
          strangers_without_end,
          questions_without_end,
          comings_and_goings};
}

}  // namespace shoal::cluster
