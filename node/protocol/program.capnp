@0xb6e0d1f7c3a94e52;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::wire_program");

# A job of the kind `program`: any program, as it is, run once for each unit. This is what its
# manifest has as parameters; what differs from unit to unit is the unit's input, a ProgramUnit, or,
# where the job has no inputs, a number that follows from the unit's index.

struct ProgramSpec {
  arguments @0 :List(Text);
  # The command, the program first. May have placeholders (program_template.h).

  files @1 :List(File);
  # What lies in the unit's working folder when the program starts. It may be read, not written.

  outputs @2 :List(Text);
  # The files that are the result, as patterns: placeholders are filled in first, then `*` and `?`
  # stand for any part of a name. Each must match something. A folder is all that is in it.

  standardOutput @3 :Bool;
  # What it writes to stdout is a part of the result.

  environment @4 :List(Variable);
  # Beside the fixed one.

  exitStatuses @5 :List(UInt8);
  # That count as success. The status is a part of the result.

  wallMs @6 :UInt64;
  # After so long the program is ended, and the unit has failed. 0: as long as the manifest says.

  memoryBytes @7 :UInt64;
  # Of address space, for each of its processes. 0: the donor's limit.

  first @8 :Int64;
  step @9 :Int64;
  # In a job without inputs the unit of index i stands for the number first + i * step.

  comparison @10 :Comparison;

  outputBytesMax @11 :UInt64;
  # A unit whose result is larger has failed. 0: as the manifest says.
}

struct File {
  path @0 :Text;           # below the working folder
  content @1 :UInt32;      # its place among the manifest's contents
  folder @2 :Bool;         # the content is a packed folder
  executable @3 :Bool;
}

struct Variable {
  name @0 :Text;
  value @1 :Text;
}

struct Comparison {
  # When two results are the same: their files have the same names, and each file the same bytes or,
  # with `text`, the same lines but for what is said here.
  #
  # Dropped lines are left out of the result itself. So a job without a tolerance compares bytes.

  text @0 :Bool;
  dropped @1 :List(Text);  # lines that match one of these (POSIX extended) are left out
  relative @2 :Float64;    # words that are numbers may differ by so much of the larger one,
  absolute @3 :Float64;    # or by so much
  images @4 :Bool;         # what images say about themselves in words and times is left out, too
  program @5 :List(Text);  # not empty: instead, results are the same where this command says so: it
                           # is called with the names of two folders that hold them, and ends with
                           # 0 where they are, 1 where they are not
}

struct ProgramUnit {       # what a unit is called with
  entry @0 :Text;          # the line, or the JSON, that it stands for
  fields @1 :List(Variable);
  number @2 :UInt64;       # its place, from 0, in the list that its submitter has
}
