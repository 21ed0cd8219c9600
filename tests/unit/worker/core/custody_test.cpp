#include "worker/core/custody.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node/protocol/terms.h"
#include "tests/unit/node/protocol/receipts.h"
#include "worker/core/copy_book.h"

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr std::uint64_t kKeepS = 3600;

ContentId content(std::uint8_t n) {
  ContentId id;
  id.bytes.fill(n);
  return id;
}

// One worker's custody, with a disk that is as quick as the test wants it to be.
class CustodyTest : public ::testing::Test {
 protected:
  CustodyTest() { config_.unix_ms_at_zero = 1'000'000; }

  Signed manifest(std::uint8_t nonce, std::uint8_t inputs) const {
    Manifest what;
    what.nonce[0] = nonce;
    what.kernel = "plain";
    what.units = 10;
    what.quorum = 2;
    what.keep_s = kKeepS;
    what.contents = {{content(inputs), 100}};
    return sign_fact(submitter_, Purpose::kManifest, encode(what));
  }
  TermChain terms(const JobId& job) const {
    const Term term{.job = job, .epoch = 1, .stewards = {steward_.id()}};
    return {SignedTerm{sign_fact(submitter_, Purpose::kTerm, encode(term)), {}}};
  }
  Keep keep(const JobId& job, const Receipt* receipt = nullptr) const {
    Keep keep{.job = job, .terms = terms(job), .receipt = {}, .holders = {}};
    if (receipt != nullptr) keep.receipt = encode(*receipt);
    return keep;
  }
  // Of unit 3, whose output is a content, as two workers made it.
  Receipt receipt(const JobId& job, std::uint8_t output) const {
    Receipt receipt;
    receipt.sequence = 7;
    receipt.range = {3, 4};
    receipt.outputs = PackedOutputs{{5000}, {}, {content(output)}};
    for (const KeyPair* worker : {&one_, &another_}) {
      receipt.supports.push_back(
          support_of(*worker, job, receipt.range, receipt.outputs, receipt.range));
    }
    return receipt;
  }

  void advance() {
    custody_.advance(
        now_, [this](const JobId& job) { return busy_.contains(job); }, [this] { return needed_; },
        out_);
  }
  void pass(Duration time) {
    now_ = now_ + time;
    advance();
  }
  // What is to be stored is, a moment later.
  void save() {
    advance();
    const std::vector<StoredFact> facts = out_.take_facts();
    disk_.insert(disk_.end(), facts.begin(), facts.end());
    custody_.on_stored(facts, "", out_);
  }
  std::vector<Kept> answers() {
    std::vector<Kept> kept;
    for (PeerAction& action : out_.take()) {
      if (auto* send = std::get_if<Send>(&action)) {
        auto message = decode(send->bytes);
        if (message && std::holds_alternative<Kept>(*message)) {
          kept.push_back(std::get<Kept>(*message));
        }
      }
    }
    return kept;
  }
  // Of all steps until nothing more goes.
  std::vector<ContentId> dropped() {
    std::vector<ContentId> ids;
    for (int step = 0; step < 100; ++step) {
      pass(10ms);
      for (PeerAction& action : out_.take()) {
        if (auto* drop = std::get_if<DropContent>(&action)) ids.push_back(drop->id);
        if (auto* erase = std::get_if<Erase>(&action)) {
          std::erase_if(disk_, [&](const StoredFact& fact) { return covers(*erase, fact); });
        }
      }
    }
    return ids;
  }

