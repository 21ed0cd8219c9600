// Two processes of one submitter's key at the same workers.

#include <gtest/gtest.h>

#include "tests/unit/worker/core/pool.h"

namespace shoal::test {
namespace {

std::uint64_t units_in(const std::vector<Message>& messages) {
  std::uint64_t units = 0;
  for (const Message& message : messages) {
    const auto* results = std::get_if<Results>(&message);
    if (results == nullptr) continue;
    for (const Bytes& bytes : results->receipts) units += decode_receipt(bytes)->range.size();
  }
  return units;
}

constexpr std::uint64_t kUnits = 500;

TEST(Sessions, EachReadsTheWholeLedgerAtItsOwnPace) {
  Pool pool(2);
  pool.be_session(11);
  const NodeId first = pool.session();
  const JobId job = pool.submit(1, pool.manifest(kUnits, 2));
  EXPECT_EQ(pool.all_heard<SubmitReply>().size(), 1U) << "who submits is answered";
  pool.want_receipts(1, job);
  pool.elsewhere[first];
  pool.be_session(12);
  pool.connect_submitter(1);
  pool.want_receipts(1, job);
  pool.run(honest);
  EXPECT_EQ(units_in(pool.heard), kUnits);
  EXPECT_EQ(units_in(pool.elsewhere[first]), kUnits);
}

TEST(Sessions, OneThatEndsTakesNothingFromTheOther) {
  Pool pool(2);
  pool.be_session(11);
  const NodeId first = pool.session();
  const JobId job = pool.submit(1, pool.manifest(kUnits, 2));
  pool.want_receipts(1, job);
  pool.elsewhere[first];
  pool.be_session(12);
  pool.connect_submitter(1);
  pool.want_receipts(1, job);
  pool.say(1, JobStatusRequest{.job = job, .submitter = {}});
  EXPECT_EQ(pool.all_heard<JobStatusReply>().size(), 1U) << "who asks is answered";
  pool.lose_session(1);
  pool.run(honest);
  EXPECT_EQ(units_in(pool.elsewhere[first]), kUnits);
}

// The name of a session is no key: what counts is whose session it is.
TEST(Sessions, ASessionOfAnotherKeyMayNeitherSubmitNorRead) {
  Pool pool(2);
  pool.be_session(11);
  const JobId job = pool.submit(1, pool.manifest(kUnits, 2));
  pool.run(honest);
  pool.heard.clear();
  pool.be_session(12);
  pool.connect_stranger(1);
  pool.want_receipts(1, job);
  EXPECT_TRUE(pool.heard.empty());
}

}  // namespace
}  // namespace shoal::test
