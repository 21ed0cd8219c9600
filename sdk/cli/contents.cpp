#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "node/content/core/content_text.h"
#include "node/content/store/folder.h"
#include "node/content/store/folder_listing.h"
#include "node/content/store/unplaced.h"
#include "node/protocol/hash.h"
#include "node/protocol/limits.h"
#include "node/state/key_file.h"
#include "sdk/cli/commands.h"
#include "sdk/cli/fetch_bar.h"
#include "sdk/cli/own_worker.h"
#include "sdk/cli/pool_access.h"
#include "sdk/cli/quantities.h"
#include "sdk/cli/refusals.h"
#include "sdk/cli/schema.h"
#include "sdk/src/places.h"

// shoal put | get | content list | content pin | content drop; refusals.cpp has refuse and accept
namespace shoal::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNameDigits = 16;
constexpr std::chrono::hours kUntilInterrupted{24 * 365};
// For somebody who has the rest of what is here in part: a seed that is started again, or a
// machine.
constexpr std::chrono::seconds kWaitForRest{120};

// Where another command of the same account has taken it out of the store, or dropped it, in the
// moment before this one did.
constexpr unsigned kFetchesAgain = 3;

struct Asked {
  std::string path;
  std::string id;
  std::string output;
  std::string state;  // of the worker
  std::string wait;   // a duration
  bool serve = false;
};

tl::unexpected<Failure> failed(const StoreError& error) {
  const bool usage = error.fault == StoreFault::kRefused || error.fault == StoreFault::kMissing;
  return fail(usage ? kUsage : kError, error.what);
}

Result<std::unique_ptr<ContentStore>, Failure> own_store() {
  const auto made = make_private_folder(state_folder());
  if (!made) return fail(kError, made.error().what + "; XDG_STATE_HOME moves it.");
  auto store = ContentStore::open(state_folder() / "content");
  if (!store) return failed(store.error());
  return std::move(*store);
}

Result<ContentText, Failure> parse(const std::string& text) {
  if (const auto content = content_from_text(text)) return *content;
  return fail(kUsage, "'" + text +
                          "' is not the name of a content, which looks like file_ or folder_, 64 "
                          "hexadecimal digits, _ and the length, as 'shoal put' prints it.");
}

nlohmann::json content_json(const ContentText& content) {
  return {{"schema", kSchema},
          {"content", to_text(content)},
          {"kind", content.folder ? "folder" : "file"},
          {"id", to_hex(content.name.id)},
          {"bytes", content.name.length}};
}

// --- put ---

Outcome serve(const ContentText& content, const Settings& settings) {
  auto pool = join_pool_to_share(settings);
  if (!pool) return tl::unexpected(std::move(pool.error()));
  pool->client->share(content.name);
  if (!settings.quiet) {
    say("shoal: serving it to the pool until Ctrl-C; others fetch it with: shoal get " +
        to_text(content));
  }
  pool->interrupts->pause(kUntilInterrupted);
  return kSuccess;
}

Outcome run_put(const Asked& asked, const Settings& settings) {
  auto store = own_store();
  if (!store) return tl::unexpected(std::move(store.error()));
  std::error_code error;
  ContentText content;
  content.folder = fs::is_directory(asked.path, error);
  const auto named =
      content.folder ? pack_folder(**store, asked.path) : (*store)->put_file(asked.path);
  if (!named) return failed(named.error());
  content.name = {named->id, named->length};
  if (const auto taken = not_refused(content); !taken) {
    (*store)->drop(named->id);
    return tl::unexpected(taken.error());
  }
  const std::string label = fs::absolute(asked.path, error).string();
  if (const auto pinned = (*store)->pin(named->id, label); !pinned) return failed(pinned.error());
  print(settings.json ? json_line(content_json(content)) : to_text(content));
  if (const auto written = flush_output(); !written) return tl::unexpected(written.error());
  store->reset();
  if (asked.serve) return serve(content, settings);
  if (!settings.quiet) {
    say("shoal: kept on this machine; the pool can fetch it while it is served: shoal put "
        "--serve " +
        asked.path);
  }
  return kSuccess;
}

// --- get ---

fs::path place_for(const ContentText& content, const std::string& output) {
  if (!output.empty()) return output;
  return to_hex(content.name.id).substr(0, kNameDigits);
}

enum class Stays : std::uint8_t { kInTheStore, kNowhereElse };