  const KeyPair submitter_ = key_of(1), steward_ = key_of(2), one_ = key_of(3),
                another_ = key_of(4), self_ = key_of(5);
  const Ed25519Checker checker_;
  PeerConfig config_;
  Instant now_{5'000'000'000};
  Outbox out_{self_.id()};
  Custody custody_{config_, checker_, self_.id()};
  std::set<JobId> busy_;
  std::set<ContentId> needed_;
  std::vector<StoredFact> disk_;
};

TEST_F(CustodyTest, AnOutputThatAReceiptProvesIsFetchedAndWrittenDownBeforeItIsPromised) {
  const Signed what = manifest(1, 10);
  const JobId job = job_id_of(what.body);
  custody_.take_part(job, what);
  const Receipt proof = receipt(job, 20);
  custody_.on_keep(steward_.id(), keep(job, &proof), out_);
  const auto needs = custody_.take_content_needs();
  ASSERT_EQ(needs.size(), 1U);
  EXPECT_EQ(needs[0].id, content(20));
  EXPECT_EQ(needs[0].length, 5000U);
  std::set<ContentId> spared;
  custody_.add_needed(spared);
  EXPECT_TRUE(spared.contains(content(20))) << "it could be evicted before it is whole";
  custody_.on_content(content(20), "");
  EXPECT_THAT(answers(), IsEmpty());
  save();
  const auto kept = answers();
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_TRUE(kept[0].held) << kept[0].detail;
  EXPECT_EQ(kept[0].output, content(20));
  EXPECT_EQ(kept[0].holder, self_.id());
}

TEST_F(CustodyTest, NobodyFillsADisksWithWhatIsNotHisJobs) {
  const Signed what = manifest(1, 10);
  const JobId job = job_id_of(what.body);
  const Receipt proof = receipt(job, 20);
  const auto refused = [&](const NodeId& from, const Receipt& shown) {
    custody_.on_keep(from, keep(job, &shown), out_);
    EXPECT_THAT(custody_.take_content_needs(), IsEmpty());
    const auto kept = answers();
    if (kept.size() != 1 || kept[0].held) return std::string("it was taken");
    EXPECT_EQ(kept[0].output, CopyBook::name_of(shown.outputs.large)) << "what is refused?";
    return kept[0].detail;
  };
  EXPECT_THAT(refused(steward_.id(), proof), HasSubstr("no part"));
  custody_.take_part(job, what);
  EXPECT_THAT(refused(one_.id(), proof), HasSubstr("no steward"));
  Receipt forged = proof;
  forged.outputs.large[0] = content(21);
  EXPECT_THAT(refused(steward_.id(), forged), HasSubstr("does not hold"));
  Receipt alone = proof;
  alone.supports.pop_back();
  EXPECT_THAT(refused(steward_.id(), alone), HasSubstr("does not hold"));
}

TEST_F(CustodyTest, WhatItHoldsIsWrittenDownOnceHoweverOftenItIsToKeepIt) {
  const Signed what = manifest(1, 10);
  const JobId job = job_id_of(what.body);
  custody_.take_part(job, what);
  const Receipt proof = receipt(job, 20);
  const Receipt made = receipt(job, 21);
  custody_.made(job, {content(21)});
  for (int times = 1; times <= 20; ++times) {
    for (const Receipt* output : {&proof, &made}) {
      custody_.on_keep(steward_.id(), keep(job, output), out_);
      ASSERT_EQ(custody_.take_content_needs().size(), 1U) << "it may be gone or damaged";
      custody_.on_content(output->outputs.large[0], "");
      save();
      const auto kept = answers();
      ASSERT_EQ(kept.size(), 1U) << times;
      EXPECT_TRUE(kept[0].held);
    }
    custody_.check_invariants();
  }
  EXPECT_EQ(std::count_if(disk_.begin(), disk_.end(),
                          [](const StoredFact& f) { return f.kind == FactKind::kCopied; }),
            1);
}

TEST_F(CustodyTest, WhatCannotBeFetchedIsRefusedWithTheReason) {
  const Signed what = manifest(1, 10);
  const JobId job = job_id_of(what.body);
  custody_.take_part(job, what);
  custody_.on_keep(steward_.id(), keep(job), out_);
  ASSERT_EQ(custody_.take_content_needs().size(), 1U);
  custody_.on_content(content(10), "there is no room");
  save();
  const auto kept = answers();
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_FALSE(kept[0].held);
  EXPECT_EQ(kept[0].detail, "there is no room");
}

TEST_F(CustodyTest, ContentsGoWhenTheTimeOfTheirJobIsOver) {
  const Signed what = manifest(1, 10);
  const JobId job = job_id_of(what.body);
  custody_.take_part(job, what);
  custody_.made(job, {content(20), content(21)});
  custody_.on_keep(steward_.id(), keep(job), out_);
  EXPECT_EQ(custody_.take_content_needs().size(), 1U);
  custody_.on_content(content(10), "");
  save();
  custody_.over(job);
  advance();
  pass(std::chrono::seconds(kKeepS) - 60s);
  save();
  EXPECT_THAT(dropped(), IsEmpty());
  EXPECT_FALSE(disk_.empty());
  pass(60s);
  EXPECT_THAT(dropped(), UnorderedElementsAre(content(10), content(20), content(21)));
  EXPECT_TRUE(disk_.empty());
  EXPECT_FALSE(custody_.has_part_in(job));
  custody_.check_invariants();
}

TEST_F(CustodyTest, WhatOthersNeedStays) {
  const Signed first = manifest(1, 10);
  const Signed second = manifest(2, 10);  // the same inputs
  const JobId job = job_id_of(first.body);
  custody_.take_part(job, first);
  custody_.take_part(job_id_of(second.body), second);
  custody_.made(job, {content(20), content(21)});
  custody_.made(job_id_of(second.body), {content(21)});
  needed_ = {content(20)};  // pinned, or the input of a job that begins now
  custody_.over(job);
  pass(std::chrono::seconds(kKeepS));
  pass(std::chrono::seconds(kKeepS));
  EXPECT_THAT(dropped(), IsEmpty());
  EXPECT_FALSE(custody_.has_part_in(job));
  needed_.clear();
  custody_.over(job_id_of(second.body));
  pass(std::chrono::seconds(kKeepS));
  pass(std::chrono::seconds(kKeepS));
  EXPECT_THAT(dropped(), UnorderedElementsAre(content(10), content(21)));
}

TEST_F(CustodyTest, NothingGoesOfAJobThatIsStillKept) {
  const Signed what = manifest(1, 10);
  const JobId job = job_id_of(what.body);
  custody_.take_part(job, what);
  busy_ = {job};
  custody_.over(job);
  pass(std::chrono::seconds(kKeepS));
  pass(std::chrono::seconds(kKeepS));
  EXPECT_THAT(dropped(), IsEmpty());
  busy_.clear();
  pass(120s);
  EXPECT_THAT(dropped(), ElementsAre(content(10)));
}

TEST_F(CustodyTest, AfterARestartItIsAllRemembered) {
  const Signed what = manifest(1, 10);
  const JobId job = job_id_of(what.body);
  custody_.take_part(job, what);
  custody_.made(job, {content(20)});
  save();

  Custody again(config_, checker_, self_.id());
  again.recover(disk_);
  EXPECT_TRUE(again.has_part_in(job));
  // Nobody works for it any more, and it was not written down when it ended.
  again.on_started([](const JobId&) { return false; });
  const auto step = [&] {
    again.advance(
        now_, [](const JobId&) { return false; }, [] { return std::set<ContentId>(); }, out_);
  };
  step();
  ASSERT_TRUE(again.next_deadline());
  now_ = now_ + std::chrono::seconds(kKeepS);
  out_.take();
  step();
  std::vector<ContentId> gone;
  for (const PeerAction& action : out_.take()) {
    if (const auto* drop = std::get_if<DropContent>(&action)) gone.push_back(drop->id);
  }
  EXPECT_THAT(gone, UnorderedElementsAre(content(10), content(20)));
}

TEST_F(CustodyTest, WhatItsOwnerRefusesGoesAtOnceAndIsNotTakenAgain) {
  const Signed what = manifest(1, 10);
  const JobId job = job_id_of(what.body);
  custody_.take_part(job, what);
  custody_.made(job, {content(20), content(21)});
  save();
  config_.refused.contents = {content(20)};
  custody_.reconsider({steward_.id(), one_.id()}, out_);
  const auto told = answers();
  ASSERT_EQ(told.size(), 2U) << "whoever counts on this copy is to know";
  EXPECT_EQ(told[0].job, job);
  EXPECT_EQ(told[0].output, content(20));
  EXPECT_EQ(told[0].holder, self_.id());
  EXPECT_FALSE(told[0].held);
  EXPECT_TRUE(custody_.has_part_in(job)) << "the rest of the job is not refused";
  const Receipt proof = receipt(job, 20);
  custody_.on_keep(steward_.id(), keep(job, &proof), out_);
  EXPECT_THAT(custody_.take_content_needs(), IsEmpty());
  const auto kept = answers();
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_THAT(kept[0].detail, HasSubstr("refuses"));
}

TEST_F(CustodyTest, OfAJobThatItsOwnerRefusesNothingStaysSaveWhatAnotherNeeds) {
  const Signed first = manifest(1, 10);
  const Signed second = manifest(2, 11);
  const JobId job = job_id_of(first.body);
  const JobId other = job_id_of(second.body);
  custody_.take_part(job, first);
  custody_.take_part(other, second);
  custody_.made(job, {content(20), content(21)});
  custody_.made(other, {content(21)});
  custody_.on_keep(steward_.id(), keep(job), out_);
  EXPECT_EQ(custody_.take_content_needs().size(), 1U);
  save();
  out_.take();
  config_.refused.contents = {content(10)};
  custody_.reconsider({}, out_);
  const auto kept = answers();
  ASSERT_EQ(kept.size(), 1U) << "who waits for a copy waits in vain";
  EXPECT_FALSE(kept[0].held);
  EXPECT_THAT(dropped(), UnorderedElementsAre(content(10), content(20)));
  EXPECT_FALSE(custody_.has_part_in(job));
  EXPECT_TRUE(custody_.has_part_in(other));
  custody_.check_invariants();

  config_.refused = {};
  config_.refused.submitters = {submitter_.id()};
  custody_.reconsider({}, out_);
  EXPECT_THAT(dropped(), UnorderedElementsAre(content(11), content(21)));
  EXPECT_TRUE(disk_.empty());
}

}  // namespace
}  // namespace shoal
