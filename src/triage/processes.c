/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The area processes: what each one is, says that it is, and was started with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "triage/areas.h"
#include "triage/odd.h"
#include "triage/program.h"
#include "triage/rules.h"

const struct triage_rule process_rules[] = {
    {"reverse_shell", FINDING_PROCESS, 0.95, "T1059.004",
     "a service that a super-server starts for each connection; a notebook's or editor's terminal"},
    {"bind_shell", FINDING_PROCESS, 0.95, "T1059.004",
     "a service that a super-server starts for each connection; a notebook's or editor's terminal"},
    {"shell_socket", FINDING_PROCESS, 0.75, "T1059.004",
     "a script that asks a port by /dev/tcp whether a service is up"},
    {"memory_program", FINDING_PROCESS, 0.90, "T1620",
     "a container runtime's copy of itself; a program that unpacks itself"},
    {"deleted_program", FINDING_PROCESS, 0.60, "T1070.004",
     "a program that was replaced by hand and not started again since"},
    {"kernel_name", FINDING_PROCESS, 0.90, "T1036.009",
     "none that we know: a true kernel thread has no program"},
    {"odd_place", FINDING_PROCESS, 0.50, "T1036.005",
     "a build, a test, an installer or an AppImage that runs from there"},
    {"masquerade", FINDING_PROCESS, 0.75, "T1036.005",
     "a service of another package under a well-known name"},
    {"no_arguments", FINDING_PROCESS, 0.45, "T1036.011",
     "a program that clears its arguments to hide a password"},
    {"service_shell", FINDING_PROCESS, 0.70, "T1505.003",
     "a web or database service that runs a helper; archive_command of PostgreSQL"},
    {"tracer", FINDING_PROCESS, 0.50, "T1055.008", "a developer's or administrator's debugger"},
    {"preload", FINDING_PROCESS, 0.50, "T1574.006",
     "an allocator, fakeroot, a game's overlay, a proxy wrapper"},
    {"inline_code", FINDING_PROCESS, 0.75, "T1059",
     "an administrator's one-liner that asks a port"},
    {"piped_code", FINDING_PROCESS, 0.50, "T1059", "an installer that is run as curl … | sh"},
    {"miner", FINDING_PROCESS, 0.85, "T1496", "a miner that the host's owner runs"},
    {"hidden_process", FINDING_PROCESS, 0.90, "T1014",
     "none that we know: it was alive while two lists were read"},
    {"proc_mount", FINDING_PROCESS, 0.90, "T1564", "none that we know"},
    {0},
};

static bool kthread(const struct proc_row *r)
{
	return r->stat.flags & PROCFS_PF_KTHREAD;
}

/* --- names of kernel threads --- */

static bool kernel_word(const char *name)
{
	static const char *const words[] = {
	    "kworker/",      "ksoftirqd/",   "migration/",   "rcu_",         "kthreadd",
	    "kswapd",        "kdevtmpfs",    "kauditd",      "khugepaged",   "kcompactd",
	    "kblockd",       "cpuhp/",       "idle_inject/", "watchdogd",    "jbd2/",
	    "ext4-rsv-",     "scsi_eh_",     "kintegrityd",  "oom_reaper",   "writeback",
	    "irq/",          "khungtaskd",   "ksmd",         "kthrotld",     "xfsaild/",
	    "nvme-wq",       "card0-crtc",   "kpsmoused",    "mm_percpu_wq", "watchdog/",
	    "pdflush",       "events/",      "kjournald",    "kcryptd",      "md127_",
	    "ata_sff",       "edac-poller",  "netns]",       "kdmflush",     "nfsd]",
	    "rpciod",        "xprtiod",      "loop0]",       "usb-storage",  "acpi_thermal",
	    "ipv6_addrconf", "inet_frag_wq", "kstrp",        "zswap-shrink", "devfreq_wq",
	    "hwrng",         "raid5wq",      "bioset",       "crypto]"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strncmp(name, words[i], strlen(words[i])))
			return true;
	return false;
}

/* "[kworker/0:1]" and blanks: not "[celeryd: …] -active-", which is a service's title. */
static bool all_in_brackets(const char *arg)
{
	size_t n = strcspn(arg, "]");

	return arg[0] == '[' && arg[n] == ']' && n > 1 && strcspn(arg, " ") > n &&
	       !arg[n + 1 + strspn(arg + n + 1, " ")];
}

