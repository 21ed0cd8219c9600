#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <string>

#include "tests/cluster/cluster.h"

namespace shoal::cluster {

// A pool in which contents are put by one account and fetched by another.
class ContentPool : public ::testing::Test {
 protected:
  void start_pool(std::size_t workers);
  std::filesystem::path place(const std::string& name) const { return cluster_.folder() / name; }
  // A file of bytes that no two sizes share; and what is in it.
  std::string write(const std::string& name, std::size_t size) const;
  std::string read(const std::string& name) const;
  // Somebody else's account: nothing that this one has put is on its disk.
  Variables another(const std::string& name) const {
    return {{"XDG_STATE_HOME", place(name).string()}};
  }
  // The content's name, once it is served.
  static std::string served(Process& put);

  Cluster cluster_;
};

std::string random_text(std::size_t size);

}  // namespace shoal::cluster
