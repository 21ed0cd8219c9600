#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

// Host names looked up beside the network thread: libzmq would do it on its I/O thread, and one
// name whose server does not answer would hold up every link of the node for seconds.
namespace shoal {

class Resolver {
 public:
  struct Answer {
    std::uint64_t id = 0;
    std::string ip;  // empty: not found
    bool is_ipv6 = false;
  };
  Resolver();
  // Does not wait for look-ups under way: their thread ends by itself.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Readable when an answer is there.
  int fd() const;
  // False: too many under way already.
  bool ask(std::uint64_t id, std::string host);
  std::vector<Answer> take();

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace shoal
