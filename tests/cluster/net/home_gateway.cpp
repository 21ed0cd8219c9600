#include "tests/cluster/net/home_gateway.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>

#include "tests/cluster/process.h"

namespace shoal::cluster {
namespace {

constexpr const char* kNft = "/usr/sbin/nft";
constexpr std::uint16_t kNatPmpPort = 5351;
constexpr std::uint16_t kSearchPort = 1900;
constexpr const char* kSearchGroup = "239.255.255.250";
constexpr std::uint16_t kHttpPort = 5000;
constexpr std::uint16_t kOtherPortStep = 1000;
constexpr const char* kService = "urn:schemas-upnp-org:service:WANIPConnection:1";
constexpr const char* kDevice = "urn:schemas-upnp-org:device:InternetGatewayDevice:1";

// The router's address on the side of the home: "192.168.3.2" -> "192.168.3.1".
std::string inner_address(const NetNode& node) {
  return node.address.substr(0, node.address.rfind('.') + 1) + "1";
}

sockaddr_in address_of(const std::string& ip, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  ::inet_pton(AF_INET, ip.c_str(), &address.sin_addr);
  return address;
}

std::string text_of(const sockaddr_in& address) {
  std::array<char, INET_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
  return text.data();
}

int bound_socket(int type, const std::string& ip, std::uint16_t port) {
  const int fd = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in at = address_of(ip, port);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) {
    throw std::system_error(errno, std::generic_category(), "a port of the gateway");
  }
  return fd;
}

// "<NewInternalPort>4300</NewInternalPort>" -> "4300"
std::string element(const std::string& xml, const std::string& name) {
  const std::size_t at = xml.find("<" + name + ">");
  if (at == std::string::npos) return {};
  const std::size_t begin = at + name.size() + 2;
  return xml.substr(begin, xml.find('<', begin) - begin);
}

std::uint16_t number(const std::string& text) {
  return static_cast<std::uint16_t>(std::strtoul(text.c_str(), nullptr, 10));
}

std::string description() {
  const auto device = [](const std::string& type, const std::string& inside) {
    return "<device><deviceType>" + type + "</deviceType>" + inside + "</device>";
  };
  const auto list = [](const std::string& inside) {
    return "<deviceList>" + inside + "</deviceList>";
  };
  const auto service = [](const std::string& type) {
    return "<serviceList><service><serviceType>" + type +
           "</serviceType><controlURL>/control</controlURL><eventSubURL>/event</eventSubURL>"
           "<SCPDURL>/scpd.xml</SCPDURL></service></serviceList>";
  };
  const std::string devices = "urn:schemas-upnp-org:device:";
  const std::string connection = device(devices + "WANConnectionDevice:1", service(kService));
  // By this service a client knows a router.
  const std::string wan =
      device(devices + "WANDevice:1",
             service("urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1") + list(connection));
  return R"(<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0">)" +
         device(kDevice, list(wan)) + "</root>";
}

std::string soap(const std::string& inside) {
  return R"(<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">)"
         "<s:Body>" +
         inside + "</s:Body></s:Envelope>";
}

// One request, headers and body.
std::string read_request(int fd) {
  std::string request;
  std::array<char, 4096> buffer{};
  std::size_t wanted = std::string::npos;
  while (request.size() < wanted) {
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got <= 0) break;
    request.append(buffer.data(), static_cast<std::size_t>(got));
    const std::size_t end = request.find("\r\n\r\n");
    if (end == std::string::npos) continue;
    const std::size_t length = request.find("Content-Length:");
    const std::size_t body =
        length < end ? std::strtoul(request.c_str() + length + 15, nullptr, 10) : 0;
    wanted = end + 4 + body;
  }
  return request;
}

}  // namespace