/* A helper that the kernel has just started has its thread's name and no program for a moment. */
static void look_kernel_name(struct triage *t, const struct procs *p, const struct proc_row *r)
{
	const char *arg = procs_arg(r, 0);
	bool bracketed = arg && all_in_brackets(arg);
	bool known = kernel_word(r->stat.comm) || (arg && *arg == '[' && kernel_word(arg + 1));
	struct finding f;

	if (!r->exe[0] || (!bracketed && !known))
		return;
	procs_begin(t, p, "kernel_name", r, &f);
	if (!known)
		f.score = 0.60;
	finding_reason(&f, "it is named like a kernel thread and is none: it has a program");
	procs_found(t, r, &f);
}

/* --- odd places --- */

static const struct {
	enum odd_place place;
	double score;
	const char *why;
} places[] = {
    {ODD_TEMP, 0.50, "it runs from a folder for temporary files"},
    {ODD_SHM, 0.85, "it runs from memory that stands for a device"},
    {ODD_HIDDEN, 0.80, "it runs from a hidden folder or file"},
    {ODD_STATE, 0.45, "it runs from a hidden folder among a service's files"},
};

static bool holds_inet(const struct procs *p, const struct proc_row *r)
{
	for (uint32_t i = 0; i < r->n_fds; i++) {
		const struct proc_fd *f = &p->fds[r->first_fd + i];
		if (f->kind == PROCFS_FD_SOCKET && procs_sock(p, f->id))
			return true;
	}
	return false;
}

static void look_place(struct triage *t, const struct procs *p, const struct proc_row *r)
{
	enum odd_place place = odd_place(r->exe);
	struct finding f;

	/* What is gone from there is told by its own sign. */
	if (place == ODD_NO || r->exe_deleted)
		return;
	procs_begin(t, p, "odd_place", r, &f);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (places[i].place == place) {
			f.score = places[i].score;
			finding_reason(&f, "%s", places[i].why);
		}
	if (place == ODD_TEMP && holds_inet(p, r)) {
		f.score = 0.60;
		finding_reason(&f, "it holds a socket");
	}
	procs_found(t, r, &f);
}

/* --- names of others --- */

/* Names that people know, and the programs that may bear them. */
static const struct {
	const char *name;
	const char *programs[6];
} services[] = {
    {"sshd", {"sshd", "sshd-session", "sshd-auth", "dropbear"}},
    {"cron", {"cron", "busybox", "cronie", "crond"}},
    {"crond", {"crond", "cron", "busybox"}},
    {"atd", {"atd"}},
    {"systemd", {"systemd", "systemd-executor"}},
    {"init", {"systemd", "init", "busybox", "sysvinit", "runit", "openrc-init"}},
    {"systemd-journald", {"systemd-journald"}},
    {"systemd-logind", {"systemd-logind"}},
    {"systemd-udevd", {"systemd-udevd", "udevadm", "systemctl"}},
    {"systemd-resolved", {"systemd-resolved"}},
    {"systemd-networkd", {"systemd-networkd"}},
    {"systemd-timesyncd", {"systemd-timesyncd"}},
    {"dbus-daemon", {"dbus-daemon"}},
    {"rsyslogd", {"rsyslogd", "busybox"}},
    {"agetty", {"agetty", "getty", "busybox"}},
    {"auditd", {"auditd"}},
    {"chronyd", {"chronyd"}},
    {"polkitd", {"polkitd"}},
    {"containerd", {"containerd"}},
    {"dockerd", {"dockerd"}},
    {"apache2", {"apache2"}},
    {"httpd", {"httpd", "busybox"}},
    {"nginx", {"nginx", "openresty", "tengine"}},
    {"postgres", {"postgres", "edb-postgres"}},
    {"mysqld", {"mysqld", "mariadbd"}},
    {"redis-server", {"redis-server", "redis-check-rdb", "valkey-server"}},
    {"php-fpm", {"php-fpm"}},
    {"NetworkManager", {"NetworkManager"}},
    {"snapd", {"snapd"}},
    {"irqbalance", {"irqbalance"}},
};

/* "/usr/sbin/sshd -D", "sshd: x [priv]" → "sshd"; a leading "-" or "(" is none of a name. */
static void claimed_name(const char *arg, char *dst, size_t n)
{
	char text[128];

	snprintf(text, sizeof(text), "%s", arg);
	text[strcspn(text, " :")] = 0;
	snprintf(dst, n, "%s", odd_base(text));
}

