#include "names/name_order.h"

#include <iterator>
#include <string>
#include <string_view>

#include "expect.h"
#include "tests.h"

namespace fsq::test {
namespace {

std::string Field(std::string_view name, int index) {
  size_t begin = 0;
  size_t end = 0;
  return FindField(name, index, &begin, &end) ? std::string(name.substr(begin, end - begin)) : "none";
}

}  // namespace

void FieldsAreFound() {
  EXPECT(Field("_t_e_p_h_0_a_b", 0) == "t");
  EXPECT(Field("_t_e_p_h_0_a_b", 4) == "0");
  EXPECT(Field("_t_e_p_h_0_a_b", 6) == "b");
  EXPECT(Field("_t_e_p_h_0_a_b", 7) == "none");
  EXPECT(Field("@t_@e", 0) == "t_");
  EXPECT(Field("__", 0).empty());
  EXPECT(Field("__", 1).empty());
  EXPECT(Field("_", 0).empty());
  EXPECT(Field("_", 1) == "none");
  EXPECT(Field("", 0) == "none");
}

void NamesAreInFifoOrder() {
  // fsq standard, section 2: the timestamp as bytes, entropies of digits by value, others by bytes, the rest
  // as bytes, malformed names last.
  constexpr std::string_view kInOrder[] = {
      "_1_9_p_h_0",
      "_10_5_p_h_0",
      "_2__p_h_0",  // no digits at all
      "_3_00_p_h_0",
      "_3_0_p_h_0",
      "_3_2_p_h_0",
      "@3@10@p@h@0",
      "_3_10_p_h_0",
      "_3_10_p_h_0_a",
      "_3_10_p_i_0",
      "_3_18446744073709551615_p_h_0",
      "_3_018446744073709551616_p_h_0",
      "_3_99999999999999999999999999999999999999_p_h_0",
      "_3_100000000000000000000000000000000000000_p_h_0",
      "_3_+1_p_h_0",
      "_3_1x_p_h_0",
      "_3_\xff_p_h_0",
      "\xff_\xff_\xff_\xff_\xff_\xff",  // its first byte parts it
      "",
      "_",
      "_1_2_3_4",
      "x",
  };
  constexpr size_t kCount = std::size(kInOrder);
  for (size_t left = 0; left < kCount; left++) {
    for (size_t right = 0; right < kCount; right++) {
      const bool before =
          ComesBefore(kInOrder[left], KeyOf(kInOrder[left]), kInOrder[right], KeyOf(kInOrder[right]));
      EXPECT(before == (left < right));
    }
  }
}

}  // namespace fsq::test
