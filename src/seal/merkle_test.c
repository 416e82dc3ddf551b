/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "seal/merkle.h"

/* Leaves and roots of RFC 6962 as certificate-transparency's own test vectors have them. */
static const struct {
	const char *leaf; /* hex */
	const char *root; /* of all leaves up to this one */
} vectors[] = {
    {"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
    {"00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
    {"10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
    {"2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
    {"3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
    {"40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
    {"5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
    {"606162636465666768696a6b6c6d6e6f",
     "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
};

static void roots_are_those_of_the_rfc(void **state)
{
	struct merkle m;
	uint8_t root[SHA256_LEN], leaf[16];
	char hex[SHA256_HEX_MAX];
	merkle_begin(&m);
	assert_int_equal(merkle_root(&m, root), 0);
	assert_string_equal(hex_encode(root, SHA256_LEN, hex),
	                    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		size_t n = strlen(vectors[i].leaf) / 2;
		assert_int_equal(hex_decode(vectors[i].leaf, leaf, n), 0);
		merkle_add(&m, leaf, n);
		assert_int_equal(merkle_root(&m, root), 0);
		assert_string_equal(hex_encode(root, SHA256_LEN, hex), vectors[i].root);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(roots_are_those_of_the_rfc)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
