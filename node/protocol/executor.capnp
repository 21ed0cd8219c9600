@0xd5a1c07e93b24f68;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::wire_executor");

# What a worker and its executor (a child process in which kernels run) say to each other over a
# UNIX stream socket. The worker tells the executor which kernel to use with which parameters
# (Setup), hands it chunks (RunChunk), and gets their outputs back in one or more parts (ChunkPart).
#
# Every message is the head of a frame; the frame's tail holds the large bytes (inputs, outputs),
# which are never copied through this schema:
#
#   bytes of the rest as UInt32 | bytes of the head as UInt32 | head | tail       (little-endian)
#
# The executor runs code that the worker does not trust, so the worker believes nothing it reads
# here: what does not fit what it asked for ends the executor.

struct ExecutorMessage {
  union {
    hello @0 :Hello;         # executor, once, first
    setup @1 :Setup;         # worker
    drop @2 :UInt64;         # worker: this setup is not used any more
    run @3 :RunChunk;        # worker
    cancel @4 :UInt64;       # worker: this chunk's outputs are not wanted any more
    part @5 :ChunkPart;      # executor
    compare @6 :Compare;     # worker
    compared @7 :Compared;   # executor
    checkpoint @8 :Checkpoint;  # executor: keep this; worker, before it sends the chunk: go on from
  }
}

struct Hello {
  kernels @0 :List(Text);    # the names it can run
}

struct Setup {               # a kernel with its parameters, for many chunks
  setup @0 :UInt64;          # the worker's number for it
  kernel @1 :Text;
  parameters @2 :Data;
  threads @3 :UInt32;        # that run units; the same in all setups of an executor
  outputBytesMax @4 :UInt64; # a unit whose output is larger has failed
  checkpointMs @5 :UInt32 = 1000;  # a unit's state is sent no more often than that
}

struct RunChunk {
  chunk @0 :UInt64;          # the worker's number for it, never used twice
  setup @1 :UInt64;
  first @2 :UInt64;          # units [first, last)
  last @3 :UInt64;
  hasInputs @4 :Bool;        # else a unit is its index
  inputSizes @5 :List(UInt32);  # bytes, one a unit; the inputs follow each other in the tail
}

struct ChunkPart {           # what has become of some units of a chunk
  chunk @0 :UInt64;
  runs @1 :List(UInt64);     # first and last of each run of units that are done, in pairs
  sizes @2 :List(UInt32);    # bytes, one for each unit of the runs; the outputs are the tail
  failures @3 :List(FailedUnit);
  refused @4 :Text;          # not empty: the kernel could not be used; no unit has run
  last @5 :Bool;             # nothing more comes for this chunk
  computeNs @6 :UInt64;      # time that threads have spent in the units of this part
  costs @7 :List(Cost);      # of programs: one for each unit of the runs
}

struct Cost {                # what the process of a unit took
  wallMs @0 :UInt32;
  cpuMs @1 :UInt32;
  memoryKib @2 :UInt32;      # the most that one of its processes had resident
  exitStatus @3 :UInt8;
  signal @4 :UInt8;          # 0: it has exited
}

struct FailedUnit {
  unit @0 :UInt64;
  kind @1 :UInt8;            # FailureKind
  message @2 :Text;
  stderrEnd @3 :Text;        # what the unit itself wrote; empty: what the executor has written
  cost @4 :Cost;             # absent: no process has run
}

struct Checkpoint {          # the state of a unit that is not done; its bytes are the tail
  chunk @0 :UInt64;
  unit @1 :UInt64;
}

struct Compare {             # outputs of one unit by several workers: are they equivalent?
  compare @0 :UInt64;        # the worker's number for it, from the same count as chunks
  setup @1 :UInt64;
  unit @2 :UInt64;
  sizes @3 :List(UInt32);    # of the candidates in the tail; the first is the reference
}

struct Compared {
  compare @0 :UInt64;
  allMatch @1 :Bool;
  error @2 :Text;            # not empty: the comparison itself failed
}
