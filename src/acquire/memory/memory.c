/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `acquire memory`: which way to the memory is taken, and what is said about it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "acquire/captures.h"
#include "acquire/memory/core.h"
#include "acquire/memory/image.h"
#include "acquire/memory/kit.h"
#include "acquire/memory/lime_module.h"
#include "acquire/memory/phys.h"
#include "acquire/hostfile.h"
#include "base/sys.h"
#include "base/table.h"

#define IMAGE_NAME "memory.lime"
#define RESERVE    (UINT64_C(64) << 20) /* of the destination, beside what the image takes */
#define KIT_SIZE   (UINT64_C(64) << 20)

struct way {
	struct phys_range *ram; /* owned */
	size_t n_ram;
	uint64_t bytes;
	struct phys phys;
	bool open; /* phys is */
	struct buf tried;
};

static void way_close(struct way *w)
{
	if (w->open)
		phys_close(&w->phys);
	free(w->ram);
	buf_free(&w->tried);
}

/* The first source that can be read, or the one that is insisted upon. */
static int way_open(struct way *w, const char *insist, struct err *e)
{
	int only = insist ? phys_kind_parse(insist) : _PHYS_MAX, first = 0;
	struct err why = {0};
	if (only < 0)
		return err_set(e, -EINVAL,
		               "--source %.40s is none: kcore, crash or mem (for LiME give --lime "
		               "FILE.ko)",
		               insist);
	for (int k = 0; k < _PHYS_MAX; k++) {
		if (only != _PHYS_MAX && k != only)
			continue;
		struct err own = {0};
		int r = phys_open((enum phys_kind)k, w->ram, w->n_ram, &w->phys, &own);
		if (r == 0) {
			w->open = true;
			return 0;
		}
		buf_addf(&w->tried, "%s\n", own.text);
		if (!first) {
			first = r;
			why = own;
		}
	}
	return err_set(e, first, "%s%s", why.text,
	               only == _PHYS_MAX ? "; the others neither. A LiME module for this kernel "
	                                   "(--lime FILE.ko) may still do"
	                                 : "");
}

static int ranges(struct way *w, struct err *e)
{
	*w = (struct way){.tried = BUF_INIT(4096)};
	int r = phys_ranges(&w->ram, &w->n_ram, NULL, e);
	for (size_t i = 0; r == 0 && i < w->n_ram; i++)
		w->bytes += phys_range_len(&w->ram[i]);
	return r;
}

static int check_space(int dest, uint64_t bytes, struct err *e)
{
	struct statvfs v;
	if (dest < 0 || fstatvfs(dest, &v) < 0)
		return 0;
	uint64_t room = (uint64_t)v.f_bavail * v.f_frsize;
	if (room >= bytes + KIT_SIZE + RESERVE)
		return 0;
	return err_set(e, -ENOSPC,
	               "the destination has %" PRIu64
	               " MiB free, the image and what goes beside it "
	               "need %" PRIu64 " MiB with a reserve; name another --to",
	               room >> 20, (bytes + KIT_SIZE + RESERVE) >> 20);
}

static bool secure_boot(bool *ret_known)
{
	struct buf b = BUF_INIT(16);
	int r = hostfile_read(AT_FDCWD,
	                      "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-"
	                      "00e098032b8c",
	                      &b);
	bool on = r == 0 && b.len >= 5 && b.data[4] == 1;
	*ret_known = r == 0 || r == -ENOENT;
	buf_free(&b);
	return on;
}

static json_t *describe(const struct way *w, const char *source)
{
	char lockdown[32], line[160];
	bool known;
	bool boot = secure_boot(&known);
	json_t *notes = json_array();
	snprintf(line, sizeof(line), "lockdown: %s; Secure Boot: %s", kit_lockdown(lockdown),
	         boot    ? "on"
	         : known ? "off"
	                 : "unknown");
	json_array_append_new(notes, json_string(line));
	snprintf(line, sizeof(line), "%zu ranges of memory, %" PRIu64 " MiB, by %s", w->n_ram,
	         w->bytes >> 20, source);
	json_array_append_new(notes, json_string(line));
	return json_pack("{s:s, s:I, s:s, s:s, s:b, s:o}", "source", "memory of this host", "bytes",
	                 (json_int_t)w->bytes, "by", source, "lockdown", lockdown, "secure_boot",
	                 boot, "notes", notes);
}

