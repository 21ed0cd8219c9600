#include "worker/runtime/port_mapper.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

namespace shoal {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kPort = 4300;
constexpr auto kPatience = 60s;

// What a router answers to each question, in order; the last answer again and again. Outlives the
// mapper's thread.
struct Script {
  using Answer = Result<PortMapping, std::string>;
  explicit Script(std::deque<Answer> a) : answers(std::move(a)) {}

  bool await_asked(int count) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, kPatience, [&] { return asked >= count; });
  }
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Answer> answers;
  int asked = 0;
  std::vector<std::uint16_t> wishes;  // outer ports
  std::vector<std::uint16_t> taken_back;
};

class Scripted final : public RouterProtocol {
 public:
  Scripted(std::string name, std::shared_ptr<Script> script)
      : name_(std::move(name)), script_(std::move(script)) {}
  std::string name() const override { return name_; }
  Result<PortMapping, std::string> map(std::uint16_t inner, std::uint16_t outer,
                                       std::chrono::seconds) override {
    EXPECT_EQ(inner, kPort);
    const std::lock_guard lock(script_->mutex);
    ++script_->asked;
    script_->wishes.push_back(outer);
    script_->changed.notify_all();
    auto answer = script_->answers.front();
    if (script_->answers.size() > 1) script_->answers.pop_front();
    return answer;
  }
  bool unmap(std::uint16_t, std::uint16_t outer) override {
    const std::lock_guard lock(script_->mutex);
    script_->taken_back.push_back(outer);
    return true;
  }

 private:
  std::string name_;
  std::shared_ptr<Script> script_;
};

std::shared_ptr<Script> script(std::deque<Script::Answer> answers) {
  return std::make_shared<Script>(std::move(answers));
}
Script::Answer refusal(const std::string& why) { return tl::unexpected(why); }

class PortMapperTest : public ::testing::Test {
 protected:
  void start(std::vector<std::shared_ptr<Script>> scripts,
             std::chrono::milliseconds retry_after = 600s) {
    std::vector<std::unique_ptr<RouterProtocol>> protocols;
    for (const auto& s : scripts) {
      protocols.push_back(
          std::make_unique<Scripted>("protocol " + std::to_string(protocols.size() + 1), s));
    }
    mapper_ =
        std::make_unique<PortMapper>(PortMapper::Config{kPort, retry_after}, std::move(protocols));
  }
  PortMapper::News next_news() {
    while (news_.empty()) {
      pollfd readable{mapper_->descriptor(), POLLIN, 0};
      if (::poll(&readable, 1, std::chrono::milliseconds(kPatience).count()) != 1) {
        ADD_FAILURE() << "no news";
        return {};
      }
      for (auto& news : mapper_->take()) news_.push_back(std::move(news));
    }
    PortMapper::News first = std::move(news_.front());
    news_.pop_front();
    return first;
  }
  std::unique_ptr<PortMapper> mapper_;
  std::deque<PortMapper::News> news_;
};

TEST_F(PortMapperTest, NobodyIsAskedBeforeThatIsWanted) {
  const auto router = script({PortMapping{"192.0.2.1", 4300, 1200s}});
  start({router});
  mapper_.reset();
  EXPECT_EQ(router->asked, 0);
  EXPECT_TRUE(router->taken_back.empty());
}

TEST_F(PortMapperTest, AMappingIsToldAndTakenBackAtTheEnd) {
  const auto router = script({PortMapping{"192.0.2.1", 5300, 1200s}});
  start({router});
  mapper_->want();
  const auto news = next_news();
  EXPECT_EQ(news.endpoint, "tcp://192.0.2.1:5300");
  EXPECT_EQ(news.text, "the router lets others in at tcp://192.0.2.1:5300 (protocol 1)");
  mapper_.reset();
  EXPECT_EQ(router->wishes, std::vector<std::uint16_t>{kPort}) << "the same port, if possible";
  EXPECT_EQ(router->taken_back, std::vector<std::uint16_t>{5300});
}

TEST_F(PortMapperTest, TheSecondProtocolIsTriedWhereTheFirstFails) {
  const auto first = script({refusal("no router answers")});
  const auto second = script({PortMapping{"192.0.2.1", 4300, 1200s}});
  start({first, second});
  mapper_->want();
  EXPECT_EQ(next_news().text, "the router lets others in at tcp://192.0.2.1:4300 (protocol 2)");
  mapper_.reset();
  EXPECT_TRUE(first->taken_back.empty());
  EXPECT_EQ(second->taken_back.size(), 1U);
}

TEST_F(PortMapperTest, ItIsRenewedInTimeByWhoMadeItAndToldOnlyWhereItHasChanged) {
  const auto first = script({refusal("no router answers"), PortMapping{"192.0.2.9", 9, 1200s}});
  const auto second =
      script({PortMapping{"192.0.2.1", 5300, 1s}, PortMapping{"192.0.2.1", 5300, 1s},
              PortMapping{"192.0.2.2", 5301, 1200s}});
  start({first, second});
  mapper_->want();
  EXPECT_EQ(next_news().endpoint, "tcp://192.0.2.1:5300");
  EXPECT_EQ(next_news().endpoint, "tcp://192.0.2.2:5301");
  mapper_.reset();
  EXPECT_EQ(first->asked, 1);
  EXPECT_EQ(second->wishes, (std::vector<std::uint16_t>{4300, 5300, 5300}));
  EXPECT_EQ(second->taken_back, std::vector<std::uint16_t>{5301});
}

TEST_F(PortMapperTest, OneThatIsNotRenewedIsLost) {
  const auto router =
      script({PortMapping{"192.0.2.1", 4300, 1s}, refusal("the router does not allow it")});
  start({router});
  mapper_->want();
  EXPECT_EQ(next_news().endpoint, "tcp://192.0.2.1:4300");
  const auto lost = next_news();
  EXPECT_EQ(lost.endpoint, "");
  EXPECT_EQ(lost.text,
            "the router lets others in no more (protocol 1: the router does not allow it)");
  mapper_.reset();
  EXPECT_TRUE(router->taken_back.empty());
}

TEST_F(PortMapperTest, ThatNoRouterHelpsIsToldOnceAndTriedAgainOnlyWhenWanted) {
  const auto router = script({refusal("no router answers"), refusal("no router answers"),
                              PortMapping{"192.0.2.1", 4300, 1200s}});
  start({router}, 1ms);
  mapper_->want();
  EXPECT_EQ(next_news().text, "no router lets others in (protocol 1: no router answers)");
  mapper_->want();
  ASSERT_TRUE(router->await_asked(2));
  mapper_->want();
  EXPECT_EQ(next_news().endpoint, "tcp://192.0.2.1:4300") << "the second failure is no news";
  mapper_.reset();
  EXPECT_EQ(router->asked, 3);
}

TEST_F(PortMapperTest, ARouterWithoutAnAddressOutsideIsOfNoUse) {
  for (const char* address : {"0.0.0.0", "127.0.0.1", "", "router"}) {
    const auto router = script({PortMapping{address, 4300, 1200s}});
    start({router});
    mapper_->want();
    EXPECT_EQ(next_news().endpoint, "") << address;
    mapper_.reset();
    EXPECT_EQ(router->taken_back.size(), 1U) << address;
  }
}

}  // namespace
}  // namespace shoal
