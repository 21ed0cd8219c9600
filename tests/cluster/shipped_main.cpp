#include <cstdio>
#include <cstdlib>

const char* shipped_word(int number);

// A program that jobs bring along.
int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::printf("%s\n", shipped_word(std::atoi(argv[1])));
  return 0;
}
