#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "node/protocol/bytes.h"
#include "node/protocol/result.h"

// What a folder is as content: one run of bytes, a listing of all that is in it followed by the
// bytes of its files, one after another in the listing's order. One content and not one a file, so
// that 20,000 small files are fetched as fast as one large one, and so that one id and one length
// say all that there is to fetch.
//
// The listing is canonical: the same names, modes and bytes give the same id wherever they lie.
// Nothing else of a file is kept: no owner, no times, no mode but whether it is a program.
//
//     "shoalfd1" | entries (4 bytes) | bytes of the listing, from its begin (8) | entry …
//     entry: kind (1) | bytes of the path (2) | size (8) | path | target (links only)
//
// Numbers are little-endian. `size` is a file's bytes, or a link's target's; zero for a folder.
//
// Who sends a listing may be anybody, so that a path could be made to lead out of the folder that
// it is unpacked into. Hence the rules, which decode_listing() checks before anything is made:
//  - a path is relative, of names of 1 to 255 bytes that are not "." or ".." and hold no NUL;
//  - paths rise strictly, byte by byte: no name comes twice;
//  - whatever a path lies in is itself listed as a folder: nothing is written through a link;
//  - a link's target is "../" as often as there are folders above the link, or less, and then names
//    that are not "..": followed from anywhere in the folder, it ends in the folder.
namespace shoal {

enum class FolderEntryKind : std::uint8_t { kFile = 0, kProgram = 1, kFolder = 2, kLink = 3 };

struct FolderEntry {
  FolderEntryKind kind = FolderEntryKind::kFile;
  std::string path;         // within the folder
  std::uint64_t bytes = 0;  // of a file or program
  std::string target = {};  // of a link
  friend bool operator==(const FolderEntry&, const FolderEntry&) = default;
};
using FolderListing = std::vector<FolderEntry>;

inline constexpr std::size_t kFolderEntriesMax = 1'000'000;
inline constexpr std::size_t kFolderPathBytes = 4095;  // what a path may have on Linux
inline constexpr std::size_t kFolderListingBytes = 64 << 20;
inline constexpr std::size_t kFolderHeaderBytes = 20;

// A sentence about the first entry that breaks a rule; nothing where all is well.
std::optional<std::string> flaw_of(const FolderListing&);
// The listing must be without flaw.
Bytes encode_listing(const FolderListing&);
// How many bytes the listing at the beginning of a content takes, from its first
// kFolderHeaderBytes; nothing if this is no folder.
std::optional<std::uint64_t> listing_bytes(ByteView header);
// Total: any bytes give a listing without flaw, or a sentence that says why not.
Result<FolderListing, std::string> decode_listing(ByteView bytes);
// Of the whole content: the listing and all that follows it.
std::uint64_t content_bytes(const FolderListing&);
// A path for people: what would steer a terminal is shown as \xNN.
std::string printable(const std::string& path);

}  // namespace shoal
