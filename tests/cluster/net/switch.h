#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <queue>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "node/protocol/rng.h"

namespace shoal::cluster {

// What befalls a packet on the way from a node to the middle of the network, and on the way back.
struct Wire {
  std::chrono::microseconds delay{0};
  double loss = 0;                 // the probability
  double megabits_per_second = 0;  // each way; 0: no limit
};

// A switch in user space, between TUN devices: no kernel module for delay or loss is needed. Each
// port has a wire and the block of 256 IPv4 addresses at its other end; packets for nobody vanish,
// and so do those between two ports that are cut. A wire that is too slow queues for up to
// kQueueMax, as routers do, and drops what comes on top.
//
// Forwards on a thread of its own; all methods may be called from any thread.
class Switch {
 public:
  using Port = int;
  static constexpr std::chrono::milliseconds kQueueMax{200};

  explicit Switch(std::uint64_t seed);
  ~Switch();
  Switch(const Switch&) = delete;
  Switch& operator=(const Switch&) = delete;

  // Owns the descriptor from now on. `block` is the first of its addresses.
  Port plug(int tun, std::uint32_t block, const Wire& wire);
  void set_wire(Port port, const Wire& wire);
  void cut(Port one, Port other);
  void heal(Port one, Port other);

  struct Figures {
    std::uint64_t delivered = 0, lost = 0, cut = 0, overflowed = 0, stray = 0;
  };
  Figures figures() const;

 private:
  using Clock = std::chrono::steady_clock;
  using Moment = Clock::time_point;
  struct PortState {
    int tun = -1;
    Wire wire;
    Moment up_free{}, down_free{};  // when the wire has sent all that it was given
  };
  enum class Leg : std::uint8_t { kArriving, kDelivering };  // at the far wire, through it
  struct Packet {
    Moment due;
    std::uint64_t sequence = 0;  // packets that are due at once stay in order
    Leg leg = Leg::kArriving;
    Port to = 0;
    std::vector<std::uint8_t> bytes;
  };
  struct Later {
    bool operator()(const Packet& a, const Packet& b) const {
      return std::tie(a.due, a.sequence) > std::tie(b.due, b.sequence);
    }
  };

  void forward();
  void wait_for_packets();
  void read_from(Port from, Moment now);
  void take(Port from, std::vector<std::uint8_t> bytes, Moment now);
  void deliver_due(Moment now);
  // When the wire has passed the packet on; false where its queue is full.
  bool transmit(const Wire& wire, Moment& free, std::size_t bytes, Moment& when);
  void enqueue(Packet packet);
  void wake();

  int wake_fd_ = -1;          // an eventfd
  mutable std::mutex mutex_;  // guards what follows
  Rng rng_;
  bool ending_ = false;
  std::vector<PortState> ports_;
  std::map<std::uint32_t, Port> blocks_;
  std::set<std::pair<Port, Port>> cuts_;
  std::priority_queue<Packet, std::vector<Packet>, Later> under_way_;
  std::uint64_t sequence_ = 0;
  Figures figures_;
  std::thread thread_;
};

}  // namespace shoal::cluster
