/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as a manifest; what parses is written and read back to the same. */
#include <stdlib.h>
#include <string.h>

#include "wire/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
	if (!good)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct manifest m, back;
	struct buf text = BUF_INIT(1u << 24), sums = BUF_INIT(1u << 24);
	struct err e;
	if (manifest_parse(data, size, &m, &e) < 0)
		return 0;
	for (size_t i = 0; i < m.n_files; i++) {
		must(manifest_name_ok(m.files[i].name));
		must(manifest_find(&m, m.files[i].name) == &m.files[i]);
	}
	must(manifest_sums(&m, "", &sums) == 0);
	must(manifest_write(&m, &text, &e) == 0);
	must(manifest_parse(text.data, text.len, &back, &e) == 0);
	must(back.n_files == m.n_files && !memcmp(back.root, m.root, SHA256_LEN));
	must(json_equal(back.about, m.about));
	manifest_free(&m);
	manifest_free(&back);
	buf_free(&text);
	buf_free(&sums);
	return 0;
}
