#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <utility>
#include <variant>

#include "bench/process.h"
#include "bench/run.h"
#include "coordinator/core/rendezvous.h"
#include "node/state/clock.h"

namespace shoal::bench {
namespace {

constexpr int kRuns = 3;
constexpr std::uint64_t kNodes = 100'000;
constexpr std::uint64_t kFewNodes = 1'000;
constexpr int kSamples = 2'000;
constexpr std::uint32_t kTtlS = 600;

// What signatures cost is measured elsewhere, and how much memory a record takes does not depend on
// whether its signature holds.
class AnythingHolds final : public SignatureChecker {
 public:
  bool holds(const NodeId&, Purpose, ByteView, const Signature&) const override { return true; }
};

template <class Filled>
void fill(Rng& rng, Filled& bytes) {
  for (std::size_t i = 0; i < bytes.size(); i += sizeof(std::uint64_t)) {
    const std::uint64_t word = rng.next();
    std::memcpy(bytes.data() + i, &word, std::min(sizeof word, bytes.size() - i));
  }
}

std::string address_of(std::uint64_t number) {
  return "10." + std::to_string(number / 62'500 % 250) + "." + std::to_string(number / 250 % 250) +
         "." + std::to_string(number % 250 + 1);
}

// As a worker announces itself.
Signed record_of(Rng& rng, const PoolId& pool, std::uint64_t number, UnixMs now) {
  NodeRecord record;
  fill(rng, record.node.bytes);
  record.pool = pool;
  record.endpoints = {"tcp://" + address_of(number) + ":40123"};
  record.threads = 8;
  record.memory_bytes = 16ULL << 30;
  record.kernels = {"align", "ising", "lucas_lehmer", "mandelbrot"};
  record.agent = "shoal/" SHOAL_VERSION;
  record.sequence = now;
  record.ttl_s = kTtlS;
  Signed fact{record.node, encode(record), {}};
  fill(rng, fact.signature.bytes);
  return fact;
}

// A coordinator of which only the state machine is there, and its visitors.
class Table {
 public:
  Table() : rendezvous_(config(), checker_, Rng(1)) {}

  // A node comes, announces itself, and leaves.
  void visit(std::uint64_t number) {
    const Signed record = record_of(rng_, pool(), number, unix_ms_now());
    record_bytes_ += record.body.size() + sizeof(Signature) + sizeof(NodeId);
    step(LinkUp{record.signer, Role::kWorker, address_of(number), std::nullopt});
    step(Received{record.signer, encode(Message(Announce{record}))});
    step(LinkLost{record.signer, "it left"});
  }
  // Microseconds from the request to the encoded answer, of 64 records; their median.
  double sample_us() {
    NodeId asker;
    fill(rng_, asker.bytes);
    step(LinkUp{asker, Role::kWorker, "10.255.0.1", std::nullopt});
    const Bytes request =
        encode(Message(SampleRequest{static_cast<std::uint32_t>(limits::kSampleRecords), 0}));
    std::vector<double> all;
    for (int i = 0; i < kSamples; ++i) {
      const auto start = std::chrono::steady_clock::now();
      step(Received{asker, request});
      const std::chrono::duration<double, std::micro> took =
          std::chrono::steady_clock::now() - start;
      all.push_back(took.count());
    }
    return median(std::move(all));
  }
  double held() const { return static_cast<double>(rendezvous_.figures().records); }
  double record_bytes() const { return record_bytes_; }

 private:
  static PoolId pool() {
    PoolId pool;
    pool.bytes.fill(7);
    return pool;
  }
  static RendezvousConfig config() {
    RendezvousConfig config;
    config.pool = pool();
    config.unix_ms_at_zero = unix_ms_at_zero();
    // One asker asks for all samples here.
    config.requests_per_address_per_minute = kSamples + 1;
    return config;
  }
  void step(RendezvousEvent event) {
    static_cast<void>(rendezvous_.step(boottime_now(), std::move(event)));
  }

  AnythingHolds checker_;
  Rendezvous rendezvous_;
  Rng rng_{2};
  double record_bytes_ = 0;
};

struct Once {
  double held = 0;
  double bytes_per_node = 0;
  double record_bytes = 0;
  double sample_us = 0;
  double sample_us_of_few = 0;
};

Once run_once() {
  Once once;
  {
    Table few;
    for (std::uint64_t i = 0; i < kFewNodes; ++i) few.visit(i);
    once.sample_us_of_few = few.sample_us();
  }
  ::malloc_trim(0);
  const auto before = static_cast<double>(memory_field(::getpid(), "RssAnon"));
  Table table;
  for (std::uint64_t i = 0; i < kNodes; ++i) table.visit(i);
  const auto after = static_cast<double>(memory_field(::getpid(), "RssAnon"));
  once.held = table.held();
  once.bytes_per_node = (after - before) / static_cast<double>(kNodes);
  once.record_bytes = table.record_bytes() / static_cast<double>(kNodes);
  once.sample_us = table.sample_us();
  return once;
}

// Each time in a fresh copy of this process, which has started no thread: memory that an earlier
// run gave back would make the next one look small.
Result<Once, std::string> run_apart() {
  std::array<int, 2> ends{-1, -1};
  if (::pipe(ends.data()) != 0) return tl::unexpected(std::string("no pipe can be made"));
  const pid_t pid = ::fork();
  if (pid == 0) {
    const Once once = run_once();
    ::_exit(::write(ends[1], &once, sizeof once) == sizeof once ? 0 : 1);
  }
  ::close(ends[1]);
  Once once;
  const bool whole = pid > 0 && ::read(ends[0], &once, sizeof once) == sizeof once;
  ::close(ends[0]);
  if (pid > 0) ::waitpid(pid, nullptr, 0);
  if (!whole) return tl::unexpected(std::string("the table of records was not filled"));
  return once;
}

}  // namespace

Measured measure_held_records(const Run& run) {
  Figure held{"coordinator.records",
              "records",
              {},
              {},
              "nodes that announced themselves",
              Bound{Judged::kRatio, Sense::kAtLeast, 1.0, {}}};
  Figure bytes{"coordinator.bytes_per_node",
               "B",
               {},
               {},
               "a record itself: its bytes, id and signature",
               Bound{Judged::kValue, Sense::kAtMost, 1024, {}}};
  Figure sample{"coordinator.sample", "us", {}, {}, "the same of 1,000 records", {}};
  for (int i = 0; i < kRuns; ++i) {
    const auto once = run_apart();
    if (!once) return tl::unexpected(once.error());
    held.values.push_back(once->held);
    held.references.push_back(static_cast<double>(kNodes));
    bytes.values.push_back(once->bytes_per_node);
    bytes.references.push_back(once->record_bytes);
    sample.values.push_back(once->sample_us);
    sample.references.push_back(once->sample_us_of_few);
  }
  for (const Figure* figure : {&held, &bytes, &sample}) run.report(*figure);
  return {};
}

}  // namespace shoal::bench
