#include "node/link/zap.h"

#include <array>
#include <string>
#include <vector>

namespace shoal {
namespace {

constexpr const char* kAddress = "inproc://zeromq.zap.01";
constexpr std::string_view kVersion = "1.0";
constexpr std::size_t kFramesMax = 16;

// Version, request id, domain, address, identity, mechanism, then credentials.
constexpr std::size_t kFrames = 7;

void send_frame(void* zap, std::string_view frame, bool more) {
  zmq_send(zap, frame.data(), frame.size(), more ? ZMQ_SNDMORE : 0);
}

}  // namespace

void* open_zap(void* context) {
  void* zap = zmq_socket(context, ZMQ_REP);
  if (zap == nullptr) return nullptr;
  const int linger = 0;
  if (zmq_setsockopt(zap, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
      zmq_bind(zap, kAddress) == 0) {
    return zap;
  }
  zmq_close(zap);
  return nullptr;
}

std::optional<ZapRequest> receive_zap(void* zap) {
  std::vector<std::string> frames;
  zmq_msg_t frame;
  zmq_msg_init(&frame);
  bool more = true;
  while (more) {
    if (zmq_msg_recv(&frame, zap, ZMQ_DONTWAIT) < 0) break;
    if (frames.size() < kFramesMax) {
      frames.emplace_back(static_cast<const char*>(zmq_msg_data(&frame)), zmq_msg_size(&frame));
    }
    more = zmq_msg_more(&frame) != 0;
  }
  zmq_msg_close(&frame);
  if (frames.empty()) return std::nullopt;

  ZapRequest request;
  if (frames.size() > 1) request.request_id = frames[1];
  const auto key = frames.size() == kFrames && frames[0] == kVersion && frames[5] == "CURVE"
                       ? CurveKey::from_bytes(as_bytes(frames[6]))
                       : std::nullopt;
  if (!key) {
    answer_zap(zap, request, std::nullopt);
    return std::nullopt;
  }
  request.key = *key;
  return request;
}

void answer_zap(void* zap, const ZapRequest& request, std::optional<std::string_view> user) {
  send_frame(zap, kVersion, true);
  send_frame(zap, request.request_id, true);
  send_frame(zap, user ? "200" : "400", true);
  send_frame(zap, user ? "OK" : "No room", true);
  send_frame(zap, user.value_or(""), true);
  send_frame(zap, "", false);
}

}  // namespace shoal
