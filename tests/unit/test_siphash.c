/* SPDX-License-Identifier: MIT */
/* The vectors of the reference implementation: the key 00 01 .. 0f, inputs 00 01 .. of each length.
 */
#include "tests/unit/support.h"

#include "daemon/util/siphash.h"

TEST(the_reference_vectors)
{
    static const uint64_t key[] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    static const uint64_t want[] = {
        0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
        0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
        0x93f5f5799a932462, 0x9e0082df0ba9e4b0,
    };
    unsigned char input[16];
    for (size_t i = 0; i < sizeof(input); i++)
        input[i] = (unsigned char)i;
    for (size_t len = 0; len < sizeof(want) / sizeof(want[0]); len++)
        assert_true(siphash(key, input, len) == want[len]);
    assert_true(siphash(key, input, 15) == 0xa129ca6149be45e5);
}

TEST(key_and_length_count)
{
    static const uint64_t a[] = {1, 2}, b[] = {1, 3};
    assert_true(siphash(a, "frames", 6) != siphash(b, "frames", 6));
    assert_true(siphash(a, "\0", 1) != siphash(a, "\0\0", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reference_vectors),
        cmocka_unit_test(key_and_length_count),
    };
    return RUN_TESTS(tests);
}
