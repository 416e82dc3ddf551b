/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A disk into an image.
 *
 * Invariants
 *  1. The SHA-256 that is told is of every byte of the image's content, also after a resume: what
 *     an earlier run wrote is read back from the image and hashed with the rest.
 *  2. disk.map says of each byte of the source whether it was read; what was not is zero in the
 *     image. It is put on disk after the bytes that it vouches for.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/ioprio.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "acquire/bundle_files.h"
#include "acquire/captures.h"
#include "acquire/image.h"
#include "acquire/source.h"
#include "base/clock.h"
#include "base/sys.h"
#include "base/table.h"

#define MAP_FILE    "disk.map"
#define ZEROS_FILE  "disk.zeros"
#define STATE_FILE  "disk.state"
#define STATE_MAX   (64u << 20)
#define RESERVE     "64M"
#define ZERO_BLOCK  65536
#define SAVE_FIRST  (200 * USEC_PER_MSEC)
#define SAVE_EVERY  (5 * USEC_PER_SEC)
#define SPACE_EVERY 64 /* pieces */

static const struct image_format *const formats[] = {&image_raw, &image_zstd, &image_e01};

struct zero_run {
	uint64_t at, size;
};

struct disk {
	const struct capture_order *o;
	struct capture_sink *sink;
	const struct image_format *format;
	struct source source;
	void *image;
	pthread_mutex_t lock; /* source.map: the reader adds, the writer saves */
	struct digest digests[_DIGEST_MAX];
	bool wanted[_DIGEST_MAX];
	uint64_t split, rate, reserve, resume, written, zero_bytes;
	struct out_file zeros;
	struct zero_run run;
	usec_t begun, saved, save_after;
	bool idle_set;
};

/* --- options --- */

static const struct image_format *format_find(const char *name, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (!strcmp(formats[i]->name, name))
			return formats[i];
	err_set(e, -EINVAL, "--format %.40s: there are raw, zstd and e01", name);
	return NULL;
}

static int read_hashes(const char *list, bool wanted[static _DIGEST_MAX], struct err *e)
{
	char copy[128], *save = NULL;
	snprintf(copy, sizeof copy, "%s", list);
	wanted[DIGEST_SHA256] = true;
	for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		int k = digest_kind_parse(w);
		if (k < 0)
			return err_set(e, -EINVAL,
			               "--hash %.40s: there are sha256, md5, sha1 and blake2b", w);
		wanted[k] = true;
	}
	return 0;
}

static int size_option(const struct capture_order *o, const char *name, const char *otherwise,
                       uint64_t *ret, struct err *e)
{
	const char *text = capture_text(o, name, otherwise);
	int r = text ? capture_size_parse(text, ret, e) : 0;
	return r ? err_prefix(e, r, "--%s", name) : 0;
}

static int read_options(struct disk *d, struct err *e)
{
	const struct capture_order *o = d->o;
	d->format = format_find(capture_text(o, "format", "raw"), e);
	int r = d->format ? read_hashes(capture_text(o, "hash", "sha256"), d->wanted, e) : -EINVAL;
	if (!r)
		r = size_option(o, "split", NULL, &d->split, e);
	if (!r)
		r = size_option(o, "rate", NULL, &d->rate, e);
	if (!r)
		r = size_option(o, "reserve", RESERVE, &d->reserve, e);
	if (!r && d->split && d->format == &image_zstd)
		r = err_set(e, -EINVAL, "--split goes with raw and e01; zstd is one file");
	uint64_t least = d->format == &image_e01 ? 16 * PIECE_BYTES : PIECE_BYTES;
	if (!r && d->split && d->split < least)
		r = err_set(e, -EINVAL, "--split: at least %uM for %s",
		            (unsigned)(least / PIECE_BYTES), d->format->name);
	return r;
}

/* --- before --- */

static int check_space(const struct disk *d, int dest, json_t *notes, struct err *e)
{
	struct statvfs fs;
	if (dest < 0 || fstatvfs(dest, &fs) < 0)
		return 0;
	uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (room >= d->reserve && room - d->reserve >= d->source.size)
		return 0;
	if (d->format == &image_raw)
		return err_set(e, -ENOSPC,
		               "the destination has %" PRIu64 " bytes free, and %" PRIu64
		               " are needed with %" PRIu64
		               " to stay free (--reserve): give a larger one, or --format zstd",
		               room, d->source.size + d->reserve, d->reserve);
	json_array_append_new(notes, json_string("the destination has less room than the source is "
	                                         "large: it must compress, or it ends when the "
	                                         "reserve is reached"));
	return 0;
}

