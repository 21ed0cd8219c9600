#include "sdk/core/submitter.h"

#include <algorithm>

#include "tests/unit/sdk/core/submitter_world.h"

namespace shoal {
namespace {

class SubmitterPlace : public World {
 protected:
  // Submits to the first `n` workers, whom it links; the term that all of those chosen were
  // offered.
  std::pair<JobId, Term> offer_to(std::size_t n, const Manifest& m) {
    start();
    introduce_workers(n);
    const JobId job = submit(m);
    Term term;
    for (const NodeId& node : dialled()) {
      link(worker_with(node));
      term = offered(node);
      EXPECT_EQ(term.job, job);
    }
    return {job, term};
  }
  // Of the workers that it was told of, beside one of the others.
  void expect_the_last_two_chosen() {
    take<Dial>();
    submit(manifest(10));
    const auto nodes = dialled();
    ASSERT_EQ(nodes.size(), 3u);
    EXPECT_EQ(std::count(nodes.begin(), nodes.end(), workers[3].id()), 1);
    EXPECT_EQ(std::count(nodes.begin(), nodes.end(), workers[4].id()), 1);
  }
  // Its link breaks, and there is nobody any more.
  void lose(const NodeId& node) {
    step(LinkLost{node, "connection reset"});
    for (;;) {
      const auto nodes = dialled();
      if (std::count(nodes.begin(), nodes.end(), node) > 0) break;
      pass();
    }
    step(LinkLost{node, "connection refused"});
  }
};

TEST_F(SubmitterPlace, IsAcceptedWhenAllThreeStewardsHaveTheJob) {
  const auto [job, term] = offer_to(5, manifest(10));
  ASSERT_EQ(term.stewards.size(), 3u);
  EXPECT_EQ(term.epoch, 1u);
  accept(term.stewards[2], job);
  accept(term.stewards[0], job);
  EXPECT_TRUE(take<JobAccepted>().empty());
  accept(term.stewards[1], job);
  const auto accepted = only<JobAccepted>();
  ASSERT_EQ(accepted.stewards.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(accepted.stewards[i].node, term.stewards[i]);
    EXPECT_NE(accepted.stewards[i].endpoint, "");
  }
  EXPECT_EQ(*term_in_force(accepted.terms, job, me.id(), checker), term);
  EXPECT_TRUE(actions.empty());
}

TEST_F(SubmitterPlace, AllStewardsAreDialledAtOnce) {
  start();
  introduce_workers(5);
  submit(manifest(10));
  EXPECT_EQ(dialled().size(), 3u);
}

TEST_F(SubmitterPlace, AJobOnWarmLinksGoesOutAtOnce) {
  const Kept first = kept(manifest(10), 5);
  Manifest another = manifest(10);
  another.nonce[0] = 1;
  submit(another);
  EXPECT_TRUE(take<Dial>().empty());
  for (const NodeId& node : first.stewards) EXPECT_EQ(sent<Submit>(node).size(), 1u);
}

TEST_F(SubmitterPlace, TheStrongestWorkerLeads) {
  start();
  introduce({record(workers[0], 2), record(workers[1], 64), record(workers[2], 4)});
  take<Dial>();
  submit(manifest(10));
  const auto nodes = dialled();
  ASSERT_EQ(nodes.size(), 3u);
  EXPECT_EQ(nodes[0], workers[1].id());
}

TEST_F(SubmitterPlace, AWorkerThatLacksTheKernelIsPassedOver) {
  start();
  introduce({record(workers[0], 2), record(workers[1], 64, {"another"}), record(workers[2], 4),
             record(workers[3], 4)});
  take<Dial>();
  submit(manifest(10));
  auto nodes = dialled();
  std::sort(nodes.begin(), nodes.end());
  std::vector<NodeId> able{workers[0].id(), workers[2].id(), workers[3].id()};
  std::sort(able.begin(), able.end());
  EXPECT_EQ(nodes, able) << "the strongest of all cannot compute it";
}

TEST_F(SubmitterPlace, StewardsAreSpreadOverAddressBlocks) {
  start();
  const std::vector<std::string> kernels = {"align"};
  introduce({record(workers[0], 4, kernels, "10.0.1.1"), record(workers[1], 4, kernels, "10.0.1.2"),
             record(workers[2], 4, kernels, "10.0.1.3"), record(workers[3], 4, kernels, "10.0.2.1"),
             record(workers[4], 4, kernels, "10.0.3.1")});
  expect_the_last_two_chosen();
}

TEST_F(SubmitterPlace, StewardsAreSpreadOverOwners) {
  start();
  const std::vector<std::string> kernels = {"align"};
  const KeyPair one = key_of(201), other = key_of(202);
  introduce({record(workers[0], 4, kernels, "10.0.1.1", &one),
             record(workers[1], 4, kernels, "10.0.2.1", &one),
             record(workers[2], 4, kernels, "10.0.3.1", &one),
             record(workers[3], 4, kernels, "10.0.4.1", &other),
             record(workers[4], 4, kernels, "10.0.5.1")});
  expect_the_last_two_chosen();
}

TEST_F(SubmitterPlace, APoolOfOneWorksAndTheSessionSaysWhatThatMeans) {
  const auto [job, term] = offer_to(1, manifest(10, 1));
  EXPECT_EQ(term.stewards.size(), 1u);
  accept(term.stewards[0], job);
  EXPECT_EQ(only<JobAccepted>().stewards.size(), 1u);
  EXPECT_NE(only<Notice>().text.find("Only one worker keeps this job"), std::string::npos);

  Manifest another = manifest(10, 1);
  another.nonce[0] = 1;
  const JobId next = submit(another);
  accept(term.stewards[0], next);
  EXPECT_EQ(only<JobAccepted>().job, next);
  EXPECT_TRUE(take<Notice>().empty());  // it was said
}

TEST_F(SubmitterPlace, WhoAsksForOneStewardGetsOneWithoutAWarning) {
  start();
  introduce_workers(5);
  const JobId job = submit(manifest(10), false, 1);
  const auto nodes = dialled();
  ASSERT_EQ(nodes.size(), 1u);
  link(worker_with(nodes[0]));
  EXPECT_EQ(offered(nodes[0]).stewards, nodes);
  accept(nodes[0], job);
  EXPECT_EQ(only<JobAccepted>().stewards.size(), 1u);
  EXPECT_TRUE(take<Notice>().empty());
}

TEST_F(SubmitterPlace, TheOnlyStewardThatWasAskedForIsReplacedWhereItIsLost) {
  start();
  introduce_workers(5);
  const JobId job = submit(manifest(10), false, 1);
  const NodeId first = dialled().at(0);
  link(worker_with(first));
  EXPECT_EQ(offered(first).epoch, 1u);
  lose(first);
  const NodeId second = only<Dial>().peer;
  EXPECT_NE(second, first);
  link(worker_with(second));
  EXPECT_EQ(offered(second).stewards, std::vector{second});
  accept(second, job);
  EXPECT_EQ(only<JobAccepted>().stewards.size(), 1u);
}

TEST_F(SubmitterPlace, OneThatIsLostIsReplacedUnderTheNextTerm) {
  const auto [job, term] = offer_to(4, manifest(10));
  ASSERT_EQ(term.stewards.size(), 3u);
  accept(term.stewards[0], job);
  accept(term.stewards[1], job);
  lose(term.stewards[2]);
  const NodeId fourth = only<Dial>().peer;
  const Term second = offered(term.stewards[0]);
  EXPECT_EQ(offered(term.stewards[1]), second);
  EXPECT_EQ(second.epoch, 2u);
  EXPECT_EQ(second.stewards, (std::vector{term.stewards[0], term.stewards[1], fourth}));
  link(worker_with(fourth));
  EXPECT_EQ(offered(fourth), second);
  accept(fourth, job);
  accept(term.stewards[0], job);
  EXPECT_TRUE(take<JobAccepted>().empty());  // the other has not said that it knows the new term
  accept(term.stewards[1], job);
  EXPECT_EQ(*last_term(only<JobAccepted>().terms), second);
}

// Another process with the same key takes its links away with its own.
TEST_F(SubmitterPlace, ALinkThatBreaksIsDialledAgainBeforeItsWorkerIsReplaced) {
  const auto [job, term] = offer_to(4, manifest(10));
  for (const NodeId& node : term.stewards) step(LinkLost{node, "the connection was closed"});
  const Instant lost = now;
  std::vector<NodeId> again;
  while (again.size() < 3 && now < lost + 1s) {
    pass();
    for (const NodeId& node : dialled()) again.push_back(node);
  }
  std::sort(again.begin(), again.end());
  std::vector<NodeId> same = term.stewards;
  std::sort(same.begin(), same.end());
  EXPECT_EQ(again, same);
  EXPECT_LE(now - lost, Duration(300ms));
  for (const NodeId& node : term.stewards) {
    link(worker_with(node));
    EXPECT_EQ(offered(node), term);
    accept(node, job);
  }
  EXPECT_EQ(only<JobAccepted>().stewards.size(), 3u);
}

TEST_F(SubmitterPlace, OneThatHasAcknowledgedIsNotNeededAnyMore) {
  const auto [job, term] = offer_to(4, manifest(10));
  step(WantReceipts{job, 1000});
  accept(term.stewards[0], job);
  EXPECT_EQ(sent<ResultsRequest>(term.stewards[0]).size(), 1u);
  step(LinkLost{term.stewards[0], "the connection was closed"});
  EXPECT_TRUE(take<Dial>().empty());
  accept(term.stewards[1], job);
  accept(term.stewards[2], job);
  EXPECT_EQ(only<JobAccepted>().stewards.front().node, term.stewards[0]);
  EXPECT_EQ(sent<ResultsRequest>(term.stewards[1]).size(), 1u);  // it reads from who is there
  EXPECT_EQ(dialled(), std::vector{term.stewards[0]});
}

TEST_F(SubmitterPlace, OneThatRefusesIsReplacedAndWhoHasTheJobLeads) {
  const auto [job, term] = offer_to(4, manifest(10));
  accept(term.stewards[2], job);
  hear(term.stewards[0], SubmitReply{job, SubmitOutcome::kFull, "no room"});
  const NodeId fourth = only<Dial>().peer;
  EXPECT_EQ(offered(term.stewards[2]).stewards,
            (std::vector{term.stewards[2], term.stewards[1], fourth}));
  EXPECT_TRUE(sent<Submit>(term.stewards[0]).empty());
}

TEST_F(SubmitterPlace, WithoutAnotherCandidateTheJobIsKeptByThoseWhoTookIt) {
  const auto [job, term] = offer_to(3, manifest(10));
  accept(term.stewards[0], job);
  accept(term.stewards[1], job);
  hear(term.stewards[2], SubmitReply{job, SubmitOutcome::kStorageFailed, "the disk is full"});
  EXPECT_TRUE(take<JobAccepted>().empty());
  for (std::size_t i = 0; i < 2; ++i) {
    const Term second = offered(term.stewards[i]);
    EXPECT_EQ(second.stewards, (std::vector{term.stewards[0], term.stewards[1]}));
    accept(term.stewards[i], job);
  }
  EXPECT_EQ(only<JobAccepted>().stewards.size(), 2u);
  EXPECT_NE(only<Notice>().text.find("Only 2 workers"), std::string::npos);
}

TEST_F(SubmitterPlace, OneThatIsSilentWhileItsFellowsAreDoneIsNotWaitedForLong) {
  const auto [job, term] = offer_to(3, manifest(10));
  accept(term.stewards[0], job);
  accept(term.stewards[1], job);
  const Instant done = now;
  while (sent<Submit>(term.stewards[0]).empty()) pass();
  EXPECT_LE(now - done, Duration(3s));
  accept(term.stewards[0], job);
  accept(term.stewards[1], job);
  EXPECT_EQ(only<JobAccepted>().stewards.size(), 2u);
}

TEST_F(SubmitterPlace, OneThatStillFetchesIsWaitedFor) {
  Manifest m = manifest(10);
  m.inputs = content_id(as_bytes("inputs"));
  m.inputs_bytes = 6;
  const auto [job, term] = offer_to(3, m);
  accept(term.stewards[0], job);
  accept(term.stewards[1], job);
  for (int i = 0; i < 20; ++i) {
    pass_until(now + 2s);
    hear(term.stewards[2], BlockRequest{*m.inputs, 6, 0});
  }
  EXPECT_TRUE(sent<Submit>(term.stewards[0]).empty());
  accept(term.stewards[2], job);
  EXPECT_EQ(only<JobAccepted>().stewards.size(), 3u);
}

// A record is believed for minutes after its worker has gone.
TEST_F(SubmitterPlace, OneThatCannotBeDialledDelaysOneJobAndNotTheNext) {
  const auto [job, term] = offer_to(3, manifest(10));
  for (const NodeId& node : term.stewards) accept(node, job);
  take<JobAccepted>();
  const NodeId gone = term.stewards[2];
  step(LinkLost{gone, "connection reset"});
  pass();
  EXPECT_EQ(only<Dial>().peer, gone);
  step(LinkLost{gone, "connection refused"});
  actions.clear();
  Manifest another = manifest(10);
  another.nonce[0] = 1;
  const JobId next = submit(another);
  EXPECT_TRUE(take<Dial>().empty());
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(offered(term.stewards[i]).stewards.size(), 2u);
    accept(term.stewards[i], next);
  }
  EXPECT_EQ(only<JobAccepted>().job, next);
}

TEST_F(SubmitterPlace, TheLeadersReceiptsAreAskedForBeforeTheLastFollowerIsDone) {
  const auto [job, term] = offer_to(3, manifest(10));
  step(WantReceipts{job, 1000});
  accept(term.stewards[0], job);
  EXPECT_EQ(sent<ResultsRequest>(term.stewards[0]).size(), 1u);
  const Receipt good = receipt_of(1, job, {0, 2}, {"a", "b"}, {&workers[0], &workers[1]});
  hear(term.stewards[0], Results{job, {encode(good)}});
  EXPECT_EQ(only<ReceiptReady>().receipt, good);
  accept(term.stewards[1], job);
  accept(term.stewards[2], job);
  EXPECT_EQ(only<JobAccepted>().job, job);
  EXPECT_TRUE(actions.empty());
}

TEST_F(SubmitterPlace, ATermOfItsOwnFollowsABetterOneThatItHeardOf) {
  const auto [job, term] = offer_to(4, manifest(10));
  accept(term.stewards[1], job);
  const SignedTerm first{sign_fact(me, Purpose::kTerm, encode(Term{job, 1, term.stewards})), {}};
  const Kept early{job, term.stewards, {first}};
  hear(term.stewards[1], TermNotice{job, elected(early, worker_with(term.stewards[1]), 7), {}});
  lose(term.stewards[0]);
  EXPECT_EQ(offered(term.stewards[1]).epoch, 8u);
}

TEST_F(SubmitterPlace, OneWorkerThatCallsAJobInvalidDoesNotStopIt) {
  const auto [job, term] = offer_to(4, manifest(10));
  hear(term.stewards[0], SubmitReply{job, SubmitOutcome::kInvalid, "nonsense"});
  EXPECT_TRUE(take<JobRefused>().empty());
  hear(term.stewards[1], SubmitReply{job, SubmitOutcome::kInvalid, "nonsense"});
  EXPECT_EQ(only<JobRefused>().why, JobRefused::Why::kStewardRefused);
}

TEST_F(SubmitterPlace, SaysWhoseKeyWasNotTrustedWhenNobodyTrustsIt) {
  Manifest m = manifest(10);
  m.kernel_kind = KernelKind::kNative;
  m.program = content_id(as_bytes("a program"));
  m.program_bytes = 9;
  const auto [job, term] = offer_to(2, m);
  ASSERT_EQ(term.stewards.size(), 2u);
  for (const NodeId& steward : term.stewards) {
    EXPECT_TRUE(take<JobRefused>().empty());
    hear(steward, SubmitReply{job, SubmitOutcome::kNotTrusted, ""});
  }
  const auto refused = only<JobRefused>();
  EXPECT_EQ(refused.why, JobRefused::Why::kNotTrusted);
  EXPECT_NE(refused.what.find(to_hex(me.id())), std::string::npos);
}

TEST_F(SubmitterPlace, AsksTheDoorsAgainWhereItKnowsFewerThanThreeForLong) {
  start();
  introduce_workers(2);
  pass_until(now + 20s);
  submit(manifest(10));
  EXPECT_EQ(dialled(), std::vector{coordinator.id()});
  introduce({record(workers[2])});
  EXPECT_EQ(dialled().size(), 3u);
}

TEST_F(SubmitterPlace, DoesWithTwoWhereTheDoorsDoNotAnswer) {
  start();
  introduce_workers(2);
  pass_until(now + 20s);
  submit(manifest(10));
  EXPECT_EQ(dialled(), std::vector{coordinator.id()});
  const Instant asked = now;
  while (now < asked + 1s) {
    pass();
    const auto nodes = dialled();
    if (nodes.size() == 2) break;
  }
  EXPECT_LE(now - asked, Duration(500ms));
}

TEST_F(SubmitterPlace, RefusesAQuorumLargerThanThePoolAtOnce) {
  start();
  introduce({record(workers[0]), record(workers[1])});
  submit(manifest(10, 3));
  // The pool is asked once more, in case a worker has just come; and then nothing is waited for.
  introduce({record(workers[0]), record(workers[1])});
  const auto refused = only<JobRefused>();
  EXPECT_EQ(refused.why, JobRefused::Why::kQuorumTooLarge);
  EXPECT_NE(refused.what.find("2 workers"), std::string::npos);
}

TEST_F(SubmitterPlace, WaitsForAQuorumWhereAsked) {
  start();
  introduce({record(workers[0]), record(workers[1])});
  submit(manifest(10, 3), true);
  introduce({record(workers[0]), record(workers[1])});
  EXPECT_TRUE(take<JobRefused>().empty());
  EXPECT_FALSE(take<Notice>().empty());
  pass_until(now + 20s);
  EXPECT_TRUE(take<JobRefused>().empty());
  actions.clear();
  step(LinkUp{coordinator.id(), Role::kCoordinator, "10.0.0.1", std::nullopt});
  hear(coordinator.id(), Sample{{record(workers[2])}, 2, 3});
  auto dials = take<Dial>();
  ASSERT_FALSE(dials.empty());
  EXPECT_NE(dials.back().peer, coordinator.id());
}

TEST_F(SubmitterPlace, NamesTheKernelsThatAreOffered) {
  start();
  introduce({record(workers[0]), record(workers[1])});
  Manifest m = manifest(10);
  m.kernel = "aling";
  submit(m);
  introduce({record(workers[0]), record(workers[1])});
  const auto refused = only<JobRefused>();
  EXPECT_EQ(refused.why, JobRefused::Why::kUnknownKernel);
  EXPECT_NE(refused.what.find("align, ising"), std::string::npos);
}

TEST_F(SubmitterPlace, SaysOfAModuleThatNobodyTakesWebAssembly) {
  start();
  introduce({record(workers[0]), record(workers[1])});
  Manifest m = manifest(10);
  m.kernel = "collatz";
  m.kernel_kind = KernelKind::kWasm;
  m.program = ContentId{};
  m.program_bytes = 100;
  submit(m);
  introduce({record(workers[0]), record(workers[1])});
  const auto refused = only<JobRefused>();
  EXPECT_EQ(refused.why, JobRefused::Why::kUnknownKernel);
  EXPECT_TRUE(refused.what.starts_with("No worker of the pool takes WebAssembly")) << refused.what;
}

TEST_F(SubmitterPlace, ThoseWhoAcknowledgedAreTheStewardsWhateverWasBeforeACrash) {
  start();
  introduce_workers(4);
  const JobId job = submit(manifest(10, 1));
  std::vector<NodeId> seats;
  for (const NodeId& node : dialled()) {
    link(worker_with(node));
    seats = offered(node).stewards;
  }
  ASSERT_EQ(seats.size(), 3u);
  // Some still remember a term of this submitter's that it has forgotten.
  const Term old{job, 50, {workers[4].id()}};
  const TermChain chain{SignedTerm{sign_fact(me, Purpose::kTerm, encode(old)), {}}};
  accept(seats[0], job);
  accept(seats[1], job);
  hear(seats[0], TermNotice{job, chain, {}});
  accept(seats[2], job);
  EXPECT_TRUE(take<JobAccepted>().empty()) << "nobody of that term has said that it keeps the job";
  for (const NodeId& node : seats) {
    const Term term = offered(node);
    EXPECT_GT(term.epoch, 50u);
    EXPECT_EQ(term.stewards, seats);
    accept(node, job);
  }
  EXPECT_EQ(only<JobAccepted>().stewards.size(), 3u);
}

}  // namespace
}  // namespace shoal
