#include <fcntl.h>
#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_reduce.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "node/protocol/executor_messages.h"
#include "sdk/host/host.h"

// Kernels that do what a worker must survive. Each misbehaves in the one unit that its parameters
// name, and squares the unit's index in all others.
namespace {

struct Where {
  std::uint64_t unit = 0;
  std::string folder;
  SHOAL_FIELDS(unit, folder)
};

using Unit = shoal::Unit;

std::uint64_t square(const shoal::Nothing&, std::uint64_t unit) { return unit * unit; }

shoal::Nothing noop(const shoal::Nothing&, std::uint64_t) { return {}; }

std::uint64_t throws(Unit& unit, const Where& where, std::uint64_t index) {
  if (index == where.unit) {
    unit.log("about to fail");
    unit.fail("no luck with this one");
  }
  return index * index;
}

std::uint64_t segfaults(const Where& where, std::uint64_t index) {
  if (index == where.unit) {
    std::fputs("here it comes\n", stderr);
    volatile int* nowhere = nullptr;
    *nowhere = 1;
  }
  return index * index;
}

std::uint64_t overflows_stack(const Where& where, std::uint64_t index) {
  struct Deeper {
    static int go(volatile int* above) {
      if (above != nullptr && above[0] == 1 << 30) return 0;  // never: the stack ends long before
      volatile int here[1024];
      here[0] = above == nullptr ? 0 : above[0] + 1;
      return go(here) + here[0];
    }
  };
  if (index == where.unit) return static_cast<std::uint64_t>(Deeper::go(nullptr));
  return index * index;
}

std::uint64_t spins(const Where& where, std::uint64_t index) {
  volatile std::uint64_t turns = 0;
  while (index == where.unit) turns = turns + 1;
  return index * index;
}

std::uint64_t allocates(const Where& where, std::uint64_t index) {
  if (index != where.unit) return index * index;
  std::vector<std::vector<char>> hoard;
  for (;;) hoard.emplace_back(64 << 20);
}

std::uint64_t writes_garbage(const Where& where, std::uint64_t index) {
  if (index == where.unit) {
    const char garbage[] = "\xff\xff\xff\xff this is no frame";
    // The executor's socket is the third descriptor that it is given.
    if (write(3, garbage, sizeof garbage) < 0) std::abort();
  }
  return index * index;
}

std::uint64_t sleeps(const Where& where, std::uint64_t index) {
  while (index == where.unit) pause();
  return index * index;
}

std::uint64_t prints_without_end(const Where& where, std::uint64_t index) {
  while (index == where.unit) std::fputs("and on and on and on\n", stderr);
  return index * index;
}

// As if the executor began anew.
std::uint64_t greets_again(const Where& where, std::uint64_t index) {
  if (index == where.unit) {
    const shoal::Bytes frame = shoal::encode_executor_frame(shoal::ExecutorHello{});
    if (write(3, frame.data(), frame.size()) < 0) std::abort();
    pause();
  }
  return index * index;
}

std::uint64_t answers_unasked(const Where& where, std::uint64_t index) {
  if (index == where.unit) {
    shoal::ChunkPart part;
    part.chunk = 1'000'000;
    const shoal::Bytes frame = shoal::encode_executor_frame(part);
    if (write(3, frame.data(), frame.size()) < 0) std::abort();
    pause();
  }
  return index * index;
}

// The number of the chunk that it runs in, which no kernel is told: it is on the page that the
// executor and its worker share, the fourth descriptor.
std::uint64_t chunk_of(std::uint64_t unit) {
  void* memory = mmap(nullptr, sizeof(shoal::RunningPage), PROT_READ, MAP_SHARED, 4, 0);
  if (memory == MAP_FAILED) std::abort();
  for (const auto& slot : static_cast<const shoal::RunningPage*>(memory)->slots) {
    const auto running = shoal::read_slot(slot);
    if (running && running->unit == unit) return running->chunk;
  }
  std::abort();
}

// In the executor's place, with outputs of so many bytes each.
void answer(std::uint64_t unit, const std::vector<shoal::Range>& runs, std::size_t bytes) {
  shoal::ChunkPart part;
  part.chunk = chunk_of(unit);
  part.runs = runs;
  part.sizes.assign(runs.size(), static_cast<std::uint32_t>(bytes));
  const shoal::Bytes outputs(runs.size() * bytes, 'x');
  part.outputs = outputs;
  const shoal::Bytes frame = shoal::encode_executor_frame(part);
  for (std::size_t sent = 0; sent < frame.size();) {
    const ssize_t more = write(3, frame.data() + sent, frame.size() - sent);
    if (more < 0) std::abort();
    sent += static_cast<std::size_t>(more);
  }
  pause();
}

std::uint64_t answers_twice(const Where& where, std::uint64_t index) {
  const shoal::Range own{index, index + 1};
  if (index == where.unit) answer(index, {own, own}, 8);
  return index * index;
}

std::uint64_t answers_for_another(const Where& where, std::uint64_t index) {
  if (index == where.unit) answer(index, {{index + 1'000'000, index + 1'000'001}}, 8);
  return index * index;
}

// More than 64 MiB, which a job allows that says nothing else.
std::uint64_t answers_too_much(const Where& where, std::uint64_t index) {
  if (index == where.unit) answer(index, {{index, index + 1}}, (64U << 20) + 1);
  return index * index;
}

// A frame's length, and as much of it as anybody takes.
[[noreturn]] void claim(std::uint8_t top_byte_of_length) {
  const std::uint8_t length[] = {0, 0, 0, top_byte_of_length};
  if (write(3, length, sizeof length) < 0) std::abort();
  const std::vector<char> more(1 << 20, 'x');
  while (write(3, more.data(), more.size()) > 0) {
  }
  std::abort();
}

std::uint64_t claims_too_much(const Where& where, std::uint64_t index) {
  if (index == where.unit) claim(0x80);  // 2 GiB
  return index * index;
}

std::uint64_t claims_half_a_gigabyte(const Where& where, std::uint64_t index) {
  if (index == where.unit) claim(0x20);
  return index * index;
}

std::uint64_t exits(const Where& where, std::uint64_t index) {
  if (index == where.unit) _exit(3);
  return index * index;
}

// As a library does that gives up, or a program that became a kernel.
std::uint64_t calls_exit(const Where& where, std::uint64_t index) {
  if (index == where.unit) {
    std::fputs("so long", stdout);
    std::exit(3);
  }
  return index * index;
}

// As a library does that makes a daemon.
std::uint64_t closes_descriptors(const Where& where, std::uint64_t index) {
  if (index == where.unit) {
    for (int fd = 0; fd < 1024; ++fd) close(fd);
  }
  return index * index;
}

struct Counted {
  std::uint64_t steps = 0;
  std::uint64_t begun = 0;  // how often it was called
  SHOAL_FIELDS(steps, begun)
};

// Counts to ten and waits to be interrupted, and counts on to twenty when it is called again.
Counted counts(Unit& unit, const Where& where, std::uint64_t index) {
  Counted state = unit.saved<Counted>().value_or(Counted{});
  const std::uint64_t end = state.steps + 10;
  state.begun += 1;
  while (state.steps < end) {
    state.steps += 1;
    unit.save(state);
  }
  while (state.begun == 1 && index == where.unit && !unit.cancelled()) usleep(1000);
  return state;
}

// Takes a lock on the file "running" while it waits for the file "go": all that can be said from
// inside a sandbox about a folder outside that may only be read.
std::uint64_t waits(Unit& unit, const Where& where, std::uint64_t index) {
  const std::string folder = where.folder;
  const int running = open((folder + "/running").c_str(), O_RDONLY | O_CLOEXEC);
  if (running < 0 || flock(running, LOCK_SH) != 0) unit.fail("the folder cannot be read");
  while (access((folder + "/go").c_str(), F_OK) != 0 && !unit.cancelled()) usleep(1000);
  close(running);
  return index * index;
}

std::uint64_t sums_in_parallel(const shoal::Nothing&, std::uint64_t index) {
  return tbb::parallel_reduce(
      tbb::blocked_range<std::uint64_t>(0, 10'000), index,
      [](const auto& range, std::uint64_t sum) {
        for (std::uint64_t i = range.begin(); i != range.end(); ++i) sum += i;
        return sum;
      },
      [index](std::uint64_t a, std::uint64_t b) { return a + b - index; });
}

shoal::Bytes repeats(const Where& where, const shoal::Bytes& input) {
  shoal::Bytes output;
  for (std::uint64_t i = 0; i < where.unit; ++i) {
    output.insert(output.end(), input.begin(), input.end());
  }
  return output;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<shoal::KernelEntry> kernels = {
      shoal::Kernel{"square", square},
      shoal::Kernel{"noop", noop},
      shoal::Kernel{"throws", throws},
      shoal::Kernel{"segfaults", segfaults},
      shoal::Kernel{"overflows_stack", overflows_stack},
      shoal::Kernel{"spins", spins},
      shoal::Kernel{"allocates", allocates},
      shoal::Kernel{"writes_garbage", writes_garbage},
      shoal::Kernel{"sleeps", sleeps},
      shoal::Kernel{"prints_without_end", prints_without_end},
      shoal::Kernel{"greets_again", greets_again},
      shoal::Kernel{"answers_unasked", answers_unasked},
      shoal::Kernel{"answers_twice", answers_twice},
      shoal::Kernel{"answers_for_another", answers_for_another},
      shoal::Kernel{"answers_too_much", answers_too_much},
      shoal::Kernel{"claims_too_much", claims_too_much},
      shoal::Kernel{"claims_half_a_gigabyte", claims_half_a_gigabyte},
      shoal::Kernel{"exits", exits},
      shoal::Kernel{"calls_exit", calls_exit},
      shoal::Kernel{"closes_descriptors", closes_descriptors},
      shoal::Kernel{"counts", counts},
      shoal::Kernel{"waits", waits},
      shoal::Kernel{"sums_in_parallel", sums_in_parallel},
      shoal::Kernel{"repeats", repeats},
      shoal::Kernel{"near", square}.equivalent(
          [](std::uint64_t a, std::uint64_t b) { return a < b ? b - a <= 1 : a - b <= 1; }),
  };
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    for (const auto& kernel : kernels) std::printf("%s\n", kernel.name.c_str());
    return 0;
  }
  const auto channels = shoal::take_host_channels();
  return channels ? shoal::serve_executor(kernels, *channels) : 2;
}