static void note_lines(json_t *notes, const char *text)
{
	for (const char *end; *text; text = *end ? end + 1 : end) {
		end = strchrnul(text, '\n');
		json_array_append_new(notes, json_stringn(text, (size_t)(end - text)));
	}
}

static int disk_preflight(const struct capture_order *o, int dest, json_t **ret, struct err *e)
{
	struct disk d = {.o = o};
	struct buf mounts = BUF_INIT(64u << 10);
	int r = read_options(&d, e);
	if (!r)
		r = source_open(o->source, &d.source, e);
	if (r)
		return r;
	json_t *notes = json_array();
	r = source_apart(&d.source, dest, e);
	if (!r && !o->resume_dir)
		r = check_space(&d, dest, notes, e);
	if (!r && d.format == &image_e01 && d.source.size % 512)
		r = err_set(e, -EOPNOTSUPP,
		            "an E01 has whole sectors of 512 bytes and %s has not; "
		            "take it raw or zstd",
		            o->source);
	source_mounts(&d.source, &mounts);
	note_lines(notes, buf_str(&mounts));
	if (mounts.len)
		json_array_append_new(notes,
		                      json_string("the image will be smeared: it changes while it "
		                                  "is read. Begin and end are noted."));
	json_t *facts = source_facts(&d.source);
	json_t *j = json_pack("{s:s, s:I, s:s, s:o, s:o}", "source", o->source, "bytes",
	                      (json_int_t)d.source.size, "format", d.format->name, "device", facts,
	                      "notes", notes);
	buf_free(&mounts);
	source_close(&d.source);
	if (r || !j) {
		json_decref(j);
		return r ? r : err_set(e, -ENOMEM, "out of memory");
	}
	*ret = j;
	return 0;
}

/* --- the stages --- */

/* Sleeps until what was read fits the rate. */
static void keep_rate(const struct disk *d, uint64_t done)
{
	while (d->rate && !*d->sink->stop) {
		double due = (double)done / (double)d->rate * USEC_PER_SEC;
		double now = (double)(boot_now() - d->begun);
		if (due <= now)
			return;
		double wait = due - now < 1e5 ? due - now : 1e5;
		nanosleep(&(struct timespec){.tv_nsec = (long)(wait * 1000)}, NULL);
	}
}

static int stage_read(void *arg, struct piece *p, struct err *e)
{
	struct disk *d = arg;
	if (!d->idle_set && capture_has(d->o, "idle"))
		syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
		        IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
	d->idle_set = true;
	if (*d->sink->stop)
		return err_set(e, -EINTR, "stopped as asked at byte %" PRIu64, p->at);
	uint64_t left = p->at < d->source.size ? d->source.size - p->at : 0;
	p->n = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
	if (!p->n)
		return 0;
	p->stored = p->at < d->resume;
	if (p->stored)
		return d->format->reread(d->image, p, e);
	keep_rate(d, p->at - d->resume);
	pthread_mutex_lock(&d->lock);
	int r = source_read(&d->source, p->at, p->raw, p->n, e);
	pthread_mutex_unlock(&d->lock);
	return r;
}

static int stage_hash(void *arg, const struct piece *p)
{
	struct disk *d = arg;
	for (int k = 0; k < _DIGEST_MAX; k++)
		if (d->wanted[k])
			digest_add(&d->digests[k], p->raw, p->n);
	return d->digests[DIGEST_SHA256].error;
}

static int stage_pack(void *arg, unsigned worker, struct piece *p)
{
	struct disk *d = arg;
	return d->format->pack(d->image, worker, p);
}

/* Zero runs that were read as such: they are holes in the image, but not unread. */
static int end_run(struct disk *d, struct err *e)
{
	char line[80];
	if (!d->run.size)
		return 0;
	int n = snprintf(line, sizeof line, "0x%08" PRIX64 "  0x%08" PRIX64 "\n", d->run.at,
	                 d->run.size);
	d->zero_bytes += d->run.size;
	d->run.size = 0;
	return out_write(&d->zeros, line, (size_t)n, e);
}

