#include "tests/cluster/ungated.h"

#include <gtest/gtest.h>

#include <utility>

#include "node/protocol/ticket.h"
#include "node/state/clock.h"

namespace shoal::cluster {

Manifest Ungated::manifest(KernelKind kind, const std::string& kernel, Bytes parameters) {
  Manifest manifest;
  manifest.kernel_kind = kind;
  manifest.name = manifest.kernel = kernel;
  manifest.parameters = std::move(parameters);
  manifest.units = 1;
  manifest.quorum = manifest.max_attempts = 1;
  return manifest;
}

std::string Ungated::submit(Manifest manifest, ByteView program) {
  if (client_ == nullptr) {
    auto client = Client::open({.ticket = *parse_ticket(cluster_.ticket(), Ed25519Checker()),
                                .state = cluster_.folder() / "state/shoal",
                                .notice = {}});
    if (!client) return client.error().what;
    client_ = std::move(*client);
  }
  const auto put = client_->content().put(program);
  if (!put) return put.error().what;
  manifest.nonce[0] = ++jobs_;
  manifest.program = *put;
  manifest.program_bytes = program.size();
  manifest.created = unix_ms_now();
  const auto accepted = client_->submit(client_->sign(std::move(manifest)), {});
  return accepted ? to_hex(accepted->job) : accepted.error().what;
}

std::string Ungated::ends_of(const std::string& job) {
  client_.reset();  // one at a time may use its state
  const auto ended = cluster_.run({"job", "results", job, "--json"});
  EXPECT_EQ(ended.exit_code, 1) << job << ": " << ended.err;
  return ended.out;
}

}  // namespace shoal::cluster
