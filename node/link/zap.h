#pragma once

#include <optional>
#include <string_view>

#include "node/link/sockets.h"

// The handler that libzmq asks about every client (ZAP, RFC 27), on the network thread: its answer
// is a name that the messages of the connection carry from then on.
namespace shoal {

// Bound where libzmq looks for it; nullptr and errno where that fails.
void* open_zap(void* context);
std::optional<ZapRequest> receive_zap(void* zap);
// Nothing for `user`: 400. (300 and 500 would mean "later"; libzmq 4.3.4 never tries again after
// either.)
void answer_zap(void* zap, const ZapRequest& request, std::optional<std::string_view> user);

}  // namespace shoal
