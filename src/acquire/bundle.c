/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "acquire/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "acquire/bundle_files.h"
#include "base/clock.h"
#include "base/sys.h"
#include "base/table.h"
#include "model/field.h"
#include "wire/tsq.h"

#define DATA       "data"
#define FINISH_MAX (128u << 20)

struct bundle {
	struct capture_sink sink; /* first */
	int dir, log;
	struct manifest manifest;
	void (*progress)(void *arg, const char *doing, uint64_t done, uint64_t total);
	void *progress_arg;
};

struct capture_file {
	struct bundle *bundle;
	int fd;
	uint64_t at;
	struct sha256 hash;
	char name[CAPTURE_NAME_MAX];
};

/* --- the sink --- */

static int full_name(const char *name, char dst[static MANIFEST_NAME_MAX], struct err *e)
{
	if (snprintf(dst, MANIFEST_NAME_MAX, DATA "/%s", name) >= MANIFEST_NAME_MAX ||
	    !manifest_name_ok(dst))
		return err_set(e, -EINVAL, "\"%.80s\" is no name for a file of the bundle", name);
	return 0;
}

/* Makes the folders that name has, and opens the one that it is in. */
static int open_folder(int dir, const char *name, struct err *e)
{
	char part[CAPTURE_NAME_MAX];
	int at = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	for (const char *end; at >= 0 && (end = strchr(name, '/')); name = end + 1) {
		snprintf(part, sizeof part, "%.*s", (int)(end - name), name);
		if (mkdirat(at, part, 0700) < 0 && errno != EEXIST)
			break;
		int next =
		    sys->openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
		sys->close(at);
		at = next;
	}
	if (at < 0 || strchr(name, '/')) {
		int r = -errno;
		if (at >= 0)
			sys->close(at);
		return err_set(e, r, "a folder of the bundle cannot be made: %s", strerror(-r));
	}
	return at;
}

