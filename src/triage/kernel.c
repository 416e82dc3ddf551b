/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel's own state: what was loaded, what it starts by itself, what it was told not to check.
 * Only the first sign works against a kernel that lies: the module lists are three views of one
 * thing, and a rootkit that forgets one of them shows.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/table.h"
#include "triage/areas.h"
#include "triage/odd.h"

#define SMALL_MAX   4096
#define LIST_MAX    (1u << 20)
#define MODULES_MAX 4096
#define MODULE_NAME 64

const struct triage_rule kernel_rules[] = {
    {"kernel_taint", FINDING_KERNEL, 0.30, "T1547.006",
     "drivers built on the host (graphics, file systems), a crash, a live patch"},
    {"module_hidden", FINDING_KERNEL, 0.85, "T1014",
     "none that we know, once it was seen twice; a module loaded between two readings is left out"},
    {"preload_file", FINDING_KERNEL, 0.85, "T1574.006",
     "an audit or allocator library that the host's owner put there (snoopy, libarmmem)"},
    {"core_pattern", FINDING_KERNEL, 0.45, "T1546",
     "a crash collector (systemd-coredump, apport, abrt) of another name"},
    {"kernel_helper", FINDING_KERNEL, 0.80, "T1546",
     "an embedded or hardened host that names its own helper, or /bin/false"},
    {"binfmt_handler", FINDING_KERNEL, 0.60, "T1546",
     "an emulator (qemu-user, box64, rosetta) that needs the flag C for setuid programs"},
    {"sysctl_weak", FINDING_KERNEL, 0.40, "T1562.001",
     "an emulator, debugger or old program that needs it; see /etc/sysctl.d"},
    {"kernel_hook", FINDING_KERNEL, 0.60, "T1014", "a tracer, a monitoring agent, a live patch"},
    {"selinux_permissive", FINDING_KERNEL, 0.50, "T1562.001",
     "an administrator who looks for a denial"},
    {0},
};

/* First line of a small file of the kernel's. */
static bool read_line(const struct triage *t, const char *path, char *dst, size_t n)
{
	_cleanup_close_ int fd = triage_open(t, path, O_RDONLY);
	struct buf b = BUF_INIT(SMALL_MAX);
	bool ok = fd >= 0 && triage_read_fd(fd, &b) == 0;

	if (ok) {
		snprintf(dst, n, "%s", buf_str(&b));
		dst[strcspn(dst, "\n")] = 0;
	}
	buf_free(&b);
	return ok;
}

static void tell(struct triage *t, struct finding *f, const char *selector)
{
	snprintf(f->selector, sizeof(f->selector), "%s", selector);
	triage_found(t, f);
}

/* --- taint --- */

static const struct {
	unsigned bit;
	double score;
	const char *what;
} taints[] = {
    {1, 0.50, "a module was loaded by force"},
    {13, 0.45, "an unsigned module was loaded"},
    {12, 0.30, "a module from outside the kernel's tree was loaded"},
    {0, 0.30, "a proprietary module was loaded"},
    {2, 0.30, "the kernel runs on a system it is not made for"},
    {7, 0.40, "the kernel has oopsed"},
    {15, 0.30, "a live patch is in force"},
};

static void look_taint(struct triage *t)
{
	char line[64];
	struct finding f;
	uint64_t bits;

	if (!read_line(t, "/proc/sys/kernel/tainted", line, sizeof(line)))
		return;
	t->stats->looked++;
	bits = strtoull(line, NULL, 10);
	triage_begin(t, "kernel_taint", &f);
	for (size_t i = 0; i < ARRAY_SIZE(taints); i++) {
		if (!(bits & UINT64_C(1) << taints[i].bit))
			continue;
		finding_reason(&f, "%s (bit %u of %" PRIu64 ")", taints[i].what, taints[i].bit,
		               bits);
		if (taints[i].score > f.score)
			f.score = taints[i].score;
	}
	snprintf(f.subject, sizeof(f.subject), "the kernel is tainted: %s", line);
	if (f.n_reasons)
		tell(t, &f, "kernel:taint");
}

/* --- modules --- */

enum { IN_PROC = 1, IN_SYS = 2, IN_SYMBOLS = 4 };

