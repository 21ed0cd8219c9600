#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>

#include <array>
#include <memory>
#include <utility>

#include "node/protocol/address.h"
#include "worker/runtime/router_protocols.h"

namespace shoal {
namespace {

constexpr int kSearchMs = 2000;
constexpr unsigned char kHops = 2;  // as UPnP's architecture has it
constexpr std::size_t kAddressBytes = 64;
// What routers answer to a wish for a port or a lifetime.
constexpr int kConflict = 718;
constexpr int kOnlySamePort = 724;
constexpr int kOnlyPermanent = 725;
constexpr int kPortTries = 3;
constexpr std::uint16_t kPortStep = 1009;  // to the next wish, where somebody else has the first

// The router's device description, read, and the address at which it sees this machine.
class Router {
 public:
  // Nothing: none answers.
  static std::unique_ptr<Router> find(const std::string& description) {
    std::unique_ptr<Router> router(new Router());
    const int kind = description.empty() ? router->search() : router->read(description);
    router->holds_urls_ = kind != 0;
    // 2: it says that it is not connected, or its own address is none of the internet. Whether it
    // is of use is for those to say who dial.
    return kind == 1 || kind == 2 ? std::move(router) : nullptr;
  }
  ~Router() {
    if (holds_urls_) FreeUPNPUrls(&urls_);
  }
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  std::string address() const {
    std::array<char, kAddressBytes> outside{};
    const int code = UPNP_GetExternalIPAddress(control(), service(), outside.data());
    return code == UPNPCOMMAND_SUCCESS ? std::string(outside.data()) : std::string();
  }
  // 0, or what the router or the library says.
  int add(std::uint16_t inner, std::uint16_t outer, std::chrono::seconds lifetime) const {
    const std::string in = std::to_string(inner), out = std::to_string(outer),
                      seconds = std::to_string(lifetime.count());
    return UPNP_AddPortMapping(control(), service(), out.c_str(), in.c_str(), here_.data(), "shoal",
                               "TCP", nullptr, seconds.c_str());
  }
  bool remove(std::uint16_t outer) const {
    const std::string port = std::to_string(outer);
    return UPNP_DeletePortMapping(control(), service(), port.c_str(), "TCP", nullptr) ==
           UPNPCOMMAND_SUCCESS;
  }

 private:
  Router() = default;
  int search() {
    int error = 0;
    UPNPDev* devices =
        upnpDiscover(kSearchMs, nullptr, nullptr, UPNP_LOCAL_PORT_ANY, 0, kHops, &error);
    if (devices == nullptr) return 0;
    const int kind = UPNP_GetValidIGD(devices, &urls_, &data_, here_.data(), kAddressBytes);
    freeUPNPDevlist(devices);
    return kind;
  }
  int read(const std::string& description) {
    return UPNP_GetIGDFromUrl(description.c_str(), &urls_, &data_, here_.data(), kAddressBytes);
  }
  const char* control() const { return urls_.controlURL; }
  const char* service() const { return static_cast<const char*>(data_.first.servicetype); }

  UPNPUrls urls_{};
  IGDdatas data_{};
  std::array<char, kAddressBytes> here_{};
  bool holds_urls_ = false;
};

class Upnp final : public RouterProtocol {
 public:
  explicit Upnp(std::string description) : description_(std::move(description)) {}
  std::string name() const override { return "UPnP"; }

  // The router is looked for each time: it may be another one since.
  Result<PortMapping, std::string> map(std::uint16_t inner, std::uint16_t outer,
                                       std::chrono::seconds lifetime) override {
    router_ = Router::find(description_);
    if (!router_) return tl::unexpected(std::string("no router answers"));
    std::string address = router_->address();
    if (scope_of(address) == AddressScope::kNone) {
      return tl::unexpected(std::string("the router has no address outside"));
    }
    for (int tries = 0; tries < kPortTries; ++tries) {
      int code = router_->add(inner, outer, lifetime);
      // It is taken back at the end all the same, and set again as one that runs out would be.
      if (code == kOnlyPermanent) code = router_->add(inner, outer, std::chrono::seconds(0));
      if (code == UPNPCOMMAND_SUCCESS) return PortMapping{std::move(address), outer, lifetime};
      if (code == kOnlySamePort && outer != inner) {
        outer = inner;
      } else if (code == kConflict) {
        outer = next_port(outer);
      } else {
        return tl::unexpected(std::string("the router refuses (error ") + std::to_string(code) +
                              ")");
      }
    }
    return tl::unexpected(std::string("the router's ports are taken"));
  }

  bool unmap(std::uint16_t, std::uint16_t outer) override {
    return router_ != nullptr && router_->remove(outer);
  }

 private:
  static std::uint16_t next_port(std::uint16_t port) {
    constexpr std::uint16_t kFirst = 1024;
    const auto next = static_cast<std::uint16_t>(port + kPortStep);
    return next < kFirst ? static_cast<std::uint16_t>(next + kFirst) : next;
  }

  std::string description_;
  std::unique_ptr<Router> router_;  // that was found last
};

}  // namespace

std::unique_ptr<RouterProtocol> upnp(std::string description) {
  return std::make_unique<Upnp>(std::move(description));
}

}  // namespace shoal
