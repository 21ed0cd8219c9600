#pragma once

namespace shoal {

// Whether this program is built with AddressSanitizer or ThreadSanitizer: their shadow memory would
// count against a limit on memory, and their reports need calls that a sandbox denies.
// shoal-sandbox, which is built without them, is told by SHOAL_SANITIZED.
#if defined(SHOAL_SANITIZED) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace shoal
