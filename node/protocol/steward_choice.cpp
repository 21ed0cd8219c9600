#include "node/protocol/steward_choice.h"

#include <algorithm>
#include <charconv>
#include <tuple>

namespace shoal {
namespace {

// The groups of an address that name its block; nothing for a name.
using Block = std::vector<std::uint32_t>;

std::optional<std::uint32_t> number_of(std::string_view text, int base, std::uint32_t most) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<Block> ip4_block(std::string_view host) {
  const auto parts = split(host, '.');
  if (parts.size() != 4) return std::nullopt;
  Block block{4};
  for (const std::string_view part : parts) {
    const auto value = number_of(part, 10, 255);
    if (!value) return std::nullopt;
    block.push_back(*value);
  }
  block.pop_back();
  return block;
}

// The first 48 bits. A "::" among them stands for zeros, and so does what is missing.
std::optional<Block> ip6_block(std::string_view host) {
  constexpr std::size_t kGroups = 3;
  if (host.find(':') == std::string_view::npos) return std::nullopt;
  Block block{6};
  for (const std::string_view part : split(host, ':')) {
    if (part.empty() || block.size() > kGroups) break;
    const auto value = number_of(part, 16, 0xffff);
    if (!value) return std::nullopt;
    block.push_back(*value);
  }
  block.resize(1 + kGroups);
  return block;
}

constexpr std::string_view kIp4InIp6 = "::ffff:";

std::optional<Block> block_of(std::string_view host) {
  if (host.starts_with(kIp4InIp6)) host.remove_prefix(kIp4InIp6.size());
  if (auto block = ip4_block(host)) return block;
  return ip6_block(host);
}

bool is_loopback(std::string_view host) {
  if (host.starts_with(kIp4InIp6)) host.remove_prefix(kIp4InIp6.size());
  return host == "localhost" || host == "::1" || (host.starts_with("127.") && ip4_block(host));
}

}  // namespace

std::string_view host_of(std::string_view endpoint) {
  const auto scheme = endpoint.find("://");
  const auto port = endpoint.rfind(':');
  if (scheme == std::string_view::npos || port <= scheme + 2) return {};
  std::string_view host = endpoint.substr(scheme + 3, port - scheme - 3);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return host;
}

Nearness nearness(std::string_view host, std::string_view other_host) {
  if (is_loopback(host) && is_loopback(other_host)) return Nearness::kApart;
  if (host.empty() || other_host.empty()) return Nearness::kBlock;
  if (host == other_host) return Nearness::kSame;
  const auto block = block_of(host), other = block_of(other_host);
  return block && other && *block != *other ? Nearness::kApart : Nearness::kBlock;
}

std::optional<NodeId> next_steward(const std::vector<StewardCandidate>& seated,
                                   const std::vector<StewardCandidate>& candidates, Rng& rng) {
  std::uint64_t most = 0;
  for (const StewardCandidate& c : candidates) most = std::max(most, c.threads);
  using Cost = std::tuple<int, bool, bool>;
  std::optional<Cost> least;
  std::vector<NodeId> best;
  for (const StewardCandidate& c : candidates) {
    int near = 0;
    for (const StewardCandidate& other : seated) {
      near = std::max(
          near, static_cast<int>(nearness(c.host, other.host)) + (c.owner == other.owner ? 1 : 0));
    }
    const bool weak = c.threads * 4 < most * 3;
    const Cost cost{near, weak, !c.warm};
    if (least && cost > *least) continue;
    if (!least || cost < *least) best.clear();
    least = cost;
    best.push_back(c.node);
  }
  if (best.empty()) return std::nullopt;
  return best[rng.below(best.size())];
}

}  // namespace shoal
