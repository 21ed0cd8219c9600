#include "sdk/src/job_book.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "node/protocol/keys.h"

namespace shoal {
namespace {

class JobBookTest : public ::testing::Test {
 protected:
  JobBookTest()
      : folder(std::filesystem::path(testing::TempDir()) /
               ("job_book_" + std::to_string(getpid()) + "_" +
                ::testing::UnitTest::GetInstance()->current_test_info()->name())),
        book(folder / "jobs") {}
  ~JobBookTest() override { std::filesystem::remove_all(folder); }

  Signed manifest(std::uint64_t units) const {
    std::array<std::uint8_t, KeyPair::kSeedBytes> seed{};
    Manifest m;
    m.kernel = "align";
    m.units = units;
    return sign_fact(KeyPair(seed), Purpose::kManifest, encode(m));
  }

  std::filesystem::path folder;
  JobBook book;
};

TEST_F(JobBookTest, RemembersAJobAndItsStewards) {
  const Signed fact = manifest(7);
  const JobId job = job_id_of(fact.body);
  ASSERT_TRUE(book.remember(job, fact).has_value());
  EXPECT_TRUE(book.find(job).stewards.empty());
  NodeId other = fact.signer;
  other.bytes[0] ^= 1;
  const std::vector<Ticket::Door> stewards = {{fact.signer, "tcp://[::1]:4000"}, {other, ""}};
  const TermChain terms = {{fact, {{other, fact.signature}}}};
  ASSERT_TRUE(book.remember_stewards(job, stewards, terms).has_value());

  const JobBook another(folder / "jobs");  // another process
  const auto entry = another.find(job);
  ASSERT_TRUE(entry.manifest.has_value());
  EXPECT_EQ(*entry.manifest, fact);
  EXPECT_EQ(entry.stewards, stewards);
  EXPECT_EQ(entry.terms, terms);
}

TEST_F(JobBookTest, ReadsWhatWasWrittenWhenJobsHadOneSteward) {
  const Signed fact = manifest(7);
  const JobId job = job_id_of(fact.body);
  ASSERT_TRUE(book.remember(job, fact).has_value());
  std::ofstream(folder / "jobs" / (to_hex(job) + ".steward"))
      << to_hex(fact.signer) << " tcp://a:1\n";
  const auto entry = book.find(job);
  EXPECT_EQ(entry.stewards, (std::vector<Ticket::Door>{{fact.signer, "tcp://a:1"}}));
  EXPECT_TRUE(entry.terms.empty());
}

TEST_F(JobBookTest, FindsJobsByTheirFirstDigits) {
  EXPECT_TRUE(book.jobs().empty());
  std::vector<JobId> jobs;
  for (std::uint64_t n = 1; n <= 3; ++n) {
    const Signed fact = manifest(n);
    jobs.push_back(job_id_of(fact.body));
    ASSERT_TRUE(book.remember(jobs.back(), fact).has_value());
  }
  EXPECT_EQ(book.jobs().size(), 3u);
  EXPECT_EQ(book.matching(to_hex(jobs[1]).substr(0, 20)), std::vector<JobId>{jobs[1]});
  EXPECT_TRUE(book.matching("xyz").empty());
}

TEST_F(JobBookTest, ForgetsAJob) {
  const Signed fact = manifest(7);
  const JobId job = job_id_of(fact.body);
  ASSERT_TRUE(book.remember(job, fact).has_value());
  ASSERT_TRUE(book.remember_stewards(job, {{fact.signer, "tcp://a:1"}}, {}).has_value());
  book.forget(job);
  EXPECT_TRUE(std::filesystem::is_empty(folder / "jobs"));
  EXPECT_FALSE(book.find(job).manifest.has_value());
}

TEST_F(JobBookTest, ADamagedFileIsAsGoodAsMissing) {
  const Signed fact = manifest(7);
  const JobId job = job_id_of(fact.body);
  ASSERT_TRUE(book.remember(job, fact).has_value());
  ASSERT_TRUE(book.remember_stewards(job, {{fact.signer, "tcp://a:1"}}, {}).has_value());
  const auto base = folder / "jobs" / to_hex(job);
  std::filesystem::resize_file(base.string() + ".manifest", 120);
  std::ofstream(base.string() + ".steward") << "nonsense\n";
  std::ofstream(base.string() + ".terms") << "nonsense\n";
  const auto entry = book.find(job);
  EXPECT_FALSE(entry.manifest.has_value());
  EXPECT_TRUE(entry.stewards.empty());
  EXPECT_TRUE(entry.terms.empty());
}

TEST_F(JobBookTest, SaysWhichFolderCannotBeWritten) {
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "jobs") << "a file where a folder should be";
  const Signed fact = manifest(7);
  const auto written = book.remember(job_id_of(fact.body), fact);
  ASSERT_FALSE(written.has_value());
  EXPECT_NE(written.error().what.find((folder / "jobs").string()), std::string::npos);
}

TEST_F(JobBookTest, HandsOutWhatIsNotYetForcedToTheDisk) {
  const Signed fact = manifest(7);
  const JobId job = job_id_of(fact.body);
  ASSERT_TRUE(book.remember(job, fact).has_value());
  const auto files = book.take_unsettled();
  ASSERT_EQ(files.size(), 1u);
  JobBook::settle(files);
  EXPECT_TRUE(book.take_unsettled().empty());
  EXPECT_TRUE(book.find(job).manifest.has_value());
}

}  // namespace
}  // namespace shoal
