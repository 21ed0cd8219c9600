#include "sdk/host/host.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <map>
#include <thread>

#include "node/protocol/executor_messages.h"

namespace shoal {
namespace {

std::uint64_t square(const Nothing&, std::uint64_t unit) { return unit * unit; }
std::uint64_t odd_ones_fail(Unit& unit, const Nothing&, std::uint64_t index) {
  if (index % 2 == 1) unit.fail("odd");
  return index;
}
Bytes megabyte(const Nothing&, std::uint64_t unit) {
  return Bytes(1 << 20, static_cast<std::uint8_t>(unit));
}
// As much on its stack as there is room for in main().
std::uint64_t six_megabytes_deep(const Nothing&, std::uint64_t unit) {
  volatile std::uint8_t table[6 << 20];
  for (std::size_t i = 0; i < sizeof table; i += 4096) table[i] = static_cast<std::uint8_t>(unit);
  return table[0];
}
std::uint64_t throws_without_words(const Nothing&, std::uint64_t) {
  struct Wordless : std::exception {
    const char* what() const noexcept override { return nullptr; }
  };
  throw Wordless();
}
Bytes reversed(const Nothing&, const Bytes& input) { return {input.rbegin(), input.rend()}; }
// So long that what comes before it is sent without it.
std::uint64_t lasting(const Nothing&, std::uint64_t unit) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(120);
  while (std::chrono::steady_clock::now() < end) std::this_thread::yield();
  return unit;
}
// Each of eight threads has one: none goes on before all have come.
Bytes three_megabytes_of_eight(const Nothing&, std::uint64_t unit) {
  static std::atomic<int> come{0};
  ++come;
  while (come < 8) std::this_thread::yield();
  return Bytes(3 << 20, static_cast<std::uint8_t>(unit));
}
// Runs until it is cancelled.
std::uint64_t patient(Unit& unit, const Nothing&, std::uint64_t index) {
  while (!unit.cancelled()) std::this_thread::yield();
  return index;
}

// An executor in a thread of this process, and the worker's end of its socket.
class Host : public ::testing::Test {
 protected:
  Host() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    socket_ = ends[0];
    thread_ = std::thread([this, theirs = ends[1]] {
      status_ = serve_executor(kernels_, theirs);
      close(theirs);
    });
    const auto hello = receive();
    EXPECT_TRUE(std::holds_alternative<ExecutorHello>(hello));
    if (const auto* greeting = std::get_if<ExecutorHello>(&hello)) names_ = greeting->kernels;
  }
  ~Host() override { stop(); }

  int stop() {
    if (socket_ >= 0) shutdown(socket_, SHUT_WR);
    if (thread_.joinable()) thread_.join();
    if (socket_ >= 0) close(socket_);
    socket_ = -1;
    return status_;
  }

