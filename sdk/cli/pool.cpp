#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "node/state/key_file.h"
#include "sdk/cli/commands.h"
#include "sdk/cli/output.h"
#include "sdk/cli/pool_files.h"
#include "sdk/cli/schema.h"
#include "sdk/src/places.h"

// shoal pool init, ticket, use
namespace shoal::cli {
namespace {

std::string port_of(const std::string& endpoint) { return endpoint.substr(endpoint.rfind(':')); }

Outcome run_init(const PoolWish& wish, const Settings& settings) {
  const auto made = make_pool(wish);
  if (!made) return tl::unexpected(made.error());
  if (settings.json) {
    nlohmann::json coordinators = nlohmann::json::array();
    for (std::size_t i = 0; i < made->coordinators.size(); ++i) {
      coordinators.push_back({{"node", to_hex(made->ticket.doors[i].node)},
                              {"endpoint", made->ticket.doors[i].endpoint},
                              {"state", made->coordinators[i].string()}});
    }
    print(json_line({{"schema", kSchema},
                     {"pool", to_hex(made->ticket.pool)},
                     {"name", made->ticket.name},
                     {"ticket", made->text},
                     {"native_from_anyone", made->ticket.native_from_anyone},
                     {"coordinators", std::move(coordinators)}}));
  } else {
    print(made->text);
  }
  if (settings.quiet) return kSuccess;
  say("The pool '" + made->ticket.name + "' is in " + wish.folder.string() +
      ". Keep its pool.key: without it no other ticket can be made. Next:");
  for (std::size_t i = 0; i < made->coordinators.size(); ++i) {
    const std::string where = i == 0 ? "" : "   (on that machine, with this folder moved there)";
    say("  shoal coordinator --state " + made->coordinators[i].string() +
        " --listen tcp://0.0.0.0" + port_of(made->ticket.doors[i].endpoint) + where);
  }
  say("  shoal worker --ticket TICKET   (on every machine that lends a hand)");
  say("  shoal pool use @" + (wish.folder / "ticket").string() + "   (where you submit)");
  return kSuccess;
}

Outcome run_ticket(const std::string& folder, const std::vector<std::string>& named,
                   const Settings& settings) {
  std::vector<Ticket::Door> doors;
  for (const std::string& text : named) {
    const auto door = door_of(text);
    if (!door) return tl::unexpected(door.error());
    doors.push_back(*door);
  }
  const auto made = ticket_with(folder, doors);
  if (!made) return tl::unexpected(made.error());
  if (settings.json) {
    nlohmann::json ways = nlohmann::json::array();
    for (const Ticket::Door& door : made->ticket.doors) {
      ways.push_back({{"node", to_hex(door.node)}, {"endpoint", door.endpoint}});
    }
    print(json_line({{"schema", kSchema},
                     {"pool", to_hex(made->ticket.pool)},
                     {"name", made->ticket.name},
                     {"ticket", made->text},
                     {"doors", std::move(ways)}}));
  } else {
    print(made->text);
  }
  return kSuccess;
}

Outcome run_use(const std::string& ticket, const Settings& settings) {
  Settings named = settings;
  if (ticket.starts_with('@')) {
    auto text = read_text_file(ticket.substr(1));
    if (!text) return fail(kUsage, "The ticket cannot be read: " + text.error().what + ".");
    named.ticket = std::move(*text);
    named.ticket_origin = ticket.substr(1);
  } else {
    named.ticket = ticket;
    named.ticket_origin = "the command line";
  }
  const auto parsed = ticket_of(named);
  if (!parsed) return tl::unexpected(parsed.error());
  const std::filesystem::path file = default_ticket_file();
  if (const auto made = make_private_folder(file.parent_path()); !made) {
    return fail(kError, made.error().what + "; XDG_CONFIG_HOME moves it.");
  }
  std::string text = *named.ticket;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  // Whoever can read it can join.
  if (auto wrote = write_text_file(file, text + "\n", 0600); !wrote) {
    return fail(kError, "The pool was not set: " + wrote.error().what + ".");
  }
  if (settings.json) {
    print(json_line({{"schema", kSchema},
                     {"pool", to_hex(parsed->pool)},
                     {"name", parsed->name},
                     {"file", file.string()}}));
  } else if (!settings.quiet) {
    say("From now on the pool is '" + parsed->name + "' (" + file.string() + ").");
  }
  return kSuccess;
}

}  // namespace

void add_pool(CLI::App& app, Chosen& chosen) {
  CLI::App* pool = app.add_subcommand("pool", "Make a pool, or say which one to use");
  pool->require_subcommand(1);

  CLI::App* init = pool->add_subcommand("init", "Make a pool, and print its ticket");
  auto wish = std::make_shared<PoolWish>();
  init->add_option("--state", wish->folder, "The folder for the pool's keys and its ticket")
      ->required()
      ->type_name("DIR");
  init->add_option("--name", wish->name, "What people call the pool")->required();
  init->add_option("--coordinator", wish->endpoints,
                   "Where the others reach a coordinator: tcp://HOST:PORT; repeatable")
      ->required()
      ->type_name("ENDPOINT")
      ->take_all()
      ->allow_extra_args(false);
  init->add_flag("--trust-all", wish->trust_all,
                 "Workers run the own programs of every submitter: for a pool whose members you "
                 "all trust");
  add_common(*init, chosen);
  init->callback([wish, &chosen] {
    chosen.run = [wish](const Settings& settings) { return run_init(*wish, settings); };
  });

  CLI::App* ticket_command = pool->add_subcommand(
      "ticket", "Print a ticket with more ways in: a worker lets others in as a coordinator does");
  auto folder = std::make_shared<std::string>();
  auto doors = std::make_shared<std::vector<std::string>>();
  ticket_command->add_option("--state", *folder, "The folder that `shoal pool init` made")
      ->required()
      ->type_name("DIR");
  ticket_command
      ->add_option("--door", *doors, "A worker, and where the others reach it; repeatable")
      ->type_name("NODE@ENDPOINT")
      ->take_all()
      ->allow_extra_args(false);
  add_common(*ticket_command, chosen);
  ticket_command->callback([folder, doors, &chosen] {
    chosen.run = [folder, doors](const Settings& settings) {
      return run_ticket(*folder, *doors, settings);
    };
  });

  CLI::App* use = pool->add_subcommand("use", "Take this pool wherever no other is named");
  auto ticket = std::make_shared<std::string>();
  use->add_option("ticket", *ticket, "shoal1..., or @FILE with it")->required();
  add_common(*use, chosen);
  use->callback([ticket, &chosen] {
    chosen.run = [ticket](const Settings& settings) { return run_use(*ticket, settings); };
  });
}

}  // namespace shoal::cli