static int sink_begin(struct capture_sink *s, const char *name, struct capture_file **ret,
                      struct err *e)
{
	char whole[MANIFEST_NAME_MAX];
	int r = full_name(name, whole, e);
	if (r)
		return r;
	_cleanup_close_ int folder = open_folder(s->dir, name, e);
	struct capture_file *f = folder < 0 ? NULL : calloc(1, sizeof *f);
	if (!f)
		return folder < 0 ? folder : err_set(e, -ENOMEM, "out of memory");
	f->bundle = (struct bundle *)s;
	snprintf(f->name, sizeof f->name, "%s", name);
	const char *last = strrchr(name, '/');
	f->fd = sys->openat(folder, last ? last + 1 : name,
	                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (f->fd < 0) {
		r = err_set(e, -errno, "%s cannot be made in the bundle: %s", name,
		            strerror(errno));
		free(f);
		return r;
	}
	sha256_begin(&f->hash);
	*ret = f;
	return 0;
}

static int sink_write(struct capture_file *f, const void *bytes, size_t n, struct err *e)
{
	const uint8_t *p = bytes;
	while (n) {
		ssize_t w = sys->pwrite(f->fd, p, n, (off_t)f->at);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			int r = w < 0 ? -errno : -EIO;
			return err_set(e, r, "%s cannot be written: %s", f->name, strerror(-r));
		}
		sha256_add(&f->hash, p, (size_t)w);
		f->at += (uint64_t)w;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

static int sink_zeros(struct capture_file *f, uint64_t n, struct err *e)
{
	static const uint8_t zero[65536];
	f->at += n;
	if (f->at > INT64_MAX)
		return err_set(e, -EFBIG, "%s would be too large", f->name);
	for (uint64_t k; n; n -= k) {
		k = n < sizeof zero ? n : sizeof zero;
		sha256_add(&f->hash, zero, k);
	}
	return 0;
}

static int list_file(struct bundle *b, const char *name, uint64_t size,
                     const uint8_t sha256[static SHA256_LEN], struct err *e)
{
	char whole[MANIFEST_NAME_MAX];
	int r = full_name(name, whole, e);
	return r ? r : manifest_add(&b->manifest, whole, size, sha256, e);
}

static int sink_list(struct capture_sink *s, const char *name, uint64_t size,
                     const uint8_t sha256[static EVIDENCE_HASH_LEN], struct err *e)
{
	return list_file((struct bundle *)s, name, size, sha256, e);
}

static void sink_drop(struct capture_file *f, bool keep)
{
	if (!f)
		return;
	sha256_drop(&f->hash);
	sys->close(f->fd);
	if (!keep)
		unlinkat(f->bundle->sink.dir, f->name, 0);
	free(f);
}

static int sink_end(struct capture_file *f, struct err *e)
{
	uint8_t hash[SHA256_LEN];
	int r = sys->ftruncate(f->fd, (off_t)f->at) < 0 || sys->fsync(f->fd) < 0 ? -errno : 0;
	if (!r)
		r = sha256_end(&f->hash, hash);
	if (r)
		err_set(e, r, "%s cannot be finished: %s", f->name, strerror(-r));
	else
		r = list_file(f->bundle, f->name, f->at, hash, e);
	sink_drop(f, true);
	return r;
}

static int sink_log(struct capture_sink *s, const char *what, json_t *fields, struct err *e)
{
	struct bundle *b = (struct bundle *)s;
	char when[TIME_STR_MAX];
	json_t *line = json_pack("{s:s, s:s}", "time", time_str(wall_now(), when), "what", what);
	if (fields)
		json_object_update_missing(line, fields);
	json_decref(fields);
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
	json_decref(line);
	struct buf out = BUF_INIT(SMALL_MAX);
	buf_addf(&out, "%s\n", text ? text : "");
	int r = text ? out.error : -ENOMEM;
	/* One write, so that a line is whole or not there. */
	if (!r && sys->write(b->log, out.data, out.len) != (ssize_t)out.len)
		r = errno ? -errno : -EIO;
	free(text);
	buf_free(&out);
	return r ? err_set(e, r, "the log of the bundle cannot be written: %s", strerror(-r)) : 0;
}

static void sink_progress(struct capture_sink *s, const char *doing, uint64_t done, uint64_t total)
{
	struct bundle *b = (struct bundle *)s;
	if (b->progress)
		b->progress(b->progress_arg, doing, done, total);
}

static const struct capture_sink_ops bundle_ops = {
    .begin = sink_begin,
    .write = sink_write,
    .zeros = sink_zeros,
    .end = sink_end,
    .drop = sink_drop,
    .list = sink_list,
    .log = sink_log,
    .progress = sink_progress,
};

/* --- making and closing --- */

/* One folder deeper. made: -EEXIST is no error. */
static int enter(int at, const char *name, bool may_exist, struct err *e)
{
	if (mkdirat(at, name, 0700) < 0 && !(errno == EEXIST && may_exist))
		return err_set(e, -errno, "the folder %.200s cannot be made: %s", name,
		               strerror(errno));
	int fd = sys->openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, -errno, "the folder %.200s cannot be opened: %s", name,
		               strerror(errno));
	return fd;
}

static int begin_bundle(int dir, struct bundle **ret, struct err *e)
{
	static const volatile bool never = false;
	struct bundle *b = calloc(1, sizeof *b);
	if (!b) {
		sys->close(dir);
		return err_set(e, -ENOMEM, "out of memory");
	}
	b->dir = dir;
	b->log = -1;
	b->sink.ops = &bundle_ops;
	b->sink.stop = &never;
	b->sink.facts = json_object();
	b->sink.dir = enter(dir, DATA, true, e);
	int r = b->sink.dir < 0 ? b->sink.dir : 0;
	if (!r && flock(dir, LOCK_EX | LOCK_NB) < 0)
		r = err_set(e, errno == EWOULDBLOCK ? -EBUSY : -errno,
		            "another process works on this evidence");
	if (!r)
		b->log = sys->openat(b->sink.dir, BUNDLE_LOG,
		                     O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (!r && b->log < 0)
		r = err_set(e, -errno, "the log of the bundle cannot be made: %s", strerror(errno));
	if (r) {
		bundle_close(b);
		return r;
	}
	*ret = b;
	return 0;
}

int bundle_create(const char *to, const char *incident, unsigned id, struct bundle **ret,
                  char place[static EVIDENCE_PATH_MAX], struct err *e)
{
	char name[16], real[PATH_MAX];
	if (sys->mkdir(to, 0700) < 0 && errno != EEXIST)
		return err_set(e, -errno, "--to %s cannot be made: %s", to, strerror(errno));
	_cleanup_close_ int at = sys->open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (at < 0 || !realpath(to, real))
		return err_set(e, -errno, "--to %s cannot be opened: %s", to, strerror(errno));
	_cleanup_close_ int folder = enter(at, incident, true, e);
	if (folder < 0)
		return folder;
	snprintf(name, sizeof name, "e%u", id);
	if (snprintf(place, EVIDENCE_PATH_MAX, "%s/%s/%s", real, incident, name) >=
	    EVIDENCE_PATH_MAX)
		return err_set(e, -ENAMETOOLONG, "--to: the path is too long");
	int dir = enter(folder, name, false, e);
	return dir < 0 ? dir : begin_bundle(dir, ret, e);
}

int bundle_reopen(const char *place, struct bundle **ret, struct err *e)
{
	int dir = sys->open(place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (dir < 0)
		return err_set(e, -errno, "%s cannot be opened: %s", place, strerror(errno));
	if (faccessat(dir, BUNDLE_MANIFEST, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		sys->close(dir);
		return err_set(e, -EALREADY, "%s is finished: it has its manifest", place);
	}
	return begin_bundle(dir, ret, e);
}

void bundle_close(struct bundle *b)
{
	if (!b)
		return;
	json_decref(b->sink.facts);
	manifest_free(&b->manifest);
	if (b->log >= 0)
		sys->close(b->log);
	if (b->sink.dir >= 0)
		sys->close(b->sink.dir);
	sys->close(b->dir);
	free(b);
}

struct capture_sink *bundle_sink(struct bundle *b)
{
	return &b->sink;
}

void bundle_on_progress(struct bundle *b,
                        void (*cb)(void *arg, const char *doing, uint64_t done, uint64_t total),
                        void *arg)
{
	b->progress = cb;
	b->progress_arg = arg;
}

/* --- finishing --- */

/* A small file: into the bundle, and as a line into the manifest. */
static int put_listed(struct bundle *b, const char *name, const void *bytes, size_t n,
                      struct err *e)
{
	uint8_t hash[SHA256_LEN];
	int r = file_put(b->dir, name, bytes, n, e);
	if (!r && (r = sha256_of(bytes, n, hash)))
		err_set(e, r, "%s cannot be hashed", name);
	return r ? r : manifest_add(&b->manifest, name, n, hash, e);
}

/* BagIt's labels are ours; what people typed stays on one line. */
static void info_line(struct buf *out, const char *label, const char *value)
{
	if (!value[0])
		return;
	buf_addf(out, "%s: ", label);
	for (const char *p = value; *p; p++)
		buf_addf(out, "%c", (unsigned char)*p < ' ' ? ' ' : *p);
	buf_addf(out, "\n");
}

static int put_info(struct bundle *b, const struct bundle_about *a, struct err *e)
{
	struct buf out = BUF_INIT(SMALL_MAX);
	const struct evidence *v = a->evidence;
	char when[TIME_STR_MAX], id[64], oxum[64];
	uint64_t bytes = 0, files = 0;
	for (size_t i = 0; i < b->manifest.n_files; i++)
		if (!strncmp(b->manifest.files[i].name, DATA "/", strlen(DATA "/"))) {
			bytes += b->manifest.files[i].size;
			files++;
		}
	snprintf(id, sizeof id, "e%u", v->id);
	snprintf(oxum, sizeof oxum, "%" PRIu64 ".%" PRIu64, bytes, files);
	time_str(v->ended, when);
	when[10] = 0;
	info_line(&out, "Bag-Software-Agent", a->version);
	info_line(&out, "Bagging-Date", when);
	info_line(&out, "Payload-Oxum", oxum);
	info_line(&out, "External-Identifier", id);
	info_line(&out, "Bag-Group-Identifier", a->incident);
	info_line(&out, "External-Description", v->kind);
	info_line(&out, "Evidence-Source", v->source);
	info_line(&out, "Contact-Name", v->examiner);
	info_line(&out, "Case-Identifier", v->case_id);
	info_line(&out, "Reason", v->reason);
	int r = out.error ? err_set(e, out.error, "out of memory")
	                  : put_listed(b, FILE_BAG_INFO, out.data, out.len, e);
	buf_free(&out);
	return r;
}

static int list_log(struct bundle *b, struct err *e)
{
	uint8_t hash[SHA256_LEN];
	uint64_t size = 0;
	int r = sys->fsync(b->log) < 0 ? -errno : file_hash(b->sink.dir, BUNDLE_LOG, hash, &size);
	return r ? err_set(e, r, "the log of the bundle cannot be read back: %s", strerror(-r))
	         : list_file(b, BUNDLE_LOG, size, hash, e);
}

static int put_sums(struct bundle *b, const char *name, const struct manifest *of,
                    const char *prefix, bool listed, struct err *e)
{
	struct buf out = BUF_INIT(FINISH_MAX);
	int r = manifest_sums(of, prefix, &out);
	if (r)
		r = err_set(e, r, "out of memory");
	else
		r = listed ? put_listed(b, name, out.data, out.len, e)
		           : file_put(b->dir, name, out.data, out.len, e);
	buf_free(&out);
	return r;
}

static int make_about(struct bundle *b, const struct bundle_about *a, struct err *e)
{
	char id[16];
	char *text = evidence_json(a->evidence);
	json_t *j = NULL;
	int r = text ? field_load(text, SMALL_MAX, "evidence", &j, e)
	             : err_set(e, -ENOMEM, "out of memory");
	free(text);
	if (r)
		return r;
	snprintf(id, sizeof id, "e%u", a->evidence->id);
	json_t *more = json_pack("{s:s, s:s, s:s, s:s, s:O, s:O}", "evidence", id, "incident",
	                         a->incident, "software", a->version, "journal_head",
	                         a->journal_head, "previous", a->previous, "facts", b->sink.facts);
	/* What only is known afterwards stands in the journal. */
	json_object_del(j, "files");
	json_object_del(j, "manifest");
	json_object_del(j, "merkle_root");
	if (!more || json_object_update(j, more)) {
		json_decref(more);
		json_decref(j);
		return err_set(e, -ENOMEM, "out of memory");
	}
	json_decref(more);
	b->manifest.about = j;
	return 0;
}

/* A file that is made from the manifest's bytes. */
struct made {
	const char *name;
	const void *bytes;
	size_t n;
};

/* Of all that is not data: what BagIt calls the tag manifest. */
static int put_tag_sums(struct bundle *b, const struct made *made, size_t n, struct err *e)
{
	struct manifest tags = {0};
	uint8_t hash[SHA256_LEN];
	int r = 0;
	for (size_t i = 0; i < b->manifest.n_files && !r; i++) {
		const struct manifest_file *f = &b->manifest.files[i];
		if (strncmp(f->name, DATA "/", strlen(DATA "/")) != 0)
			r = manifest_add(&tags, f->name, f->size, f->sha256, e);
	}
	for (size_t i = 0; i < n && !r; i++) {
		r = sha256_of(made[i].bytes, made[i].n, hash);
		r = r ? err_set(e, r, "%s cannot be hashed", made[i].name)
		      : manifest_add(&tags, made[i].name, made[i].n, hash, e);
	}
	if (!r)
		r = manifest_seal(&tags, e);
	if (!r)
		r = put_sums(b, FILE_TAGSUMS, &tags, "", false, e);
	manifest_free(&tags);
	return r;
}

/* manifest.json itself is the last: with it the evidence is finished. */
static int put_made(struct bundle *b, const struct seal_key *key, const struct buf *text,
                    uint8_t hash[static SHA256_LEN], struct err *e)
{
	uint8_t signature[SEAL_SIGNATURE_LEN], tsq[TSQ_LEN];
	char pub[SEAL_PEM_MAX];
	int r = seal_sign(key, text->data, text->len, signature, e);
	if (!r)
		r = seal_pub_text(key, pub, e);
	if (!r && (r = sha256_of(text->data, text->len, hash)))
		err_set(e, r, "the manifest cannot be hashed");
	if (r)
		return r;
	tsq_write(hash, tsq);
	const struct made made[] = {
	    {FILE_TSQ, tsq, sizeof tsq},
	    {FILE_KEY, pub, strlen(pub)},
	    {FILE_SIG, signature, sizeof signature},
	    {BUNDLE_MANIFEST, text->data, text->len},
	};
	r = put_tag_sums(b, made, ARRAY_SIZE(made), e);
	for (size_t i = 0; i < ARRAY_SIZE(made) && !r; i++)
		r = file_put(b->dir, made[i].name, made[i].bytes, made[i].n, e);
	return r;
}

static int put_manifest(struct bundle *b, const struct seal_key *key,
                        uint8_t hash[static SHA256_LEN], struct err *e)
{
	struct buf text = BUF_INIT(MANIFEST_SIZE_MAX);
	int r = manifest_write(&b->manifest, &text, e);
	if (!r)
		r = put_made(b, key, &text, hash, e);
	buf_free(&text);
	return r;
}

/* What a run that died while finishing has left; all of it is made anew. */
static void clear_tags(struct bundle *b)
{
	static const char *const tags[] = {FILE_BAGIT, FILE_BAG_INFO, FILE_SUMS,   FILE_TSQ,
	                                   FILE_KEY,   FILE_SIG,      FILE_TAGSUMS};
	for (size_t i = 0; i < ARRAY_SIZE(tags); i++)
		unlinkat(b->dir, tags[i], 0);
}

int bundle_finish(struct bundle *b, const struct bundle_about *about, const struct seal_key *key,
                  char manifest[static EVIDENCE_HEX_MAX], char root[static EVIDENCE_HEX_MAX],
                  uint64_t *ret_files, struct err *e)
{
	uint8_t hash[SHA256_LEN];
	clear_tags(b);
	int r = list_log(b, e);
	if (!r)
		r = manifest_seal(&b->manifest, e);
	if (!r)
		r = put_sums(b, FILE_SUMS, &b->manifest, DATA "/", true, e);
	if (!r)
		r = put_listed(b, FILE_BAGIT, bagit_text, strlen(bagit_text), e);
	if (!r)
		r = put_info(b, about, e);
	if (!r)
		r = manifest_seal(&b->manifest, e);
	if (!r)
		r = make_about(b, about, e);
	if (!r)
		r = put_manifest(b, key, hash, e);
	if (!r && (sys->fsync(b->sink.dir) < 0 || sys->fsync(b->dir) < 0))
		r = err_set(e, -errno, "the bundle cannot be synced: %s", strerror(errno));
	if (r)
		return r;
	hex_encode(hash, sizeof hash, manifest);
	hex_encode(b->manifest.root, SHA256_LEN, root);
	*ret_files = b->manifest.n_files;
	return 0;
}