static int service_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		if (!strcmp(services[i].name, name))
			return (int)i;
	return -1;
}

static bool may_bear(int service, const char *exe)
{
	const char *base = odd_base(exe);

	for (size_t i = 0; i < ARRAY_SIZE(services[0].programs); i++) {
		const char *name = services[service].programs[i];
		if (name && !strncmp(base, name, strlen(name)))
			return true;
	}
	return false;
}

/* A script that bears a service's name has its interpreter as program, and says so by its script.
 */
static bool script_of_that_name(const struct proc_row *r, const char *name)
{
	struct program g = program_of(r);

	return g.script && !g.odd_script && !strcmp(odd_base(g.script), name);
}

static void look_masquerade(struct triage *t, const struct procs *p, const struct proc_row *r)
{
	char names[2][64];
	const char *arg = procs_arg(r, 0);
	struct finding f;

	if (!r->exe[0])
		return;
	claimed_name(arg ? arg : "", names[0], sizeof(names[0]));
	snprintf(names[1], sizeof(names[1]), "%s", r->stat.comm);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int service = service_of(names[i]);
		if (service < 0 || may_bear(service, r->exe) || script_of_that_name(r, names[i]))
			continue;
		procs_begin(t, p, "masquerade", r, &f);
		/* What a package has put there under that name is its owner's choice. */
		if (odd_system_path(r->exe) && !strcmp(odd_base(r->exe), names[i]))
			f.score = 0.30;
		finding_reason(&f, "it calls itself %s, and its program is another", names[i]);
		procs_found(t, r, &f);
		return;
	}
}

/* Nothing, or nothing but NULs. */
static bool says_nothing(const struct proc_row *r)
{
	for (size_t i = 0; i < r->cmdline_len; i++)
		if (r->cmdline[i])
			return false;
	return true;
}

static void look_no_arguments(struct triage *t, const struct procs *p, const struct proc_row *r)
{
	struct finding f;

	/* Not while it is being started or ends. */
	if (!r->exe[0] || r->stat.state == 'Z' || r->stat.state == 'X' || r->exe_denied ||
	    r->stat.pid == 1 || !says_nothing(r))
		return;
	procs_begin(t, p, "no_arguments", r, &f);
	procs_found(t, r, &f);
}

/* --- shells of services --- */

static const struct {
	const char *name;
	bool helpers; /* runs sh -c for its own work */
} servers[] = {
    {"nginx", false},    {"apache2", false},      {"httpd", false},   {"php-fpm", false},
    {"lighttpd", false}, {"caddy", false},        {"postgres", true}, {"mysqld", false},
    {"mariadbd", false}, {"redis-server", false}, {"mongod", false},  {"memcached", false},
    {"named", false},    {"vsftpd", false},       {"proftpd", false}, {"dovecot", true},
    {"smbd", true},      {"tomcat", false},       {"uwsgi", true},    {"gunicorn", true},
    {"java", true},      {"haproxy", false},      {"exim4", true},    {"slapd", false},
};

static const char *server_above(const struct procs *p, const struct proc_row *r, bool *ret_helpers)
{
	const struct proc_row *up = procs_parent(p, r);

	/* Shells in between do not make it another thing. */
	for (int k = 0; up && k < 4; k++, up = procs_parent(p, up)) {
		for (size_t i = 0; i < ARRAY_SIZE(servers); i++)
			if (!strncmp(odd_base(up->exe), servers[i].name, strlen(servers[i].name))) {
				*ret_helpers = servers[i].helpers;
				return servers[i].name;
			}
		if (!program_of(up).shell)
			return NULL;
	}
	return NULL;
}

static bool became_by(const struct procs *p, const struct proc_row *r)
{
	static const char *const ways[] = {"sudo",    "su",           "runuser", "doas",
	                                   "sshd",    "sshd-session", "login",   "machinectl",
	                                   "setpriv", "chroot",       NULL};

	for (int k = 0; r && k < 8; k++, r = procs_parent(p, r))
		if (odd_any(odd_base(r->exe), ways) && odd_system_path(r->exe))
			return true;
	return false;
}

