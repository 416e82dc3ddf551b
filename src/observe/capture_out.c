/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/capture_out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "wire/capture.h"
#include "wire/pcapng_write.h"

#define IFACES_MAX 256 /* pairs of a source and a link type */
#define BLOCK      (1u << 18)
#define BLOCK_MAX  (BLOCK + CAPTURE_FRAME_MAX + UINT16_MAX + 2 * PCAPNG_PACKET_ROOM)

struct iface {
	uint16_t source, linktype;
};

struct capture_out {
	char path[4096], temp[4096];
	const char *const *source;
	size_t n_sources;
	int fd, failed; /* failed: -errno of the first write that did */
	struct buf b;
	struct iface iface[IFACES_MAX];
	size_t n_ifaces;
	uint64_t packets, bytes;
};

static int cannot(const char *path, int failed, struct err *e)
{
	if (failed == -EEXIST)
		return err_set(e, failed,
		               "%s exists, and what is in it may matter: name another file", path);
	return err_set(e, failed, "%s cannot be written: %s", path, strerror(-failed));
}

int capture_out_open(const char *path, const char *const *source, size_t n,
                     struct capture_out **ret, struct err *e)
{
	struct capture_out *o;

	if (access(path, F_OK) == 0)
		return cannot(path, -EEXIST, e);
	if (!(o = calloc(1, sizeof(*o))))
		return err_set(e, -ENOMEM, "no memory to write %s", path);
	o->b = BUF_INIT(BLOCK_MAX);
	o->source = source;
	o->n_sources = n;
	if (snprintf(o->path, sizeof(o->path), "%s", path) >= (int)sizeof(o->path) ||
	    snprintf(o->temp, sizeof(o->temp), "%s.XXXXXX", path) >= (int)sizeof(o->temp)) {
		free(o);
		return cannot(path, -ENAMETOOLONG, e);
	}
	if ((o->fd = mkostemp(o->temp, O_CLOEXEC)) < 0) {
		int failed = -errno;
		free(o);
		return cannot(path, failed, e);
	}
	pcapng_put_section(&o->b, "stanch watch");
	*ret = o;
	return 0;
}

static void write_out(struct capture_out *o)
{
	for (size_t done = 0; !o->failed && done < o->b.len;) {
		ssize_t n = sys->write(o->fd, o->b.data + done, o->b.len - done);
		if (n < 0 && errno != EINTR)
			o->failed = -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	o->bytes += o->b.len;
	buf_reset(&o->b);
}

/* The number of the interface in the file; it is made known there when it is first met. */
static uint32_t iface_of(struct capture_out *o, const struct frame *f)
{
	size_t i = 0;

	while (i < o->n_ifaces &&
	       (o->iface[i].source != f->source || o->iface[i].linktype != f->linktype))
		i++;
	if (i < o->n_ifaces || i == IFACES_MAX)
		return (uint32_t)(i < o->n_ifaces ? i : IFACES_MAX);
	o->iface[o->n_ifaces++] = (struct iface){f->source, f->linktype};
	pcapng_put_interface(&o->b, f->linktype,
	                     f->source < o->n_sources ? o->source[f->source] : "");
	return (uint32_t)i;
}

void capture_out_frame(struct capture_out *o, const struct frame *f, const char *comment)
{
	struct pcapng_packet p = {.iface = iface_of(o, f),
	                          .nsec = f->nsec,
	                          .data = f->data,
	                          .cap_len = f->cap_len,
	                          .wire_len = f->wire_len,
	                          .comment = comment};

	if (p.iface == IFACES_MAX) {
		o->failed = o->failed ? o->failed : -E2BIG;
		return;
	}
	if (pcapng_put_packet(&o->b, &p) < 0)
		o->failed = o->failed ? o->failed : o->b.error;
	o->packets++;
	if (o->b.len >= BLOCK)
		write_out(o);
}

uint64_t capture_out_packets(const struct capture_out *o)
{
	return o->packets;
}

uint64_t capture_out_bytes(const struct capture_out *o)
{
	return o->bytes + o->b.len;
}

void capture_out_drop(struct capture_out *o)
{
	if (!o)
		return;
	sys->close(o->fd);
	sys->unlink(o->temp);
	buf_free(&o->b);
	free(o);
}

/* A name that was taken meanwhile stays another's. Not every file system knows the first way; none
 * lacks both. */
static int name_it(const struct capture_out *o)
{
	if (renameat2(AT_FDCWD, o->temp, AT_FDCWD, o->path, RENAME_NOREPLACE) == 0)
		return 0;
	return errno == EINVAL && link(o->temp, o->path) == 0 ? 0 : -errno;
}

int capture_out_close(struct capture_out *o, struct err *e)
{
	int r;

	write_out(o);
	if (!o->failed && sys->fsync(o->fd) < 0)
		o->failed = -errno;
	if (!o->failed)
		o->failed = name_it(o);
	r = o->failed ? cannot(o->path, o->failed, e) : 0;
	capture_out_drop(o);
	return r;
}