static int note_zeros(struct disk *d, const struct piece *p, struct err *e)
{
	int r = 0;
	for (size_t i = 0; i < p->n && !r; i += ZERO_BLOCK) {
		size_t n = p->n - i < ZERO_BLOCK ? p->n - i : ZERO_BLOCK;
		if (!all_zero(p->raw + i, n)) {
			r = end_run(d, e);
			continue;
		}
		if (!d->run.size)
			d->run.at = p->at + i;
		d->run.size += n;
	}
	return r;
}

/* The map up to what is written, '?' behind it. */
static int clip(const struct ddmap *m, uint64_t end, uint64_t size, struct ddmap *ret)
{
	int r = 0;
	for (size_t i = 0; i < m->n && !r && m->v[i].at < end; i++) {
		uint64_t n = m->v[i].size;
		if (n > end - m->v[i].at)
			n = end - m->v[i].at;
		r = ddmap_add(ret, m->v[i].at, n, m->v[i].state);
	}
	return r || end == size ? r : ddmap_add(ret, end, size - end, '?');
}

/* What is written so far is put on disk, and then said. */
static int save(struct disk *d, struct err *e)
{
	struct ddmap m = {0};
	struct buf text = BUF_INIT(STATE_MAX);
	int r = d->format->sync(d->image);
	pthread_mutex_lock(&d->lock);
	if (!r)
		r = clip(&d->source.map, d->written, d->source.size, &m);
	pthread_mutex_unlock(&d->lock);
	if (!r)
		r = ddmap_write(&m, &text);
	r = r ? err_set(e, r, "the state cannot be saved: %s", strerror(-r))
	      : file_replace(d->sink->dir, MAP_FILE, text.data, text.len, e);
	ddmap_free(&m);
	buf_free(&text);
	d->saved = boot_now();
	return r;
}

static int check_reserve(const struct disk *d, struct err *e)
{
	struct statvfs fs;
	if (fstatvfs(d->sink->dir, &fs) < 0 || (uint64_t)fs.f_bavail * fs.f_frsize >= d->reserve)
		return 0;
	return err_set(e, -ENOSPC,
	               "the destination has no more than the reserve of %" PRIu64
	               " bytes free: make room and resume",
	               d->reserve);
}

static int stage_write(void *arg, struct piece *p, struct err *e)
{
	struct disk *d = arg;
	int r = note_zeros(d, p, e);
	if (!r && !p->stored && p->at / PIECE_BYTES % SPACE_EVERY == 0)
		r = check_reserve(d, e);
	if (!r)
		r = d->format->write(d->image, p, e);
	if (r)
		return r;
	d->written = p->at + p->n;
	d->sink->ops->progress(d->sink, p->stored ? "reading back" : "reading", d->written,
	                       d->source.size);
	if (!d->format->resumes || p->stored || boot_now() - d->saved < d->save_after)
		return 0;
	d->save_after = d->save_after * 2 < SAVE_EVERY ? d->save_after * 2 : SAVE_EVERY;
	return save(d, e);
}

static const struct pipe_ops stages = {
    .read = stage_read, .hash = stage_hash, .pack = stage_pack, .write = stage_write};
static const struct pipe_ops stages_unpacked = {
    .read = stage_read, .hash = stage_hash, .write = stage_write};

/* --- resuming --- */

/* How the image is made: a resume must make it the same way. */
static char *state_text(const struct disk *d)
{
	char *text = NULL;
	json_t *j = json_pack("{s:s, s:I, s:I}", "format", d->format->name, "split",
	                      (json_int_t)d->split, "size", (json_int_t)d->source.size);
	if (j)
		text = json_dumps(j, JSON_SORT_KEYS | JSON_COMPACT);
	json_decref(j);
	return text;
}

static int take_map(struct disk *d, const struct ddmap *m, struct err *e)
{
	uint64_t done = 0;
	for (size_t i = 0; i < m->n && m->v[i].state != '?'; i++)
		done = m->v[i].at + m->v[i].size;
	done = done == d->source.size ? done : done / PIECE_BYTES * PIECE_BYTES;
	if (done > d->source.size)
		return err_set(e, -EBADMSG, MAP_FILE " is of a larger disk");
	d->resume = done;
	for (size_t i = 0; i < m->n && m->v[i].at < done; i++) {
		uint64_t n = m->v[i].size < done - m->v[i].at ? m->v[i].size : done - m->v[i].at;
		int r = ddmap_add(&d->source.map, m->v[i].at, n, m->v[i].state);
		if (r)
			return err_set(e, r, MAP_FILE " cannot be taken over");
	}
	return 0;
}

