#include "tests/sim/kernel.h"

#include <algorithm>
#include <cstring>

#include "node/protocol/result.h"
#include "tests/sim/mix.h"

namespace shoal::sim {

Bytes encode_kernel(const SimKernel& kernel) {
  Bytes bytes;
  append64(bytes, kernel.unit_ns);
  append64(bytes, kernel.spread_permille);
  append64(bytes, kernel.output_bytes);
  append64(bytes, kernel.fail_every);
  append64(bytes, kernel.noisy ? 1 : 0);
  return bytes;
}

SimKernel kernel_of(const Manifest& manifest) {
  check(manifest.parameters.size() == 5 * 8, "not the parameters of a simulated job");
  const std::uint8_t* at = manifest.parameters.data();
  SimKernel kernel;
  kernel.unit_ns = load64(at);
  kernel.spread_permille = static_cast<std::uint32_t>(load64(at + 8));
  kernel.output_bytes = static_cast<std::uint32_t>(load64(at + 16));
  kernel.fail_every = static_cast<std::uint32_t>(load64(at + 24));
  kernel.noisy = load64(at + 32) != 0;
  return kernel;
}

bool unit_fails(const SimKernel& kernel, UnitIndex unit) {
  return kernel.fail_every != 0 && (unit + 1) % kernel.fail_every == 0;
}

Time unit_time(const SimKernel& kernel, const JobId& job, UnitIndex unit, double speed) {
  double ns = static_cast<double>(kernel.unit_ns) / speed;
  if (kernel.spread_permille != 0) {
    const std::uint64_t dice = splitmix(load64(job.bytes.data() + 8) ^ splitmix(unit));
    const double share = static_cast<double>(dice >> 11) * 0x1.0p-53;  // in [0, 1)
    ns *= 1.0 + (2.0 * share - 1.0) * kernel.spread_permille / 1000.0;
  }
  return std::max<Time>(1, static_cast<Time>(ns));
}

std::uint64_t unit_word(const JobId& job, UnitIndex unit, std::uint64_t twist) {
  return splitmix(load64(job.bytes.data()) ^ splitmix(unit) ^ twist);
}

Bytes unit_output(const SimKernel& kernel, const JobId& job, UnitIndex unit, std::uint64_t twist,
                  std::uint8_t noise) {
  Bytes output(std::max<std::size_t>(8, kernel.output_bytes));
  std::uint64_t word = unit_word(job, unit, twist);
  for (std::size_t at = 0; at < output.size(); at += 8) {
    std::memcpy(output.data() + at, &word, std::min<std::size_t>(8, output.size() - at));
    word = splitmix(word);
  }
  if (kernel.noisy) output.back() = noise;
  return output;
}

bool equivalent_outputs(const SimKernel& kernel, ByteView a, ByteView b) {
  if (a.size() != b.size() || a.empty()) return a.size() == b.size();
  const std::size_t judged = a.size() - (kernel.noisy ? 1 : 0);
  return std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(judged), b.begin());
}

}  // namespace shoal::sim
