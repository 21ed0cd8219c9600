#pragma once

#include <cstddef>
#include <cstdint>

#include "node/protocol/time.h"

// Every limit of the protocol, with its unit. A message past a limit is refused by the decoder; a
// table past its limit refuses the newest, never drops what was promised.
namespace shoal::limits {

// Messages.
inline constexpr std::size_t kMessageBytes = 1024 * 1024 + 4096;
inline constexpr std::size_t kTextBytes = 4096;  // any one text field
inline constexpr std::size_t kEndpoints = 8;     // a record's
inline constexpr std::size_t kEndpointBytes = 256;
inline constexpr std::size_t kKernelNames = 64;    // a record's
inline constexpr std::size_t kRecordBytes = 4096;  // one encoded record
inline constexpr std::size_t kSampleRecords = 64;  // one sample's
inline constexpr std::size_t kManifestBytes = 512 * 1024;
inline constexpr std::size_t kParameterBytes = 256 * 1024;
inline constexpr std::size_t kManifestContents = 64;  // beside program and inputs
inline constexpr std::size_t kManifestNeeds = 16;     // programs that a worker must have
inline constexpr std::size_t kNeedBytes = 256;
inline constexpr std::size_t kRangesPerMessage = 4096;
inline constexpr std::size_t kBatchesPerMessage = 256;
inline constexpr std::size_t kProofHashes = 128;
inline constexpr std::size_t kReceiptsPerMessage = 64;
inline constexpr std::size_t kGrantsPerMessage = 1024;
inline constexpr std::size_t kHaveRanges = 1024;  // named in one request for results

// Units and results.
inline constexpr std::uint64_t kUnitsPerJob = 1'000'000'000'000;
inline constexpr std::uint64_t kUnitsPerBatch = 16'384;
inline constexpr std::size_t kInlineOutputBytes = 1024;       // larger outputs are content
inline constexpr std::size_t kBatchInlineBytes = 512 * 1024;  // inline outputs of one batch
inline constexpr std::uint64_t kOutputBytes = 1ULL << 30;     // one unit's output
inline constexpr std::uint64_t kCompareBytes = 256ULL << 20;  // of one unit, by all replicas
inline constexpr std::size_t kJudgedAtOnce = 256;             // units of one job, by one worker
inline constexpr std::uint64_t kContentBytes = 1ULL << 40;
inline constexpr std::size_t kFailureTextBytes = 2048;  // message and stderr, each
inline constexpr unsigned kQuorumMax = 16;
inline constexpr unsigned kExtraReplicas = 3;  // q + this many without agreement: disputed
inline constexpr unsigned kAttemptsDefault = 3;
// The failures of a unit go into one receipt, with all that the kernel said each time.
inline constexpr unsigned kAttemptsMax = 64;
inline constexpr std::size_t kModuleBytes = 8ULL << 20;  // of a wasm module

inline constexpr std::size_t kUnitStateBytes = 256 * 1024;  // that goes along with a unit
inline constexpr std::size_t kUnitStatesBytes = 64 << 20;   // of one job, kept by its leader

// Stewards.
inline constexpr std::size_t kStewards = 3;  // of one job
inline constexpr std::size_t kTermsPerChain = 16;
inline constexpr std::uint64_t kEpochStep = 1'000'000;  // from one term of a chain to the next
inline constexpr std::size_t kOutputCopies = 2;         // of a large output
inline constexpr std::size_t kInputCopies = 3;          // of program and inputs
inline constexpr std::size_t kKeepHolders = 4;          // named in one Keep
inline constexpr std::size_t kKeepReceiptBytes = 960 * 1024;  // the rest of the message is for them
inline constexpr std::size_t kOutputsWatched = 131'072;  // large ones of one job, that are counted

// Content.
inline constexpr std::size_t kBlockLeaves = 16;          // one request: 256 KiB
inline constexpr std::size_t kContentWindowMin = 2;      // blocks in flight from one source
inline constexpr std::size_t kContentWindow = 8;         // until its rate is known
inline constexpr std::size_t kContentWindowMax = 64;     // however fast it is
inline constexpr std::size_t kHoldingsBytes = 64 << 10;  // bits in one message: of 128 GiB
inline constexpr std::size_t kHoldersPerMessage = 16;
inline constexpr std::size_t kContentPeers = 10;          // links kept for one content
inline constexpr Duration kHoldersEvery = 60s;            // asked of one peer, of one content
inline constexpr std::size_t kHoldersRemembered = 4'096;  // by one node, over all contents

// Peers.
inline constexpr std::size_t kKnownPeers = 512;
inline constexpr std::size_t kLinksMax = 16'384;  // of one node: all workers of its job have one
inline constexpr std::uint64_t kLinkBytes = 40 << 10;  // of memory, about: libzmq's, with CURVE
inline constexpr std::size_t kActivePeers = 5;         // peers a worker dials of its own accord
inline constexpr std::size_t kHungryPeers = 4096;      // remembered empty-handed askers
inline constexpr std::size_t kJobsLed = 1024;
inline constexpr std::size_t kJobsKnown = 4096;

// Reachability.
inline constexpr std::size_t kVia = 3;             // relays that a record names
inline constexpr std::size_t kReservations = 128;  // that one relay grants
inline constexpr std::size_t kCircuitsPerNode = 16;
inline constexpr std::size_t kCircuitBytes = 128 * 1024;  // sealed, in each direction
inline constexpr Duration kCircuitTime = 120s;
inline constexpr std::size_t kDialBackPeers = 3;            // asked at once
inline constexpr std::size_t kDialBacksPerMinute = 60;      // done for others, by one node
inline constexpr std::size_t kDialBacksPerAddress = 6;      // of those, to one address
inline constexpr std::size_t kIntroductionsPerMinute = 60;  // passed on for one node, or heeded
inline constexpr std::size_t kReachAttempts = 256;          // links being arranged at once

// Coordinator.
inline constexpr std::size_t kCoordinatorRecords = 200'000;
inline constexpr std::size_t kRecordsPerAddress = 1024;
inline constexpr std::size_t kRequestsPerAddressPerMinute = 6000;

// Times.
inline constexpr Duration kRecordTtl = 600s;
inline constexpr Duration kAnnounceEvery = 120s;  // jittered by a quarter
inline constexpr Duration kLease = 60s;
inline constexpr Duration kRevealTimeout = 10s;
inline constexpr Duration kJudgeTime = 1us;  // a judge's, for each byte that it may have to fetch
inline constexpr Duration kBatchTarget = 100ms;  // work in one commitment
inline constexpr Duration kHelloTimeout = 5s;
inline constexpr Duration kHeartbeatEvery = 500ms;
inline constexpr Duration kLeaderSilence = 2s;   // then its followers take it for dead
inline constexpr Duration kLinkPatience = 1s;    // a lost link may come back so long
inline constexpr Duration kRestartTime = 300ms;  // a node may: nobody listens there meanwhile
inline constexpr Duration kRankStep = 1s;        // each rank waits longer than the one before
inline constexpr Duration kStewardAway = 30s;    // then another takes its place
inline constexpr Duration kHolderAway = 30s;     // then what it holds is copied elsewhere
inline constexpr std::uint64_t kResultsKeptS = 604'800;

}  // namespace shoal::limits