static void tell_server_shell(struct triage *t, const struct procs *p, const struct proc_row *r,
                              const char *server, bool helpers, enum program_way way)
{
	struct finding f;

	/* A person's own development environment has shells, too. */
	if (!strcmp(server, "java") && r->status.uid >= 1000)
		return;
	procs_begin(t, p, "service_shell", r, &f);
	if (way == WAY_BARE)
		f.score = 0.85;
	else if (helpers)
		f.score = 0.30;
	else
		f.score = way == WAY_INLINE ? 0.60 : 0.40;
	finding_reason(&f, "a shell below %s%s", server,
	               way == WAY_BARE ? ", and it waits for commands" : "");
	procs_found(t, r, &f);
}

static void look_service_shell(struct triage *t, const struct procs *p, const struct proc_row *r)
{
	struct program g = program_of(r);
	bool helpers = false, service = r->status.uid > 0 && r->status.uid < 1000;
	const char *server = g.shell && r->stat.state != 'Z' ? server_above(p, r, &helpers) : NULL;
	struct finding f;

	if (server) {
		tell_server_shell(t, p, r, server, helpers, g.way);
	} else if (g.shell && g.way == WAY_BARE && service && r->stat.tty && !became_by(p, r)) {
		procs_begin(t, p, "service_shell", r, &f);
		f.score = 0.60;
		finding_reason(&f, "a service's account has a shell on a terminal, and neither su, "
		                   "sudo nor ssh stands above it");
		procs_found(t, r, &f);
	}
}

/* --- tracers --- */

static void look_tracer(struct triage *t, const struct procs *p, const struct proc_row *r)
{
	static const char *const debuggers[] = {"gdb",         "strace",   "ltrace", "lldb",
	                                        "lldb-server", "dlv",      "perf",   "rr",
	                                        "gdbserver",   "valgrind", NULL};
	static const char *const secrets[] = {"sshd",        "sshd-session", "su",
	                                      "sudo",        "login",        "passwd",
	                                      "ssh-agent",   "gpg-agent",    "gnome-keyring-daemon",
	                                      "sssd",        "sssd_pam",     "cron",
	                                      "dbus-daemon", "systemd",      NULL};
	const struct proc_row *by = r->status.tracer ? procs_find(p, r->status.tracer) : NULL;
	struct finding f;

	if (!by)
		return;
	struct program g = program_of(by);
	bool child = procs_parent(p, r) == by, debugger = odd_any(odd_base(by->exe), debuggers);
	procs_begin(t, p, "tracer", by, &f);
	if (g.odd || g.interpreter || g.shell)
		f.score = child ? 0.60 : 0.75;
	else if (child)
		f.score = debugger ? 0.20 : 0.35;
	else if (debugger && g.system)
		f.score = 0.45;
	if (!child && odd_any(odd_base(r->exe), secrets)) {
		f.score = 0.85;
		finding_reason(&f, "what it traces reads passwords or keys");
	}
	finding_reason(&f, "it traces %s (pid %d, %.80s)%s", r->stat.comm, r->stat.pid, r->exe,
	               child ? ", its own child" : "");
	procs_found(t, by, &f);
}

/* --- preloaded libraries --- */

static double preload_score(const char *lib, const struct proc_row *r)
{
	if (odd_path(lib) || odd_place(lib) == ODD_STATE)
		return 0.85;
	/* The loader's own folders, and names that it looks up there. */
	if (*lib != '/' || odd_system_path(lib))
		return 0.20;
	if (!strncmp(lib, "/opt/", 5) || !strncmp(lib, "/app/", 5))
		return 0.30;
	return r->status.euid == 0 ? 0.60 : 0.45;
}

static void look_preloaded(struct triage *t, const struct procs *p, const struct proc_row *r)
{
	char list[sizeof(r->preload)], *save = NULL, *lib;
	const struct proc_row *up = procs_parent(p, r);
	double worst = 0;
	struct finding f;

	/* Children have it from their parent; one finding is enough. */
	if (!r->preload[0] || (up && !strcmp(up->preload, r->preload) && up->stat.pid != 1))
		return;
	snprintf(list, sizeof(list), "%s", r->preload);
	for (lib = strtok_r(list, ": ", &save); lib; lib = strtok_r(NULL, ": ", &save)) {
		double s = preload_score(lib, r);
		worst = s > worst ? s : worst;
	}
	if (worst < FINDING_SCORE_SAY)
		return;
	procs_begin(t, p, "preload", r, &f);
	f.score = worst;
	finding_reason(&f, "started with LD_PRELOAD or LD_AUDIT: %s", r->preload);
	procs_found(t, r, &f);
}