  void send(const ExecutorMessage& message) { send_bytes(encode_executor_frame(message)); }
  void send_bytes(ByteView bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      ASSERT_GT(sent, 0);
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
  }
  ExecutorMessage receive() {
    for (;;) {
      const auto body = frames_.next();
      if (!body) {
        ADD_FAILURE() << body.error().what;
        return ExecutorDrop{};
      }
      if (*body) {
        held_.emplace_back(to_bytes(**body));
        auto message = decode_executor_body(held_.back());
        EXPECT_TRUE(message) << message.error().what;
        return message ? std::move(*message) : ExecutorMessage(ExecutorDrop{});
      }
      const auto room = frames_.room(1 << 16);
      const ssize_t got = recv(socket_, room.data(), room.size(), 0);
      if (got <= 0) {
        ADD_FAILURE() << "the executor has gone";
        return ExecutorDrop{};
      }
      frames_.filled(static_cast<std::size_t>(got));
    }
  }
  // All parts of a chunk put together: the outputs by unit.
  struct Answer {
    std::map<UnitIndex, Bytes> outputs;
    std::map<UnitIndex, ExecutorFailure> failures;
    std::string refused;
    int parts = 0;
    std::size_t largest_part = 0;
  };
  void receive_into(std::map<std::uint64_t, Answer>& answers, std::size_t chunks) {
    while (chunks > 0) {
      const auto message = receive();
      const auto* part = std::get_if<ChunkPart>(&message);
      ASSERT_NE(part, nullptr);
      Answer& answer = answers[part->chunk];
      ++answer.parts;
      answer.largest_part = std::max(answer.largest_part, part->outputs.size());
      std::size_t size = 0;
      std::size_t byte = 0;
      for (Range run : part->runs) {
        for (UnitIndex unit = run.first; unit < run.last; ++unit) {
          EXPECT_TRUE(
              answer.outputs.emplace(unit, to_bytes(part->outputs.subspan(byte, part->sizes[size])))
                  .second);
          byte += part->sizes[size++];
        }
      }
      for (const auto& failure : part->failures) answer.failures[failure.unit] = failure;
      answer.refused = part->refused;
      if (part->last) --chunks;
    }
  }
  Answer receive_chunk(std::uint64_t chunk) {
    std::map<std::uint64_t, Answer> answers;
    receive_into(answers, 1);
    return answers[chunk];
  }
  void set_up(std::uint64_t number, const std::string& kernel) {
    send(ExecutorSetup{number, kernel, encode(Nothing{}), 2, 64 << 20});
  }
  static RunChunk indices(std::uint64_t chunk, std::uint64_t setup, Range range) {
    RunChunk run;
    run.chunk = chunk;
    run.setup = setup;
    run.range = range;
    return run;
  }

  std::vector<KernelEntry> kernels_{Kernel{"square", square},
                                    Kernel{"odd_ones_fail", odd_ones_fail},
                                    Kernel{"megabyte", megabyte},
                                    Kernel{"six_megabytes_deep", six_megabytes_deep},
                                    Kernel{"throws_without_words", throws_without_words},
                                    Kernel{"reversed", reversed},
                                    Kernel{"lasting", lasting},
                                    Kernel{"three_megabytes_of_eight", three_megabytes_of_eight},
                                    Kernel{"patient", patient},
                                    Kernel{"near", square}.equivalent([](auto a, auto b) {
                                      return (a < b ? b - a : a - b) <= 1;
                                    })};
  int socket_ = -1;
  int status_ = -1;
  std::thread thread_;
  FrameSplitter frames_;
  std::vector<Bytes> held_;
  std::vector<std::string> names_;
};

TEST_F(Host, SaysWhichKernelsItHas) {
  EXPECT_EQ(names_,
            (std::vector<std::string>{"square", "odd_ones_fail", "megabyte", "six_megabytes_deep",
                                      "throws_without_words", "reversed", "lasting",
                                      "three_megabytes_of_eight", "patient", "near"}));
  EXPECT_EQ(stop(), 0);
}

TEST_F(Host, RunsSeveralChunksOfOneSetup) {
  set_up(1, "square");
  for (std::uint64_t chunk = 0; chunk < 8; ++chunk) {
    send(indices(chunk, 1, {chunk * 5000, chunk * 5000 + 5000}));
  }
  std::map<std::uint64_t, Answer> answers;
  receive_into(answers, 8);
  for (std::uint64_t chunk = 0; chunk < 8; ++chunk) {
    ASSERT_EQ(answers[chunk].outputs.size(), 5000U);
    for (const auto& [unit, output] : answers[chunk].outputs) {
      ASSERT_EQ(output, encode(unit * unit));
    }
  }
}

// With 256 threads the last part would be larger than any frame may be.
TEST_F(Host, WhatManyThreadsHaveLeftIsNotSentAsOne) {
  ExecutorSetup setup{1, "three_megabytes_of_eight", encode(Nothing{}), 8, 64 << 20};
  send(setup);
  send(indices(1, 1, {0, 8}));
  const Answer answer = receive_chunk(1);
  EXPECT_EQ(answer.outputs.size(), 8U);
  EXPECT_LE(answer.largest_part, 3 * limits::kExecutorPartBytes);
}

