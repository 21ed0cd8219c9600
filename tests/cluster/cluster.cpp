#include "tests/cluster/cluster.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <system_error>
#include <thread>
#include <utility>

#include "node/state/free_port.h"

namespace shoal::cluster {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kNobody = 65534;

bool has_ready_line(const std::string& text) {
  return text.starts_with("ready ") && text.find('\n') != std::string::npos;
}

Variables merged(Variables all, const Variables& more) {
  for (const auto& [name, value] : more) all[name] = value;
  return all;
}

// "ready NODE tcp://..." -> NODE
std::string node_of(const Process& worker) {
  std::istringstream words(worker.out());
  std::string ready, node;
  words >> ready >> node;
  return node;
}

}  // namespace

fs::path program(const std::string& name) { return fs::path(SHOAL_PROGRAM_DIR) / name; }

void give_to_ordinary_user(const fs::path& path) {
  if (::geteuid() != 0) return;
  EXPECT_EQ(::chown(path.c_str(), kNobody, kNobody), 0) << path;
}

bool comes_true(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
  }
  return true;
}

std::vector<nlohmann::json> json_lines(const std::string& text) {
  std::vector<nlohmann::json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    auto parsed = nlohmann::json::parse(line, nullptr, false);
    EXPECT_FALSE(parsed.is_discarded()) << "not JSON: " << line;
    if (!parsed.is_discarded()) lines.push_back(std::move(parsed));
  }
  return lines;
}

std::size_t count_lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

Cluster::Cluster(const Site& coordinator, const Line& pool) : coordinator_site_(coordinator) {
  std::string name = (fs::temp_directory_path() / "shoal-cluster-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) std::abort();
  folder_ = name;
  endpoint_ = "tcp://" + coordinator.address + ":" +
              std::to_string(coordinator.port != 0 ? coordinator.port : free_port());
  Line init{"pool",   "init",   "--state",       (folder_ / "pool").string(),
            "--name", "garden", "--coordinator", endpoint_};
  init.insert(init.end(), pool.begin(), pool.end());
  const Ended made = run(init);
  EXPECT_EQ(made.exit_code, 0) << made.err;
  ticket_ = made.out.substr(0, made.out.find('\n'));
}

Cluster::~Cluster() {
  workers_.clear();
  coordinator_.reset();
  if (::testing::Test::HasFailure()) {
    std::fprintf(stderr, "kept for you to look at: %s\n", folder_.c_str());
    return;
  }
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

Variables Cluster::environment() const {
  Variables all{{"PATH", "/usr/bin:/bin"},
                {"HOME", folder_.string()},
                {"XDG_CONFIG_HOME", (folder_ / "config").string()},
                {"XDG_STATE_HOME", (folder_ / "state").string()},
                {"TMPDIR", folder_.string()}};
  if (!ticket_.empty()) all["SHOAL_TICKET"] = ticket_;
  for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) all[name] = value;
  }
  return all;
}

Process& Cluster::start_coordinator() {
  coordinator_.reset();
  coordinator_ = std::make_unique<Process>(Line{program("shoal").string(), "coordinator", "--state",
                                                (folder_ / "pool").string(), "--listen", endpoint_},
                                           environment(), coordinator_site_.net_namespace);
  EXPECT_TRUE(coordinator_->await_out(has_ready_line)) << coordinator_->err();
  return *coordinator_;
}

Process& Cluster::start_worker(const std::string& name, const Line& more) {
  workers_.erase(name);
  const auto placed = worker_sites_.find(name);
  const Site site = placed == worker_sites_.end() ? Site{} : placed->second;
  Line command = site.around;
  command.insert(command.end(),
                 {program("shoal").string(), "worker", "--state", state_of(name).string(),
                  "--listen", "tcp://" + site.address + ":" + std::to_string(site.port)});
  if (std::find(more.begin(), more.end(), "--threads") == more.end()) {
    command.insert(command.end(), {"--threads", "1"});
  }
  command.insert(command.end(), more.begin(), more.end());
  std::optional<uid_t> user;
  if (site.ordinary_user && ::geteuid() == 0) {
    user = kNobody;
    fs::permissions(folder_, fs::perms::group_exec | fs::perms::others_exec, fs::perm_options::add);
    fs::create_directories(state_of(name));
    give_to_ordinary_user(state_of(name));
  }
  auto& worker = workers_[name] =
      std::make_unique<Process>(command, environment(), site.net_namespace, user);
  EXPECT_TRUE(worker->await_out(has_ready_line)) << worker->err();
  return *worker;
}

void Cluster::kill_worker(const std::string& name) { workers_.at(name)->kill(); }

