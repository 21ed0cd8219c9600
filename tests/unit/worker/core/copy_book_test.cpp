#include "worker/core/copy_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

NodeId node(std::uint8_t n) {
  NodeId id;
  id.bytes.fill(n);
  return id;
}
ContentId content(std::uint8_t n) {
  ContentId id;
  id.bytes.fill(n);
  return id;
}

Receipt receipt(std::uint64_t sequence, std::vector<ContentId> large,
                const std::vector<NodeId>& workers) {
  Receipt receipt;
  receipt.sequence = sequence;
  receipt.outputs.large = std::move(large);
  for (const NodeId& worker : workers) {
    Support support;
    support.commitment.signer = worker;
    receipt.supports.push_back(support);
  }
  return receipt;
}

TEST(CopyBook, WhoComputedAnOutputHoldsItAndSoDoesWhoKeepsACopy) {
  CopyBook book;
  book.note(receipt(5, {content(1), content(2)}, {node(1), node(2)}));
  book.note(receipt(6, {content(3)}, {node(2), node(3)}));
  EXPECT_EQ(book.outputs(), 3U);
  EXPECT_THAT(book.holders(),
              UnorderedElementsAre(Pair(node(1), 1), Pair(node(2), 2), Pair(node(3), 1)));
  EXPECT_THAT(book.holders_of(content(2)), ElementsAre(node(1), node(2)));
  book.hold(5, node(9));
  book.hold(5, node(9));
  EXPECT_THAT(book.holders_of(content(1)), ElementsAre(node(1), node(2), node(9)));
  EXPECT_THAT(book.holders_of(content(3)), ElementsAre(node(2), node(3)));
  EXPECT_THAT(book.holders_of(content(4)), IsEmpty());
}

TEST(CopyBook, WhoHoldsItNoMoreIsNotCounted) {
  CopyBook book;
  book.note(receipt(5, {content(1)}, {node(1), node(2)}));
  book.note(receipt(6, {content(2), content(3)}, {node(1)}));
  book.note(receipt(7, {content(1)}, {node(1)}));
  book.lose(content(1), node(1));
  book.lose(content(1), node(1));
  book.lose(content(2), node(9));
  book.lose(content(9), node(1));
  EXPECT_THAT(book.holders_of(content(1)), IsEmpty()) << "of the last of its receipts";
  EXPECT_THAT(book.lots().at(5).holders, ElementsAre(node(2)));
  EXPECT_THAT(book.holders(), UnorderedElementsAre(Pair(node(1), 1), Pair(node(2), 1)));
  book.lose(content(3), node(1));
  EXPECT_THAT(book.holders_of(content(2)), IsEmpty()) << "what is held together is lost together";
}

// A full disk, and then a crash, take a receipt and leave what was written of its holders: the
// sequence is another receipt's after that.
TEST(CopyBook, WhoKeepsACopyOfOneReceiptDoesNotHoldTheNextOneOfThatSequence) {
  CopyBook book;
  book.note(receipt(5, {content(1)}, {node(1)}));
  book.recall(5, content(1), node(8));
  book.recall(5, content(2), node(9));
  book.recall(6, content(1), node(9));
  EXPECT_THAT(book.holders_of(content(1)), ElementsAre(node(1), node(8)));
  EXPECT_EQ(book.lots().size(), 1U) << "nobody can be asked to copy what has no receipt";
}

TEST(CopyBook, OutputsAreTheSameLotForEverybodyWhereTheyAreTheSameOutputs) {
  CopyBook book;
  book.note(receipt(5, {content(1)}, {node(1)}));
  book.note(receipt(6, {content(1), content(2)}, {node(2)}));
  book.note(receipt(7, {content(1)}, {node(3)}));
  EXPECT_THAT(book.lots_named(content(1)), ElementsAre(5, 7));
  const ContentId both = CopyBook::name_of({content(1), content(2)});
  EXPECT_THAT(book.lots_named(both), ElementsAre(6));
  EXPECT_NE(both, CopyBook::name_of({content(2), content(1)}));
  EXPECT_THAT(book.lots_named(content(2)), IsEmpty());
}

TEST(CopyBook, WhenTheJobIsOverItsInputsAreNoConcernOfItsAnyMore) {
  CopyBook book;
  book.note(receipt(5, {content(1)}, {node(1)}));
  book.hold(CopyBook::kInputs, node(1));
  book.hold(CopyBook::kInputs, node(2));
  EXPECT_EQ(book.lots().size(), 2U);
  book.forget_inputs();
  book.forget_inputs();
  EXPECT_EQ(book.lots().size(), 1U);
  EXPECT_THAT(book.holders(), UnorderedElementsAre(Pair(node(1), 1)));
}

TEST(CopyBook, WhoComputedSomethingEquivalentDoesNotHoldTheSame) {
  CopyBook book;
  Receipt one = receipt(5, {content(1)}, {node(1), node(2)});
  one.supports[1].digests.resize(1);
  book.note(one);
  EXPECT_THAT(book.holders_of(content(1)), ElementsAre(node(1)));
}

TEST(CopyBook, WhatRidesInTheLedgerIsNoConcernOfIts) {
  CopyBook book;
  book.note(receipt(5, {}, {node(1)}));
  Receipt disputed = receipt(6, {content(1)}, {node(1)});
  disputed.end = UnitEnd::kDisputed;
  book.note(disputed);
  EXPECT_TRUE(book.lots().empty());
  EXPECT_TRUE(book.holders().empty());
}

}  // namespace
}  // namespace shoal
