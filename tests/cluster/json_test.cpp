// What commands print for other programs, key by key. A key that is renamed or removed, or that
// changes its meaning, needs another number: see sdk/cli/schema.h, and its test for the rest.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "sdk/cli/schema.h"
#include "tests/cluster/cluster.h"
#include "tests/cluster/mersenne.h"
#include "tests/cluster/program_jobs.h"

namespace shoal::cluster {
namespace {

using Keys = std::vector<std::string>;

Keys keys_of(const nlohmann::json& object) {
  Keys names;
  for (const auto& [name, value] : object.items()) names.push_back(name);
  return names;  // sorted
}

class JsonTest : public ::testing::Test {
 protected:
  // One object, of these keys and the present schema.
  nlohmann::json expect_keys(const Line& command, const Keys& keys) {
    const auto ended = cluster_.run(command);
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
    const auto lines = json_lines(ended.out);
    EXPECT_EQ(lines.size(), 1U) << ended.out;
    if (lines.empty()) return {};
    EXPECT_EQ(keys_of(lines[0]), keys) << ended.out;
    EXPECT_EQ(lines[0].value("schema", 0), cli::kSchema) << ended.out;
    return lines[0];
  }

  Cluster cluster_;
};

TEST_F(JsonTest, OfPoolsAndPaths) {
  const std::string folder = (cluster_.folder() / "another").string();
  expect_keys({"pool", "init", "--state", folder, "--name", "x", "--coordinator",
               "tcp://127.0.0.1:1", "--json"},
              {"coordinators", "name", "native_from_anyone", "pool", "schema", "ticket"});
  expect_keys({"pool", "ticket", "--state", folder, "--json"},
              {"doors", "name", "pool", "schema", "ticket"});
  expect_keys({"pool", "use", cluster_.ticket(), "--json"}, {"file", "name", "pool", "schema"});
  expect_keys({"paths", "--json"},
              {"cache", "config_file", "content", "jobs", "schema", "state", "submitter_key",
               "ticket_file", "worker_config_file", "worker_state"});
}

TEST_F(JsonTest, OfContents) {
  const auto file = cluster_.folder() / "file";
  std::ofstream(file) << "some bytes";
  cluster_.start_coordinator();
  expect_keys({"put", file.string(), "--json"}, {"bytes", "content", "id", "kind", "schema"});
  expect_keys({"content", "list", "--json"},
              {"bytes", "content", "id", "kind", "label", "pinned", "refused", "schema"});
}

TEST_F(JsonTest, OfJobsAndWorkers) {
  cluster_.start_coordinator();
  for (const char* name : {"worker-1", "worker-2"}) cluster_.start_worker(name);
  cluster_.await_workers(2);
  Mersenne job(cluster_.folder(), 1000, 1010);
  const auto submitted = cluster_.run(job.submission({"--json", "--keep"}));
  ASSERT_EQ(submitted.exit_code, 0) << submitted.err;
  const std::string id = json_lines(submitted.out).front()["job"];
  const auto list = expect_keys({"job", "list", "--json"}, {"jobs", "schema"});
  ASSERT_EQ(list["jobs"].size(), 1U);
  expect_keys({"job", "explain", id, "--json"}, {"explanation", "job", "schema", "state"});
  const std::string state = cluster_.state_of("worker-1").string();
  expect_keys({"worker", "pause", "--state", state, "--json"}, {"schema", "worker"});
  expect_keys({"worker", "resume", "--state", state, "--json"}, {"schema", "worker"});
  expect_keys({"worker", "top", "--state", state, "--json"}, {"schema", "state", "units"});
}

TEST_F(JsonTest, OfRefusals) {
  const std::string submitter(64, 'a');
  for (const auto& [command, key] : {std::pair{"refuse", "refused"}, {"accept", "accepted"}}) {
    const auto said =
        expect_keys({"content", command, submitter, "--json"}, {key, "schema", "worker_runs"});
    EXPECT_EQ(said[key], submitter);
    EXPECT_EQ(said["worker_runs"], false);
  }
}

class JsonOfPrograms : public ProgramJobs {
 protected:
  // The lines of a job whose second unit fails: both of its units, in their order.
  std::vector<nlohmann::json> units_of(const Line& more) {
    Line command{"submit", "--json", "--array", "1-2", "--max-attempts", "1"};
    command.insert(command.end(), more.begin(), more.end());
    const auto ended = shoal(command);
    EXPECT_EQ(ended.exit_code, 1) << ended.err;
    std::vector<nlohmann::json> units(2);
    for (const auto& line : json_lines(ended.out)) {
      EXPECT_EQ(line.value("schema", 0), cli::kSchema) << line;
      if (line["type"] == "result") units.at(line["unit"].get<std::size_t>()) = line;
    }
    return units;
  }
};

TEST_F(JsonOfPrograms, WhatTheyPrintOrLeaveInAFolder) {
  const auto printed = units_of({"--", "/bin/sh", "-c", "echo of {}; exit $(({} - 1))"});
  EXPECT_EQ(keys_of(printed[0]),
            (Keys{"exit_status", "name", "ok", "schema", "stdout", "type", "unit", "usage"}));
  EXPECT_EQ(printed[0].value("stdout", ""), "of 1\n");
  EXPECT_EQ(keys_of(printed[1]), (Keys{"error", "name", "ok", "schema", "type", "unit", "usage"}));
  const auto left =
      units_of({"--output", "made", "--", "/bin/sh", "-c", "echo of {} > made; exit $(({} - 1))"});
  EXPECT_EQ(keys_of(left[0]),
            (Keys{"exit_status", "folder", "name", "ok", "schema", "type", "unit", "usage"}));
  EXPECT_EQ(text_of(here() / left[0].value("folder", "") / "made"), "of 1\n");
}

TEST_F(JsonTest, OfATask) {
  const auto ended = cluster_.run_command(
      {program("shoal-lucas-lehmer").string(), "--local", "--json", "2", "20"});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  const auto lines = json_lines(ended.out);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(keys_of(lines[0]), (Keys{"disputed", "exponents", "failed", "job", "kernel", "quorum",
                                     "schema", "seconds", "units", "verified", "workers"}));
  EXPECT_EQ(keys_of(lines[0]["exponents"][0]), (Keys{"exponent", "prime", "residue"}));
  EXPECT_EQ(lines[0]["schema"], cli::kSchema);
}

}  // namespace
}  // namespace shoal::cluster
