#pragma once

#include <string>

#include "node/protocol/messages.h"

// What a receipt is worth, found without believing whoever sent it.
namespace shoal {

struct ReceiptFinding {
  std::string fault;  // empty: the receipt holds
  Hash256 root;       // Merkle root over the digests of its outputs; zero unless it is kVerified
};

// One pass over the outputs, then one signature check for each piece of evidence. What it cannot
// see is collusion: q workers that agree on a lie, or a steward that withholds a replica.
ReceiptFinding examine_receipt(const Manifest&, const JobId&, const Receipt&,
                               const SignatureChecker&);

// What of it does not hold; empty where all of it does.
std::string receipt_fault(const Manifest&, const JobId&, const Receipt&, const SignatureChecker&);

}  // namespace shoal
