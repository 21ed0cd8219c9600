#include "shoal/session.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

#include "node/protocol/input_pack.h"
#include "node/protocol/limits.h"
#include "node/protocol/plain_text.h"
#include "node/state/clock.h"
#include "node/wasm/module.h"
#include "sdk/src/client.h"
#include "sdk/src/input_files.h"
#include "sdk/src/local_run.h"
#include "sdk/src/places.h"
#include "sdk/src/remote_job.h"

namespace shoal {

struct Session::Impl {
  SessionOptions options;
  std::shared_ptr<Client> client;  // none: local

  std::mutex mutex;  // guards what follows
  std::optional<ContentStore::Named> program;

  void check_request(const detail::JobRequest& request) const;
  Manifest manifest_of(detail::JobRequest& request);
  ContentStore::Named packed_files(const std::vector<std::filesystem::path>& files);
  ContentStore::Named this_program();
  ContentStore::Named module_at(const std::string& path, const KernelEntry& kernel);
};

namespace {

// What a manifest can hold.
constexpr std::chrono::milliseconds kUnitWallMost = std::chrono::hours(24 * 1000);
constexpr std::chrono::seconds kKeepMost = std::chrono::hours(24 * 1000);

std::shared_ptr<Client> join(const SessionOptions& options) {
  auto ticket = parse_ticket(options.ticket, Ed25519Checker());
  if (!ticket) throw Error(ErrorCode::kBadTicket, ticket.error().what);
  ClientConfig config;
  config.ticket = std::move(*ticket);
  config.state = state_folder();
  config.notice = options.notice;
  auto client = Client::open(std::move(config));
  if (!client) throw to_error(client.error());
  return std::shared_ptr<Client>(std::move(*client));
}

}  // namespace

Session::Session(SessionOptions options) : impl_(std::make_shared<Impl>()) {
  impl_->options = std::move(options);
  if (auto& notice = impl_->options.notice) {
    notice = [told = std::move(notice)](const std::string& line) { told(plain_text(line)); };
  }
  if (!impl_->options.ticket.empty()) impl_->client = join(impl_->options);
}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

bool Session::is_local() const { return impl_->client == nullptr; }
const std::vector<std::string>& Session::arguments() const { return impl_->options.arguments; }

void Session::Impl::check_request(const detail::JobRequest& request) const {
  const auto refuse = [](const std::string& what) { throw Error(ErrorCode::kUsage, what); };
  if (request.options.quorum < 1 || request.options.quorum > limits::kQuorumMax) {
    refuse("The quorum must be between 1 and " + std::to_string(limits::kQuorumMax) + ", not " +
           std::to_string(request.options.quorum) + ".");
  }
  if (request.options.stewards < 1 || request.options.stewards > limits::kStewards) {
    refuse("A job is kept by 1 to " + std::to_string(limits::kStewards) + " workers, not by " +
           std::to_string(request.options.stewards) + ".");
  }
  if (request.options.max_attempts < 1 || request.options.max_attempts > limits::kAttemptsMax) {
    refuse("A unit may fail on 1 to " + std::to_string(limits::kAttemptsMax) + " workers, not on " +
           std::to_string(request.options.max_attempts) + ".");
  }
  if (request.options.unit_wall < std::chrono::milliseconds(1) ||
      request.options.unit_wall > kUnitWallMost) {
    refuse("A unit may run for 1 ms to 1000 days, not " +
           std::to_string(request.options.unit_wall.count()) + " ms.");
  }
  if (request.options.keep_for < std::chrono::seconds(1) || request.options.keep_for > kKeepMost) {
    refuse("Results can be kept for 1 second to 1000 days after a job's end, not for " +
           std::to_string(request.options.keep_for.count()) + " seconds.");
  }
  if (request.units > limits::kUnitsPerJob) {
    refuse("A job has at most " + std::to_string(limits::kUnitsPerJob) +
           " units. Make several jobs of it.");
  }
  if (request.parameters.size() > limits::kParameterBytes) {
    refuse("The parameters take " + std::to_string(request.parameters.size()) +
           " bytes, and no more than " + std::to_string(limits::kParameterBytes) +
           " may go with every unit. Put what is large into the inputs.");
  }
  if (request.options.output_bytes_max > limits::kOutputBytes) {
    refuse("One unit's output may have at most " + std::to_string(limits::kOutputBytes) +
           " bytes. Split the unit.");
  }
  if (request.files) {
    for (const auto& file : request.files->paths) size_of_input(file);
  }
  if (!client || request.options.shipped || !request.options.module.empty()) return;
  const auto& kernels = options.kernels;
  const bool known = std::any_of(kernels.begin(), kernels.end(), [&](const KernelEntry& entry) {
    return entry.name == request.kernel.name;
  });
  if (!known) {
    refuse("The kernel '" + request.kernel.name +
           "' was not handed to shoal::run, so that workers would not find it in this program. "
           "Add it to the list there, or set JobOptions::shipped if it comes with Shoal.");
  }
}

ContentStore::Named Session::Impl::this_program() {
  std::lock_guard lock(mutex);
  if (!program) {
    auto put = client->content().put_file("/proc/self/exe");
    if (!put) throw Error(ErrorCode::kState, put.error().what);
    program = *put;
  }
  return *program;
}

ContentStore::Named Session::Impl::module_at(const std::string& path, const KernelEntry& kernel) {
  auto put = client->content().put_file(path);
  if (!put) throw Error(ErrorCode::kUsage, put.error().what);
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorCode::kUsage, path + ": " + why);
  };
  auto bytes = client->content().read(put->id);
  if (!bytes) refuse(bytes.error().what);
  const auto info = check_module(*bytes);
  if (!info) refuse(info.error());
  const auto same = [&](const ModuleKernel& known) { return known.name == kernel.name; };
  const auto found = std::find_if(info->kernels.begin(), info->kernels.end(), same);
  if (found == info->kernels.end()) refuse("there is no kernel '" + kernel.name + "' in it");
  if (found->has_equivalent != static_cast<bool>(kernel.equivalent)) {
    refuse("its kernel '" + kernel.name + "' was built of another source than this program's");
  }
  return *put;
}

