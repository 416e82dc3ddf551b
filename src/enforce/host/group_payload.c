/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The payload of host.group and host.group-sessions: which group, and who was in it. It comes back
 * from a journal that an enemy may have written: every field is checked. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/group.h"
#include "model/field.h"

#define VERSION     1
#define PAYLOAD_MAX (4u << 20)

static void json_unrefp(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ _cleanup_(json_unrefp)

/* A cgroup's name may hold any byte, JSON may not: hexadecimal keeps what it is. */
static json_t *path_json(const char *path)
{
	json_t *plain = json_string(path);
	if (plain)
		return plain;
	char *hex = malloc(2 * strlen(path) + 1);
	for (size_t i = 0; hex && path[i]; i++)
		snprintf(hex + 2 * i, 3, "%02x", (unsigned char)path[i]);
	json_t *j = hex ? json_string(hex) : NULL;
	free(hex);
	return j;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int group_hex(const char *s)
{
	int high = digit(s[0]), low = high < 0 ? -1 : digit(s[1]);
	return low < 0 ? -1 : high << 4 | low;
}

static int from_hex(const char *text, size_t n, char dst[static CGTREE_PATH_MAX])
{
	if (n % 2 || n / 2 >= CGTREE_PATH_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < n / 2; i++) {
		int byte = group_hex(text + 2 * i);
		if (byte <= 0)
			return -EBADMSG;
		dst[i] = (char)byte;
	}
	dst[n / 2] = 0;
	return 0;
}

static int path_from(const char *text, char dst[static CGTREE_PATH_MAX], struct err *e)
{
	size_t n = strlen(text);
	bool plain = *text == '/';
	int r = !plain ? from_hex(text, n, dst) : n < CGTREE_PATH_MAX ? 0 : -EBADMSG;
	if (r == 0 && plain)
		memcpy(dst, text, n + 1);
	if (r < 0 || !cgtree_path_ok(dst))
		return err_set(e, -EBADMSG, "group: \"%.60s\" is no path of a cgroup", text);
	return 0;
}

static json_t *members_json(const struct group *g)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < g->n_members; i++) {
		const struct group_member *m = &g->members[i];
		json_t *row = json_pack("{s:i,s:I,s:s,s:o}", "pid", m->pid, "start",
		                        (json_int_t)m->start_ticks, "comm", m->comm, "cgroup",
		                        m->cgroup ? path_json(m->cgroup) : json_null());
		if (json_array_append_new(list, row) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

int group_to_json(const struct group *g, char **ret, struct err *e)
{
	_cleanup_json_ json_t *members = members_json(g);
	_cleanup_json_ json_t *j = json_pack(
	    "{s:i,s:s,s:o,s:I,s:I,s:i,s:I,s:s,s:b,s:O,s:I}", "version", VERSION, "kind",
	    target_kind_str(g->kind), "cgroup", path_json(g->path), "id", (json_int_t)g->id, "uid",
	    (json_int_t)g->uid, "pid", g->pid, "start", (json_int_t)g->start_ticks, "leaf", g->leaf,
	    "follows", (int)g->follows, "members", members, "unnamed", (json_int_t)g->n_unnamed);
	char *text = j && members ? field_dump(j) : NULL;
	if (!text)
		return err_set(e, -ENOMEM, "out of memory for a step's payload");
	*ret = text;
	return 0;
}

static int take_member(json_t *row, struct group_member *m, struct err *e)
{
	const char *comm, *text;
	char path[CGTREE_PATH_MAX];
	json_int_t start;
	json_t *cgroup;
	int r = field_unpack(row, "group: member", e, "{s:i,s:I,s:s,s:o!}", "pid", &m->pid, "start",
	                     &start, "comm", &comm, "cgroup", &cgroup);
	if (r == 0)
		r = field_copy(m->comm, sizeof m->comm, comm, "group: member", e);
	if (r == 0 && (m->pid <= 0 || start < 0))
		r = err_set(e, -EBADMSG, "group: %d is no process", m->pid);
	if (r < 0)
		return r;
	m->start_ticks = (uint64_t)start;
	if (json_is_null(cgroup))
		return 0;
	text = json_string_value(cgroup);
	r = text ? path_from(text, path, e) : err_set(e, -EBADMSG, "group: a path is no text");
	if (r == 0 && !(m->cgroup = strdup(path)))
		r = err_set(e, -ENOMEM, "out of memory for a step's payload");
	return r;
}

static int take_members(json_t *list, struct group *g, struct err *e)
{
	size_t n = json_array_size(list);
	if (!json_is_array(list) || n > GROUP_MEMBERS_MAX)
		return err_set(e, -EBADMSG, "group: members are not a list of at most %d",
		               GROUP_MEMBERS_MAX);
	/* Room for all: members are read anew into the same list. */
	g->members = calloc(GROUP_MEMBERS_MAX, sizeof *g->members);
	if (!g->members)
		return err_set(e, -ENOMEM, "out of memory for a step's payload");
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = take_member(json_array_get(list, i), &g->members[i], e);
		g->n_members = i + 1;
	}
	return r;
}

static int check_kind(struct group *g, const char *kind, struct err *e)
{
	int k = target_kind_parse(kind);
	if (k < TARGET_UNIT || k > TARGET_CONTAINER)
		return err_set(e, -EBADMSG, "group: \"%.30s\" is no kind of group", kind);
	g->kind = (enum target_kind)k;
	bool cgroup = k == TARGET_UNIT || k == TARGET_CONTAINER;
	if ((cgroup && !strcmp(g->path, "/")) || (k == TARGET_ACCOUNT && !g->uid) ||
	    (k == TARGET_PROCESS && g->pid < 2))
		return err_set(e, -EBADMSG, "group: that would be the whole host");
	bool leaf = k == TARGET_PROCESS ? group_is_leaf(g->leaf) : !*g->leaf;
	if (!leaf && !group_is_frozen_name(g->leaf))
		return err_set(e, -EBADMSG, "group: \"%.30s\" is no cgroup of ours", g->leaf);
	return 0;
}

static int take_scalars(json_t *j, struct group *g, json_t **ret_members, struct err *e)
{
	const char *kind, *path, *leaf;
	int version, pid, follows;
	json_int_t id, uid, start, unnamed;
	int r = field_unpack(j, "group", e, "{s:i,s:s,s:s,s:I,s:I,s:i,s:I,s:s,s:b,s:o,s:I!}",
	                     "version", &version, "kind", &kind, "cgroup", &path, "id", &id, "uid",
	                     &uid, "pid", &pid, "start", &start, "leaf", &leaf, "follows", &follows,
	                     "members", ret_members, "unnamed", &unnamed);
	if (r == 0 && version != VERSION)
		r = err_set(e, -EBADMSG, "group: version %d is not known here", version);
	if (r == 0 && (uid < 0 || uid >= UINT32_MAX || pid < 0 || start < 0 || unnamed < 0))
		r = err_set(e, -EBADMSG, "group: a number is out of range");
	if (r < 0)
		return r;
	g->id = (uint64_t)id;
	g->uid = (uint32_t)uid;
	g->pid = pid;
	g->start_ticks = (uint64_t)start;
	g->n_unnamed = (size_t)unnamed;
	g->follows = follows;
	r = field_copy(g->leaf, sizeof g->leaf, leaf, "group: leaf", e);
	if (r == 0)
		r = path_from(path, g->path, e);
	return r < 0 ? r : check_kind(g, kind, e);
}

int group_from_json(const char *json, struct group *ret, struct err *e)
{
	_cleanup_json_ json_t *j = NULL;
	json_t *members = NULL;
	struct group *g = calloc(1, sizeof *g);
	if (!g)
		return err_set(e, -ENOMEM, "out of memory for a step's payload");
	int r = field_load(json ? json : "", PAYLOAD_MAX, "group", &j, e);
	if (r == 0)
		r = take_scalars(j, g, &members, e);
	if (r == 0)
		r = take_members(members, g, e);
	if (r < 0)
		group_free(g);
	else
		*ret = *g;
	free(g);
	return r;
}
