#include "tests/sim/checkers/checkers.h"
#include "tests/sim/world.h"

namespace shoal::sim {
namespace {

class EveryJobFinishes final : public Checker {
 public:
  std::string_view name() const override { return "every_job_finishes"; }

  void at_the_end(World& world) override {
    for (const auto& job : world.jobs()) {
      if (job->cancelled) continue;
      if (!job->done()) {
        world.violated(name(), story(world, *job));
      } else if (job->spec.close_when_done && !job->snapshot) {
        world.violated(name(), job->manifest.name + " has all results and was never closed");
      }
    }
  }

 private:
  static std::string story(World& world, const JobRun& job) {
    std::string text = job.manifest.name + ": " + std::to_string(job.ended.size()) + " of " +
                       std::to_string(job.manifest.units) + " units ended";
    if (!job.accepted) text += ", never accepted";
    if (!job.refusals.empty()) text += ", last refusal: " + job.refusals.back().what;
    if (!job.fetching.empty()) {
      text += ", " + std::to_string(job.fetching.size()) + " outputs not fetched";
    }
    if (!job.ended.runs().empty() && job.ended.size() != job.manifest.units) {
      const Range first = job.ended.runs().front();
      text += ", unit " + std::to_string(first.first == 0 ? first.last : 0) + " is missing";
    }
    if (!job.steward) return text;
    const Node& steward = world.node(*job.steward);
    text += ", led by " + world.name_of_node(steward.index) + (steward.alive ? "" : " (down)");
    if (!steward.peer) return text;
    for (const JobStatus& status : steward.peer->jobs_led()) {
      if (status.job != job.id) continue;
      text += " who has " + std::to_string(status.verified) + " verified, " +
              std::to_string(status.committed) + " committed, " + std::to_string(status.leased) +
              " leased, waiting for: " + status.waiting_for;
    }
    return text;
  }
};

}  // namespace

std::unique_ptr<Checker> every_job_finishes() { return std::make_unique<EveryJobFinishes>(); }

}  // namespace shoal::sim
