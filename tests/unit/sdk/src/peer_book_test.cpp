#include "sdk/src/peer_book.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace shoal {
namespace {

class PeerBookTest : public ::testing::Test {
 protected:
  PeerBookTest()
      : folder(std::filesystem::path(testing::TempDir()) /
               ("peer_book_" + std::to_string(getpid()) + "_" +
                ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    pool.bytes[0] = 5;
  }
  ~PeerBookTest() override { std::filesystem::remove_all(folder); }

  static Ticket::Door peer(std::size_t n) {
    Ticket::Door door;
    door.node.bytes[0] = static_cast<std::uint8_t>(n);
    door.node.bytes[1] = static_cast<std::uint8_t>(n >> 8);
    door.endpoint = "tcp://10.0.0.1:" + std::to_string(4000 + n);
    return door;
  }
  PeerBook book() const { return PeerBook(folder, pool); }

  std::filesystem::path folder;
  PoolId pool;
};

TEST_F(PeerBookTest, AnotherProcessReadsTheLastMetFirst) {
  PeerBook mine = book();
  EXPECT_TRUE(mine.peers().empty());
  mine.met(peer(1));
  mine.met(peer(2));
  mine.met(peer(1));
  ASSERT_TRUE(mine.save().has_value());
  EXPECT_EQ(book().peers(), (std::vector{peer(1), peer(2)}));
}

TEST_F(PeerBookTest, TwoProcessesAddToEachOther) {
  PeerBook one = book(), two = book();
  one.met(peer(1));
  two.met(peer(2));
  ASSERT_TRUE(one.save().has_value());
  ASSERT_TRUE(two.save().has_value());
  EXPECT_EQ(book().peers(), (std::vector{peer(2), peer(1)}));
}

TEST_F(PeerBookTest, AWorkerThatMovedIsFoundAtItsNewAddress) {
  PeerBook mine = book();
  mine.met(peer(1));
  ASSERT_TRUE(mine.save().has_value());
  Ticket::Door moved = peer(1);
  moved.endpoint = "tcp://10.9.9.9:1";
  mine.met(moved);
  ASSERT_TRUE(mine.save().has_value());
  EXPECT_EQ(book().peers(), std::vector{moved});
}

TEST_F(PeerBookTest, KeepsTheLastSoMany) {
  PeerBook mine = book();
  for (std::size_t n = 1; n <= PeerBook::kPeers + 10; ++n) {
    mine.met(peer(n));
    ASSERT_TRUE(mine.save().has_value());
  }
  const auto peers = book().peers();
  ASSERT_EQ(peers.size(), PeerBook::kPeers);
  EXPECT_EQ(peers.front(), peer(PeerBook::kPeers + 10));
  EXPECT_EQ(peers.back(), peer(11));
}

TEST_F(PeerBookTest, EachPoolHasItsOwn) {
  PeerBook mine = book();
  mine.met(peer(1));
  ASSERT_TRUE(mine.save().has_value());
  PoolId other = pool;
  other.bytes[0] ^= 1;
  EXPECT_TRUE(PeerBook(folder, other).peers().empty());
}

TEST_F(PeerBookTest, DamagedLinesAndOddEndpointsAreLeftOut) {
  std::filesystem::create_directories(folder);
  std::ofstream(folder / to_hex(pool)) << "nonsense\n\n"
                                       << to_hex(peer(1).node) << " " << peer(1).endpoint << "\n"
                                       << to_hex(peer(2).node) << "\n";
  PeerBook mine = book();
  EXPECT_EQ(mine.peers(), std::vector{peer(1)});
  Ticket::Door odd = peer(3);
  odd.endpoint = "tcp://a:1\n" + to_hex(peer(4).node) + " tcp://b:1";
  mine.met(odd);
  ASSERT_TRUE(mine.save().has_value());
  EXPECT_EQ(book().peers(), std::vector{peer(1)});
}

}  // namespace
}  // namespace shoal
