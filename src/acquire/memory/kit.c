/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "acquire/memory/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "acquire/hostfile.h"
#include "base/table.h"

#define FILE_MAX (256u << 20)

/* "%s": the kernel's release. */
static const struct {
	const char *path, *name;
} files[] = {
    {"/sys/kernel/btf/vmlinux", "btf_vmlinux"},
    {"/proc/kallsyms", "kallsyms"},
    {"/boot/System.map-%s", "System.map"},
    {"/boot/config-%s", "config"},
    {"/proc/config.gz", "config.gz"},
    {"/proc/version", "version"},
    {"/proc/iomem", "iomem"},
    {"/proc/modules", "modules"},
    {"/proc/cmdline", "cmdline"},
    {"/proc/cpuinfo", "cpuinfo"},
    {"/proc/meminfo", "meminfo"},
    {"/sys/kernel/vmcoreinfo", "vmcoreinfo_address"},
    {"/sys/kernel/notes", "notes"},
    {"/sys/kernel/security/lockdown", "lockdown"},
};

static int take(struct capture_sink *s, const char *path, const char *name, struct err *e)
{
	char to[CAPTURE_NAME_MAX];
	struct hostfile copied = {0};
	struct err own = {0};
	snprintf(to, sizeof(to), "kit/%s", name);
	int r = hostfile_copy(s, AT_FDCWD, path, to, FILE_MAX, &copied, &own);
	if (r < 0 && own.code)
		return err_set(e, r, "%s", own.text);
	if (r == 0 && !copied.cut)
		return 0;
	return s->ops->log(s, r < 0 ? "not in the kit" : "cut in the kit",
	                   json_pack("{s:s, s:s}", "path", path, "why",
	                             strerror(r < 0          ? -r
	                                      : copied.error ? -copied.error
	                                                     : EFBIG)),
	                   e);
}

static int put(struct capture_sink *s, const char *name, const struct buf *b, struct err *e)
{
	struct capture_file *f = NULL;
	int r = s->ops->begin(s, name, &f, e);
	if (r < 0)
		return r;
	r = s->ops->write(f, b->data, b->len, e);
	if (r == 0)
		return s->ops->end(f, e);
	s->ops->drop(f, false);
	return r;
}

int kit_take(struct capture_sink *s, const struct buf *kcore, struct err *e)
{
	struct utsname u;
	int r = 0;
	if (uname(&u) < 0)
		u.release[0] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(files) && r == 0; i++) {
		char path[256];
		const char *at = strstr(files[i].path, "%s");
		int n = at ? (int)(at - files[i].path) : (int)strlen(files[i].path);
		snprintf(path, sizeof(path), "%.*s%s", n, files[i].path, at ? u.release : "");
		r = take(s, path, files[i].name, e);
	}
	if (r == 0 && kcore && kcore->len)
		r = put(s, "kit/kcore_headers", kcore, e);
	return r;
}

const char *kit_lockdown(char dst[static 32])
{
	struct buf b = BUF_INIT(128);
	snprintf(dst, 32, "unknown");
	if (hostfile_read(AT_FDCWD, "/sys/kernel/security/lockdown", &b) == 0) {
		/* "none [integrity] confidentiality" */
		const char *open = strchr(buf_str(&b), '['), *end = open ? strchr(open, ']') : NULL;
		if (end)
			snprintf(dst, 32, "%.*s", (int)(end - open - 1), open + 1);
	}
	buf_free(&b);
	return dst;
}