HomeGateway::HomeGateway(const NetNode& node, Speaks speaks, Habits habits)
    : node_(node), habits_(habits), end_fd_(::eventfd(0, EFD_CLOEXEC)) {
  const std::string here = inner_address(node);
  node.router->run({kNft,
                    "add table ip mapped; add chain ip mapped pre "
                    "{ type nat hook prerouting priority dstnat; }"});
  node.router->inside([&] {
    if (speaks == Speaks::kNatPmp) {
      nat_pmp_fd_ = bound_socket(SOCK_DGRAM, here, kNatPmpPort);
      return;
    }
    search_fd_ = bound_socket(SOCK_DGRAM, "0.0.0.0", kSearchPort);
    const ip_mreq group{address_of(kSearchGroup, 0).sin_addr, address_of(here, 0).sin_addr};
    if (::setsockopt(search_fd_, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
      throw std::system_error(errno, std::generic_category(), "UPnP's multicast group");
    }
    http_fd_ = bound_socket(SOCK_STREAM, here, kHttpPort);
    ::listen(http_fd_, 8);
  });
  thread_ = std::thread([this] { serve(); });
}

HomeGateway::~HomeGateway() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t wrote = ::write(end_fd_, &one, sizeof one);
  thread_.join();
  for (const int fd : {nat_pmp_fd_, search_fd_, http_fd_, end_fd_}) {
    if (fd >= 0) ::close(fd);
  }
}

void HomeGateway::serve() {
  while (true) {
    // A descriptor of -1 is passed over.
    std::array<pollfd, 4> waiting{{{end_fd_, POLLIN, 0},
                                   {nat_pmp_fd_, POLLIN, 0},
                                   {search_fd_, POLLIN, 0},
                                   {http_fd_, POLLIN, 0}}};
    ::poll(waiting.data(), waiting.size(), -1);
    if (waiting[0].revents != 0) return;
    if (waiting[1].revents != 0) answer_nat_pmp();
    if (waiting[2].revents != 0) answer_search();
    if (waiting[3].revents != 0) answer_http();
  }
}

// RFC 6886, section 3.
void HomeGateway::answer_nat_pmp() {
  std::array<std::uint8_t, 64> request{};
  sockaddr_in from{};
  socklen_t size = sizeof from;
  const ssize_t got = ::recvfrom(nat_pmp_fd_, request.data(), request.size(), 0,
                                 reinterpret_cast<sockaddr*>(&from), &size);
  if (got < 2) return;
  const auto u16 = [&](std::size_t at) {
    return static_cast<std::uint16_t>(request[at] << 8 | request[at + 1]);
  };
  std::vector<std::uint8_t> reply{0, static_cast<std::uint8_t>(request[1] + 128), 0, 0, 0, 0, 0, 9};
  const auto put = [&](std::uint32_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) reply.push_back(static_cast<std::uint8_t>(value >> 8 * i));
  };
  if (request[1] == 0) {
    put(ntohl(address_of(node_.public_address, 0).sin_addr.s_addr), 4);
  } else if (request[1] == 2 && got >= 12) {
    const std::uint16_t inner = u16(4);
    const std::uint32_t wanted = std::uint32_t{u16(8)} << 16 | u16(10);
    const std::uint16_t outer =
        habits_.other_port ? static_cast<std::uint16_t>(inner + kOtherPortStep) : inner;
    if (wanted == 0) {
      unmap(text_of(from), inner);
    } else {
      map(outer, text_of(from), inner);
    }
    put(inner, 2);
    put(wanted == 0 ? 0 : outer, 2);
    put(std::min(wanted, habits_.lifetime_s), 4);
  } else {
    reply[3] = 5;  // an opcode that it does not know
  }
  ::sendto(nat_pmp_fd_, reply.data(), reply.size(), 0, reinterpret_cast<const sockaddr*>(&from),
           size);
}

// UPnP Device Architecture 1.0, section 1.2.
void HomeGateway::answer_search() {
  std::array<char, 2048> request{};
  sockaddr_in from{};
  socklen_t size = sizeof from;
  const ssize_t got = ::recvfrom(search_fd_, request.data(), request.size() - 1, 0,
                                 reinterpret_cast<sockaddr*>(&from), &size);
  if (got <= 0 || std::strstr(request.data(), "M-SEARCH") == nullptr) return;
  if (std::strstr(request.data(), kDevice) == nullptr) return;
  const std::string reply =
      "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: " + std::string(kDevice) +
      "\r\nUSN: uuid:1::" + kDevice + "\r\nEXT:\r\nSERVER: test\r\nLOCATION: http://" +
      inner_address(node_) + ":" + std::to_string(kHttpPort) + "/description.xml\r\n\r\n";
  ::sendto(search_fd_, reply.data(), reply.size(), 0, reinterpret_cast<const sockaddr*>(&from),
           size);
}