// Looked at before anything is fetched: what would be in the way when it is put there.
Result<void, Failure> check_place(const ContentText& content, const fs::path& place) {
  std::error_code error;
  if (content.folder && fs::exists(fs::symlink_status(place, error))) {
    return fail(kUsage, place.string() + " is there already; name another place with -o.");
  }
  if (fs::is_directory(place, error)) {
    return fail(kUsage, place.string() + " is a folder; name the file with -o.");
  }
  // The file would take its place: of /dev/stdout, too.
  const fs::file_status there = fs::symlink_status(place, error);
  if (fs::exists(there) && !fs::is_regular_file(there)) {
    return fail(kUsage, place.string() + " is a link, a pipe or a device; name a file with -o.");
  }
  const fs::path named = place.has_filename() ? place : place.parent_path();
  const fs::path folder = fs::absolute(named, error).parent_path();
  if (!fs::is_directory(folder, error)) {
    return fail(kUsage, "There is no folder " + folder.string() +
                            "; make it, or name another place with -o.");
  }
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    return fail(kError, "Nothing can be written in " + folder.string() + " (" +
                            std::strerror(errno) + "); name another place with -o.");
  }
  return {};
}

// With what is here of it already, for whoever asks again.
Failure with_what_is_kept(Failure failure, ContentStore& store, const ContentName& name) {
  const ContentOpened opened = store.perform(OpenContent{name.id, name.length});
  if (opened.complete) {
    failure.what +=
        "\nAll of it has come and is kept: the same command goes on from there, and 'shoal content "
        "drop' removes it.";
    return failure;
  }
  if (opened.blocks_held.empty()) return failure;
  constexpr std::uint64_t kBlockBytes = limits::kBlockLeaves * kContentLeafBytes;
  const std::uint64_t bytes = std::min(opened.blocks_held.size() * kBlockBytes, name.length);
  failure.what += "\nWhat has come is kept, " + bytes_text(static_cast<double>(bytes)) + " of " +
                  bytes_text(static_cast<double>(name.length)) +
                  ": the same command goes on from there.";
  return failure;
}

Outcome take_out(ContentStore& store, const ContentText& content, const fs::path& place,
                 Stays stays, const Settings& settings) {
  const auto out = content.folder                ? unpack_folder(store, content.name.id, place)
                   : stays == Stays::kInTheStore ? unpack_file(store, content.name.id, place)
                                                 : take_file(store, content.name.id, place);
  if (!out) {
    if (stays == Stays::kNowhereElse) mark_unplaced(store, content.name.id);
    const Failure failure = failed(out.error()).value();
    return tl::unexpected(with_what_is_kept(failure, store, content.name));
  }
  if (stays == Stays::kNowhereElse) store.drop(content.name.id);
  if (settings.json) {
    auto json = content_json(content);
    json["path"] = place.string();
    print(json_line(json));
  } else {
    print(place.string());
  }
  return kSuccess;
}

Result<ExchangeWait, Failure> wait_for(const Asked& asked) {
  if (asked.wait.empty()) return ExchangeWait{.for_rest = kWaitForRest};
  const auto wait = parse_duration(asked.wait);
  if (!wait) {
    return fail(kUsage,
                "--wait " + asked.wait + " is no duration, which looks like 90, 10m or 2h.");
  }
  return ExchangeWait{.for_first = *wait, .for_rest = *wait};
}

// How far it is, and once that nobody has the rest; and when somebody has.
class FetchNews {
 public:
  FetchNews(ExchangeWait wait, const Settings& settings)
      : wait_(wait), quiet_(settings.quiet), bar_(settings) {}
  void show(const ExchangeProgress& progress) {
    if (progress.waits_for.empty()) {
      if (std::exchange(waits_, false) && !quiet_) say("shoal: somebody has it again.");
      return bar_.show(progress);
    }
    if (std::exchange(waits_, true)) return;
    bar_.finish();
    const Duration wait = progress.bytes_here > 0 ? wait_.for_rest : wait_.for_first;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wait);
    if (quiet_) return;
    say("shoal: " + progress.waits_for + ". Waiting " + duration_text(seconds) +
        " for somebody who has it (--wait).");
  }
  void end(bool all) {
    if (all) bar_.show_all();
    bar_.finish();
  }

 private:
  ExchangeWait wait_;
  bool quiet_;
  bool waits_ = false;
  FetchBar bar_;
};

// Nothing, unless its owner has refused it meanwhile: then none of it stays.
Outcome end_if_refused(PoolAccess& pool, const ContentText& content) {
  auto taken = not_refused(content);
  if (taken) return kSuccess;
  pool.client.reset();  // it writes nothing any more
  auto store = own_store();
  if (!store) return tl::unexpected(std::move(store.error()));
  (*store)->drop(content.name.id);
  return tl::unexpected(std::move(taken.error()));
}

