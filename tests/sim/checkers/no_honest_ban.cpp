#include "tests/sim/checkers/checkers.h"
#include "tests/sim/world.h"

namespace shoal::sim {
namespace {

class NoHonestBan final : public Checker {
 public:
  std::string_view name() const override { return "no_honest_ban"; }

  void on_drop(World& world, NodeIndex by, NodeIndex of, const std::string& why) override {
    // What honest nodes send can always be read: to drop one for it is a ban in all but name.
    if (!why.starts_with("banned") && !why.starts_with("bad message")) return;
    if (!world.node(by).honest() || !world.node(of).honest()) return;
    world.violated(name(), world.name_of_node(by) + " bans " + world.name_of_node(of) + ": " + why);
  }
};

}  // namespace

std::unique_ptr<Checker> no_honest_ban() { return std::make_unique<NoHonestBan>(); }

}  // namespace shoal::sim
