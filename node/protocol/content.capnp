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
#
# The swarm. Who fetches also serves the blocks that it has. Each tells the others what it holds, and
# whom else it knows to hold some, so that a source with one link to the world sends little more than
# the content once, however many want it:
#
#     asker                      source
#      | Holdings        ---->        |   what is here, and "I want the rest"
#      |                 <----  Holdings
#      | HoldersRequest  ---->        |
#      |                 <----  Holders
#      |                 <----  Holdings   (one more block has come)
#
# A folder is one content: a listing of names, modes and sizes, followed by the bytes of its files one
# after another. Its form is in node/content/store/folder_listing.h; the exchange need not know it.

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

struct BlockCancel {
  # "I have it now from somebody else": at the end of a fetch the last blocks are asked of several
  # sources. Best effort: what is on its way already comes, and is dropped.

  content @0 :Jobs.ContentId;
  # Which content.

  firstLeaf @1 :UInt64;
  # As in the request.
}

struct Holdings {
  # "These blocks of it are here." A node that begins to fetch says this to each source that it is
  # linked to, and is answered with the same. From then on each tells the other of the blocks that
  # came since, as long as that one fetches. Nobody needs to be believed: a block that is not there
  # is answered with `missing`, and whoever claims what he does not have is not asked again.

  content @0 :Jobs.ContentId;
  # Which content.

  length @1 :UInt64;
  # Its length in bytes, as in a request.

  firstBlock @2 :UInt64;
  # The block (of 16 leaves) that the first bit is about; a multiple of 8.

  bits @3 :Data;
  # One bit a block, the least significant of a byte first. A bit that is not set says nothing: what
  # was said to be there, stays. Up to 64 KiB; who has more to say sends several. Without any bits,
  # to one who was told of blocks before: none of them is to be had any more, since the content was
  # dropped, or the owner lets the node send no more this month.

  fetching @4 :Bool;
  # "And I want the rest: tell me what you hold, now and later." Not set in the message that tells of
  # the last block.
}

struct HoldersRequest {
  # "Who else has it?" To any holder, and to the stewards of a job about what the job needs; at most
  # once a minute to each of them.

  content @0 :Jobs.ContentId;
  # Which content.

  length @1 :UInt64;
  # Its length in bytes.
}

struct Holders {
  # The answer: some who hold it, or are fetching it and so hold a part, as far as is known here.

  content @0 :Jobs.ContentId;
  # Which content.

  records @1 :List(Rendezvous.Signed);
  # Their records, up to 16. The asker asks them what they hold.
}