TEST_F(Host, AFailedUnitLeavesItsNeighboursAlone) {
  set_up(1, "odd_ones_fail");
  send(indices(9, 1, {10, 20}));
  const Answer answer = receive_chunk(9);
  ASSERT_EQ(answer.outputs.size(), 5U);
  ASSERT_EQ(answer.failures.size(), 5U);
  EXPECT_EQ(answer.failures.at(11), (ExecutorFailure{11, FailureKind::kThrew, "odd"}));
  EXPECT_EQ(answer.outputs.at(12), encode(std::uint64_t{12}));
}

TEST_F(Host, AnExceptionWithoutWordsFailsItsUnitAndNothingElse) {
  set_up(1, "throws_without_words");
  send(indices(1, 1, {0, 2}));
  const Answer answer = receive_chunk(1);
  ASSERT_EQ(answer.failures.size(), 2U);
  EXPECT_EQ(answer.failures.at(0).kind, FailureKind::kThrew);
  EXPECT_EQ(answer.failures.at(0).message, "threw a std::exception that says nothing");
}

TEST_F(Host, AUnitHasTheStackOfAProgramsMainThread) {
  set_up(1, "six_megabytes_deep");
  send(indices(1, 1, {0, 8}));
  const Answer answer = receive_chunk(1);
  ASSERT_EQ(answer.outputs.size(), 8U);
  EXPECT_EQ(answer.outputs.at(7), encode(std::uint64_t{7}));
}

TEST_F(Host, LargeAnswersComeInParts) {
  set_up(1, "megabyte");
  send(indices(1, 1, {0, 40}));
  const Answer answer = receive_chunk(1);
  EXPECT_GT(answer.parts, 1);
  ASSERT_EQ(answer.outputs.size(), 40U);
  for (const auto& [unit, output] : answer.outputs) {
    EXPECT_EQ(output, Bytes(1 << 20, static_cast<std::uint8_t>(unit)));
  }
}

TEST_F(Host, WhatIsDoneIsToldWhileTheRestRunsAndTheLastWithTheEnd) {
  send(ExecutorSetup{1, "lasting", encode(Nothing{}), 1, 64 << 20});
  send(indices(1, 1, {0, 1}));
  EXPECT_EQ(receive_chunk(1).parts, 1);
  send(indices(2, 1, {0, 3}));
  const Answer answer = receive_chunk(2);
  EXPECT_EQ(answer.outputs.size(), 3U);
  EXPECT_EQ(answer.parts, 3);
}

TEST_F(Host, TheThreadsOfTheFirstSetupAreThoseOfAll) {
  set_up(1, "square");
  send(ExecutorSetup{2, "square", encode(Nothing{}), 3, 64 << 20});
  send(indices(1, 2, {0, 1}));
  EXPECT_EQ(receive_chunk(1).refused, "this executor computes on 2 threads, and not on 3");
  send(indices(2, 1, {0, 1}));
  EXPECT_EQ(receive_chunk(2).outputs.size(), 1U);
}

TEST_F(Host, EachUnitGetsItsOwnInput) {
  set_up(1, "reversed");
  const Bytes inputs = {1, 2, 3, 4, 5, 6};
  RunChunk run = indices(1, 1, {100, 103});
  run.has_inputs = true;
  run.input_sizes = {3, 0, 3};
  run.inputs = inputs;
  send(run);
  const Answer answer = receive_chunk(1);
  EXPECT_EQ(answer.outputs,
            (std::map<UnitIndex, Bytes>{{100, {3, 2, 1}}, {101, {}}, {102, {6, 5, 4}}}));
}

TEST_F(Host, AKernelThatNeedsInputsRefusesAnIndexSpace) {
  set_up(1, "reversed");
  send(indices(1, 1, {0, 1}));
  const Answer answer = receive_chunk(1);
  ASSERT_EQ(answer.failures.size(), 1U);
  EXPECT_EQ(answer.failures.at(0).kind, FailureKind::kRefused);
}

