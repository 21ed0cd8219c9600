#include "tasks/lucas_lehmer/lucas_lehmer.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <stdexcept>

namespace shoal::lucas_lehmer {
namespace {

using Digit = std::uint64_t;
__extension__ using Wide = unsigned __int128;
using View = std::span<const Digit>;
using Range = std::span<Digit>;

// Below this the plain way is faster, as measured.
constexpr std::size_t kKaratsubaDigits = 48;
constexpr std::uint32_t kStepsToNote = 256;

// `to` holds 2 * x.size() digits.
void square_plainly(View x, Range to) {
  const std::size_t n = x.size();
  std::fill(to.begin(), to.end(), 0);
  for (std::size_t i = 0; i < n; ++i) {
    Digit carry = 0;
    for (std::size_t j = i + 1; j < n; ++j) {
      const Wide sum = static_cast<Wide>(x[i]) * x[j] + to[i + j] + carry;
      to[i + j] = static_cast<Digit>(sum);
      carry = static_cast<Digit>(sum >> 64);
    }
    to[i + n] = carry;
  }
  Digit carry = 0;
  Digit shifted_out = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const Wide own = static_cast<Wide>(x[i]) * x[i];
    const Digit low = (to[2 * i] << 1) | shifted_out;
    const Digit high = (to[2 * i + 1] << 1) | (to[2 * i] >> 63);
    shifted_out = to[2 * i + 1] >> 63;
    const Wide first = static_cast<Wide>(low) + static_cast<Digit>(own) + carry;
    const Wide second =
        static_cast<Wide>(high) + static_cast<Digit>(own >> 64) + static_cast<Digit>(first >> 64);
    to[2 * i] = static_cast<Digit>(first);
    to[2 * i + 1] = static_cast<Digit>(second);
    carry = static_cast<Digit>(second >> 64);
  }
}

// to += x, and lets the carry run on. `to` is long enough for the sum.
void add(Range to, View x) {
  Digit carry = 0;
  for (std::size_t i = 0; i < to.size() && (i < x.size() || carry != 0); ++i) {
    const Wide sum = static_cast<Wide>(to[i]) + (i < x.size() ? x[i] : 0) + carry;
    to[i] = static_cast<Digit>(sum);
    carry = static_cast<Digit>(sum >> 64);
  }
}

// to -= x, which is not larger.
void subtract(Range to, View x) {
  Digit borrow = 0;
  for (std::size_t i = 0; i < to.size() && (i < x.size() || borrow != 0); ++i) {
    const Wide difference = static_cast<Wide>(to[i]) - (i < x.size() ? x[i] : 0) - borrow;
    to[i] = static_cast<Digit>(difference);
    borrow = static_cast<Digit>(difference >> 64) != 0 ? 1 : 0;
  }
}

bool less(View a, View b) {  // of one length
  for (std::size_t i = a.size(); i-- > 0;) {
    if (a[i] != b[i]) return a[i] < b[i];
  }
  return false;
}

// With x = a + b W: x^2 = a^2 + (a^2 + b^2 - (a - b)^2) W + b^2 W^2, which are three squares of
// half the length instead of four products. `spare` holds at least 8 * x.size() digits.
void square_into(View x, Range to, Range spare) {
  const std::size_t n = x.size();
  if (n < kKaratsubaDigits || n % 2 != 0) return square_plainly(x, to);
  const std::size_t half = n / 2;
  const View a = x.first(half);
  const View b = x.last(half);
  const Range difference = spare.first(half);
  const Range middle = spare.subspan(half, n);
  const Range rest = spare.subspan(half + n);
  const bool swapped = less(a, b);
  std::copy_n((swapped ? b : a).begin(), half, difference.begin());
  subtract(difference, swapped ? a : b);
  square_into(a, to.first(n), rest);
  square_into(b, to.last(n), rest);
  square_into(difference, middle, rest);
  const Range sum = rest.first(n + 1);
  std::copy_n(to.begin(), n, sum.begin());
  sum[n] = 0;
  add(sum, to.last(n));
  subtract(sum, middle);
  add(to.subspan(half), sum);
}

// The numbers modulo 2^p - 1.
class MersenneRing {
 public:
  explicit MersenneRing(std::uint32_t exponent)
      : exponent_(exponent), digits_(digits_for(exponent)) {
    square_.resize(2 * digits_);
    spare_.resize(8 * digits_);
  }

  Digits of(Digit small) const {
    Digits x(digits_, 0);
    x[0] = small;
    return x;
  }