static int begin_state(struct disk *d, struct err *e)
{
	char *text = state_text(d);
	int r = text ? file_put(d->sink->dir, STATE_FILE, text, strlen(text), e)
	             : err_set(e, -ENOMEM, "out of memory");
	free(text);
	return r;
}

static int load_state(struct disk *d, struct err *e)
{
	struct buf text = BUF_INIT(STATE_MAX), was = BUF_INIT(SMALL_MAX);
	struct ddmap m = {0};
	char *now = state_text(d);
	int r = now ? file_slurp(d->sink->dir, STATE_FILE, &was) : -ENOMEM;
	if (r == -ENOENT) {
		/* It ended before anything was noted, or after all was: from the beginning. */
		free(now);
		return begin_state(d, e);
	}
	if (r)
		r = err_set(e, r, "the state of the earlier run cannot be read: %s", strerror(-r));
	else if (strcmp(buf_str(&was), now) != 0)
		r = err_set(
		    e, -EINVAL,
		    "it was begun otherwise (%.100s) than it would go on now (%.100s): give "
		    "the same --format and --split, and the same disk",
		    buf_str(&was), now);
	/* Nothing was saved yet: from the beginning. */
	int got = r ? r : file_slurp(d->sink->dir, MAP_FILE, &text);
	if (!r && !got)
		r = ddmap_parse(buf_str(&text), text.len, &m, e);
	else if (!r && got != -ENOENT)
		r = err_set(e, got, MAP_FILE " cannot be read: %s", strerror(-got));
	if (!r && m.n)
		r = take_map(d, &m, e);
	ddmap_free(&m);
	buf_free(&text);
	buf_free(&was);
	free(now);
	return r;
}

/* --- the whole --- */

static int begin(struct disk *d, struct err *e)
{
	int r = read_options(d, e);
	if (!r)
		r = source_open(d->o->source, &d->source, e);
	if (r)
		return r;
	d->source.retries = (unsigned)capture_number(d->o, "retries", 0);
	if (d->o->resume_dir && !d->format->resumes)
		return err_set(e, -EOPNOTSUPP, "an unfinished %s is not gone on with: take it anew",
		               d->format->name);
	r = d->o->resume_dir ? load_state(d, e) : begin_state(d, e);
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	const struct image_want w = {.sink = d->sink,
	                             .size = d->source.size,
	                             .split = d->split,
	                             .resume = d->o->resume_dir != NULL,
	                             .evidence = d->o->evidence,
	                             .examiner = d->o->examiner,
	                             .case_id = d->o->case_id,
	                             .workers = cpus < 1              ? 1
	                                        : cpus > PIPE_WORKERS ? PIPE_WORKERS
	                                                              : (unsigned)cpus};
	if (!r)
		r = d->format->open(&w, &d->image, e);
	if (!r)
		r = out_open(&d->zeros, d->sink, ZEROS_FILE, d->o->resume_dir != NULL, true, e);
	for (int k = 0; k < _DIGEST_MAX && !r; k++)
		if (d->wanted[k])
			digest_begin(&d->digests[k], (enum digest_kind)k);
	d->begun = d->saved = boot_now();
	d->save_after = SAVE_FIRST;
	if (!r)
		r = pipe_run(d->format->pack ? &stages : &stages_unpacked, d, w.workers,
		             d->format->out_cap, e);
	return r;
}

static int put_map(struct disk *d, struct err *e)
{
	struct buf text = BUF_INIT(STATE_MAX);
	struct out_file f;
	int r = ddmap_write(&d->source.map, &text);
	if (r)
		err_set(e, r, "the map is too big");
	else
		r = out_open(&f, d->sink, MAP_FILE, true, true, e);
	if (!r) {
		r = out_write(&f, text.data, text.len, e);
		r = r ? (out_drop(&f), r) : out_end(&f, NULL, e);
	}
	buf_free(&text);
	return r;
}

struct sums {
	uint8_t v[_DIGEST_MAX][DIGEST_LEN_MAX];
	size_t n[_DIGEST_MAX];
};

