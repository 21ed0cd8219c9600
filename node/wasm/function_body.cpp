#include "node/wasm/function_body.h"

#include <cstdint>

#include "node/wasm/module.h"
#include "node/wasm/reader.h"

namespace shoal::wasm {
namespace {

constexpr char kThreads[] = "the module has atomic instructions: kernels have no threads";
constexpr char kReferences[] =
    "the module has instructions on references or tables, which kernels may not use";

void skip_memory_argument(Reader& body) {
  if (body.u32() >= 32) body.fail("an instruction's alignment is malformed");
  body.u32();
}

// 0xfc: saturating conversions, and copies within the memory.
void skip_bulk(Reader& body) {
  const std::uint32_t code = body.u32();
  if (code <= 7) return;
  switch (code) {
    case 8:  // memory.init
      body.u32();
      body.byte();
      return;
    case 9:  // data.drop
      body.u32();
      return;
    case 10:  // memory.copy
      body.byte();
      body.byte();
      return;
    case 11:  // memory.fill
      body.byte();
      return;
    default:
      body.fail(kReferences);
  }
}

// 0xfd: SIMD of 128 bits, as in the standard; what came later is relaxed SIMD.
void skip_vector(Reader& body) {
  const std::uint32_t code = body.u32();
  if (code >= 256) {
    body.fail("the module has relaxed SIMD, whose results differ between processors");
  } else if (code <= 11 || code == 92 || code == 93) {  // loads and stores
    skip_memory_argument(body);
  } else if (code == 12 || code == 13) {  // v128.const, i8x16.shuffle
    body.bytes(16);
  } else if (code >= 21 && code <= 34) {  // of one lane
    body.byte();
  } else if (code >= 84 && code <= 91) {  // loads and stores of one lane
    skip_memory_argument(body);
    body.byte();
  }
}

void skip_branch_table(Reader& body) {
  const std::uint32_t targets = body.u32();
  for (std::uint32_t i = 0; i < targets && !body.failed(); ++i) body.u32();
  body.u32();
}

// What follows the code of an instruction that is neither a block nor its end.
void skip_operands(Reader& body, std::uint8_t code) {
  if (code >= 0x45 && code <= 0xc4) return;  // arithmetic
  if (code >= 0x28 && code <= 0x3e) return skip_memory_argument(body);
  if (code >= 0x20 && code <= 0x24) {  // locals and globals
    body.u32();
    return;
  }
  switch (code) {
    case 0x00:  // unreachable
    case 0x01:  // nop
    case 0x05:  // else
    case 0x0f:  // return
    case 0x1a:  // drop
    case 0x1b:  // select
      return;
    case 0x0c:  // br
    case 0x0d:  // br_if
    case 0x10:  // call
      body.u32();
      return;
    case 0x0e:
      return skip_branch_table(body);
    case 0x11:  // call_indirect
      body.u32();
      body.u32();
      return;
    case 0x1c:  // select, typed
      if (body.u32() != 1) body.fail("an instruction of the module is malformed");
      body.byte();
      return;
    case 0x3f:  // memory.size
    case 0x40:  // memory.grow
      body.byte();
      return;
    case 0x41:
      return body.skip_signed(32);
    case 0x42:
      return body.skip_signed(64);
    case 0x43:
      body.bytes(4);
      return;
    case 0x44:
      body.bytes(8);
      return;
    case 0xfc:
      return skip_bulk(body);
    case 0xfd:
      return skip_vector(body);
    case 0xfe:
      return body.fail(kThreads);
    case 0x25:
    case 0x26:
    case 0xd0:
    case 0xd1:
    case 0xd2:
      return body.fail(kReferences);
    default:
      body.fail("the module has instructions that are not of WebAssembly 1.0 or its SIMD (code " +
                std::to_string(code) + "), which kernels may not use");
  }
}

std::uint64_t count_locals(Reader& body) {
  const std::uint32_t groups = body.u32();
  std::uint64_t locals = 0;
  for (std::uint32_t i = 0; i < groups && !body.failed(); ++i) {
    locals += body.u32();
    body.byte();
  }
  if (locals > limits::kFunctionLocals) {
    body.fail("a function of the module has " + std::to_string(locals) + " local variables, and " +
              std::to_string(limits::kFunctionLocals) + " are the most");
  }
  return locals;
}

}  // namespace

BodyCheck check_body(ByteView bytes, std::size_t parameters) {
  constexpr std::uint64_t kLoopWeight = 4;
  Reader body(bytes);
  const std::uint64_t variables = parameters + count_locals(body);
  std::uint64_t blocks = 0;
  std::uint32_t depth = 1;  // the function itself is a block
  while (!body.failed() && depth > 0) {
    const std::uint8_t code = body.byte();
    if (code == 0x0b) {
      --depth;
    } else if (code == 0x02 || code == 0x03 || code == 0x04) {
      body.skip_signed(33);  // the block's type
      blocks += code == 0x03 ? kLoopWeight : 1;
      if (++depth > limits::kBlockDepth) {
        body.fail("a function of the module nests more than " +
                  std::to_string(limits::kBlockDepth) + " blocks");
      }
    } else {
      skip_operands(body, code);
    }
  }
  if (!body.failed() && !body.at_end()) body.fail("a function of the module goes on after its end");
  const std::uint64_t weight = blocks * variables;
  if (weight > limits::kFunctionWeight) {
    body.fail("a function of the module has too many blocks for its " + std::to_string(variables) +
              " local variables: compiling it would take too long");
  }
  return {body.fault(), weight};
}

}  // namespace shoal::wasm