struct modules {
	struct {
		char name[MODULE_NAME];
		unsigned seen; /* IN_ */
	} v[MODULES_MAX];
	size_t n;
	bool have_symbols;
	const struct triage *t;
};

static void module_add(struct modules *m, const char *name, size_t len, unsigned where)
{
	if (!len || len >= MODULE_NAME)
		return;
	for (size_t i = 0; i < m->n; i++)
		if (!strncmp(m->v[i].name, name, len) && !m->v[i].name[len]) {
			m->v[i].seen |= where;
			return;
		}
	if (m->n == MODULES_MAX)
		return;
	memcpy(m->v[m->n].name, name, len);
	m->v[m->n].name[len] = 0;
	m->v[m->n++].seen = where;
}

static bool on_sys_module(void *arg, int dir, const char *name, unsigned char type)
{
	struct modules *m = arg;
	char path[300], state[16];

	(void)type;
	(void)dir;
	/* What is built in has a folder, too, but no state. */
	snprintf(path, sizeof(path), "/sys/module/%s/initstate", name);
	if (read_line(m->t, path, state, sizeof(state)) && !strcmp(state, "live"))
		module_add(m, name, strlen(name), IN_SYS);
	return true;
}

/* "ffffffffc0000000 t name\t[module]"; the kernel's own stand for code that it made itself. */
static void on_symbol(struct modules *m, const char *line, size_t len)
{
	const char *open = len && line[len - 1] == ']' ? memrchr(line, '[', len) : NULL;
	size_t n = open ? (size_t)(line + len - 1 - (open + 1)) : 0;

	if (!open || !strncmp(open, "[bpf", 4) || !strncmp(open, "[__builtin", 10) ||
	    !strncmp(open, "[ftrace", 7))
		return;
	module_add(m, open + 1, n, IN_SYMBOLS);
}

static void read_symbols(struct modules *m)
{
	_cleanup_close_ int fd = triage_open(m->t, "/proc/kallsyms", O_RDONLY);
	char part[65536];
	size_t have = 0;

	m->have_symbols = fd >= 0;
	while (fd >= 0) {
		ssize_t n = sys->read(fd, part + have, sizeof(part) - have);
		if (n <= 0)
			return;
		have += (size_t)n;
		const char *at = part, *end = part + have, *nl;
		for (; (nl = memchr(at, '\n', (size_t)(end - at))); at = nl + 1)
			on_symbol(m, at, (size_t)(nl - at));
		have = (size_t)(end - at);
		if (have == sizeof(part))
			have = 0;
		memmove(part, at, have);
	}
}

static void read_modules(struct triage *t, struct modules *m)
{
	struct buf b = BUF_INIT(LIST_MAX);
	_cleanup_close_ int fd = triage_open(t, "/proc/modules", O_RDONLY);

	m->t = t;
	if (fd >= 0 && triage_read_fd(fd, &b) == 0)
		for (const char *p = buf_str(&b); *p;) {
			size_t line = strcspn(p, "\n");
			if (memmem(p, line, " Live ", 6))
				module_add(m, p, strcspn(p, " \n"), IN_PROC);
			p += line + (p[line] == '\n');
		}
	buf_free(&b);
	triage_list(t, "/sys/module", on_sys_module, m);
	read_symbols(m);
}

static bool odd_one(const struct modules *m, size_t i)
{
	unsigned lists = m->v[i].seen & (IN_PROC | IN_SYS);

	/* A module without any symbol in a list that has those of others is odd, but may be. */
	return lists != (IN_PROC | IN_SYS);
}

static void tell_module(struct triage *t, const struct modules *m, size_t i)
{
	static const struct {
		unsigned bit;
		const char *where;
	} lists[] = {{IN_PROC, "/proc/modules"}, {IN_SYS, "/sys/module"}, {IN_SYMBOLS, "kallsyms"}};
	char selector[MODULE_NAME + 8];
	struct finding f;

	triage_begin(t, "module_hidden", &f);
	snprintf(f.subject, sizeof(f.subject), "kernel module %s", m->v[i].name);
	for (size_t k = 0; k < ARRAY_SIZE(lists); k++)
		finding_reason(&f, "%s %s", m->v[i].seen & lists[k].bit ? "is in" : "is not in",
		               lists[k].where);
	snprintf(selector, sizeof(selector), "module:%s", m->v[i].name);
	finding_order(&f, "isolate self");
	tell(t, &f, selector);
}