static int pid_of(const struct capture_order *o, struct err *e)
{
	uint64_t pid = capture_number(o, "pid", 0);
	if (pid > 0 && pid <= 4194304)
		return (int)pid;
	return err_set(e, -EINVAL, "--pid takes the number of a process");
}

static int check_words(const struct capture_order *o, struct err *e)
{
	bool pid = capture_has(o, "pid");
	if (pid && (capture_has(o, "source") || capture_has(o, "lime")))
		return err_set(e, -EINVAL,
		               "--pid reads a process: no --source and no --lime with it");
	if (capture_has(o, "source") && capture_has(o, "lime"))
		return err_set(e, -EINVAL, "--lime is a source: no --source with it");
	if (capture_has(o, "hold") && !pid)
		return err_set(e, -EINVAL, "--hold stops one process: it needs --pid");
	return 0;
}

static int memory_preflight(const struct capture_order *o, int dest, json_t **ret, struct err *e)
{
	struct way w;
	json_t *j = NULL;
	int r = check_words(o, e);
	if (r < 0)
		return r;
	if (capture_has(o, "pid")) {
		int pid = pid_of(o, e);
		return pid < 0 ? pid : core_preflight(pid, ret, e);
	}
	r = ranges(&w, e);
	const char *ko = capture_text(o, "lime", NULL);
	if (r == 0 && !ko)
		r = way_open(&w, capture_text(o, "source", NULL), e);
	if (r == 0)
		r = check_space(dest, w.bytes, e);
	if (r == 0) {
		j = describe(&w, ko ? "LiME's module" : phys_kind_str(w.phys.kind));
		r = j ? 0 : err_set(e, -ENOMEM, "out of memory");
	}
	way_close(&w);
	if (r == 0)
		*ret = j;
	return r;
}

static int put_header(void *arg, struct capture_file *f, const struct phys_range *r, struct err *e)
{
	const struct capture_sink *s = arg;
	uint8_t header[LIME_HEADER_LEN];
	lime_put(r, header);
	return s->ops->write(f, header, sizeof(header), e);
}

static json_t *ranges_json(const struct way *w)
{
	json_t *v = json_array();
	for (size_t i = 0; i < w->n_ram; i++) {
		char first[24], last[24];
		snprintf(first, sizeof(first), "0x%" PRIx64, w->ram[i].first);
		snprintf(last, sizeof(last), "0x%" PRIx64, w->ram[i].last);
		json_array_append_new(v, json_pack("{s:s, s:s}", "first", first, "last", last));
	}
	return v;
}

/* What is unread beyond parts of pages at the edges of ranges, which the kernel has no use for. */
static uint64_t unread_pages(const struct fill *f)
{
	uint64_t n = f->bytes_unread;
	for (size_t i = 0; i < f->n_unread; i++)
		if (f->unread[i].error == -ENXIO && phys_range_len(&f->unread[i].range) < FILL_PAGE)
			n -= phys_range_len(&f->unread[i].range);
	return n;
}

/* The kernel's own windows. */
static int read_way(struct way *w, struct capture_sink *s, struct capture_file *f,
                    struct capture_report *ret, struct err *e)
{
	struct image i = {.fill = {.read = phys_read, .arg = &w->phys},
	                  .ranges = w->ram,
	                  .n_ranges = w->n_ram,
	                  .head = put_header,
	                  .head_arg = s,
	                  .doing = "reading memory",
	                  .zeros = BUF_INIT(IMAGE_ZEROS_MAX)};
	int r = image_write(&i, s, f, e);
	if (r == 0)
		r = image_map(&i, s, "memory.map", e);
	if (r == 0) {
		ret->missing = i.fill.bytes_unread;
		ret->outcome = unread_pages(&i.fill) ? CAPTURE_PARTIAL : CAPTURE_WHOLE;
		if (ret->outcome == CAPTURE_WHOLE && ret->missing)
			buf_addf(&ret->notes,
			         "%" PRIu64 " bytes are less than a page at the edge of a range, "
			         "which the kernel does not use and kcore does not have\n",
			         ret->missing);
		else if (ret->missing)
			buf_addf(&ret->notes,
			         "%" PRIu64 " bytes in %zu ranges could not be read; zeros stand "
			         "there and memory.map lists them\n",
			         ret->missing, i.fill.n_unread);
		json_object_set_new(s->facts, "read", image_json(&i));
		json_object_set_new(s->facts, "by", json_string(phys_kind_str(w->phys.kind)));
	}
	image_free(&i);
	return r;
}

