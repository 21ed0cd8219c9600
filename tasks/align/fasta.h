#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace shoal::align {

enum class Alphabet : unsigned char { kProtein, kDna };

struct Sequence {
  std::string name;      // the first word after '>'
  std::string residues;  // upper case letters of its alphabet, at least one
};

// The sequences of a FASTA file, in the order of the file, or one line that says what is wrong with
// it, and where: "globins.fa:12: ...".
//
// Lines may end in CRLF and letters may be lower case. A '*' at the end of a protein (the stop that
// translation leaves) is dropped. DNA may hold U, which is T, and the IUPAC codes for more than one
// base, all of which are read as N. Refused: a file that is not FASTA, a name that comes twice, a
// sequence without residues, and any letter that the alphabet does not have, gaps among them.
tl::expected<std::vector<Sequence>, std::string> read_fasta(const std::filesystem::path& path,
                                                            Alphabet alphabet);

// The same, of text that is already at hand. `name` is what errors call it.
tl::expected<std::vector<Sequence>, std::string> parse_fasta(std::string_view text,
                                                             const std::string& name,
                                                             Alphabet alphabet);

// The bytes of a file, which may be a pipe.
tl::expected<std::string, std::string> read_text(const std::filesystem::path& path);

// DNA if all residues are A, C, G, T, U or N, else protein.
Alphabet guess_alphabet(std::string_view fasta);

}  // namespace shoal::align