static void look_modules(struct triage *t)
{
	struct modules *once = calloc(1, sizeof(*once)), *again = calloc(1, sizeof(*again));
	bool odd = false;

	if (once && again) {
		read_modules(t, once);
		t->stats->looked += once->n;
		for (size_t i = 0; i < once->n; i++)
			odd = odd || odd_one(once, i);
		if (!once->have_symbols)
			triage_unseen(t, "/proc/kallsyms cannot be read: symbols of modules");
	}
	if (odd) {
		read_modules(t, again);
		for (size_t i = 0; i < again->n; i++) {
			bool was = false;
			for (size_t k = 0; k < once->n; k++)
				was = was || (!strcmp(once->v[k].name, again->v[i].name) &&
				              odd_one(once, k));
			if (was && odd_one(again, i))
				tell_module(t, again, i);
		}
	}
	free(once);
	free(again);
}

/* --- what is started or loaded by itself --- */

static void look_preload(struct triage *t)
{
	struct buf b = BUF_INIT(SMALL_MAX);
	int r = triage_read(t, "/etc/ld.so.preload", &b);
	struct finding f;

	t->stats->looked++;
	if (r < 0 && r != -ENOENT && r != -EFBIG)
		triage_unseen(t, "/etc/ld.so.preload: %s", strerror(-r));
	triage_begin(t, "preload_file", &f);
	f.score = 0.45;
	for (const char *p = buf_str(&b); *p && f.n_reasons < FINDING_REASONS_MAX;) {
		size_t n = strcspn(p, " \t:\n");
		char lib[128];
		snprintf(lib, sizeof(lib), "%.*s", (int)(n < 127 ? n : 127), p);
		if (n && *lib != '#') {
			finding_reason(&f, "every program loads %s", lib);
			/* The loader's own variables and names without a path lead there, too. */
			if (odd_path(lib) || !odd_system_path(lib))
				f.score = 0.90;
		}
		p += *lib == '#' ? strcspn(p, "\n") : n;
		p += strspn(p, " \t:\n");
	}
	buf_free(&b);
	snprintf(f.subject, sizeof(f.subject), "/etc/ld.so.preload");
	if (f.n_reasons)
		tell(t, &f, "path:/etc/ld.so.preload");
}

static void look_core_pattern(struct triage *t)
{
	static const char *const known[] = {"/usr/lib/systemd/systemd-coredump",
	                                    "/lib/systemd/systemd-coredump",
	                                    "/usr/share/apport/apport",
	                                    "/usr/libexec/abrt-hook-ccpp",
	                                    "/usr/lib/drkonqi-coredump",
	                                    "/usr/share/kdump-tools/kdump",
	                                    "/wsl-capture-crash",
	                                    "/bin/false",
	                                    "/usr/bin/false",
	                                    "/bin/true"};
	char line[256];
	struct finding f;

	if (!read_line(t, "/proc/sys/kernel/core_pattern", line, sizeof(line)))
		return;
	t->stats->looked++;
	if (line[0] != '|')
		return;
	size_t n = strcspn(line + 1, " ");
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strlen(known[i]) == n && !strncmp(line + 1, known[i], n))
			return;
	triage_begin(t, "core_pattern", &f);
	finding_reason(&f, "each program that crashes starts, as root: %.100s", line + 1);
	line[1 + n] = 0;
	if (odd_path(line + 1) || odd_is_shell(line + 1) || odd_is_interpreter(line + 1))
		f.score = 0.85;
	snprintf(f.subject, sizeof(f.subject), "kernel.core_pattern");
	tell(t, &f, "sysctl:kernel.core_pattern");
}

/* Programs that the kernel starts as root, and what they are on hosts that nobody touched. */
static const struct {
	const char *path;
	const char *usual[4];
} helpers[] = {
    {"/proc/sys/kernel/modprobe", {"/sbin/modprobe", "/usr/sbin/modprobe", "/bin/false", ""}},
    {"/proc/sys/kernel/hotplug", {"", "/sbin/hotplug", "/bin/false", ""}},
    {"/sys/kernel/uevent_helper", {"", "/sbin/hotplug", "/bin/false", ""}},
    {"/proc/sys/kernel/poweroff_cmd", {"/sbin/poweroff", "/usr/sbin/poweroff", "/bin/true", ""}},
};

