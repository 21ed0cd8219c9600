#pragma once

#include <string>
#include <string_view>
#include <vector>

// Just enough of a C++ lexer for the tidy test.
namespace shoal::tidy {

// The text with comments and the insides of string and character literals replaced by spaces. Line
// ends stay where they are.
std::string code_only(std::string_view text);

std::vector<std::string_view> lines_of(std::string_view text);

struct Include {
  std::string target;  // what stands between the quotes or brackets
  bool quoted = false;
  int line = 0;
};
std::vector<Include> includes_of(std::string_view text);

struct Token {
  std::string_view text;  // an identifier, a number, "::", "->" or one other character
  int line = 0;
};
// `code` is what code_only() gave, and must outlive the tokens. Lines of the preprocessor are left
// out.
std::vector<Token> tokens_of(std::string_view code);

bool is_identifier(std::string_view token);

}  // namespace shoal::tidy
