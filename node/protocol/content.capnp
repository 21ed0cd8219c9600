@0xaafab502ff543169;

# Content: how programs, inputs and large outputs move between nodes.
#
# Concepts
#
# Content is bytes named by their hash. Whoever asks for an id and gets bytes can tell whether they
# are the right ones, so it does not matter from whom they came, and nobody needs to be trusted to
# serve.
#
# Leaves and blocks. Content is cut into leaves of 16 KiB, hashed, and made into a Merkle tree; the
# id binds the root and the length. A request asks for a block of up to 16 leaves (256 KiB), and the
# answer carries the siblings that tie these leaves to the root. Every block is thus checked by
# itself as it arrives: a bad source is found out by its first bad block, not after a terabyte.
#
# One leaf or less is named by the hash of the bytes alone, and its block needs no proof.
#
#     asker                      source
#      | BlockRequest    ---->        |
#      |                 <----  Block |
#
# An asker keeps a few requests under way with each source, so that a far source is kept busy, and
# no more, so that a slow link does not drown in what was asked for.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::wire");

using Jobs = import "jobs.capnp";
using Rendezvous = import "rendezvous.capnp";

struct BlockRequest {
  # "Send me these bytes": to any node that may hold the content.

  content @0 :Jobs.ContentId;
  # Which content.

  length @1 :UInt64;
  # Its length in bytes, as learned together with the id. A source that holds the content under
  # another length has been asked by somebody who was lied to, and answers `missing`.

  firstLeaf @2 :UInt64;
  # Where the block begins: a multiple of 16, and within the content.
}

struct Block {
  # The answer.

  content @0 :Jobs.ContentId;
  # Which content.

  firstLeaf @1 :UInt64;
  # As in the request.

  bytes @2 :Data;
  # Up to 16 leaves; fewer only at the end of the content.

  proof @3 :Rendezvous.Hashes;
  # The Merkle siblings of these leaves, bottom up, left before right.

  missing @4 :Bool;
  # "I do not have it." The asker turns to another source.
}
