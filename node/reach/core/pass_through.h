#pragma once

#include <iterator>
#include <utility>
#include <variant>
#include <vector>

#include "node/reach/core/reach.h"

namespace shoal {

// The actions of one step of an owner of `reach`: what the owner wants to do about links is what
// `reach` makes of it, all else stays as it is, in order. Out of that may come news of links, and
// out of those more actions.
//
//   on_event(event)  for LinkUp, LinkLost and Received alike, as if the transport had told
//   wanted()         ends a turn of the owner: the actions that it has come to
template <class Action, class OnEvent, class Wanted>
std::vector<Action> pass_through(Reach& reach, Instant now, OnEvent on_event, Wanted wanted) {
  std::vector<Action> actions;
  std::vector<ReachEvent> events;
  const auto drain = [&] {
    ReachOutput output = reach.take();
    for (ReachAction& action : output.actions) {
      std::visit([&](auto& a) { actions.emplace_back(std::move(a)); }, action);
    }
    std::move(output.events.begin(), output.events.end(), std::back_inserter(events));
  };
  drain();
  do {
    for (ReachEvent& event : std::exchange(events, {})) std::visit(on_event, event);
    for (Action& action : wanted()) {
      auto* send = std::get_if<Send>(&action);
      if (send != nullptr && !reach.connected(send->peer)) {
        reach.perform(now, std::move(*send));
      } else if (auto* dial = std::get_if<Dial>(&action)) {
        reach.perform(now, std::move(*dial));
      } else if (const auto* drop = std::get_if<Drop>(&action)) {
        reach.perform(now, *drop);
      } else {
        actions.push_back(std::move(action));
        continue;
      }
      drain();
    }
    drain();
  } while (!events.empty());
  return actions;
}

}  // namespace shoal
