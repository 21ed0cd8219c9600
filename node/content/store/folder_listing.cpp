#include "node/content/store/folder_listing.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <string_view>

#include "node/protocol/limits.h"

namespace shoal {

namespace {

constexpr std::string_view kMagic = "shoalfd1";
constexpr std::size_t kEntryBytes = 11;  // without its path and target
constexpr std::size_t kNameBytes = 255;

void put_number(Bytes& to, std::uint64_t number, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i) to.push_back(static_cast<std::uint8_t>(number >> (8 * i)));
}

std::uint64_t number_at(ByteView bytes, std::size_t at, unsigned size) {
  std::uint64_t number = 0;
  for (unsigned i = 0; i < size; ++i) number |= std::uint64_t{bytes[at + i]} << (8 * i);
  return number;
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytes && name != "." && name != ".." &&
         name.find('\0') == std::string_view::npos;
}

// Of names between single slashes.
bool is_path(std::string_view path) {
  if (path.empty() || path.size() > kFolderPathBytes) return false;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    if (!is_name(path.substr(at, end - at))) return false;
    at = end + 1;
  }
  return true;
}

bool stays_inside(const std::string& link, std::string_view target) {
  if (target.size() > kFolderPathBytes) return false;
  auto above = std::count(link.begin(), link.end(), '/');
  while (target.starts_with("../")) {
    if (above-- == 0) return false;
    target.remove_prefix(3);
  }
  return is_path(target);
}

std::optional<std::string> flaw_of_entry(const FolderEntry& entry, const FolderEntry* before,
                                         const std::set<std::string_view>& folders) {
  const std::string name = "'" + printable(entry.path) + "'";
  if (!is_path(entry.path)) {
    return name + " is no path within a folder: it must be of plain names, without '..', and " +
           "neither empty nor too long";
  }
  if (before != nullptr && entry.path <= before->path) {
    return name + (entry.path == before->path ? " is listed twice" : " is not in its place");
  }
  const std::size_t slash = entry.path.rfind('/');
  if (slash != std::string::npos &&
      !folders.contains(std::string_view(entry.path).substr(0, slash))) {
    return name + " lies in what is not listed as a folder";
  }
  const bool sized =
      entry.kind == FolderEntryKind::kFile || entry.kind == FolderEntryKind::kProgram;
  if (sized ? entry.bytes > limits::kContentBytes : entry.bytes != 0) {
    return name + " is said to have a size that it cannot have";
  }
  if (entry.kind == FolderEntryKind::kLink && !stays_inside(entry.path, entry.target)) {
    return "the link " + name + " to '" + printable(entry.target) +
           "' leads out of the folder, or " + "is not of the plain form ../name/name";
  }
  if (entry.kind != FolderEntryKind::kLink && !entry.target.empty()) {
    return name + " is no link and has a target";
  }
  return std::nullopt;
}

}  // namespace

std::string printable(const std::string& path) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string shown;
  for (const char c : path) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      shown += c;
    } else {
      shown += "\\x";
      shown += kDigits[byte >> 4];
      shown += kDigits[byte & 15];
    }
  }
  return shown;
}

std::optional<std::string> flaw_of(const FolderListing& listing) {
  if (listing.size() > kFolderEntriesMax) {
    return "it has more than " + std::to_string(kFolderEntriesMax) + " entries";
  }
  std::set<std::string_view> folders;
  const FolderEntry* before = nullptr;
  std::uint64_t bytes = kFolderHeaderBytes;
  std::uint64_t following = 0;
  for (const FolderEntry& entry : listing) {
    if (auto flaw = flaw_of_entry(entry, before, folders)) return flaw;
    if (entry.kind == FolderEntryKind::kFolder) folders.insert(entry.path);
    before = &entry;
    bytes += kEntryBytes + entry.path.size() + entry.target.size();
    following += entry.bytes;
    if (bytes > kFolderListingBytes) return "its names take too much room";
    if (bytes + following > limits::kContentBytes) return "it is larger than any content may be";
  }
  return std::nullopt;
}

Bytes encode_listing(const FolderListing& listing) {
  Bytes bytes(kMagic.begin(), kMagic.end());
  std::size_t size = kFolderHeaderBytes;
  for (const FolderEntry& entry : listing) {
    size += kEntryBytes + entry.path.size() + entry.target.size();
  }
  bytes.reserve(size);
  put_number(bytes, listing.size(), 4);
  put_number(bytes, size, 8);
  for (const FolderEntry& entry : listing) {
    bytes.push_back(static_cast<std::uint8_t>(entry.kind));
    put_number(bytes, entry.path.size(), 2);
    put_number(bytes, entry.kind == FolderEntryKind::kLink ? entry.target.size() : entry.bytes, 8);
    bytes.insert(bytes.end(), entry.path.begin(), entry.path.end());
    bytes.insert(bytes.end(), entry.target.begin(), entry.target.end());
  }
  return bytes;
}

std::optional<std::uint64_t> listing_bytes(ByteView header) {
  if (header.size() < kFolderHeaderBytes ||
      std::memcmp(header.data(), kMagic.data(), kMagic.size()) != 0) {
    return std::nullopt;
  }
  const std::uint64_t bytes = number_at(header, 12, 8);
  if (bytes < kFolderHeaderBytes || bytes > kFolderListingBytes) return std::nullopt;
  return bytes;
}

Result<FolderListing, std::string> decode_listing(ByteView bytes) {
  const auto refuse = [](std::string why) { return tl::unexpected(std::move(why)); };
  if (listing_bytes(bytes) != bytes.size()) return refuse("this content is not a folder");
  const std::uint64_t count = number_at(bytes, kMagic.size(), 4);
  if (count > (bytes.size() - kFolderHeaderBytes) / kEntryBytes) return refuse("it is cut off");
  FolderListing listing(count);
  std::size_t at = kFolderHeaderBytes;
  for (FolderEntry& entry : listing) {
    if (bytes.size() - at < kEntryBytes) return refuse("it is cut off");
    const std::uint8_t kind = bytes[at];
    const std::uint64_t path = number_at(bytes, at + 1, 2);
    const std::uint64_t size = number_at(bytes, at + 3, 8);
    at += kEntryBytes;
    if (kind > static_cast<std::uint8_t>(FolderEntryKind::kLink)) {
      return refuse("it has an entry of a kind that this program does not know");
    }
    entry.kind = static_cast<FolderEntryKind>(kind);
    const std::uint64_t target = entry.kind == FolderEntryKind::kLink ? size : 0;
    const std::uint64_t left = bytes.size() - at;
    if (path > left || target > left - path) return refuse("it is cut off");
    const char* text = reinterpret_cast<const char*>(bytes.data()) + at;
    entry.path.assign(text, path);
    entry.target.assign(text + path, target);
    if (entry.kind != FolderEntryKind::kLink) entry.bytes = size;
    at += path + target;
  }
  if (at != bytes.size()) return refuse("its listing has a tail");
  if (auto flaw = flaw_of(listing)) return refuse(std::move(*flaw));
  return listing;
}

std::uint64_t content_bytes(const FolderListing& listing) {
  std::uint64_t bytes = kFolderHeaderBytes;
  for (const FolderEntry& entry : listing) {
    bytes += kEntryBytes + entry.path.size() + entry.target.size() + entry.bytes;
  }
  return bytes;
}

}  // namespace shoal
