#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/cluster/net/network.h"

namespace shoal::cluster {

// What a home router offers beside its NAT, on a router of the test network: it lets others in to a
// port where it is asked to, over NAT-PMP or UPnP. Both are spoken here from their specifications,
// just enough of them; what is mapped is really forwarded.
//
// Has a thread of its own; the methods may be called from any.
class HomeGateway {
 public:
  enum class Speaks : std::uint8_t { kNatPmp, kUpnp };
  struct Habits {
    std::uint32_t lifetime_s = 1200;  // that it grants over NAT-PMP at most
    bool other_port = false;          // it gives another outer port than the one asked for
    bool only_permanent = false;      // UPnP: error 725 for any lifetime
  };
  // `node` must be behind a NAT, and outlive this.
  HomeGateway(const NetNode& node, Speaks speaks, Habits habits);
  HomeGateway(const NetNode& node, Speaks speaks) : HomeGateway(node, speaks, Habits()) {}
  ~HomeGateway();
  HomeGateway(const HomeGateway&) = delete;
  HomeGateway& operator=(const HomeGateway&) = delete;

  struct Mapped {
    std::string address;  // of the machine inside
    std::uint16_t port = 0;
  };
  // By outer port.
  std::map<std::uint16_t, Mapped> mappings() const;
  // Waits until it has been asked for that many mappings, those anew included; false: in vain.
  bool await_asked(int count) const;
  bool await_no_mapping() const;

 private:
  void serve();
  void answer_nat_pmp();
  void answer_search();
  void answer_http();
  std::string soap_body(const std::string& request, const std::string& client, int& status);
  void map(std::uint16_t outer, const std::string& address, std::uint16_t inner);
  void unmap(const std::string& address, std::uint16_t inner);
  void forward(const std::map<std::uint16_t, Mapped>& all);

  const NetNode& node_;
  const Habits habits_;
  int nat_pmp_fd_ = -1;
  int search_fd_ = -1;
  int http_fd_ = -1;
  int end_fd_ = -1;           // an eventfd
  mutable std::mutex mutex_;  // guards what follows
  mutable std::condition_variable changed_;
  std::map<std::uint16_t, Mapped> mappings_;
  int asked_ = 0;
  std::thread thread_;
};

}  // namespace shoal::cluster