// All of them as one content, from disk to disk.
ContentStore::Named Session::Impl::packed_files(const std::vector<std::filesystem::path>& files) {
  std::vector<std::uint64_t> sizes;
  for (const auto& file : files) sizes.push_back(size_of_input(file));
  ContentWriter writer(client->content());
  writer.append(pack_head(sizes));
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto length = writer.append_file(files[i]);
    if (!length) throw Error(ErrorCode::kUsage, length.error().what);
    if (!writer.goes_on()) break;
    if (*length != sizes[i]) {
      throw Error(ErrorCode::kUsage,
                  files[i].string() + " changed while it was read; try again when it rests");
    }
  }
  auto packed = writer.finish();
  if (!packed) throw Error(ErrorCode::kState, packed.error().what);
  return *packed;
}

Manifest Session::Impl::manifest_of(detail::JobRequest& request) {
  const JobOptions& wishes = request.options;
  Manifest manifest;
  for (std::size_t i = 0; i < manifest.nonce.size(); i += sizeof(std::uint64_t)) {
    const std::uint64_t random = random_seed();
    std::memcpy(manifest.nonce.data() + i, &random, sizeof random);
  }
  manifest.name = wishes.name.empty() ? request.kernel.name : wishes.name;
  manifest.kernel = request.kernel.name;
  manifest.parameters = std::move(request.parameters);
  manifest.units = request.units;
  manifest.quorum = wishes.quorum;
  manifest.max_attempts = wishes.max_attempts;
  manifest.comparison = request.kernel.equivalent ? Comparison::kEquivalent : Comparison::kBytes;
  manifest.distinct_blocks = wishes.distinct_blocks;
  manifest.unit_wall_ms = static_cast<std::uint64_t>(wishes.unit_wall.count());
  manifest.unit_memory_bytes = wishes.unit_memory_bytes;
  manifest.output_bytes_max = wishes.output_bytes_max;
  manifest.priority = wishes.priority;
  manifest.keep_s = static_cast<std::uint64_t>(wishes.keep_for.count());
  manifest.created = unix_ms_now();
  if (!wishes.module.empty()) {
    const ContentStore::Named module = module_at(wishes.module, request.kernel);
    manifest.kernel_kind = KernelKind::kWasm;
    manifest.program = module.id;
    manifest.program_bytes = module.length;
  } else if (!wishes.shipped) {
    const ContentStore::Named program_here = this_program();
    manifest.kernel_kind = KernelKind::kNative;
    manifest.program = program_here.id;
    manifest.program_bytes = program_here.length;
  }
  if (request.files) {
    const ContentStore::Named packed = packed_files(request.files->paths);
    manifest.inputs = packed.id;
    manifest.inputs_bytes = packed.length;
  } else if (request.inputs) {
    const Bytes packed = pack_inputs(*request.inputs);
    auto put = client->content().put(packed);
    if (!put) throw Error(ErrorCode::kState, put.error().what);
    manifest.inputs = *put;
    manifest.inputs_bytes = packed.size();
  }
  return manifest;
}

