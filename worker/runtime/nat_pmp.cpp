#include <arpa/inet.h>
#include <natpmp.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <utility>

#include "node/protocol/address.h"
#include "worker/runtime/router_protocols.h"

namespace shoal {
namespace {

// Of the nine that RFC 6886 has, which take two minutes: a router answers within milliseconds.
constexpr int kTries = 3;
constexpr const char* kNoAnswer = "no router answers";

std::string why(int code) {
  switch (code) {
    case NATPMP_ERR_CANNOTGETGATEWAY:
      return "this machine has no default route";
    case NATPMP_ERR_NOTAUTHORIZED:
      return "the router does not allow it";
    case NATPMP_ERR_NETWORKFAILURE:
      return "the router has no address outside";
    case NATPMP_ERR_OUTOFRESOURCES:
      return "the router has no room for another mapping";
    case NATPMP_ERR_UNSUPPORTEDVERSION:
    case NATPMP_ERR_UNSUPPORTEDOPCODE:
      return "the router does not know it";
    default:
      return kNoAnswer;
  }
}

// One conversation with the router.
class Conversation {
 public:
  explicit Conversation(const std::string& router) {
    in_addr address{};
    const bool named = ::inet_pton(AF_INET, router.c_str(), &address) == 1;
    code_ = ::initnatpmp(&state_, named ? 1 : 0, address.s_addr);
    open_ = code_ == 0;
  }
  ~Conversation() {
    if (open_) ::closenatpmp(&state_);
  }
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  Result<natpmpresp_t, std::string> ask_for_address() {
    if (open_) code_ = ::sendpublicaddressrequest(&state_);
    return answer(NATPMP_RESPTYPE_PUBLICADDRESS);
  }
  // A lifetime of 0 takes the mapping back.
  Result<natpmpresp_t, std::string> ask_for_mapping(std::uint16_t inner, std::uint16_t outer,
                                                    std::chrono::seconds lifetime) {
    if (open_) {
      code_ = ::sendnewportmappingrequest(&state_, NATPMP_PROTOCOL_TCP, inner, outer,
                                          static_cast<std::uint32_t>(lifetime.count()));
    }
    return answer(NATPMP_RESPTYPE_TCPPORTMAPPING);
  }

 private:
  Result<natpmpresp_t, std::string> answer(std::uint16_t wanted) {
    if (code_ < 0) return tl::unexpected(why(code_));
    natpmpresp_t response{};
    // The library sends again by itself when it is read from after the time that it names.
    for (int tries = 0; tries < kTries;) {
      timeval wait{};
      if (::getnatpmprequesttimeout(&state_, &wait) != 0) break;
      pollfd readable{state_.s, POLLIN, 0};
      const auto wait_ms = wait.tv_sec * 1000 + wait.tv_usec / 1000 + 1;
      tries += ::poll(&readable, 1, static_cast<int>(std::max(wait_ms, 0L))) == 0 ? 1 : 0;
      code_ = ::readnatpmpresponseorretry(&state_, &response);
      if (code_ == 0 && response.type == wanted) return response;
      if (code_ == 0) return tl::unexpected(std::string("the router answers something else"));
      if (code_ != NATPMP_TRYAGAIN) return tl::unexpected(why(code_));
    }
    return tl::unexpected(std::string(kNoAnswer));
  }

  natpmp_t state_{};
  int code_ = 0;
  bool open_ = false;
};

class NatPmp final : public RouterProtocol {
 public:
  explicit NatPmp(std::string router) : router_(std::move(router)) {}
  std::string name() const override { return "NAT-PMP"; }

  Result<PortMapping, std::string> map(std::uint16_t inner, std::uint16_t outer,
                                       std::chrono::seconds lifetime) override {
    Conversation router(router_);
    const auto mapped = router.ask_for_mapping(inner, outer, lifetime);
    if (!mapped) return tl::unexpected(mapped.error());
    const auto& given = mapped->pnu.newportmapping;
    if (given.privateport != inner || given.mappedpublicport == 0 || given.lifetime == 0) {
      return tl::unexpected(std::string("the router maps something else"));
    }
    const auto seen = router.ask_for_address();
    if (!seen) return tl::unexpected(seen.error());
    std::array<char, INET_ADDRSTRLEN> address{};
    ::inet_ntop(AF_INET, &seen->pnu.publicaddress.addr, address.data(), address.size());
    return PortMapping{address.data(), given.mappedpublicport,
                       std::min(lifetime, std::chrono::seconds(given.lifetime))};
  }

  bool unmap(std::uint16_t inner, std::uint16_t) override {
    return Conversation(router_).ask_for_mapping(inner, 0, std::chrono::seconds(0)).has_value();
  }

 private:
  std::string router_;
};

}  // namespace

std::unique_ptr<RouterProtocol> nat_pmp(std::string router) {
  return std::make_unique<NatPmp>(std::move(router));
}

}  // namespace shoal
