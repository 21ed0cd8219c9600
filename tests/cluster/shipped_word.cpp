// In the program itself, or in a library that comes with it.
const char* shipped_word(int number) {
  constexpr const char* words[] = {"none", "one", "two", "three"};
  return number >= 0 && number < 4 ? words[number] : "many";
}