std::shared_ptr<detail::JobCore> Session::start(detail::JobRequest request) {
  impl_->check_request(request);
  if (!impl_->client || request.units == 0) {
    try {
      return std::make_shared<LocalRun>(std::move(request), impl_->options.threads);
    } catch (const UnitRefused& refused) {
      throw Error(ErrorCode::kUsage, refused.what());
    }
  }
  const Handover how{.wait_for_quorum = request.options.wait_for_quorum,
                     .stewards = request.options.stewards};
  const bool keep = request.options.keep;
  const std::uint64_t units = request.units;
  const Signed manifest = impl_->client->sign(impl_->manifest_of(request));
  auto accepted = impl_->client->submit(manifest, how);
  if (!accepted) throw to_error(accepted.error());
  return std::make_shared<RemoteJob>(impl_->client, accepted->job, units, keep,
                                     impl_->options.notice);
}

std::shared_ptr<detail::JobCore> Session::attach_core(const std::string& kernel,
                                                      const std::string& id, bool keep) {
  if (!impl_->client) {
    throw Error(ErrorCode::kUsage,
                "There is no job to come back to in a local session. Name the pool with --pool.");
  }
  const auto found = impl_->client->find(id);
  if (!found) throw to_error(found.error());
  if (found->empty()) {
    throw Error(ErrorCode::kUnknownJob, "No job of this account starts with '" + id + "', in " +
                                            (state_folder() / "jobs").string() +
                                            " or in the pool. 'shoal job list' shows those there "
                                            "are.");
  }
  if (found->size() > 1) {
    throw Error(ErrorCode::kUnknownJob,
                std::to_string(found->size()) + " jobs start with '" + id + "'. Give more digits.");
  }
  const JobId job = found->front();
  auto accepted = impl_->client->attach(job);
  if (!accepted) throw to_error(accepted.error());
  const JobBook::Entry entry = impl_->client->remembered(job);
  const auto manifest = entry.manifest
                            ? decode_manifest(entry.manifest->body)
                            : Result<Manifest, DecodeError>(tl::unexpected(DecodeError{}));
  if (!manifest) {
    throw Error(ErrorCode::kUnknownJob,
                "The manifest kept for job " + short_hex(job) + " is damaged.");
  }
  if (!kernel.empty() && manifest->kernel != kernel) {
    throw Error(ErrorCode::kUsage, "The job " + short_hex(job) + " is of the kernel '" +
                                       manifest->kernel + "', not of '" + kernel + "'.");
  }
  return std::make_shared<RemoteJob>(impl_->client, job, manifest->units, keep,
                                     impl_->options.notice);
}

}  // namespace shoal