static int read_lime(const char *ko, struct way *w, struct capture_sink *s, struct capture_file *f,
                     struct capture_report *ret, struct err *e)
{
	struct lime_result l = {0};
	int r = s->ops->log(s, "loading a module", json_pack("{s:s}", "path", ko), e);
	if (r == 0)
		r = lime_module_run(ko, w->ram, w->n_ram, s, f, &l, e);
	if (r < 0)
		return r;
	ret->missing = l.missing;
	ret->outcome = l.missing ? CAPTURE_PARTIAL : CAPTURE_WHOLE;
	buf_addf(&ret->notes, "LiME fills what it cannot read with zeros and does not say where\n");
	if (l.missing)
		buf_addf(&ret->notes,
		         "LiME wrote %" PRIu64 " bytes less than /proc/iomem has memory\n",
		         l.missing);
	if (l.left_loaded)
		buf_addf(&ret->notes, "the module %s could not be unloaded\n", l.name);
	json_object_set_new(s->facts, "by", json_string("lime"));
	json_object_set_new(s->facts, "read",
	                    json_pack("{s:I, s:I, s:i, s:b}", "read_bytes", (json_int_t)l.bytes,
	                              "unread_bytes", (json_int_t)l.missing, "ranges",
	                              (int)l.ranges, "module_left_loaded", l.left_loaded));
	return 0;
}

static int take(const struct capture_order *o, struct way *w, struct capture_sink *s,
                struct capture_report *ret, struct err *e)
{
	const char *ko = capture_text(o, "lime", NULL);
	struct capture_file *f = NULL;
	char lockdown[32];
	int r = s->ops->begin(s, IMAGE_NAME, &f, e);
	if (r < 0)
		return r;
	r = ko ? read_lime(ko, w, s, f, ret, e) : read_way(w, s, f, ret, e);
	if (r < 0) {
		s->ops->drop(f, true);
		return r;
	}
	r = s->ops->end(f, e);
	snprintf(ret->main_file, sizeof(ret->main_file), IMAGE_NAME);
	ret->bytes = w->bytes;
	json_object_set_new(s->facts, "format", json_string("lime"));
	json_object_set_new(s->facts, "ranges", ranges_json(w));
	json_object_set_new(s->facts, "lockdown", json_string(kit_lockdown(lockdown)));
	if (w->tried.len)
		json_object_set_new(s->facts, "tried_before", json_string(buf_str(&w->tried)));
	return r;
}

static int memory_run(const struct capture_order *o, struct capture_sink *s,
                      struct capture_report *ret, struct err *e)
{
	struct way w;
	int r = check_words(o, e);
	if (r < 0)
		return r;
	if (capture_has(o, "pid")) {
		int pid = pid_of(o, e);
		return pid < 0 ? pid : core_run(pid, capture_has(o, "hold"), s, ret, e);
	}
	r = ranges(&w, e);
	if (r == 0 && !capture_has(o, "lime"))
		r = way_open(&w, capture_text(o, "source", NULL), e);
	if (r == 0)
		r = take(o, &w, s, ret, e);
	/* After the memory, which it would change. */
	if (r == 0)
		r = kit_take(s, w.open ? &w.phys.headers : NULL, e);
	way_close(&w);
	return r;
}

static const char *const memory_options[] = {"source", "lime", "pid", "hold", NULL};

const struct capture_ops capture_memory = {
    .name = "memory",
    .options = memory_options,
    .preflight = memory_preflight,
    .run = memory_run,
};
