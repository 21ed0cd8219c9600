#include "sdk/cli/program_results.h"

#include <cstdio>
#include <functional>
#include <memory>
#include <utility>

#include "node/protocol/input_pack.h"
#include "node/protocol/program_output.h"
#include "node/protocol/program_spec.h"
#include "node/protocol/program_template.h"
#include "sdk/cli/schema.h"
#include "sdk/src/remote_job.h"

namespace shoal::cli {
namespace {

// Texts of programs, whole and in the order of the units: each once those before it are there.
class InOrder {
 public:
  explicit InOrder(ProgressBar& bar) : bar_(bar) {}
  void add(std::uint64_t unit, Bytes text) {
    waiting_[unit] = std::move(text);
    for (auto first = waiting_.find(next_); first != waiting_.end(); first = waiting_.find(next_)) {
      const Bytes& next = first->second;
      bar_.print(as_text(next));
      waiting_.erase(first);
      ++next_;
    }
  }
  // Those before it will not come any more.
  void give_up_on_gaps() {
    for (const auto& [unit, text] : waiting_) bar_.print(as_text(text));
    waiting_.clear();
  }

 private:
  ProgressBar& bar_;
  std::uint64_t next_ = 0;
  std::map<std::uint64_t, Bytes> waiting_;
};

class Taking {
 public:
  Taking(PoolAccess& pool, const JobId& job, std::uint64_t units, ResultsFolder* folder,
         const IdentifyUnit& identify, const Settings& settings)
      : pool_(pool),
        job_(job),
        folder_(folder),
        identify_(identify),
        settings_(settings),
        bar_(settings),
        notice_(notices(settings, bar_)),
        core_(pool.client, job, units, true, notice_),
        in_order_(bar_) {
    tally_.units = units;
  }

  // Throws Error where the job cannot be followed any more. Of one that was cancelled all that had
  // been verified is there by then.
  Result<Tally, Failure> run() {
    try {
      return follow();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kCancelled &&
          pool_.interrupts->reason() == Interrupts::Reason::kNone) {
        in_order_.give_up_on_gaps();
        if (auto written = flush_output(); !written) return tl::unexpected(written.error());
      }
      throw;
    }
  }

 private:
  Result<Tally, Failure> follow() {
    while (const auto run = core_.next()) {
      for (std::uint64_t place = 0; place < run->count; ++place) {
        if (pool_.interrupts->reason() != Interrupts::Reason::kNone) {
          return tl::unexpected(pool_.failure(Error(ErrorCode::kCancelled, "Interrupted.")));
        }
        if (auto taken = take(*run, place); !taken) return tl::unexpected(taken.error());
        bar_.show(tally_);
      }
      if (auto written = flush_output(); !written) return tl::unexpected(written.error());
      bar_.show(tally_, true);
      if (!notice_) continue;
      for (const std::string& line : pool_.client->take_complaints(job_)) notice_(line);
    }
    return tally_;
  }

  Result<void, Failure> take(const detail::UnitRun& run, std::uint64_t place) {
    const std::uint64_t unit = run.first + place;
    if (!run.ok) return take_failure(unit, run.errors.at(place));
    Bytes output;
    try {
      output = core_.fetch(run, place);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOutputLost) throw;
      return take_failure(unit, {FailureReason::kBadAnswer, error.what(), 0, std::string()});
    }
    const auto large = run.large.find(place);
    std::optional<UnitUsage> usage;
    if (place < run.usage.size()) usage = run.usage[place];
    auto taken = take_output(unit, output, usage);
    // It is laid out: all outputs of a job twice may be more than the disk takes.
    if (taken && large != run.large.end()) {
      if (const auto content = id_from_hex<ContentId>(large->second.content)) {
        pool_.client->drop_output(*content);
      }
    }
    return taken;
  }