void Cluster::expect_workers_end_well() {
  for (const std::string& name : workers()) {
    Process& one = worker(name);
    one.signal(SIGTERM);
    EXPECT_EQ(one.exit_code(), 0) << one.err();
  }
}

std::vector<std::string> Cluster::workers() const {
  std::vector<std::string> names;
  for (const auto& [name, process] : workers_) names.push_back(name);
  return names;
}

void Cluster::await_workers(std::size_t count) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::size_t answering = 0;
  // Each of these waits by itself until the pool has answered.
  while (std::chrono::steady_clock::now() < deadline) {
    const Ended listed = run({"worker", "list", "--json"});
    const auto seen = nlohmann::json::parse(listed.out, nullptr, false);
    answering = 0;
    if (!seen.is_discarded()) {
      for (const auto& worker : seen["workers"]) answering += worker["status"].is_null() ? 0 : 1;
    }
    if (answering >= count) return;
  }
  ADD_FAILURE() << answering << " workers answer, not " << count;
}

std::unique_ptr<Process> Cluster::start(const Line& arguments, const Variables& more) const {
  Line command{program("shoal").string()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return start_command(command, more);
}

std::unique_ptr<Process> Cluster::start_command(const Line& command, const Variables& more) const {
  return std::make_unique<Process>(command, merged(environment(), more),
                                   submitter_site_.net_namespace);
}

Cluster::Ended Cluster::run(const Line& arguments, const Variables& more) const {
  Line command{program("shoal").string()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_command(command, more);
}

Cluster::Ended Cluster::run_command(const Line& command, const Variables& more) const {
  const auto process = start_command(command, more);
  Ended ended;
  ended.exit_code = process->exit_code();
  ended.out = process->out();
  ended.err = process->err();
  return ended;
}

nlohmann::json Cluster::json(const Line& arguments) const {
  const Ended ended = run(arguments);
  auto parsed = nlohmann::json::parse(ended.out, nullptr, false);
  EXPECT_FALSE(parsed.is_discarded()) << "out: " << ended.out << "\nerr: " << ended.err;
  return parsed.is_discarded() ? nlohmann::json::object() : parsed;
}

nlohmann::json Cluster::coordinator_figures() {
  const std::size_t before = coordinator_->err().size();
  coordinator_->signal(SIGUSR1);
  nlohmann::json figures;
  const auto found = [&](const std::string& text) {
    const std::size_t start = text.find("{\"schema\"", before);
    const std::size_t end = start == std::string::npos ? start : text.find('\n', start);
    if (end == std::string::npos) return false;
    figures = nlohmann::json::parse(text.substr(start, end - start), nullptr, false);
    return true;
  };
  EXPECT_TRUE(coordinator_->await_err(found)) << coordinator_->err();
  return figures;
}

std::string Cluster::steward() {
  const nlohmann::json seen = json({"worker", "list", "--json"});
  for (const auto& one : seen["workers"]) {
    if (one["status"].is_null() || one["status"]["jobs_led"] == 0) continue;
    for (const auto& [name, process] : workers_) {
      if (node_of(*process) == one["node"]) return name;
    }
  }
  ADD_FAILURE() << "no worker leads a job: " << seen.dump(2);
  return workers_.begin()->first;
}

std::size_t Cluster::workers_at(const std::string& job) const {
  std::size_t count = 0;
  for (const auto& [name, process] : workers_) {
    const auto top = json({"worker", "top", "--json", "--state", state_of(name).string()});
    const auto is_of_it = [&](const nlohmann::json& unit) { return unit["job"] == job; };
    count += std::any_of(top["units"].begin(), top["units"].end(), is_of_it) ? 1U : 0U;
  }
  return count;
}

namespace {

std::vector<pid_t> children_of(pid_t process) {
  std::vector<pid_t> children;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string number = entry.path().filename().string();
    if (number.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "stat");
    std::string stat;
    if (!std::getline(file, stat)) continue;  // it has ended
    // PID (NAME) STATE PARENT ...; the name is cut to 15 characters.
    const std::size_t open = stat.find('(');
    const std::size_t close = stat.rfind(')');
    if (open == std::string::npos || close == std::string::npos) continue;
    std::istringstream rest(stat.substr(close + 1));
    char state = 0;
    pid_t parent = 0;
    rest >> state >> parent;
    if (parent == process && state != 'Z') {
      children.push_back(static_cast<pid_t>(std::stol(number)));
    }
  }
  return children;
}

}  // namespace

std::vector<pid_t> Cluster::executors_of(const Process& worker) {
  return children_of(worker.pid());
}

std::vector<pid_t> Cluster::descendants_of(pid_t process) {
  std::vector<pid_t> all = children_of(process);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::vector<pid_t> more = children_of(all[i]);
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

}  // namespace shoal::cluster