/* --- code in arguments, by pipes --- */

static void look_code(struct triage *t, const struct procs *p, const struct proc_row *r)
{
	struct program g = program_of(r);
	char words[120];
	unsigned n = g.code ? program_socket_words(g.code, words, sizeof(words)) : 0;
	struct finding f;

	if (n < 2)
		return;
	procs_begin(t, p, "inline_code", r, &f);
	f.score = n >= 3 ? 0.80 : strstr(words, "/dev/tcp/") ? 0.70 : 0.50;
	finding_reason(&f, "its code stands in an argument and has: %s", words);
	procs_found(t, r, &f);
}

/* An interpreter that reads its program from what a downloader or decoder writes. */
static void look_piped(struct triage *t, const struct procs *p, const struct proc_row *r)
{
	static const char *const sources[] = {"curl", "wget", "base64", "openssl", "xxd",
	                                      "nc",   "ncat", "socat",  "fetch",   NULL};
	struct program g = program_of(r);
	const struct proc_fd *in = procs_fd(p, r, 0);
	size_t first, n;
	struct finding f;

	if ((!g.shell && !g.interpreter) || g.way != WAY_BARE || !in || in->kind != PROCFS_FD_PIPE)
		return;
	n = procs_holders(p, PROCFS_FD_PIPE, in->id, &first);
	for (size_t i = 0; i < n; i++) {
		const struct proc_fd *out = &p->fds[p->by_id[first + i]];
		const struct proc_row *by = &p->rows[out->row];
		if (!out->writes || by == r || out->fd != 1 || procs_parent(p, by) == r ||
		    !odd_any(odd_base(by->exe), sources))
			continue;
		procs_begin(t, p, "piped_code", r, &f);
		finding_reason(&f, "its program comes by a pipe from %s (pid %d)", by->stat.comm,
		               by->stat.pid);
		procs_found(t, r, &f);
		return;
	}
}

static void look_miner(struct triage *t, const struct procs *p, const struct proc_row *r)
{
	static const char *const marks[] = {"stratum+tcp://", "stratum+ssl://", "stratum2+tcp://",
	                                    "stratum+tls://", "--donate-level", "daemon+http://"};
	static const char *const names[] = {"xmrig",    "minerd", "cpuminer", "ccminer",
	                                    "xmr-stak", "t-rex",  NULL};
	struct finding f;

	if (kthread(r))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		bool marked = memmem(r->cmdline, r->cmdline_len, marks[i], strlen(marks[i])) &&
		              !odd_any(odd_base(r->exe),
		                       (const char *const[]){"grep", "rg", "vim", "less", NULL});
		if (!marked && !odd_any(odd_base(r->exe), names))
			continue;
		procs_begin(t, p, "miner", r, &f);
		finding_reason(&f, "it mines, by its %s", marked ? marks[i] : "program's name");
		procs_found(t, r, &f);
		return;
	}
}

static void (*const looks[])(struct triage *t, const struct procs *p, const struct proc_row *r) = {
    look_shell,        look_kernel_name,   look_place,  look_masquerade,
    look_no_arguments, look_service_shell, look_tracer, look_preloaded,
    look_code,         look_piped,         look_miner,
};

int area_processes(struct triage *t, struct err *e)
{
	struct procs *p = procs_get(t, e);
	unsigned denied = 0;

	if (!p)
		return e ? e->code : -1;
	for (size_t i = 0; i < p->n && !triage_over(t); i++) {
		if (kthread(&p->rows[i]))
			continue;
		denied += p->rows[i].exe_denied;
		for (size_t k = 0; k < ARRAY_SIZE(looks); k++)
			looks[k](t, p, &p->rows[i]);
	}
	look_gone(t, p);
	look_mounts(t, p);
	look_hidden(t, p);
	if (denied)
		triage_unseen(t, "the programs of %u processes: that needs root", denied);
	if (p->denied)
		triage_unseen(t, "the descriptors of %u processes: that needs root", p->denied);
	if (!t->own_proc)
		triage_unseen(t, "what is mounted over /proc hides there: no procfs of our own "
		                 "(CAP_SYS_ADMIN)");
	return 0;
}
