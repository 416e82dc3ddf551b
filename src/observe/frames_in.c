/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/frames_in.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "observe/record.h"
#include "wire/capture.h"

struct frames_in {
	size_t n_sources, len; /* len: bytes of the record at hand */
	uint8_t bytes[sizeof(struct frame_record) + CAPTURE_FRAME_MAX];
};

int frames_in_new(size_t n_sources, struct frames_in **ret)
{
	struct frames_in *s = malloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->n_sources = n_sources;
	s->len = 0;
	*ret = s;
	return 0;
}

void frames_in_free(struct frames_in *s)
{
	free(s);
}

/* Moves what lacks to `want` bytes over, as far as it is there; true: now they are there. */
static bool gather(struct frames_in *s, const uint8_t **p, size_t *n, size_t want)
{
	size_t more = s->len < want ? want - s->len : 0;

	if (more > *n)
		more = *n;
	memcpy(s->bytes + s->len, *p, more);
	s->len += more;
	*p += more;
	*n -= more;
	return s->len >= want;
}

int frames_in_take(struct frames_in *s, const uint8_t *p, size_t n, size_t n_picks, frame_in_fn cb,
                   void *arg)
{
	struct frame f;
	size_t pick;

	while (n || s->len >= sizeof(struct frame_record)) {
		if (!gather(s, &p, &n, sizeof(struct frame_record)))
			return 0;
		if (record_to_frame(s->bytes, s->n_sources, n_picks, &f, &pick) < 0)
			return -EBADMSG;
		if (!gather(s, &p, &n, sizeof(struct frame_record) + f.cap_len))
			return 0;
		f.data = s->bytes + sizeof(struct frame_record);
		s->len = 0;
		cb(arg, &f, pick);
	}
	return 0;
}

bool frames_in_whole(const struct frames_in *s)
{
	return !s->len;
}