static int end_digests(struct disk *d, struct sums *s, json_t *hashes)
{
	int worst = 0;
	for (int k = 0; k < _DIGEST_MAX; k++) {
		char hex[2 * DIGEST_LEN_MAX + 1];
		if (!d->wanted[k])
			continue;
		int r = digest_end(&d->digests[k], s->v[k], &s->n[k]);
		worst = r ? r : worst;
		if (!r)
			json_object_set_new(hashes, digest_kind_str((enum digest_kind)k),
			                    json_string(hex_encode(s->v[k], s->n[k], hex)));
	}
	return worst;
}

static int finish(struct disk *d, struct capture_report *ret, struct err *e)
{
	struct sums sums = {0};
	json_t *hashes = json_object();
	int r = end_run(d, e);
	if (!r && (r = end_digests(d, &sums, hashes)))
		err_set(e, r, "hashing failed");
	const struct image_end x = {
	    .sha256 = sums.v[DIGEST_SHA256],
	    .md5 = d->wanted[DIGEST_MD5] ? sums.v[DIGEST_MD5] : NULL,
	    .sha1 = d->wanted[DIGEST_SHA1] ? sums.v[DIGEST_SHA1] : NULL,
	    .map = &d->source.map,
	    .sector = d->source.sector,
	};
	if (!r)
		r = d->format->end(d->image, &x, e);
	if (!r)
		r = out_end(&d->zeros, NULL, e);
	if (!r)
		r = put_map(d, e);
	if (!r)
		unlinkat(d->sink->dir, STATE_FILE, 0);
	ret->missing = ddmap_sum(&d->source.map, '-');
	ret->bytes = d->source.size;
	ret->outcome = ret->missing ? CAPTURE_PARTIAL : CAPTURE_WHOLE;
	snprintf(ret->main_file, sizeof ret->main_file, "%s", d->format->file);
	hex_encode(sums.v[DIGEST_SHA256], SHA256_LEN, ret->sha256);
	json_object_set_new(d->sink->facts, "hashes", hashes);
	if (ret->missing)
		buf_addf(&ret->notes,
		         "%" PRIu64 " bytes could not be read, are zero in the image, and stand in "
		         "data/" MAP_FILE " as '-'\n",
		         ret->missing);
	return r;
}

static void put_facts(struct disk *d, const char *mounts)
{
	json_t *lines = json_array(), *f = d->sink->facts;
	char when[TIME_STR_MAX];
	note_lines(lines, mounts);
	json_object_set_new(f, "format", json_string(d->format->name));
	json_object_set_new(f, "device", source_facts(&d->source));
	json_object_set_new(f, "zero_bytes", json_integer((json_int_t)d->zero_bytes));
	json_object_set_new(f, "resumed_at", json_integer((json_int_t)d->resume));
	json_object_set_new(f, "smeared", json_boolean(mounts[0] != 0));
	json_object_set_new(f, "mounted", lines);
	json_object_set_new(f, "read_until", json_string(time_str(wall_now(), when)));
}

static void close_all(struct disk *d)
{
	d->format->close(d->image);
	out_drop(&d->zeros);
	for (int k = 0; k < _DIGEST_MAX; k++)
		digest_drop(&d->digests[k]);
	source_close(&d->source);
	pthread_mutex_destroy(&d->lock);
}

static int disk_run(const struct capture_order *o, struct capture_sink *s,
                    struct capture_report *ret, struct err *e)
{
	struct disk d = {
	    .o = o, .sink = s, .format = &image_raw, .source = {.fd = -1, .direct = -1}};
	struct buf mounts = BUF_INIT(64u << 10);
	d.zeros.fd = -1;
	pthread_mutex_init(&d.lock, NULL);
	int r = begin(&d, e);
	if (r && d.image && d.format->resumes && d.written > d.resume)
		(void)save(&d, NULL);
	source_mounts(&d.source, &mounts);
	if (!r) {
		put_facts(&d, buf_str(&mounts));
		r = finish(&d, ret, e);
	}
	if (mounts.len)
		buf_addf(&ret->notes,
		         "%sthe image is smeared: what is mounted changed while it was "
		         "read\n",
		         buf_str(&mounts));
	buf_free(&mounts);
	close_all(&d);
	return r;
}

static const char *const options[] = {"format",  "split",   "hash", "rate",
                                      "reserve", "retries", "idle", NULL};

const struct capture_ops capture_disk = {
    .name = "disk",
    .argument = "DEV",
    .options = options,
    .preflight = disk_preflight,
    .run = disk_run,
    .resumable = true,
};
