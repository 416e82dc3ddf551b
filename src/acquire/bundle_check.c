/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The order of trust: the signature vouches for manifest.json, that for every file it lists, and
 * what is made from it (sums, time stamp request) is made again and compared to the byte. Where the
 * signature does not hold, tagmanifest-sha256.txt tells which of the three was changed.
 */
#include "acquire/bundle_check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "acquire/bundle.h"
#include "acquire/bundle_files.h"
#include "base/sys.h"
#include "base/table.h"
#include "model/field.h"
#include "seal/key.h"
#include "wire/tsq.h"

#define DEPTH_MAX 16

struct check {
	const struct bundle_wish *w;
	struct bundle_verdict *v;
	int dir;
	struct manifest m;
	struct buf text, tags; /* manifest.json and tagmanifest-sha256.txt as they stand */
	uint8_t hash[SHA256_LEN];
	uint64_t total;
};

static void problem(struct check *c, const char *file, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void problem(struct check *c, const char *file, const char *fmt, ...)
{
	char why[ERR_TEXT_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	c->v->problems++;
	c->w->problem(c->w->arg, file, why);
}

static const char *read_problem(int r)
{
	return r == -ENOENT                  ? "it is missing"
	       : r == -EINVAL || r == -ELOOP ? "it is no regular file any more"
	                                     : strerror(-r);
}

/* --- the signature --- */

/* What tagmanifest-sha256.txt says of a file: true when it names it with this hash. */
static bool tag_says(struct check *c, const char *name, const uint8_t hash[static SHA256_LEN])
{
	char line[SHA256_HEX_MAX + MANIFEST_NAME_MAX + 4], hex[SHA256_HEX_MAX];
	snprintf(line, sizeof line, "%s  %s\n", hex_encode(hash, SHA256_LEN, hex), name);
	return strstr(buf_str(&c->tags), line) != NULL;
}

/* The signature does not hold: which of its three files is not what it was? */
static void name_the_changed(struct check *c)
{
	static const char *const three[] = {BUNDLE_MANIFEST, FILE_SIG, FILE_KEY};
	unsigned named = 0;
	for (size_t i = 0; i < ARRAY_SIZE(three); i++) {
		uint8_t hash[SHA256_LEN];
		uint64_t size;
		int r = file_hash(c->dir, three[i], hash, &size);
		if (r < 0) {
			problem(c, three[i], "%s", read_problem(r));
		} else if (!tag_says(c, three[i], hash)) {
			problem(c, three[i],
			        "it was changed: the signature does not hold, and "
			        "its hash is not the one noted");
		} else {
			continue;
		}
		named++;
	}
	if (!named)
		problem(c, BUNDLE_MANIFEST,
		        "the signature does not hold: it, %s or %s were made "
		        "anew, and the list of their hashes, too",
		        FILE_SIG, FILE_KEY);
}

static int check_key(struct check *c, struct err *e)
{
	struct buf pub = BUF_INIT(SEAL_PEM_MAX), sig = BUF_INIT(4096);
	struct seal_key *key = NULL;
	bool good = file_slurp(c->dir, FILE_KEY, &pub) == 0 &&
	            file_slurp(c->dir, FILE_SIG, &sig) == 0 && strlen(buf_str(&pub)) == pub.len &&
	            seal_pub_from_text(buf_str(&pub), &key, NULL) == 0 &&
	            seal_verify(key, c->text.data, c->text.len, sig.data, sig.len) == 0;
	int r = good ? seal_fingerprint(key, c->v->fingerprint, e) : 0;
	if (!good)
		name_the_changed(c);
	else if (!r && c->w->fingerprint && strcmp(c->w->fingerprint, c->v->fingerprint) != 0)
		problem(c, FILE_KEY, "signed by another key: %s and not %s", c->v->fingerprint,
		        c->w->fingerprint);
	seal_key_free(key);
	buf_free(&pub);
	buf_free(&sig);
	return r < 0 ? r : good;
}

/* 1: the manifest can be relied on; 0: it cannot, and that was told. */
static int check_manifest(struct check *c, struct err *e)
{
	struct err why = {0};
	int r = file_slurp(c->dir, BUNDLE_MANIFEST, &c->text);
	if (r < 0) {
		problem(c, BUNDLE_MANIFEST, "%s%s", read_problem(r),
		        r == -ENOENT ? ", or this evidence was never finished" : "");
		return 0;
	}
	r = sha256_of(c->text.data, c->text.len, c->hash);
	if (r < 0)
		return err_set(e, r, "cannot hash");
	hex_encode(c->hash, SHA256_LEN, c->v->manifest);
	if (c->w->manifest && strcmp(c->w->manifest, c->v->manifest) != 0)
		problem(c, BUNDLE_MANIFEST,
		        "it is not the one that the journal knows: its hash is "
		        "%s and not %s",
		        c->v->manifest, c->w->manifest);
	r = check_key(c, e);
	if (r <= 0)
		return r;
	r = manifest_parse(c->text.data, c->text.len, &c->m, &why);
	if (r < 0) {
		problem(c, BUNDLE_MANIFEST, "%s", why.text);
		return 0;
	}
	return 1;
}

/* --- the files --- */

static void check_file(struct check *c, const struct manifest_file *f)
{
	uint8_t hash[SHA256_LEN];
	uint64_t size = 0;
	if (c->w->progress)
		c->w->progress(c->w->arg, f->name, c->v->bytes, c->total);
	int r = file_hash(c->dir, f->name, hash, &size);
	c->v->files++;
	c->v->bytes += size;
	if (r < 0)
		problem(c, f->name, "%s", read_problem(r));
	else if (size != f->size)
		problem(c, f->name, "it has %llu bytes and not %llu", (unsigned long long)size,
		        (unsigned long long)f->size);
	else if (memcmp(hash, f->sha256, SHA256_LEN) != 0)
		problem(c, f->name, "its content was changed: the hash differs");
}

static void compare(struct check *c, const char *name, const void *bytes, size_t n)
{
	struct buf now = BUF_INIT(MANIFEST_SIZE_MAX);
	int r = file_slurp(c->dir, name, &now);
	if (r < 0)
		problem(c, name, "%s", read_problem(r));
	else if (now.len != n || memcmp(now.data, bytes, n) != 0)
		problem(c, name, "it was changed: it is not what follows from the manifest");
	buf_free(&now);
}

/* tagmanifest-sha256.txt must be the hashes of what stands beside data/ in the manifest and of the
 * four files around it; those were judged by themselves, so that what differs here is this file. */
static int check_tag_sums(struct check *c, struct err *e)
{
	static const char *const around[] = {BUNDLE_MANIFEST, FILE_SIG, FILE_KEY, FILE_TSQ};
	struct manifest tags = {0};
	struct buf out = BUF_INIT(MANIFEST_SIZE_MAX);
	uint8_t hash[SHA256_LEN], tsq[TSQ_LEN];
	uint64_t size;
	int r = 0;
	for (size_t i = 0; i < c->m.n_files && !r; i++)
		if (strncmp(c->m.files[i].name, "data/", 5) != 0)
			r = manifest_add(&tags, c->m.files[i].name, 0, c->m.files[i].sha256, e);
	for (size_t i = 0; i < ARRAY_SIZE(around) && !r; i++) {
		tsq_write(c->hash, tsq);
		if (!strcmp(around[i], FILE_TSQ))
			r = sha256_of(tsq, sizeof tsq, hash);
		else
			r = file_hash(c->dir, around[i], hash, &size);
		if (!r)
			r = manifest_add(&tags, around[i], 0, hash, e);
	}
	if (!r)
		r = manifest_seal(&tags, e);
	if (!r && !(r = manifest_sums(&tags, "", &out)))
		compare(c, FILE_TAGSUMS, out.data, out.len);
	manifest_free(&tags);
	buf_free(&out);
	return r < 0 ? err_set(e, r, "the list %s cannot be made again", FILE_TAGSUMS) : 0;
}

static int check_derived(struct check *c, struct err *e)
{
	struct buf sums = BUF_INIT(MANIFEST_SIZE_MAX);
	uint8_t tsq[TSQ_LEN];
	tsq_write(c->hash, tsq);
	compare(c, FILE_TSQ, tsq, sizeof tsq);
	if (manifest_sums(&c->m, "data/", &sums) < 0)
		return err_set(e, -ENOMEM, "out of memory");
	/* It is listed and was hashed; this looks whether it says what the manifest says. */
	const struct manifest_file *f = manifest_find(&c->m, FILE_SUMS);
	uint8_t hash[SHA256_LEN];
	if (!f || sha256_of(sums.data, sums.len, hash) || memcmp(hash, f->sha256, SHA256_LEN) != 0)
		problem(c, BUNDLE_MANIFEST, "it and %s do not say the same", FILE_SUMS);
	buf_free(&sums);
	return check_tag_sums(c, e);
}

/* --- what stands there and is in no list --- */

static bool known(const struct check *c, const char *name)
{
	static const char *const tags[] = {BUNDLE_MANIFEST, FILE_SIG, FILE_KEY,
	                                   FILE_TSQ,        FILE_TSR, FILE_TAGSUMS};
	for (size_t i = 0; i < ARRAY_SIZE(tags); i++)
		if (!strcmp(tags[i], name))
			return true;
	return manifest_find(&c->m, name) != NULL;
}

static void look_for_more(struct check *c, int at, const char *prefix, unsigned depth)
{
	DIR *d = fdopendir(at);
	struct dirent *x;
	if (!d) {
		sys->close(at);
		problem(c, prefix[0] ? prefix : ".", "the folder cannot be read");
		return;
	}
	while ((x = readdir(d))) {
		char name[MANIFEST_NAME_MAX + 256];
		struct stat st;
		if (!strcmp(x->d_name, ".") || !strcmp(x->d_name, ".."))
			continue;
		int n = snprintf(name, sizeof name, "%.255s%s", prefix, x->d_name);
		bool folder = fstatat(dirfd(d), x->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		              S_ISDIR(st.st_mode);
		int sub = folder && n < MANIFEST_NAME_MAX - 1 && depth < DEPTH_MAX
		              ? sys->openat(dirfd(d), x->d_name,
		                            O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
		              : -1;
		if (sub >= 0) {
			strcat(name, "/");
			look_for_more(c, sub, name, depth + 1);
		} else if (folder || !known(c, name)) {
			problem(c, name, "it stands here and is in no list");
		}
	}
	closedir(d);
}

static int check_all(struct check *c, struct err *e)
{
	(void)file_slurp(c->dir, FILE_TAGSUMS, &c->tags);
	int r = check_manifest(c, e);
	if (r <= 0)
		return r;
	c->v->about = json_incref(c->m.about);
	hex_encode(c->m.root, SHA256_LEN, c->v->root);
	for (size_t i = 0; i < c->m.n_files; i++)
		c->total += c->m.files[i].size;
	for (size_t i = 0; i < c->m.n_files; i++)
		check_file(c, &c->m.files[i]);
	r = check_derived(c, e);
	int top = r ? -1 : fcntl(c->dir, F_DUPFD_CLOEXEC, 0);
	if (top >= 0)
		look_for_more(c, top, "", 0);
	return r;
}

bool bundle_is(const char *path)
{
	static const char *const signs[] = {BUNDLE_MANIFEST, "data", FILE_BAGIT, FILE_TAGSUMS};
	_cleanup_close_ int dir = sys->open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	for (size_t i = 0; dir >= 0 && i < ARRAY_SIZE(signs); i++)
		if (faccessat(dir, signs[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	return false;
}

int bundle_check(const char *path, const struct bundle_wish *w, struct bundle_verdict *ret,
                 struct err *e)
{
	struct bundle_verdict v = {0};
	struct check c = {.w = w,
	                  .v = &v,
	                  .text = BUF_INIT(MANIFEST_SIZE_MAX),
	                  .tags = BUF_INIT(MANIFEST_SIZE_MAX)};
	c.dir = sys->open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (c.dir < 0)
		return err_set(e, -errno, "%s cannot be opened: %s", path, strerror(errno));
	int r = check_all(&c, e);
	sys->close(c.dir);
	manifest_free(&c.m);
	buf_free(&c.text);
	buf_free(&c.tags);
	if (r < 0)
		json_decref(v.about);
	else
		*ret = v;
	return r < 0 ? r : 0;
}

int bundle_evidence(const struct bundle_verdict *v, unsigned id, const char *incident,
                    struct evidence *ret, struct err *e)
{
	static const char *const more[] = {"evidence",     "incident", "software",
	                                   "journal_head", "previous", "facts"};
	const char *of = json_string_value(json_object_get(v->about, "incident"));
	const char *as = json_string_value(json_object_get(v->about, "evidence"));
	char name[16];
	snprintf(name, sizeof name, "e%u", id);
	if (!of || !as || strcmp(of, incident) != 0 || strcmp(as, name) != 0)
		return err_set(e, -EBADMSG, "the manifest is not about %s of incident %s", name,
		               incident);
	json_t *j = json_copy(v->about);
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		json_object_del(j, more[i]);
	bool bad = !j || json_object_set_new(j, "files", json_integer((json_int_t)v->files)) ||
	           json_object_set_new(j, "manifest", json_string(v->manifest)) ||
	           json_object_set_new(j, "merkle_root", json_string(v->root));
	char *text = bad ? NULL : field_dump(j);
	json_decref(j);
	int r = text ? evidence_parse(text, ret, e) : err_set(e, -ENOMEM, "out of memory");
	free(text);
	if (!r)
		ret->id = id;
	return r;
}
