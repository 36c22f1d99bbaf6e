// A fuzz target has libFuzzer's entry point, and the pieces that driver.cc makes inputs of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace fsq::test {

std::span<const std::string_view> FuzzPieces();

}  // namespace fsq::test