Outcome run_get(const Asked& asked, const Settings& settings) {
  const auto content = parse(asked.id);
  if (!content) return tl::unexpected(content.error());
  const auto wait = wait_for(asked);
  if (!wait) return tl::unexpected(wait.error());
  if (const auto taken = not_refused(*content); !taken) return tl::unexpected(taken.error());
  const fs::path place = place_for(*content, asked.output);
  if (const auto free = check_place(*content, place); !free) return tl::unexpected(free.error());
  {
    auto store = own_store();
    if (!store) return tl::unexpected(std::move(store.error()));
    if ((*store)->holds(content->name.id)) {
      const bool unplaced = is_unplaced(**store, content->name.id);
      auto out = take_out(**store, *content, place,
                          unplaced ? Stays::kNowhereElse : Stays::kInTheStore, settings);
      if (out || (*store)->holds(content->name.id)) return out;
    }
  }
  auto pool = join_pool_to_share(settings);
  if (!pool) return tl::unexpected(std::move(pool.error()));
  ContentStore& store = pool->client->content();
  for (unsigned again = kFetchesAgain;; --again) {
    FetchNews news(*wait, settings);
    const auto fetched =
        pool->client->fetch(content->name, *wait, [&](const ExchangeProgress& progress) {
          news.show(progress);
          if (!not_refused(*content)) pool->client->interrupt();
        });
    news.end(fetched.has_value());
    if (auto refused = end_if_refused(*pool, *content); !refused) return refused;
    if (!fetched) {
      return tl::unexpected(
          with_what_is_kept(pool->failure(fetched.error()), store, content->name));
    }
    // It was asked for as a file or folder, which it is then.
    auto out = take_out(store, *content, place, Stays::kNowhereElse, settings);
    if (out || again == 0 || store.holds(content->name.id)) return out;
  }
}

// --- content ---

bool looks_like_a_folder(const ContentStore& store, const ContentId& id) {
  return read_listing(store, id).has_value();
}

nlohmann::json refusal_json(const Refusal& refusal) {
  const auto* content = std::get_if<ContentText>(&refusal);
  nlohmann::json json = {{"schema", kSchema}, {"refused", true}};
  if (content != nullptr) {
    json.update(content_json(*content));
  } else {
    json["kind"] = "submitter";
    json["key"] = to_text(refusal);
  }
  return json;
}

// What a `shoal get` that was ended has left here, to go on from.
void list_unfinished(const ContentStore& store, Table& table, const Settings& settings) {
  for (const ContentStore::Unfinished& one : store.list_unfinished()) {
    const ContentText content{{one.id, one.length}, one.folder};
    if (settings.json) {
      auto json = content_json(content);
      json["pinned"] = false;
      json["refused"] = false;
      json["bytes_here"] = one.bytes_here;
      print(json_line(json));
    } else {
      table.add({to_text(content), bytes_text(static_cast<double>(one.length)),
                 bytes_text(static_cast<double>(one.bytes_here)) + " so far", "shoal get"});
    }
  }
}

Outcome run_list(const Asked& asked, const Settings& settings) {
  auto store = own_store();
  if (!store) return tl::unexpected(std::move(store.error()));
  const auto refusals = refusals_at(worker_state(asked.state));
  if (!refusals) return tl::unexpected(refusals.error());
  Table table({"content", "size", "kept", "from"});
  for (const ContentStore::Listed& one : (*store)->list()) {
    const ContentText content{{one.id, one.length}, looks_like_a_folder(**store, one.id)};
    const bool unplaced = is_unplaced(**store, one.id);
    if (settings.json) {
      auto json = content_json(content);
      json["pinned"] = one.pinned;
      json["label"] = one.label;
      json["refused"] = false;
      if (unplaced) json["bytes_here"] = one.length;
      print(json_line(json));
      continue;
    }
    table.add({to_text(content), bytes_text(static_cast<double>(one.length)),
               one.pinned ? "pinned"
               : unplaced ? "all of it so far"
                          : "for a job",
               unplaced ? "shoal get" : printable(one.label)});
  }
  list_unfinished(**store, table, settings);
  for (const Refusal& refusal : *refusals) {
    const auto* content = std::get_if<ContentText>(&refusal);
    if (settings.json) {
      print(json_line(refusal_json(refusal)));
    } else if (content != nullptr) {
      table.add({to_text(refusal), bytes_text(static_cast<double>(content->name.length)), "refused",
                 "by its owner"});
    } else {
      table.add({to_text(refusal), "-", "refused", "submitter's key"});
    }
  }
  if (!settings.json) print(table.text());
  return kSuccess;
}