TEST_F(Host, AnOutputPastTheLimitIsABadAnswer) {
  send(ExecutorSetup{1, "megabyte", encode(Nothing{}), 2, 1000});
  send(indices(1, 1, {0, 1}));
  const Answer answer = receive_chunk(1);
  ASSERT_EQ(answer.failures.size(), 1U);
  EXPECT_EQ(answer.failures.at(0).kind, FailureKind::kBadAnswer);
  EXPECT_TRUE(answer.outputs.empty());
}

TEST_F(Host, RefusesUnknownKernelsAndUnknownSetups) {
  set_up(1, "nobody");
  send(indices(1, 1, {0, 3}));
  EXPECT_NE(receive_chunk(1).refused.find("nobody"), std::string::npos);
  send(indices(2, 77, {0, 3}));
  EXPECT_NE(receive_chunk(2).refused, "");
  set_up(3, "square");
  send(ExecutorDrop{3});
  send(indices(3, 3, {0, 3}));
  EXPECT_NE(receive_chunk(3).refused, "");
}

TEST_F(Host, ACancelledChunkEndsEarly) {
  set_up(1, "patient");
  send(indices(1, 1, {0, 1000}));
  send(ExecutorCancel{1});
  const Answer answer = receive_chunk(1);
  EXPECT_LE(answer.outputs.size(), 2U);  // at most what its two threads had begun
}

TEST_F(Host, ChunksBeginInTheOrderInWhichTheyCame) {
  constexpr std::uint64_t kChunks = 32;
  send(ExecutorSetup{1, "patient", encode(Nothing{}), 1, 64 << 20});
  send(ExecutorSetup{2, "square", encode(Nothing{}), 1, 64 << 20});
  std::vector<std::uint64_t> sent{0};
  send(indices(0, 1, {0, 1}));  // the others wait behind it
  for (std::uint64_t chunk = 1; chunk <= kChunks; ++chunk) {
    send(indices(chunk, 2, {chunk, chunk + 1}));
    sent.push_back(chunk);
  }
  send(ExecutorCancel{0});
  std::vector<std::uint64_t> ended;
  while (ended.size() <= kChunks) {
    const auto message = receive();
    const auto* part = std::get_if<ChunkPart>(&message);
    ASSERT_NE(part, nullptr);
    if (part->last) ended.push_back(part->chunk);
  }
  EXPECT_EQ(ended, sent);
}

TEST_F(Host, ComparesWithTheReference) {
  set_up(1, "near");
  const Bytes close = {5, 6, 4};
  send(ExecutorCompare{1, 1, 0, {1, 1, 1}, close});
  const auto first = receive();
  ASSERT_TRUE(std::holds_alternative<ExecutorCompared>(first));
  EXPECT_TRUE(std::get<ExecutorCompared>(first).all_match);
  const Bytes apart = {5, 6, 3};
  send(ExecutorCompare{2, 1, 0, {1, 1, 1}, apart});
  const auto second = receive();
  ASSERT_TRUE(std::holds_alternative<ExecutorCompared>(second));
  EXPECT_FALSE(std::get<ExecutorCompared>(second).all_match);
  EXPECT_EQ(std::get<ExecutorCompared>(second).error, "");
}

TEST_F(Host, LeavesAtOnceWhenTheWorkerSendsNonsense) {
  const Bytes nonsense = {4, 0, 0, 0, 9, 9, 9, 9};
  send_bytes(nonsense);
  EXPECT_NE(stop(), 0);
}

TEST(HostChannelsTest, ComeFromTheEnvironmentOnce) {
  ASSERT_EQ(unsetenv(kExecutorSocketVariable), 0);
  EXPECT_FALSE(is_executor_process());
  EXPECT_FALSE(take_host_channels());
  ASSERT_EQ(setenv(kExecutorSocketVariable, "no number", 1), 0);
  EXPECT_FALSE(is_executor_process());
  ASSERT_EQ(setenv(kExecutorSocketVariable, "900", 1), 0);
  EXPECT_TRUE(is_executor_process());
  const auto channels = take_host_channels();
  ASSERT_TRUE(channels);
  EXPECT_EQ(channels->socket, 900);
  EXPECT_EQ(channels->page, -1);
  EXPECT_FALSE(is_executor_process());
}

}  // namespace
}  // namespace shoal
