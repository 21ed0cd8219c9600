#include "sdk/cli/refusals.h"

#include <algorithm>
#include <memory>
#include <string>

#include "node/content/store/refusal_files.h"
#include "sdk/cli/output.h"
#include "sdk/cli/own_worker.h"
#include "sdk/cli/schema.h"
#include "sdk/src/places.h"

namespace shoal::cli {
namespace {

namespace fs = std::filesystem;

struct Asked {
  std::string what;
  std::string state;
};

tl::unexpected<Failure> failed(const StoreError& error) { return fail(kError, error.what); }

Result<Refusal, Failure> parse(const std::string& text) {
  if (const auto refusal = refusal_from_text(text)) return *refusal;
  return fail(kUsage, "'" + text +
                          "' is neither a content as 'shoal put' prints it (file_... or "
                          "folder_...) nor a submitter's key, which is 64 hexadecimal digits.");
}

// What is refused is not kept for this account either.
Result<void, Failure> drop_own(const Refusal& refusal) {
  const auto* content = std::get_if<ContentText>(&refusal);
  const fs::path folder = state_folder() / "content";
  std::error_code unknown;
  if (content == nullptr || !fs::exists(folder, unknown)) return {};
  auto store = ContentStore::open(folder);
  if (!store) return failed(store.error());
  (*store)->drop(content->name.id);
  return {};
}

// The worker reads what was changed; one that does not run will when it starts.
Outcome tell_worker(const fs::path& state, const Refusal& refusal, bool refused,
                    const Settings& settings) {
  const auto answer = ask_worker(state, "refusals");
  if (!answer && !answer.error().nobody) return fail(kError, answer.error().what);
  if (settings.json) {
    print(json_line({{"schema", kSchema},
                     {refused ? "refused" : "accepted", to_text(refusal)},
                     {"worker_runs", answer.has_value()}}));
  } else if (!settings.quiet) {
    say(answer ? "The worker " + answer->word + "."
               : "shoal: " + answer.error().what + "; it acts on this when it starts.");
  }
  return kSuccess;
}

Outcome run_refuse(const Asked& asked, const Settings& settings) {
  const auto refusal = parse(asked.what);
  if (!refusal) return tl::unexpected(refusal.error());
  const fs::path state = worker_state(asked.state);
  if (const auto added = add_refusal(refusals_of(state), *refusal); !added) {
    return failed(added.error());
  }
  if (const auto dropped = drop_own(*refusal); !dropped) return tl::unexpected(dropped.error());
  return tell_worker(state, *refusal, true, settings);
}

Outcome run_accept(const Asked& asked, const Settings& settings) {
  const auto refusal = parse(asked.what);
  if (!refusal) return tl::unexpected(refusal.error());
  const fs::path state = worker_state(asked.state);
  const auto removed = remove_refusal(refusals_of(state), *refusal);
  if (!removed) return failed(removed.error());
  if (!*removed) {
    return fail(kError, "This is not refused here; 'shoal content list' shows what is.");
  }
  return tell_worker(state, *refusal, false, settings);
}

using Action = Outcome (*)(const Asked&, const Settings&);

void add_command(CLI::App& content, Chosen& chosen, const char* name, const char* help,
                 Action action) {
  const auto asked = std::make_shared<Asked>();
  CLI::App* command = content.add_subcommand(name, help);
  command->add_option("what", asked->what, "A content, as 'shoal put' prints it, or a key")
      ->type_name("CONTENT|KEY")
      ->required();
  add_worker_state(*command, asked->state);
  add_common(*command, chosen);
  command->callback([&chosen, asked, action] {
    chosen.run = [asked, action](const Settings& settings) { return action(*asked, settings); };
  });
}

}  // namespace

void add_refusals(CLI::App& content, Chosen& chosen) {
  add_command(content, chosen, "refuse",
              "Have nothing to do with a content, or with the jobs of a submitter: drop what is "
              "here, and take, keep and serve it no more",
              run_refuse);
  add_command(content, chosen, "accept", "Take a refusal back", run_accept);
}

Result<std::vector<Refusal>, Failure> refusals_at(const fs::path& worker_state) {
  auto all = read_refusals(refusals_of(worker_state));
  if (!all) return failed(all.error());
  return std::move(*all);
}

Result<void, Failure> not_refused(const ContentText& content) {
  const auto all = refusals_at(worker_state(""));
  if (!all) return tl::unexpected(all.error());
  if (!gathered(*all).contents.contains(content.name.id)) return {};
  return fail(kError, "This content is refused on this machine; 'shoal content accept " +
                          to_text(content) + "' takes that back.");
}

}  // namespace shoal::cli