tl::unexpected<Failure> not_on_this_disk(const std::string& advice) {
  return fail(kError, "This content is not on this machine's disk" + advice);
}

// The store, if it holds the content; `advice` says what to do where it does not.
Result<std::unique_ptr<ContentStore>, Failure> store_with(const ContentId& id,
                                                          const std::string& advice) {
  auto store = own_store();
  if (!store) return tl::unexpected(std::move(store.error()));
  if (!(*store)->holds(id)) return not_on_this_disk(advice);
  return store;
}

// Where JSON is wanted; else that nothing went wrong says it.
Outcome done(const char* what, const ContentText& content, const Settings& settings) {
  if (settings.json) print(json_line({{"schema", kSchema}, {what, to_text(content)}}));
  return kSuccess;
}

Outcome run_pin(const Asked& asked, const Settings& settings) {
  const auto content = parse(asked.id);
  if (!content) return tl::unexpected(content.error());
  if (const auto taken = not_refused(*content); !taken) return tl::unexpected(taken.error());
  const auto store =
      store_with(content->name.id,
                 ". To keep a copy in the pool, start a worker with --pin " + asked.id + ".");
  if (!store) return tl::unexpected(store.error());
  if (const auto pinned = (*store)->pin(content->name.id, ""); !pinned) {
    return failed(pinned.error());
  }
  return done("pinned", *content, settings);
}

Outcome run_drop(const Asked& asked, const Settings& settings) {
  const auto content = parse(asked.id);
  if (!content) return tl::unexpected(content.error());
  auto store = own_store();
  if (!store) return tl::unexpected(std::move(store.error()));
  const ContentId& id = content->name.id;
  const auto unfinished = (*store)->list_unfinished();
  if (!(*store)->holds(id) &&
      std::none_of(unfinished.begin(), unfinished.end(),
                   [&](const ContentStore::Unfinished& one) { return one.id == id; })) {
    return not_on_this_disk("; 'shoal content list' shows those that are.");
  }
  (*store)->drop(id);
  return done("dropped", *content, settings);
}

using Action = Outcome (*)(const Asked&, const Settings&);

CLI::App* add_command(CLI::App& app, Chosen& chosen, const std::shared_ptr<Asked>& asked,
                      const char* name, const char* help, Action action) {
  CLI::App* command = app.add_subcommand(name, help);
  add_common(*command, chosen);
  command->callback([&chosen, asked, action] {
    chosen.run = [asked, action](const Settings& settings) { return action(*asked, settings); };
  });
  return command;
}

void add_id(CLI::App& command, const std::shared_ptr<Asked>& asked) {
  command.add_option("content", asked->id, "As 'shoal put' printed it")
      ->type_name("CONTENT")
      ->required();
}

}  // namespace

void add_contents(CLI::App& app, Chosen& chosen) {
  const auto asked = std::make_shared<Asked>();
  CLI::App* put =
      add_command(app, chosen, asked, "put",
                  "Name a file or folder by its content, to be fetched by that name", run_put);
  put->add_option("path", asked->path, "A file or a folder")->type_name("PATH")->required();
  put->add_flag("--serve", asked->serve, "Stay, and serve it to the pool until Ctrl-C");
  add_ticket(*put, chosen);

  CLI::App* get = add_command(app, chosen, asked, "get",
                              "Fetch a file or folder from whoever in the pool has it", run_get);
  add_id(*get, asked);
  get->add_option("-o,--output", asked->output, "Where to put it; default: the first of its digits")
      ->type_name("PATH");
  get->add_option("--wait", asked->wait,
                  "How long to wait for somebody who has it, where nobody has; default: 2m for the "
                  "rest of what is here in part, else not at all")
      ->type_name("DURATION");
  add_ticket(*get, chosen);
  add_timeout(*get, chosen, "Leave after so long; what has come is kept");

  CLI::App* content =
      app.add_subcommand("content", "What this account keeps on this machine's disk");
  content->require_subcommand(1);
  add_worker_state(
      *add_command(*content, chosen, asked, "list",
                   "All of it, and what is refused; not what a worker keeps, which is its own",
                   run_list),
      asked->state);
  add_id(*add_command(*content, chosen, asked, "pin", "Keep one until it is dropped", run_pin),
         asked);
  add_id(*add_command(*content, chosen, asked, "drop", "Remove one", run_drop), asked);
  add_refusals(*content, chosen);
}

}  // namespace shoal::cli
