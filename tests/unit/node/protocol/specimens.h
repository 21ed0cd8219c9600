#pragma once

#include <functional>
#include <string>
#include <vector>

#include "node/protocol/messages.h"

// One example of everything that is encoded, with every field set to a value that is not its
// default, so that a field forgotten by the codec shows.
namespace shoal::specimens {

// Bytes that count up from `first`.
template <class I>
I id(std::uint8_t first) {
  I id;
  for (std::uint8_t& byte : id.bytes) byte = first++;
  return id;
}
Signed signed_bytes(std::uint8_t first, std::size_t body_bytes);
std::vector<Hash256> hashes(std::uint8_t first, std::size_t count);
// Small and large outputs, and an empty one.
PackedOutputs outputs();

NodeRecord record();
Manifest manifest();
Commitment commitment();
Failure failure();
Transfer transfer();
Grant grant();
Term term();
Control control();
Snapshot snapshot();
ComparisonVerdict comparison_verdict();
Receipt verified_receipt();
Receipt disputed_receipt();
Receipt failed_receipt();
// In the order of the variant, one of each.
std::vector<Message> messages();
// With what later versions added.
std::vector<Message> grown_messages();
// What may be absent is absent: no record, no job, empty lists.
std::vector<Message> bare_messages();

// Any of the above behind one face.
struct Specimen {
  std::string name;
  Bytes bytes;
  std::function<bool(ByteView)> decodes_to_it;
  // Decoded, and encoded again.
  std::function<Result<Bytes, DecodeError>(ByteView)> encoded_again;
};
std::vector<Specimen> all();

}  // namespace shoal::specimens
