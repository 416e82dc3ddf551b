/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/strpool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "observe/judge.h"

struct strpool {
	char *text; /* the first byte is the NUL of handle 0 */
	size_t used, size;
	uint32_t *index; /* 0: free; else a handle */
	size_t index_cap, n, max;
	uint64_t refused;
};

int strpool_new(size_t bytes, size_t max, struct strpool **ret)
{
	struct strpool *p;

	if (bytes < 2 || bytes > UINT32_C(1) << 31 || !max || max > UINT32_C(1) << 28)
		return -EINVAL;
	if (!(p = calloc(1, sizeof(*p))))
		return -ENOMEM;
	*p = (struct strpool){.size = bytes, .used = 1, .max = max, .index_cap = 16};
	while (p->index_cap < max * 2)
		p->index_cap *= 2;
	p->text = calloc(1, bytes);
	p->index = calloc(p->index_cap, sizeof(*p->index));
	if (!p->text || !p->index) {
		strpool_free(p);
		return -ENOMEM;
	}
	*ret = p;
	return 0;
}

void strpool_free(struct strpool *p)
{
	if (!p)
		return;
	free(p->text);
	free(p->index);
	free(p);
}

static uint64_t hash_text(const char *s)
{
	uint64_t h = 1;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return hash_mix(h, 0);
}

uint32_t strpool_put(struct strpool *p, const char *s)
{
	size_t len = strlen(s) + 1, i = (size_t)hash_text(s) & (p->index_cap - 1);

	if (len == 1)
		return 0;
	for (; p->index[i]; i = (i + 1) & (p->index_cap - 1))
		if (!strcmp(p->text + p->index[i], s))
			return p->index[i];
	if (p->n == p->max || len > p->size - p->used) {
		p->refused++;
		return 0;
	}
	memcpy(p->text + p->used, s, len);
	p->index[i] = (uint32_t)p->used;
	p->used += len;
	p->n++;
	return p->index[i];
}

const char *strpool_get(const struct strpool *p, uint32_t handle)
{
	return p->text + handle;
}

uint64_t strpool_refused(const struct strpool *p)
{
	return p->refused;
}
