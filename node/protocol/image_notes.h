#pragma once

#include <optional>

#include "node/protocol/bytes.h"

namespace shoal {

// `file` without what an image says about itself in words and times: the text and time chunks of a
// PNG, the comments in the head of a PBM, PGM or PPM. Programs put the date there, and the pixels
// are the same. Nothing: there is none, or it is no such image. Total.
std::optional<Bytes> without_image_notes(ByteView file);

}  // namespace shoal
