#include "tasks/lucas_lehmer/lucas_lehmer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <stdexcept>
#include <vector>

#include "tasks/lucas_lehmer/kernel.h"
#include "tasks/random/random.h"

namespace shoal::lucas_lehmer {
namespace {

__extension__ using Wide = unsigned __int128;

// The product digit by digit, with no idea in it.
Digits product(const Digits& a, const Digits& b) {
  Digits result(a.size() + b.size(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::uint64_t carry = 0;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const Wide sum = static_cast<Wide>(a[i]) * b[j] + result[i + j] + carry;
      result[i + j] = static_cast<std::uint64_t>(sum);
      carry = static_cast<std::uint64_t>(sum >> 64);
    }
    result[i + b.size()] = carry;
  }
  return result;
}

TEST(LucasLehmer, SquaresOfAnyLengthAreRight) {
  tasks::Random random(1);
  for (const std::size_t size : {1u, 2u, 3u, 47u, 48u, 50u, 96u, 97u, 192u, 200u, 384u}) {
    Digits x(size);
    for (auto& digit : x) digit = random.next();
    EXPECT_EQ(square(x), product(x, x)) << size;
    const Digits ones(size, ~std::uint64_t{0});
    EXPECT_EQ(square(ones), product(ones, ones)) << size;
    const Digits zeros(size, 0);
    EXPECT_EQ(square(zeros), product(zeros, zeros)) << size;
  }
}

TEST(LucasLehmer, FindsTheExponentsOfOeisA000043) {
  const std::vector<std::uint32_t> known = {2,  3,   5,   7,   13,  17,   19,   31,  61,
                                            89, 107, 127, 521, 607, 1279, 2203, 2281};
  std::vector<std::uint32_t> found;
  for (std::uint32_t p = 2; p <= 2'300; ++p) {
    const Verdict verdict = test({}, p);
    EXPECT_EQ(verdict.exponent, p);
    if (verdict.prime) found.push_back(p);
  }
  EXPECT_EQ(found, known);
}

TEST(LucasLehmer, GoesOnFromWhereverItWasInterrupted) {
  for (const std::uint32_t p : {2203u, 2207u}) {
    std::vector<Progress> noted;
    const Verdict whole =
        test({}, p, std::nullopt, [&](const Progress& progress) { noted.push_back(progress); });
    EXPECT_EQ(whole.prime, p == 2203);
    ASSERT_GE(noted.size(), 8U);
    for (const Progress& from : noted) {
      std::uint32_t first = 0;
      const Verdict rest = test({}, p, from, [&](const Progress& progress) {
        if (first == 0) first = progress.steps;
      });
      EXPECT_EQ(rest.prime, whole.prime) << from.steps;
      EXPECT_EQ(rest.residue, whole.residue) << from.steps;
      if (first != 0) {
        EXPECT_GT(first, from.steps);
      }
    }
  }
}

TEST(LucasLehmer, StatesOfOtherTestsAreNoBegin) {
  const auto ignore = [](const Progress&) {};
  const Verdict right = test({}, 127);
  for (const Progress& wrong :
       {Progress{61, 5, {1}}, Progress{127, 126, {1, 0}}, Progress{127, 5, {}}}) {
    const Verdict verdict = test({}, 127, wrong, ignore);
    EXPECT_EQ(verdict.prime, right.prime);
    EXPECT_EQ(verdict.residue, right.residue);
  }
}

TEST(LucasLehmer, FindsTheNextOnesAndNotTheirNeighbours) {
  for (const std::uint32_t p : {3217u, 4253u, 4423u, 9689u, 9941u}) {
    EXPECT_TRUE(test({}, p).prime) << p;
    std::uint32_t next = p + 1;
    while (!is_prime(next)) ++next;
    EXPECT_FALSE(test({}, next).prime) << next;
  }
}

TEST(LucasLehmer, ResiduesAreThoseOfOtherPrograms) {
  // By Python's integers; 1736 also is in the literature, as the last term for 2047 = 23 * 89.
  EXPECT_EQ(test({}, 11).residue, 1736u);
  EXPECT_EQ(test({}, 67).residue, 0x677d24ee8ae3b2c2u);
  EXPECT_EQ(test({}, 1277).residue, 0x5613a480590e78bau);
  EXPECT_EQ(test({}, 3001).residue, 0x1b916b735b21fcd4u);
  EXPECT_EQ(test({}, 8009).residue, 0x70caa9b58fe05a32u);
}

TEST(LucasLehmer, ResiduesOfSmallExponentsByWideArithmetic) {
  for (std::uint32_t p = 3; p < 64; ++p) {
    if (!is_prime(p)) continue;
    const std::uint64_t modulus = (std::uint64_t{1} << p) - 1;
    std::uint64_t s = 4 % modulus;
    for (std::uint32_t k = 0; k < p - 2; ++k) {
      const auto squared = static_cast<std::uint64_t>(static_cast<Wide>(s) * s % modulus);
      s = (squared + modulus - 2 % modulus) % modulus;
    }
    EXPECT_EQ(test({}, p).residue, s) << p;
    EXPECT_EQ(test({}, p).prime, s == 0) << p;
  }
}

TEST(LucasLehmer, RefusesExponentsOutOfRange) {
  EXPECT_THROW(test({}, 1), std::invalid_argument);
  EXPECT_THROW(test({}, kExponentMax + 1), std::invalid_argument);
  EXPECT_THROW(test(Params{100}, 101), std::invalid_argument);
}

TEST(LucasLehmer, KernelTravels) {
  const KernelEntry entry = kernel();
  EXPECT_EQ(entry.name, "lucas_lehmer");
  const Bytes input = encode(std::uint32_t{521});
  const auto verdict = decode<Verdict>(entry.call(encode(Params{}), UnitCall{0, ByteView(input)}));
  ASSERT_TRUE(verdict);
  EXPECT_TRUE(verdict->prime);
}

}  // namespace
}  // namespace shoal::lucas_lehmer
