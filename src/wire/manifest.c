/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "seal/merkle.h"

#define VERSION 1

bool manifest_name_ok(const char *name)
{
	size_t n = strlen(name);
	if (!n || n >= MANIFEST_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool starts = i == 0 || name[i - 1] == '/';
		if (name[i] <= ' ' || name[i] > '~' || strchr("\\%\"", name[i]) ||
		    (starts && (name[i] == '/' || name[i] == '.')))
			return false;
	}
	return name[n - 1] != '/';
}

int manifest_add(struct manifest *m, const char *name, uint64_t size,
                 const uint8_t sha256[static SHA256_LEN], struct err *e)
{
	if (!manifest_name_ok(name) || size > INT64_MAX)
		return err_set(e, -EINVAL, "\"%.80s\" cannot stand in a manifest", name);
	if (m->n_files == MANIFEST_FILES_MAX)
		return err_set(e, -E2BIG, "more than %d files in one evidence", MANIFEST_FILES_MAX);
	if (m->n_files == m->cap_files) {
		size_t cap = m->cap_files ? 2 * m->cap_files : 16;
		struct manifest_file *v = realloc(m->files, cap * sizeof *v);
		if (!v)
			return err_set(e, -ENOMEM, "out of memory for a manifest");
		m->files = v;
		m->cap_files = cap;
	}
	struct manifest_file *f = &m->files[m->n_files++];
	memset(f, 0, sizeof *f);
	strcpy(f->name, name);
	f->size = size;
	memcpy(f->sha256, sha256, SHA256_LEN);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct manifest_file *)a)->name,
	              ((const struct manifest_file *)b)->name);
}

/* The root of sorted files. */
static int root_of(const struct manifest *m, uint8_t ret[static SHA256_LEN], struct err *e)
{
	struct merkle tree;
	char leaf[MANIFEST_NAME_MAX + SHA256_HEX_MAX + 32], hex[SHA256_HEX_MAX];
	merkle_begin(&tree);
	for (size_t i = 0; i < m->n_files; i++) {
		int n = snprintf(leaf, sizeof leaf, "%s\n%" PRIu64 "\n%s\n", m->files[i].name,
		                 m->files[i].size, hex_encode(m->files[i].sha256, SHA256_LEN, hex));
		merkle_add(&tree, leaf, (size_t)n);
	}
	int r = merkle_root(&tree, ret);
	return r ? err_set(e, r, "cannot hash a manifest") : 0;
}

int manifest_seal(struct manifest *m, struct err *e)
{
	if (m->n_files)
		qsort(m->files, m->n_files, sizeof *m->files, by_name);
	for (size_t i = 1; i < m->n_files; i++)
		if (!strcmp(m->files[i - 1].name, m->files[i].name))
			return err_set(e, -EEXIST, "the file %s stands twice", m->files[i].name);
	return root_of(m, m->root, e);
}

static json_t *file_json(const struct manifest_file *f)
{
	char hex[SHA256_HEX_MAX];
	return json_pack("{s:s, s:I, s:s}", "name", f->name, "size", (json_int_t)f->size, "sha256",
	                 hex_encode(f->sha256, SHA256_LEN, hex));
}

int manifest_write(const struct manifest *m, struct buf *out, struct err *e)
{
	char hex[SHA256_HEX_MAX];
	json_t *files = json_array(), *all = NULL;
	int bad = !files;
	for (size_t i = 0; i < m->n_files && !bad; i++)
		bad = json_array_append_new(files, file_json(&m->files[i]));
	if (!bad)
		all =
		    json_pack("{s:i, s:O, s:s, s:O}", "stanch_manifest", VERSION, "about", m->about,
		              "merkle_root", hex_encode(m->root, SHA256_LEN, hex), "files", files);
	char *text = all ? json_dumps(all, JSON_INDENT(1)) : NULL;
	if (text)
		buf_addf(out, "%s\n", text);
	free(text);
	json_decref(files);
	json_decref(all);
	if (!text || out->error)
		return err_set(e, out->error ? out->error : -ENOMEM,
		               "a manifest is too big or memory ran out");
	return 0;
}

static int read_file(json_t *j, struct manifest *m, struct err *e)
{
	const char *name, *hex;
	json_int_t size;
	uint8_t sha256[SHA256_LEN];
	if (json_unpack(j, "{s:s, s:I, s:s !}", "name", &name, "size", &size, "sha256", &hex) ||
	    size < 0 || hex_decode(hex, sha256, SHA256_LEN) || !manifest_name_ok(name))
		return err_set(e, -EBADMSG, "one of its files has no proper name, size or hash");
	if (m->n_files && strcmp(m->files[m->n_files - 1].name, name) >= 0)
		return err_set(e, -EBADMSG, "its files are not in order");
	return manifest_add(m, name, (uint64_t)size, sha256, e);
}

static int read_all(json_t *root, struct manifest *m, struct err *e)
{
	json_t *about, *files, *f;
	const char *hex;
	int version;
	size_t i;
	uint8_t said[SHA256_LEN];
	if (json_unpack(root, "{s:i, s:o, s:s, s:o !}", "stanch_manifest", &version, "about",
	                &about, "merkle_root", &hex, "files", &files) ||
	    version != VERSION || !json_is_object(about) || !json_is_array(files) ||
	    hex_decode(hex, said, SHA256_LEN))
		return err_set(e, -EBADMSG, "it has not the fields of a manifest");
	m->about = json_incref(about);
	json_array_foreach(files, i, f)
	{
		int r = read_file(f, m, e);
		if (r)
			return r;
	}
	int r = root_of(m, m->root, e);
	if (!r && memcmp(said, m->root, SHA256_LEN) != 0)
		r = err_set(e, -EBADMSG, "its Merkle root is not that of its files");
	return r;
}

int manifest_parse(const void *text, size_t n, struct manifest *ret, struct err *e)
{
	json_error_t why;
	struct manifest m = {0};
	if (n > MANIFEST_SIZE_MAX)
		return err_set(e, -EBADMSG, "it is larger than a manifest may be");
	json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
	if (!root)
		return err_set(e, -EBADMSG, "it is no JSON: line %d: %.100s", why.line, why.text);
	int r = read_all(root, &m, e);
	json_decref(root);
	if (r)
		manifest_free(&m);
	else
		*ret = m;
	return r;
}

void manifest_free(struct manifest *m)
{
	if (!m)
		return;
	json_decref(m->about);
	free(m->files);
	*m = (struct manifest){0};
}

int manifest_sums(const struct manifest *m, const char *prefix, struct buf *out)
{
	char hex[SHA256_HEX_MAX];
	for (size_t i = 0; i < m->n_files; i++)
		if (!strncmp(m->files[i].name, prefix, strlen(prefix)))
			buf_addf(out, "%s  %s\n", hex_encode(m->files[i].sha256, SHA256_LEN, hex),
			         m->files[i].name);
	return out->error;
}

const struct manifest_file *manifest_find(const struct manifest *m, const char *name)
{
	struct manifest_file key = {0};
	if (strlen(name) >= sizeof key.name || !m->n_files)
		return NULL;
	strcpy(key.name, name);
	return bsearch(&key, m->files, m->n_files, sizeof key, by_name);
}