void HomeGateway::answer_http() {
  sockaddr_in from{};
  socklen_t size = sizeof from;
  const int fd = ::accept4(http_fd_, reinterpret_cast<sockaddr*>(&from), &size, SOCK_CLOEXEC);
  if (fd < 0) return;
  const timeval patience{5, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const std::string request = read_request(fd);
  int status = 200;
  const std::string body =
      request.starts_with("GET ") ? description() : soap_body(request, text_of(from), status);
  const std::string reply = "HTTP/1.1 " + std::to_string(status) +
                            (status == 200 ? " OK" : " Internal Server Error") +
                            "\r\nContent-Type: text/xml\r\nConnection: close\r\nContent-Length: " +
                            std::to_string(body.size()) + "\r\n\r\n" + body;
  ::send(fd, reply.data(), reply.size(), MSG_NOSIGNAL);
  ::close(fd);
}

// WANIPConnection:1.
std::string HomeGateway::soap_body(const std::string& request, const std::string& client,
                                   int& status) {
  const auto asks = [&](const char* action) {
    return request.find(std::string("#") + action + "\"") != std::string::npos;
  };
  const auto response = [](const std::string& action, const std::string& inside) {
    return soap("<u:" + action + "Response xmlns:u=\"" + kService + "\">" + inside +
                "</u:" + action + "Response>");
  };
  const auto fault = [&](int code) {
    status = 500;
    return soap(
        "<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>"
        "<UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>" +
        std::to_string(code) + "</errorCode></UPnPError></detail></s:Fault>");
  };
  if (asks("GetStatusInfo")) {
    return response("GetStatusInfo",
                    "<NewConnectionStatus>Connected</NewConnectionStatus>"
                    "<NewLastConnectionError>ERROR_NONE</NewLastConnectionError>"
                    "<NewUptime>9</NewUptime>");
  }
  if (asks("GetExternalIPAddress")) {
    return response("GetExternalIPAddress",
                    "<NewExternalIPAddress>" + node_.public_address + "</NewExternalIPAddress>");
  }
  if (asks("AddPortMapping")) {
    if (element(request, "NewInternalClient") != client) return fault(402);
    if (habits_.only_permanent && element(request, "NewLeaseDuration") != "0") return fault(725);
    map(number(element(request, "NewExternalPort")), client,
        number(element(request, "NewInternalPort")));
    return response("AddPortMapping", "");
  }
  if (asks("DeletePortMapping")) {
    const auto all = mappings();
    const auto found = all.find(number(element(request, "NewExternalPort")));
    if (found == all.end()) return fault(714);
    unmap(found->second.address, found->second.port);
    return response("DeletePortMapping", "");
  }
  return fault(401);
}

void HomeGateway::map(std::uint16_t outer, const std::string& address, std::uint16_t inner) {
  auto all = mappings();
  all[outer] = {address, inner};
  forward(all);
  const std::lock_guard lock(mutex_);
  mappings_ = std::move(all);
  ++asked_;
  changed_.notify_all();
}

void HomeGateway::unmap(const std::string& address, std::uint16_t inner) {
  auto all = mappings();
  std::erase_if(all, [&](const auto& mapping) {
    return mapping.second.address == address && mapping.second.port == inner;
  });
  forward(all);
  const std::lock_guard lock(mutex_);
  mappings_ = std::move(all);
  changed_.notify_all();
}

void HomeGateway::forward(const std::map<std::uint16_t, Mapped>& all) {
  std::string rules = "flush chain ip mapped pre;";
  for (const auto& [outer, to] : all) {
    rules += "add rule ip mapped pre iifname \"wan\" tcp dport " + std::to_string(outer) +
             " dnat to " + to.address + ":" + std::to_string(to.port) + ";";
  }
  node_.router->run({kNft, rules});
}

std::map<std::uint16_t, HomeGateway::Mapped> HomeGateway::mappings() const {
  const std::lock_guard lock(mutex_);
  return mappings_;
}

bool HomeGateway::await_asked(int count) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return asked_ >= count; });
}

bool HomeGateway::await_no_mapping() const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return mappings_.empty(); });
}

}  // namespace shoal::cluster
