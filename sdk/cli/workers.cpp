#include "sdk/cli/commands.h"
#include "sdk/cli/explain.h"
#include "sdk/cli/pool_access.h"
#include "sdk/cli/schema.h"

// shoal worker list
namespace shoal::cli {
namespace {

Outcome run_list(const Settings& settings) {
  auto pool = join_pool(settings);
  if (!pool) return tl::unexpected(pool.error());
  const auto seen = pool->client->workers();
  if (!seen) return tl::unexpected(pool->failure(seen.error()));
  if (settings.json) print(json_line(workers_json(*seen)));
  if (seen->workers.empty() && seen->coordinators_up == 0) {
    std::string asked;
    for (const auto& door : pool->ticket.doors)
      asked += (asked.empty() ? "" : ", ") + door.endpoint;
    return fail(kUnreachable, "No coordinator of the pool '" + pool->ticket.name +
                                  "' answers: asked " + asked +
                                  ". 'shoal doctor' looks for the reason.");
  }
  if (settings.json) return kSuccess;
  if (seen->workers.empty()) {
    if (!settings.quiet) {
      say("The coordinator answers, but knows of no worker. Start one with 'shoal worker'.");
    }
    return kSuccess;
  }
  Table table({"worker", "address", "path", "threads", "jobs led", "units", "from peers", "doing"});
  for (const auto& one : seen->workers) {
    const auto& status = one.status;
    const std::string where = !one.address.empty()           ? one.address
                              : one.record.endpoints.empty() ? "-"
                                                             : one.record.endpoints.front();
    std::string path = one.path ? std::string(name_of(*one.path)) : "-";
    if (status && !status->mapped.empty()) path += ", mapped";
    table.add({short_hex(one.record.node), where, std::move(path),
               std::to_string(one.record.threads), status ? std::to_string(status->jobs_led) : "?",
               status ? std::to_string(status->units_computed) : "?",
               status ? std::to_string(status->units_stolen) : "?",
               (status ? status->doing : "does not answer") + not_taken_text(one.record)});
  }
  print(table.text());
  return kSuccess;
}

}  // namespace

void add_worker(CLI::App& app, Chosen& chosen) {
  CLI::App* worker = app.add_subcommand("worker",
                                        "Lend this machine to a pool (shoal-worker); or `worker "
                                        "list`, `pause`, `resume`, `finish`, `top`");
  worker->require_subcommand(1);
  CLI::App* list = worker->add_subcommand("list", "The workers of the pool that can be seen");
  add_ticket(*list, chosen);
  add_common(*list, chosen);
  list->callback([&chosen] { chosen.run = run_list; });
  add_worker_control(*worker, chosen);
}

}  // namespace shoal::cli