  // x = x^2 - 2, fully reduced: below 2^p - 1.
  void step(Digits& x) {
    square_into(x, square_, spare_);
    // 2^p is 1 here: what stands above bit p comes down and is added.
    const std::size_t whole = exponent_ / 64;
    const unsigned bits = exponent_ % 64;
    for (std::size_t i = 0; i < digits_; ++i) {
      const Digit low = digit(whole + i) >> bits;
      const Digit high = bits == 0 ? 0 : digit(whole + i + 1) << (64 - bits);
      x[i] = low | high;
    }
    cut(square_);
    add(x, View(square_).first(digits_));
    fold(x);
    subtract_two(x);
  }

 private:
  // One bit more than the exponent has, for sums; and even as often as Karatsuba halves it.
  static std::size_t digits_for(std::uint32_t exponent) {
    const std::size_t least = exponent / 64 + 1;
    std::size_t unit = 1;
    while (least / unit >= kKaratsubaDigits) unit *= 2;
    return (least + unit - 1) / unit * unit;
  }

  Digit digit(std::size_t i) const { return i < square_.size() ? square_[i] : 0; }
  // Clears all bits from p on.
  void cut(Digits& x) const {
    const std::size_t whole = exponent_ / 64;
    const unsigned bits = exponent_ % 64;
    x[whole] &= (Digit{1} << bits) - 1;
    std::fill(x.begin() + static_cast<std::ptrdiff_t>(whole) + 1, x.end(), 0);
  }
  bool is_modulus(const Digits& x) const {
    const std::size_t whole = exponent_ / 64;
    for (std::size_t i = 0; i < whole; ++i) {
      if (x[i] != ~Digit{0}) return false;
    }
    return x[whole] == (Digit{1} << (exponent_ % 64)) - 1;
  }
  void fold(Digits& x) const {
    const Digit over = x[exponent_ / 64] >> (exponent_ % 64);
    cut(x);
    add(x, View(&over, 1));
    if (is_modulus(x)) std::fill(x.begin(), x.end(), 0);
  }
  void subtract_two(Digits& x) const {
    const bool small =
        x[0] < 2 && std::all_of(x.begin() + 1, x.end(), [](Digit d) { return d == 0; });
    const Digit two = 2;
    if (!small) return subtract(x, View(&two, 1));
    // x + (2^p - 1) - 2, which is 2^p - 3 + x.
    const Digit short_of = 3 - x[0];
    std::fill(x.begin(), x.end(), 0);
    x[exponent_ / 64] = Digit{1} << (exponent_ % 64);
    subtract(x, View(&short_of, 1));
  }

  std::uint32_t exponent_;
  std::size_t digits_;
  Digits square_;
  Digits spare_;
};

}  // namespace

Digits square(const Digits& x) {
  Digits result(2 * x.size());
  Digits spare(8 * x.size());
  square_into(x, result, spare);
  return result;
}

bool is_prime(std::uint32_t n) {
  if (n < 2) return false;
  for (std::uint64_t d = 2; d * d <= n; ++d) {
    if (n % d == 0) return false;
  }
  return true;
}

Verdict test(const Params& params, const std::uint32_t& exponent) {
  return test(params, exponent, std::nullopt, [](const Progress&) {});
}

Verdict test(const Params& params, std::uint32_t exponent, std::optional<Progress> begin,
             const std::function<void(const Progress&)>& note) {
  const std::uint32_t highest = std::min(params.exponent_max, kExponentMax);
  if (exponent < 2 || exponent > highest) {
    throw std::invalid_argument("an exponent must be between 2 and " + std::to_string(highest) +
                                ", is " + std::to_string(exponent));
  }
  if (exponent == 2) return {exponent, true, 0};
  if (!is_prime(exponent)) return {exponent, false, 0};
  MersenneRing ring(exponent);
  Progress at{exponent, 0, ring.of(4)};
  if (begin && begin->exponent == exponent && begin->steps <= exponent - 2 &&
      begin->residue.size() == at.residue.size()) {
    at = std::move(*begin);
  }
  while (at.steps < exponent - 2) {
    ring.step(at.residue);
    ++at.steps;
    // Steps of small exponents take less time than telling of them.
    if (at.steps % kStepsToNote == 0) note(at);
  }
  const Digits& s = at.residue;
  const bool zero = std::all_of(s.begin(), s.end(), [](Digit d) { return d == 0; });
  return {exponent, zero, s[0]};
}

}  // namespace shoal::lucas_lehmer
