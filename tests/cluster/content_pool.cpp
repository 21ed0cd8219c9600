#include "tests/cluster/content_pool.h"

#include <fstream>
#include <sstream>

#include "node/protocol/rng.h"

namespace shoal::cluster {

namespace fs = std::filesystem;

std::string random_text(std::size_t size) {
  Rng rng(size);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(rng.next());
  return bytes;
}

void ContentPool::start_pool(std::size_t workers) {
  cluster_.start_coordinator();
  for (std::size_t i = 1; i <= workers; ++i) cluster_.start_worker("worker-" + std::to_string(i));
  cluster_.await_workers(workers);
}

std::string ContentPool::write(const std::string& name, std::size_t size) const {
  const std::string bytes = random_text(size);
  fs::create_directories(place(name).parent_path());
  std::ofstream(place(name), std::ios::binary) << bytes;
  return bytes;
}

std::string ContentPool::read(const std::string& name) const {
  std::ostringstream text;
  text << std::ifstream(place(name), std::ios::binary).rdbuf();
  return text.str();
}

std::string ContentPool::served(Process& put) {
  EXPECT_TRUE(put.await_err([](const std::string& err) {
    return err.find("serving it") != std::string::npos;
  })) << put.err();
  // Said before, but on another pipe.
  EXPECT_TRUE(
      put.await_out([](const std::string& out) { return out.find('\n') != std::string::npos; }));
  return put.out().substr(0, put.out().find('\n'));
}

}  // namespace shoal::cluster