  Result<void, Failure> take_output(std::uint64_t unit, const Bytes& bytes,
                                    const std::optional<UnitUsage>& usage) {
    const auto output = decode_program_output(bytes);
    if (!output) {
      return take_failure(unit, {FailureReason::kBadAnswer,
                                 "the workers agree on what is no result: " + output.error().what,
                                 0, std::string()});
    }
    const UnitIdentity identity = identify_(unit);
    std::string folder;
    if (folder_ != nullptr) {
      auto put = folder_->put(identity.number, identity.owner, bytes, usage);
      if (!put) return tl::unexpected(put.error());
      folder = std::move(*put);
    }
    ++tally_.verified;
    if (settings_.json) {
      nlohmann::json line = {{"schema", kSchema},    {"type", "result"},
                             {"unit", unit},         {"ok", true},
                             {"name", output->name}, {"exit_status", output->exit_status}};
      if (usage) line["usage"] = usage_json(*usage);
      if (folder_ != nullptr) {
        line["folder"] = (folder_->path() / folder).string();
      } else {
        line["stdout"] = as_text(output->standard_output.value_or(ByteView{}));
      }
      bar_.print(json_line(line) + "\n");
    } else if (folder_ == nullptr) {
      in_order_.add(unit, to_bytes(output->standard_output.value_or(ByteView{})));
    }
    return {};
  }

  Result<void, Failure> take_failure(std::uint64_t unit, const UnitError& error) {
    ++(error.kind == FailureReason::kDisputed ? tally_.disputed : tally_.failed);
    const UnitIdentity identity = identify_(unit);
    if (folder_ != nullptr) {
      auto put = folder_->put_failure(identity.number, identity.owner, identity.name, error);
      if (!put) return tl::unexpected(put.error());
    }
    if (settings_.json) {
      nlohmann::json line = failure_json(unit, error);
      line["name"] = identity.name;
      bar_.print(json_line(line) + "\n");
      return {};
    }
    in_order_.add(unit, {});
    bar_.finish();
    say("unit " + std::to_string(identity.number + 1) + " (" + identity.name + ") " +
        (error.kind == FailureReason::kDisputed ? "is disputed: " : "failed: ") + error.message);
    if (error.kind == FailureReason::kDisputed && !hinted_) {
      say("  If it prints dates, times or random numbers: --compare and --drop say what counts, "
          "and "
          "seeds make numbers the same.");
      hinted_ = true;
    }
    const std::string words = last_words(error);
    std::string_view left = words;
    while (!left.empty()) {
      const std::size_t end = std::min(left.find('\n'), left.size());
      say("  | " + std::string(left.substr(0, end)));
      left.remove_prefix(std::min(end + 1, left.size()));
    }
    return {};
  }

  PoolAccess& pool_;
  JobId job_;
  ResultsFolder* folder_;
  const IdentifyUnit& identify_;
  const Settings& settings_;
  ProgressBar bar_;
  std::function<void(const std::string& line)> notice_;  // beside the bar
  RemoteJob core_;
  InOrder in_order_;
  bool hinted_ = false;  // what to do about disputes, once
  Tally tally_;
};

}  // namespace

Result<Tally, Failure> take_program_results(PoolAccess& pool, const JobId& job,
                                            const Manifest& manifest, ResultsFolder* folder,
                                            const IdentifyUnit& identify,
                                            const Settings& settings) {
  try {
    return Taking(pool, job, manifest.units, folder, identify, settings).run();
  } catch (const Error& error) {
    return tl::unexpected(pool.failure(error));
  }
}

IdentifyUnit identities_of(PoolAccess& pool, const JobId& job, const Manifest& manifest) {
  struct Known {
    Result<ProgramSpec, DecodeError> spec;
    Bytes packed;
    std::optional<InputPack> inputs;
  };
  auto known = std::make_shared<Known>(Known{decode_program_spec(manifest.parameters), {}, {}});
  if (manifest.inputs) {
    known->packed = pool.client->content().read(*manifest.inputs).value_or(Bytes{});
    if (const auto pack = InputPack::open(known->packed)) known->inputs = *pack;
  }
  const bool numbered = !manifest.inputs && known->spec;
  return [=, id = to_hex(job)](std::uint64_t index) {
    UnitIdentity identity{index, id + " " + std::to_string(index), std::to_string(index + 1)};
    std::optional<ProgramUnit> unit;
    if (numbered) unit = numbered_unit(*known->spec, index);
    if (known->inputs) {
      if (auto decoded = decode_program_unit(known->inputs->input(index))) {
        unit = std::move(*decoded);
      }
    }
    if (unit) {
      identity.number = unit->number;
      identity.name = name_of(*unit);
    }
    return identity;
  };
}

}  // namespace shoal::cli