static void look_helpers(struct triage *t)
{
	char line[256];

	for (size_t i = 0; i < ARRAY_SIZE(helpers); i++) {
		bool usual = false;
		struct finding f;
		if (!read_line(t, helpers[i].path, line, sizeof(line)))
			continue;
		t->stats->looked++;
		for (size_t k = 0; k < ARRAY_SIZE(helpers[i].usual); k++)
			usual = usual || !strcmp(line, helpers[i].usual[k]);
		if (usual)
			continue;
		triage_begin(t, "kernel_helper", &f);
		/* A path of another distribution (NixOS, Guix) is one of its own package. */
		if (!strncmp(line, "/nix/store/", 11) || !strncmp(line, "/run/current-system/", 20))
			f.score = 0.30;
		finding_reason(&f, "the kernel starts %.80s as root", line);
		finding_reason(&f, "usual is %s",
		               helpers[i].usual[0][0] ? helpers[i].usual[0] : "none");
		snprintf(f.subject, sizeof(f.subject), "%s", helpers[i].path);
		snprintf(f.selector, sizeof(f.selector), "path:%s", helpers[i].path);
		triage_found(t, &f);
	}
}

/* --- binfmt_misc --- */

/* The header of this machine's own programs, with its type or without, given to another program. */
static bool takes_native(const char *text)
{
	const char *bytes = strstr(text, "magic "), *hex = bytes ? bytes + 6 : "";
	size_t n = strcspn(hex, "\n");

	return !strncmp(hex, "7f454c46", 8) && (n < 40 || !strncmp(hex + 36, "3e00", 4));
}

static bool is_emulator(const char *interp)
{
	return strstr(interp, "/qemu-") || strstr(interp, "/box64") || strstr(interp, "/box86") ||
	       strstr(interp, "rosetta");
}

static void judge_handler(struct triage *t, const char *name, const char *text)
{
	const char *at = strstr(text, "interpreter "), *fl = strstr(text, "flags: ");
	char interp[128] = "", flags[16] = "";
	struct finding f;

	if (!at || sscanf(at, "interpreter %127[^\n]", interp) != 1)
		return;
	if (fl)
		(void)sscanf(fl, "flags: %15[A-Z]", flags);
	bool cred = strchr(flags, 'C'), odd = odd_path(interp), emulator = is_emulator(interp);
	bool native = takes_native(text) && !emulator;
	if (!odd && !native && (!cred || emulator))
		return;
	triage_begin(t, "binfmt_handler", &f);
	if (odd)
		f.score = 0.85;
	else if (native)
		f.score = 0.75;
	finding_reason(&f, "what it matches is run by %.100s", interp);
	if (cred)
		finding_reason(&f, "with the rights of the program that it matches (flag C)");
	if (native)
		finding_reason(&f, "it matches this machine's own programs");
	snprintf(f.subject, sizeof(f.subject), "binfmt_misc handler %.100s", name);
	snprintf(f.selector, sizeof(f.selector), "path:/proc/sys/fs/binfmt_misc/%.80s", name);
	triage_found(t, &f);
}

static bool on_handler(void *arg, int dir, const char *name, unsigned char type)
{
	struct triage *t = arg;
	struct buf b = BUF_INIT(SMALL_MAX);
	_cleanup_close_ int fd = triage_open_at(t, dir, name, O_RDONLY);

	(void)type;
	t->stats->looked++;
	if (fd >= 0 && strcmp(name, "status") != 0 && strcmp(name, "register") != 0 &&
	    triage_read_fd(fd, &b) == 0)
		judge_handler(t, name, buf_str(&b));
	buf_free(&b);
	return !triage_over(t);
}

/* --- what the kernel was told not to check --- */

static const struct {
	const char *path, *weak, *why;
	double score;
} sysctls[] = {
    {"/proc/sys/kernel/randomize_va_space", "0", "addresses of programs are not random", 0.50},
    {"/proc/sys/vm/mmap_min_addr", "0", "programs may map page zero", 0.45},
    {"/proc/sys/fs/suid_dumpable", "1", "setuid programs leave core files to users", 0.45},
    {"/proc/sys/fs/protected_symlinks", "0", "links in /tmp are followed for others", 0.35},
    {"/proc/sys/fs/protected_hardlinks", "0", "users may link what they cannot write", 0.35},
    {"/proc/sys/kernel/unprivileged_bpf_disabled", "0", "users may load BPF programs", 0.35},
};

