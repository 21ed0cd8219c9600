#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "tests/cluster/cluster.h"

// What the stories of programs have in common: a pool in which all trust each other, and two
// workers.
namespace shoal::cluster {

inline std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path << " cannot be read";
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

class ProgramJobs : public ::testing::Test {
 protected:
  ProgramJobs() : cluster_({}, {"--trust-all"}) {
    std::filesystem::create_directories(here());
    cluster_.start_coordinator();
    for (const char* name : {"ann", "ben"}) cluster_.start_worker(name);
    cluster_.await_workers(2);
  }

  // The submitter's folder, in which commands run.
  std::filesystem::path here() const { return cluster_.folder() / "here"; }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((here() / name).parent_path());
    std::ofstream(here() / name, std::ios::binary) << text;
  }
  Cluster::Ended shoal(const Line& arguments) const {
    Line command{"/usr/bin/env", "-C", here().string(), program("shoal").string()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return cluster_.run_command(command);
  }
  Cluster::Ended here_runs(const Line& arguments) const {
    Line command{"/usr/bin/env", "-C", here().string()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return cluster_.run_command(command);
  }
  std::string result(const std::string& path) const { return text_of(here() / "results" / path); }

  Cluster cluster_;
};

}  // namespace shoal::cluster