static void look_sysctls(struct triage *t)
{
	char line[64];

	for (size_t i = 0; i < ARRAY_SIZE(sysctls); i++) {
		struct finding f;
		if (!read_line(t, sysctls[i].path, line, sizeof(line)))
			continue;
		t->stats->looked++;
		if (strcmp(line, sysctls[i].weak) != 0)
			continue;
		triage_begin(t, "sysctl_weak", &f);
		f.score = sysctls[i].score;
		finding_reason(&f, "%s", sysctls[i].why);
		snprintf(f.subject, sizeof(f.subject), "%s is %s", sysctls[i].path, line);
		snprintf(f.selector, sizeof(f.selector), "path:%s", sysctls[i].path);
		triage_found(t, &f);
	}
}

static void look_selinux(struct triage *t)
{
	struct buf b = BUF_INIT(SMALL_MAX);
	char line[16];
	struct finding f;

	if (read_line(t, "/sys/fs/selinux/enforce", line, sizeof(line)) && !strcmp(line, "0") &&
	    triage_read(t, "/etc/selinux/config", &b) == 0 &&
	    strstr(buf_str(&b), "\nSELINUX=enforcing")) {
		triage_begin(t, "selinux_permissive", &f);
		finding_reason(&f, "/etc/selinux/config says enforcing, the kernel does not");
		snprintf(f.subject, sizeof(f.subject), "SELinux is permissive");
		tell(t, &f, "path:/sys/fs/selinux/enforce");
	}
	buf_free(&b);
}

/* --- hooks --- */

/* Functions that rootkits hook to hide files, processes, sockets and modules. */
static const char *const hooked[] = {"getdents",          "filldir",       "kallsyms_lookup_name",
                                     "tcp4_seq_show",     "tcp6_seq_show", "udp4_seq_show",
                                     "find_task_by_vpid", "sys_kill",      "sys_bpf",
                                     "tpacket_rcv",       "packet_rcv",    "proc_pid_readdir",
                                     "module_show",       "m_show"};

static const char *hooked_in(const char *line, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(hooked); i++)
		if (memmem(line, len, hooked[i], strlen(hooked[i])))
			return hooked[i];
	return NULL;
}

static void look_hooks(struct triage *t, const char *path, const char *mark)
{
	struct buf b = BUF_INIT(LIST_MAX);
	_cleanup_close_ int fd = triage_open(t, path, O_RDONLY);
	struct finding f;

	if (fd < 0) {
		if (fd != -ENOENT)
			triage_unseen(t, "%s: %s", path, strerror(-fd));
		return;
	}
	(void)triage_read_fd(fd, &b);
	triage_begin(t, "kernel_hook", &f);
	for (const char *p = buf_str(&b); *p;) {
		size_t n = strcspn(p, "\n");
		const char *which = memmem(p, n, mark, strlen(mark)) ? hooked_in(p, n) : NULL;
		t->stats->looked++;
		if (which)
			finding_reason(&f, "%.*s", (int)(n < 120 ? n : 120), p);
		p += n + (p[n] == '\n');
	}
	buf_free(&b);
	snprintf(f.subject, sizeof(f.subject), "hooks on what lists files, sockets, processes");
	snprintf(f.selector, sizeof(f.selector), "path:%s", path);
	if (f.n_reasons)
		triage_found(t, &f);
}

int area_kernel(struct triage *t, struct err *e)
{
	(void)e;
	look_preload(t);
	if (!t->live)
		return 0;
	look_taint(t);
	look_modules(t);
	look_core_pattern(t);
	look_helpers(t);
	triage_list(t, "/proc/sys/fs/binfmt_misc", on_handler, t);
	look_sysctls(t);
	look_selinux(t);
	look_hooks(t, "/sys/kernel/debug/kprobes/list", "+0x");
	/* I: it may lead the call elsewhere. */
	look_hooks(t, "/sys/kernel/tracing/enabled_functions", " I");
	return 0;
}
