/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Places from which something is started by itself. Each file there is collected, then its package
 * is asked for: what a package brought and is as it brought it says nothing; what nobody's package
 * has is judged by what it does, by what it starts, and by its age. Being there without a package
 * is no reason to act: administrators write units, too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/sys.h"
#include "seal/digest.h"
#include "triage/areas.h"
#include "triage/owners.h"
#include "wire/crontab.h"
#include "wire/passwd.h"
#include "wire/signs.h"
#include "wire/unit.h"

#define CONTENT_MAX (1u << 20)  /* of a file that is read for what it does */
#define PROGRAM_MAX (64u << 20) /* of one that is hashed */
#define DEPTH_MAX   14
#define ROOM        1024

const struct triage_rule persistence_rules[] = {
    {"autostart_content", FINDING_PERSISTENCE, 0.80, "T1546",
     "an administrator's script that fetches, tunnels or reports in just this way"},
    {"autostart_program", FINDING_PERSISTENCE, 0.78, "T1546",
     "a job that was put together in a hurry, and runs from a temporary place"},
    {"autostart_unowned", FINDING_PERSISTENCE, 0.30, "T1546",
     "an administrator's or a deployment tool's own file"},
    {"package_changed", FINDING_PERSISTENCE, 0.75, "T1554",
     "a file that was patched by hand, or a package that changes its own"},
    {"setuid_unowned", FINDING_PERSISTENCE, 0.75, "T1548.001",
     "a program that was installed without dpkg and needs it (sandboxes of browsers)"},
    {"capability_unowned", FINDING_PERSISTENCE, 0.60, "T1548.001",
     "a server that was installed without dpkg and binds low ports"},
    {"module_unowned", FINDING_PERSISTENCE, 0.75, "T1547.006",
     "a driver that was built and copied by hand; DKMS puts its own elsewhere"},
    {"web_shell", FINDING_PERSISTENCE, 0.90, "T1505.003", "an administrator's own tool or a test"},
    {0},
};

enum kind {
	SCRIPT,  /* shell: signs */
	CODE,    /* another interpreter's */
	UNIT,    /* Exec… of units and desktop entries */
	CRON,    /* with a user */
	CRONTAB, /* a user's */
	UDEV,
	PAM,
	LINES,   /* configuration whose lines may hold commands and paths */
	PACKAGE, /* a package's own script: such do much that others may not */
	MODULE,  /* the kernel's */
	PRESENT, /* its being there is all */
	PROGRAM, /* content against the package only */
	SETUID,
	CAPABLE,
	WEB,
};

static const struct place {
	const char *path; /* a folder when it ends with '/'; "~/": in each home */
	enum kind kind;
	double unowned; /* score of a file that no package has; 0: usual there */
	const char *technique, *what;
	int depth; /* folders below it, too */
} places[] = {
    {"/etc/crontab", CRON, 0, "T1053.003", "cron", 0},
    {"/etc/cron.d/", CRON, 0.30, "T1053.003", "cron", 0},
    {"/etc/cron.hourly/", SCRIPT, 0.30, "T1053.003", "cron", 0},
    {"/etc/cron.daily/", SCRIPT, 0.30, "T1053.003", "cron", 0},
    {"/etc/cron.weekly/", SCRIPT, 0.30, "T1053.003", "cron", 0},
    {"/etc/cron.monthly/", SCRIPT, 0.30, "T1053.003", "cron", 0},
    {"/etc/anacrontab", LINES, 0.30, "T1053.003", "anacron", 0},
    {"/var/spool/cron/crontabs/", CRONTAB, 0.30, "T1053.003", "a crontab", 0},
    {"/var/spool/cron/atjobs/", SCRIPT, 0.35, "T1053.002", "at", 0},
    {"/var/spool/cron/root", CRONTAB, 0.40, "T1053.003", "a crontab", 0},
    {"/etc/systemd/system-generators/", SCRIPT, 0.50, "T1543.002", "a generator", 0},
    {"/usr/lib/systemd/system-generators/", SCRIPT, 0.60, "T1543.002", "a generator", 0},
    {"/usr/local/lib/systemd/system-generators/", SCRIPT, 0.50, "T1543.002", "a generator", 0},
    {"/etc/systemd/user-generators/", SCRIPT, 0.50, "T1543.002", "a generator", 0},
    {"/usr/lib/systemd/user-generators/", SCRIPT, 0.60, "T1543.002", "a generator", 0},
    {"/usr/lib/systemd/system-shutdown/", SCRIPT, 0.50, "T1543.002", "systemd at shutdown", 0},
    {"/usr/lib/systemd/system-sleep/", SCRIPT, 0.45, "T1543.002", "systemd at sleep", 0},
    {"/etc/systemd/", UNIT, 0.30, "T1543.002", "a unit", 3},
    {"/usr/lib/systemd/system/", UNIT, 0.45, "T1543.002", "a unit", 2},
    {"/usr/lib/systemd/user/", UNIT, 0.45, "T1543.002", "a unit", 2},
    {"/usr/local/lib/systemd/", UNIT, 0.30, "T1543.002", "a unit", 3},
    {"/run/systemd/system/", UNIT, 0.35, "T1543.002", "a unit", 2},
    {"/var/lib/systemd/linger/", PRESENT, 0.30, "T1543.002", "services of a user who is not in", 0},
    {"/etc/init.d/", SCRIPT, 0.30, "T1037.004", "init", 0},
    {"/etc/rc.local", SCRIPT, 0.35, "T1037.004", "init", 0},
    {"/etc/inittab", LINES, 0.35, "T1037.004", "init", 0},
    {"/etc/init/", LINES, 0.35, "T1037.004", "upstart", 0},
    {"/etc/profile", SCRIPT, 0, "T1546.004", "every login shell", 0},
    {"/etc/bash.bashrc", SCRIPT, 0, "T1546.004", "every shell", 0},
    {"/etc/bash.bash_logout", SCRIPT, 0.35, "T1546.004", "every shell", 0},
    {"/etc/environment", LINES, 0, "T1574.006", "every session", 0},
    {"/etc/profile.d/", SCRIPT, 0.30, "T1546.004", "every login shell", 0},
    {"/etc/zsh/", SCRIPT, 0.30, "T1546.004", "every shell", 0},
    {"/etc/fish/", SCRIPT, 0.30, "T1546.004", "every shell", 1},
    {"/etc/skel/", SCRIPT, 0.35, "T1546.004", "new accounts", 3},
    {"/etc/xdg/autostart/", UNIT, 0.35, "T1547.013", "every desktop session", 0},
    {"/etc/X11/", SCRIPT, 0.30, "T1547.013", "every X session", 2},
    {"/etc/update-motd.d/", SCRIPT, 0.35, "T1546", "every login", 0},
    {"/etc/udev/rules.d/", UDEV, 0.30, "T1546.017", "udev", 0},
    {"/usr/lib/udev/rules.d/", UDEV, 0.45, "T1546.017", "udev", 0},
    {"/etc/pam.d/", PAM, 0, "T1556.003", "every login", 0},
    {"/etc/security/", LINES, 0, "T1556.003", "every login", 1},
    {"/usr/lib/x86_64-linux-gnu/security/", PRESENT, 0.75, "T1556.003", "PAM", 0},
    {"/usr/lib/aarch64-linux-gnu/security/", PRESENT, 0.75, "T1556.003", "PAM", 0},
    {"/usr/lib/security/", PRESENT, 0.75, "T1556.003", "PAM", 0},
    {"/etc/polkit-1/", LINES, 0.35, "T1548", "polkit", 2},
    {"/usr/share/polkit-1/rules.d/", LINES, 0.45, "T1548", "polkit", 0},
    {"/etc/dbus-1/", LINES, 0.30, "T1543", "dbus", 2},
    {"/usr/share/dbus-1/system-services/", UNIT, 0.45, "T1543", "dbus", 0},
    {"/usr/share/dbus-1/services/", UNIT, 0.45, "T1543", "dbus", 0},
    {"/etc/NetworkManager/dispatcher.d/", SCRIPT, 0.35, "T1546", "each change of the network", 2},
    {"/usr/lib/NetworkManager/dispatcher.d/", SCRIPT, 0.45, "T1546", "each change of the network",
     2},
    {"/etc/networkd-dispatcher/", SCRIPT, 0.35, "T1546", "each change of the network", 2},
    {"/etc/network/", LINES, 0.30, "T1546", "each change of the network", 1},
    {"/etc/dhcp/", SCRIPT, 0.30, "T1546", "each lease", 2},
    {"/etc/ppp/", SCRIPT, 0.30, "T1546", "each link", 1},
    {"/etc/openvpn/", LINES, 0, "T1546", "each tunnel", 2},
    {"/etc/apt/apt.conf.d/", LINES, 0.30, "T1546.016", "apt", 0},
    {"/etc/apt/apt.conf", LINES, 0.30, "T1546.016", "apt", 0},
    {"/etc/dpkg/dpkg.cfg.d/", LINES, 0.35, "T1546.016", "dpkg", 0},
    {"/etc/dpkg/dpkg.cfg", LINES, 0, "T1546.016", "dpkg", 0},
    {"/etc/logrotate.d/", LINES, 0.30, "T1053", "logrotate", 0},
    {"/etc/initramfs-tools/", SCRIPT, 0.35, "T1542", "the initial ramdisk", 3},
    {"/usr/share/initramfs-tools/", SCRIPT, 0.45, "T1542", "the initial ramdisk", 3},
    {"/etc/dracut.conf.d/", LINES, 0.35, "T1542", "the initial ramdisk", 0},
    {"/etc/kernel/", SCRIPT, 0.35, "T1546.016", "a new kernel", 2},
    {"/etc/rcS.d/", SCRIPT, 0, "T1037.004", "init", 0},
    {"/etc/rc2.d/", SCRIPT, 0, "T1037.004", "init", 0},
    {"/etc/rc3.d/", SCRIPT, 0, "T1037.004", "init", 0},
    {"/etc/rc4.d/", SCRIPT, 0, "T1037.004", "init", 0},
    {"/etc/rc5.d/", SCRIPT, 0, "T1037.004", "init", 0},
    {"/etc/doas.conf", LINES, 0.30, "T1548.003", "doas", 0},
    {"/etc/grub.d/", SCRIPT, 0.35, "T1542", "the boot loader", 0},
    {"/etc/default/", LINES, 0, "T1546", "services", 1},
    {"/etc/modules", LINES, 0, "T1547.006", "modules", 0},
    {"/etc/modules-load.d/", LINES, 0.35, "T1547.006", "modules", 0},
    {"/etc/modprobe.d/", LINES, 0.30, "T1547.006", "modules", 0},
    {"/etc/ld.so.preload", LINES, 0, "T1574.006", "every program", 0},
    {"/etc/ld.so.conf.d/", LINES, 0.30, "T1574.006", "every program", 0},
    {"/etc/ssh/", LINES, 0, "T1098.004", "sshd", 2},
    {"/etc/environment.d/", LINES, 0.30, "T1574.006", "user services", 0},
    {"/etc/gitconfig", LINES, 0.30, "T1546", "git", 0},
    {"/usr/share/git-core/templates/hooks/", SCRIPT, 0.50, "T1546", "git", 0},
    {"/etc/aliases", LINES, 0, "T1546", "mail", 0},
    {"/etc/xinetd.d/", LINES, 0.35, "T1543", "xinetd", 0},
    {"/etc/inetd.conf", LINES, 0.35, "T1543", "inetd", 0},
    {"/etc/rsyslog.d/", LINES, 0.30, "T1546", "syslog", 0},
    {"/etc/rsyslog.conf", LINES, 0, "T1546", "syslog", 0},
    {"/etc/acpi/", SCRIPT, 0.30, "T1546", "ACPI", 2},
    {"/etc/sysctl.d/", LINES, 0, "T1546", "the kernel's settings", 0},
    {"/etc/sysctl.conf", LINES, 0, "T1546", "the kernel's settings", 0},
    {"/etc/binfmt.d/", LINES, 0.35, "T1546", "programs of other formats", 0},
    {"/usr/lib/binfmt.d/", LINES, 0.45, "T1546", "programs of other formats", 0},
    {"/etc/tmpfiles.d/", LINES, 0.30, "T1546", "each boot", 0},
    {"/usr/lib/tmpfiles.d/", LINES, 0.45, "T1546", "each boot", 0},
    {"/etc/hosts.allow", LINES, 0, "T1546", "TCP wrappers", 0},
    {"/etc/hosts.deny", LINES, 0, "T1546", "TCP wrappers", 0},
    {"/var/lib/dpkg/info/", PACKAGE, 0, "T1546.016", "dpkg", 0},
    {"/etc/supervisor/", LINES, 0.30, "T1543", "supervisor", 2},
    {"~/.bashrc", SCRIPT, 0, "T1546.004", "a shell", 0},
    {"~/.bash_profile", SCRIPT, 0, "T1546.004", "a shell", 0},
    {"~/.bash_login", SCRIPT, 0, "T1546.004", "a shell", 0},
    {"~/.bash_logout", SCRIPT, 0, "T1546.004", "a shell", 0},
    {"~/.bash_aliases", SCRIPT, 0, "T1546.004", "a shell", 0},
    {"~/.profile", SCRIPT, 0, "T1546.004", "a shell", 0},
    {"~/.zshrc", SCRIPT, 0, "T1546.004", "a shell", 0},
    {"~/.zshenv", SCRIPT, 0, "T1546.004", "a shell", 0},
    {"~/.zprofile", SCRIPT, 0, "T1546.004", "a shell", 0},
    {"~/.zlogin", SCRIPT, 0, "T1546.004", "a shell", 0},
    {"~/.config/fish/", SCRIPT, 0, "T1546.004", "a shell", 2},
    {"~/.xprofile", SCRIPT, 0, "T1547.013", "an X session", 0},
    {"~/.xinitrc", SCRIPT, 0, "T1547.013", "an X session", 0},
    {"~/.xsession", SCRIPT, 0, "T1547.013", "an X session", 0},
    {"~/.xsessionrc", SCRIPT, 0, "T1547.013", "an X session", 0},
    {"~/.config/autostart/", UNIT, 0.30, "T1547.013", "a desktop session", 0},
    {"~/.config/systemd/user/", UNIT, 0.30, "T1543.002", "a user's unit", 2},
    {"~/.local/share/systemd/user/", UNIT, 0.35, "T1543.002", "a user's unit", 2},
    {"~/.local/share/dbus-1/services/", UNIT, 0.35, "T1543", "dbus", 0},
    {"~/.config/environment.d/", LINES, 0.30, "T1574.006", "user services", 0},
    {"~/.pam_environment", LINES, 0.35, "T1574.006", "a login", 0},
    {"~/.ssh/rc", SCRIPT, 0.50, "T1546.004", "each ssh login", 0},
    {"~/.ssh/config", LINES, 0, "T1098.004", "ssh", 0},
    {"~/.ssh/environment", LINES, 0.45, "T1574.006", "each ssh login", 0},
    {"~/.forward", LINES, 0.30, "T1546", "mail", 0},
    {"~/.procmailrc", LINES, 0.30, "T1546", "mail", 0},
    {"~/.config/git/config", LINES, 0, "T1546", "git", 0},
    {"~/.config/nvim/", LINES, 0, "T1546", "vim", 1},
    {"~/.gitconfig", LINES, 0, "T1546", "git", 0},
    {"~/.vimrc", LINES, 0, "T1546", "vim", 0},
    {"~/.gdbinit", LINES, 0, "T1546", "gdb", 0},
    {"~/.tmux.conf", LINES, 0, "T1546", "tmux", 0},
    {"/usr/sbin/sshd", PROGRAM, 0, "T1554", "sshd", 0},
    {"/usr/bin/login", PROGRAM, 0, "T1554", "login", 0},
    {"/usr/bin/su", PROGRAM, 0, "T1554", "su", 0},
    {"/usr/bin/sudo", PROGRAM, 0, "T1554", "sudo", 0},
    {"/usr/bin/ssh", PROGRAM, 0, "T1554", "ssh", 0},
    {"/usr/bin/ps", PROGRAM, 0, "T1554", "ps", 0},
    {"/usr/bin/ls", PROGRAM, 0, "T1554", "ls", 0},
    {"/usr/bin/ss", PROGRAM, 0, "T1554", "ss", 0},
    {"/usr/bin/bash", PROGRAM, 0, "T1554", "bash", 0},
    {"/usr/bin/dash", PROGRAM, 0, "T1554", "dash", 0},
    {"/usr/sbin/cron", PROGRAM, 0, "T1554", "cron", 0},
    {"/usr/lib/systemd/systemd", PROGRAM, 0, "T1554", "systemd", 0},
};
/* What the walk over all folders finds; places behind those of the table. */
static const struct place walked[] = {
    {"", SETUID, 0.75, "T1548.001", "setuid", 0},
    {"", CAPABLE, 0.60, "T1548.001", "file capabilities", 0},
    {"", WEB, 0, "T1505.003", "a web server", 0},
    {"", CODE, 0.35, "T1546.018", "every Python", 0},
    {"", SCRIPT, 0, "T1546", "git", 0},
    {"", MODULE, 0.75, "T1547.006", "the kernel", 0},
    {"", LINES, 0, "T1505.003", "a web server", 0},
    {"", PRESENT, 0.75, "T1556", "every program that asks for a name", 0},
};
enum {
	WALK_SETUID,
	WALK_CAPABLE,
	WALK_WEB,
	WALK_PYTHON,
	WALK_GIT,
	WALK_MODULE,
	WALK_WEB_RULES,
	WALK_NAMES
};

static const struct place *place_of(const struct owned_file *f)
{
	size_t i = (size_t)f->place;
	return i < ARRAY_SIZE(places) ? &places[i] : &walked[i - ARRAY_SIZE(places)];
}

/* --- collecting --- */

struct search {
	struct triage *t;
	struct owned *o;
	const char *path; /* of the folder at hand, without a slash at its end */
	int place, depth;
	dev_t device; /* the walk stays on it */
};

static bool ends(const char *s, const char *with)
{
	size_t n = strlen(s), m = strlen(with);
	return n >= m && !strcmp(s + n - m, with);
}

static bool ends_with_any(const char *s, const char *const *with)
{
	for (; *with; with++)
		if (ends(s, *with))
			return true;
	return false;
}

static const char *const package_scripts[] = {".preinst", ".postinst", ".prerm", ".postrm", NULL};

static void collect(struct triage *t, struct owned *o, const char *path, int place)
{
	struct stat st;
	if (places[place].kind == PACKAGE && !ends_with_any(path, package_scripts))
		return;
	int r = triage_stat(t, path, &st);
	if (r == -EACCES)
		triage_unseen(t, "%s: no right to look at it", path);
	if (r < 0 || !(S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)))
		return;
	t->stats->looked++;
	if (owned_add(o, path, &st, place) < 0)
		t->stats->limit = true;
}

static bool in_folder(void *arg, int dir, const char *name, unsigned char type)
{
	struct search *s = arg;
	char path[ROOM];
	(void)dir;
	if (snprintf(path, sizeof path, "%s/%s", s->path, name) >= (int)sizeof path)
		return true;
	if (type != DT_DIR) {
		collect(s->t, s->o, path, s->place);
	} else if (s->depth > 0) {
		struct search below = *s;
		below.path = path;
		below.depth--;
		triage_list(s->t, path, in_folder, &below);
	}
	return !triage_over(s->t);
}

static void collect_place(struct triage *t, struct owned *o, int i, const char *home)
{
	const struct place *p = &places[i];
	char path[ROOM];
	bool in_home = p->path[0] == '~';
	if (in_home != (home != NULL))
		return;
	snprintf(path, sizeof path, "%s%s", home ? home : "", p->path + in_home);
	size_t n = strlen(path);
	if (path[n - 1] != '/') {
		collect(t, o, path, i);
		return;
	}
	path[n - 1] = 0;
	struct search s = {.t = t, .o = o, .path = path, .place = i, .depth = p->depth};
	int r = triage_list(t, path, in_folder, &s);
	if (r == -EACCES || r == -EPERM)
		triage_unseen(t, "%s: no right to read it", path);
}

static void collect_homes(struct triage *t, struct owned *o)
{
	struct buf b = BUF_INIT(CONTENT_MAX);
	triage_read(t, "/etc/passwd", &b);
	struct passwd_reader r = passwd_reader_of(PASSWD_PASSWD, buf_str(&b), b.len);
	for (struct passwd_line l; passwd_next(&r, &l) && !triage_over(t);) {
		char home[256];
		if (!l.usable || l.n <= PASSWD_HOME || !span_starts(l.field[PASSWD_HOME], "/") ||
		    cursor_left(&l.field[PASSWD_HOME]) < 2 ||
		    cursor_left(&l.field[PASSWD_HOME]) >= sizeof home)
			continue;
		span_copy(l.field[PASSWD_HOME], home, sizeof home);
		for (size_t i = 0; i < ARRAY_SIZE(places); i++)
			collect_place(t, o, (int)i, home);
	}
	buf_free(&b);
}

/* Pages where a web server may find them; in cgi-bin all is run. */
static bool web_page(const char *path, const char *name)
{
	static const char *const pages[] = {".php",  ".phtml", ".php5", ".php7", ".phar", ".jsp",
	                                    ".jspx", ".aspx",  ".asp",  ".cgi",  ".inc",  NULL};
	static const char *const roots[] = {
	    "/var/www/",         "/srv/",  "/usr/share/nginx/", "/opt/", "/var/lib/tomcat",
	    "/usr/lib/cgi-bin/", "/home/", "/usr/local/",       "/tmp/", "/usr/share/"};
	bool page = ends_with_any(name, pages);
	for (size_t k = 0; page && k < ARRAY_SIZE(roots); k++)
		if (!strncmp(path, roots[k], strlen(roots[k])))
			return true;
	return strstr(path, "/cgi-bin/") != NULL;
}

static bool python_start(const char *path, const char *name)
{
	return !strcmp(name, "sitecustomize.py") || !strcmp(name, "usercustomize.py") ||
	       (ends(name, ".pth") && strstr(path, "python"));
}

static bool kernel_module(const char *path, const char *name)
{
	static const char *const modules[] = {".ko", ".ko.xz", ".ko.gz", ".ko.zst", NULL};
	return strstr(path, "/lib/modules/") && strstr(path, "/kernel/") &&
	       ends_with_any(name, modules);
}

static bool names_library(const char *path, const char *name)
{
	return !strncmp(name, "libnss_", 7) && strstr(path, "/lib/");
}

static bool web_rules(const char *path, const char *name)
{
	(void)path;
	return !strcmp(name, ".htaccess") || !strcmp(name, ".user.ini");
}

static bool git_hook(const char *path, const char *name)
{
	return strstr(path, "/hooks/") && strstr(path, ".git/") && !ends(name, ".sample");
}

static int walked_kind(const char *path, const char *name, const struct stat *st)
{
	static const struct {
		int kind;
		bool (*is)(const char *path, const char *name);
	} rows[] = {
	    {WALK_MODULE, kernel_module}, {WALK_NAMES, names_library}, {WALK_WEB_RULES, web_rules},
	    {WALK_WEB, web_page},         {WALK_PYTHON, python_start}, {WALK_GIT, git_hook},
	};
	if (st->st_mode & S_ISUID || (st->st_mode & S_ISGID && st->st_mode & S_IXGRP))
		return WALK_SETUID;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].is(path, name))
			return rows[i].kind;
	return -1;
}

static bool capable(int dir, const char *name, const struct stat *st)
{
	char path[320];
	if (!(st->st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) ||
	    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", dir, name) >= (int)sizeof path)
		return false;
	return lgetxattr(path, "security.capability", NULL, 0) > 0;
}

static void take_walked(struct search *s, int dir, const char *path, const char *name,
                        const struct stat *st)
{
	int kind = walked_kind(path, name, st);
	if (kind < 0 && capable(dir, name, st))
		kind = WALK_CAPABLE;
	if (kind >= 0 && owned_add(s->o, path, st, (int)ARRAY_SIZE(places) + kind) < 0)
		s->t->stats->limit = true;
	s->t->stats->looked++;
}

static bool left_out(const char *path)
{
	static const char *const names[] = {"/proc", "/sys", "/dev", "/run"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(path, names[i]))
			return true;
	return false;
}

static bool on_walk(void *arg, int dir, const char *name, unsigned char type);

/* A folder that holds a whole system (a container's layer, a chroot) is another root's affair. */
static void walk_into(const struct search *s, int dir, const char *name, const char *path)
{
	struct search below = *s;
	struct stat st;
	below.path = path;
	below.depth--;
	_cleanup_close_ int fd =
	    triage_open_at(s->t, dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (fd < 0)
		return;
	if (fstatat(fd, "var/lib/dpkg/status", &st, AT_SYMLINK_NOFOLLOW) == 0)
		triage_unseen(s->t, "%.100s: a system of its own; look at it with --root", path);
	else
		triage_list_fd(fd, on_walk, &below);
}

static bool on_walk(void *arg, int dir, const char *name, unsigned char type)
{
	struct search *s = arg;
	char path[ROOM];
	struct stat st;
	if (triage_over(s->t))
		return false;
	if (snprintf(path, sizeof path, "%s/%s", s->path, name) >= (int)sizeof path ||
	    (type != DT_DIR && type != DT_REG) || left_out(path) ||
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != s->device)
		return true;
	if (S_ISREG(st.st_mode))
		take_walked(s, dir, path, name, &st);
	else if (S_ISDIR(st.st_mode) && s->depth > 0)
		walk_into(s, dir, name, path);
	return true;
}

static void walk(struct triage *t, struct owned *o)
{
	struct search s = {.t = t, .o = o, .path = "", .depth = DEPTH_MAX};
	struct stat st;
	if (fstat(t->root, &st) < 0)
		return;
	s.device = st.st_dev;
	triage_list(t, "/", on_walk, &s);
}

/* --- judging --- */

/* What was seen of one file: the heaviest reason. */
struct verdict {
	struct triage *t;
	struct owned *started; /* programs where only packages put any; place: the file's index */
	int file;
	double score;
	const char *rule, *technique;
	char reasons[3][FINDING_REASON_MAX];
	size_t n;
};

__attribute__((format(printf, 5, 6))) static void blame(struct verdict *v, const char *rule,
                                                        double score, const char *technique,
                                                        const char *fmt, ...)
{
	va_list ap;
	if (score > v->score) {
		v->score = score;
		v->rule = rule;
		v->technique = technique;
	}
	if (v->n == ARRAY_SIZE(v->reasons))
		return;
	va_start(ap, fmt);
	vsnprintf(v->reasons[v->n++], FINDING_REASON_MAX, fmt, ap);
	va_end(ap);
}

static bool look_at_text(struct verdict *v, enum signs_of kind, struct cursor text,
                         const char *where)
{
	struct signs s = {0};
	signs_look(kind, text.p, cursor_left(&text), &s);
	if (!s.found)
		return false;
	blame(v, kind == SIGNS_WEB ? "web_shell" : "autostart_content", s.weight,
	      sign_technique(s.heaviest), "%s: %s%.90s", sign_text(s.heaviest), where, s.line);
	return true;
}

static enum signs_of kind_of_text(struct cursor text)
{
	struct cursor first;
	struct lines l = lines_of(text.p, cursor_left(&text));
	if (!lines_next(&l, &first) || !span_starts(first, "#!"))
		return SIGNS_SHELL;
	return span_has(first, "python") || span_has(first, "perl") || span_has(first, "ruby") ||
	               span_has(first, "php") || span_has(first, "node")
	           ? SIGNS_CODE
	           : SIGNS_SHELL;
}

/* Folders that packages alone put programs into. */
static bool packages_place(struct cursor path)
{
	static const char *const folders[] = {"/usr/bin/", "/usr/sbin/", "/bin/",        "/sbin/",
	                                      "/usr/lib/", "/lib/",      "/usr/libexec/"};
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (span_starts(path, folders[i]))
			return true;
	return false;
}

/* Kept, to be asked for its package with all the others. */
static void note_started(struct verdict *v, const char *path)
{
	struct stat st;
	if (v->started && triage_stat(v->t, path, &st) == 0 && S_ISREG(st.st_mode) &&
	    owned_add(v->started, path, &st, v->file) < 0)
		v->t->stats->limit = true;
}

/* "%h/…", "~/…", "$HOME/…": below a home, whosever. */
static bool below_home(struct cursor word)
{
	static const char *const homes[] = {"%h/", "~/", "$HOME/", "${HOME}/"};
	for (size_t i = 0; i < ARRAY_SIZE(homes); i++)
		if (span_starts(word, homes[i]))
			return true;
	return false;
}

/* Without the marks of shells, units and configurations around it. */
static struct cursor bare_path(struct cursor word)
{
	while (word.p < word.end && byte_of(*word.p, "\"'(`|=-@!+:"))
		word.p++;
	while (word.p < word.end && byte_of(word.end[-1], "\"')`;&|,:"))
		word.end--;
	return word;
}

/* What the text at a path does. */
static void look_at_script(struct verdict *v, const char *path)
{
	struct buf b = BUF_INIT(CONTENT_MAX);
	if (triage_read(v->t, path, &b) == 0 && b.len > 4 && memcmp(b.data, "\177ELF", 4) != 0) {
		struct cursor text = cursor_of(b.data, b.len);
		char where[80];
		snprintf(where, sizeof where, "%.70s has ", path);
		look_at_text(v, kind_of_text(text), text, where);
	}
	buf_free(&b);
}

/* The file that a command starts: where it is, whose, and, if it is text of no package's, what it
 * does. */
static void look_at_target(struct verdict *v, struct cursor word)
{
	char path[ROOM];
	word = bare_path(word);
	if (below_home(word) && signs_hidden_path(word)) {
		span_copy(word, path, 120);
		blame(v, "autostart_program", 0.75, "T1564.001", "it starts %s, in a hidden place",
		      path);
	}
	if (!span_starts(word, "/") || cursor_left(&word) >= sizeof path)
		return;
	span_copy(word, path, sizeof path);
	if (signs_loose_path(word) || signs_hidden_path(word))
		blame(v, "autostart_program", signs_loose_path(word) ? 0.80 : 0.75, "T1036.005",
		      "it starts %s, in a %s place", path,
		      signs_loose_path(word) ? "loose" : "hidden");
	if (packages_place(word))
		note_started(v, path);
	else
		look_at_script(v, path);
}

static void look_at_command(struct verdict *v, struct cursor command)
{
	struct cursor rest = command, word;
	look_at_text(v, SIGNS_SHELL, command, "");
	for (int i = 0; i < 6 && span_word(&rest, &word); i++)
		if (!span_starts(word, "/dev/tcp/") && !span_starts(word, "/dev/udp/"))
			look_at_target(v, word);
}

/* A shell without a script: "/bin/bash", "-/bin/sh -i". */
static bool bare_shell(struct cursor command)
{
	static const char *const shells[] = {"/sh", "/bash", "/dash", "/zsh", "/ksh"};
	struct cursor program, argument;
	if (!span_word(&command, &program))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
		if (span_ends(program, shells[i]))
			return !span_word(&command, &argument) || span_is(argument, "-i") ||
			       span_is(argument, "-li") || span_is(argument, "-l");
	return false;
}

static void look_at_unit(struct verdict *v, struct cursor text)
{
	bool shell = false, socket = false;
	struct unit_reader r;
	unit_init(&r, text.p, cursor_left(&text));
	for (struct unit_line l; unit_next(&r, &l);) {
		struct unit_exec e;
		if (span_starts(l.key, "Exec") && unit_exec(l.value, &e) &&
		    !span_starts(l.key, "ExecSearchPath")) {
			look_at_command(v, (struct cursor){e.program.p, l.value.end});
			shell |= bare_shell((struct cursor){e.program.p, l.value.end});
		} else if (span_is(l.key, "Environment") || span_is(l.key, "RootDirectory"))
			look_at_text(v, SIGNS_SHELL, l.value, "");
		socket |= span_is(l.key, "StandardInput") && span_is(l.value, "socket");
	}
	if (shell && socket)
		blame(v, "autostart_content", 0.85, "T1059.004",
		      "a shell behind a listening port: StandardInput=socket");
	unit_free(&r);
}

static void look_at_cron(struct verdict *v, struct cursor text, bool system)
{
	struct crontab_reader r = crontab_reader_of(system, text.p, cursor_left(&text));
	for (struct crontab_line l; crontab_next(&r, &l);) {
		look_at_command(v, l.kind == CRONTAB_ENV ? l.value : l.command);
		if (l.kind == CRONTAB_ENV && span_is(l.name, "LD_PRELOAD"))
			blame(v, "autostart_content", 0.80, "T1574.006", "cron sets LD_PRELOAD");
	}
}

/* What stands in quotes behind RUN, PROGRAM, IMPORT{program}. */
static void look_at_udev(struct verdict *v, struct cursor line)
{
	static const char *const keys[] = {"RUN", "PROGRAM", "IMPORT{program}"};
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		struct cursor c = line, value;
		const uint8_t *at = span_find(line, keys[i]);
		if (!at)
			continue;
		c.p = at;
		span_until(&c, '"', &value); /* key and operator */
		if (!span_until(&c, '"', &value))
			continue;
		look_at_command(v, value);
		/* What udev starts is ended with the event; who wants more asks at or cron. */
		if (span_has(value, "bin/at ") || span_has(value, "systemd-run") ||
		    span_has(value, "nohup"))
			blame(v, "autostart_content", 0.74, "T1546.017",
			      "it outlives udev's event: RUN of at, nohup or systemd-run");
	}
}

static void look_at_pam(struct verdict *v, struct cursor line)
{
	char shown[100];
	span_copy(line, shown, sizeof shown);
	if (span_has(line, "pam_exec.so"))
		blame(v, "autostart_content", 0.74, "T1556.003", "pam_exec: %s", shown);
	if (span_has(line, "pam_permit.so") && span_has(line, "sufficient") &&
	    (span_starts(line, "auth") || span_starts(line, "account")))
		blame(v, "autostart_content", 0.85, "T1556.003", "lets everybody in: %s", shown);
	struct cursor rest = line, word;
	while (span_word(&rest, &word))
		if (span_starts(word, "/") && span_ends(word, ".so") &&
		    !span_has(word, "/security/"))
			blame(v, "autostart_content", 0.80, "T1556.003", "a module of its own: %s",
			      shown);
}

/* What is run by a line of configuration: behind such a word. */
static void look_at_runs(struct verdict *v, struct cursor line)
{
	static const char *const runs[] = {"install ",      "AuthorizedKeysCommand ",
	                                   "ForceCommand ", "ProxyCommand ",
	                                   "LocalCommand ", "up ",
	                                   "post-up ",      "pre-up ",
	                                   "down ",         "post-down "};
	for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
		if (span_starts(line, runs[i])) {
			struct cursor rest = {line.p + strlen(runs[i]), line.end}, unused;
			if (i == 0)
				span_word(&rest, &unused);
			look_at_command(v, span_trim(rest));
		}
}

/* Words that make a loose path behind them one that is loaded or run. */
static bool loads(struct cursor line)
{
	static const char *const words[] = {".so",          "nvoke",       "sPath",  "^",
	                                    "|/",           "| /",         "omprog", "!",
	                                    "prepend_file", "append_file", "server", ":/"};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (span_has(line, words[i]))
			return true;
	return span_starts(line, "/");
}

/* Lines of configuration that open a way by themselves: in files whose path has `where`, with one
 * of each of `has` (separated by newlines). */
static const struct {
	const char *where, *has[2];
	double score;
	const char *technique, *text;
} openings[] = {
    {"/etc/ssh/",
     {"AuthorizedKeysFile", " /"},
     0.72,
     "T1098.004",
     "keys are read from another place"},
    {"/etc/ssh/",
     {"AuthorizedKeysCommand ", "curl\nwget\n/bin/sh\n/bin/bash\n/bin/nc\n/bin/cat\n/bin/echo"},
     0.80,
     "T1098.004",
     "keys come from elsewhere"},
    {"/etc/doas.conf", {"permit", "nopass"}, 0.70, "T1548.003", "nobody is asked for a password"},
    {"/etc/grub.d/",
     {"linux", "init=/"},
     0.75,
     "T1542",
     "the kernel starts another program than systemd"},
    {"/etc/ssh/", {"PermitEmptyPasswords", " yes"}, 0.75, "T1556", "sshd takes empty passwords"},
    {"/etc/default/grub",
     {"GRUB_CMDLINE", "init=/"},
     0.75,
     "T1542",
     "the kernel starts another program than systemd"},
    {"/etc/default/grub",
     {"GRUB_CMDLINE", "module.sig_enforce=0\nselinux=0\napparmor=0"},
     0.45,
     "T1562.001",
     "the kernel boots with a defence off"},
    {"/etc/inetd",
     {"/bin/sh\n/bin/bash\n/bin/dash\n/bin/nc\n/bin/ncat"},
     0.85,
     "T1059.004",
     "a shell behind a listening port"},
    {"/etc/xinetd",
     {"server", "/bin/sh\n/bin/bash\n/bin/dash\n/bin/nc\n/bin/ncat"},
     0.85,
     "T1059.004",
     "a shell behind a listening port"},
    {"/tmpfiles.d/",
     {" 4755\n 6755\n 4777\n 4711\n 04755"},
     0.80,
     "T1548.001",
     "each boot makes a setuid program"},
    {"/tmpfiles.d/",
     {"authorized_keys\n/etc/sudoers\n/etc/cron\n/etc/passwd\n/etc/shadow\nld.so.preload"},
     0.75,
     "T1546",
     "each boot writes where access is given"},
    {"/.htaccess",
     {"x-httpd-php", ".jpg\n.jpeg\n.png\n.gif\n.txt\n.ico\n.css"},
     0.80,
     "T1505.003",
     "pictures or texts are run as pages"},
    {"/.htaccess",
     {"SetHandler", "cgi-script\nserver-status"},
     0.45,
     "T1505.003",
     "files here are run"},
    {"/.htaccess",
     {"prepend_file\nappend_file"},
     0.60,
     "T1505.003",
     "every page runs another file, too"},
    {"/.user.ini",
     {"prepend_file\nappend_file"},
     0.60,
     "T1505.003",
     "every page runs another file, too"},
};

static bool has_any(struct cursor line, const char *alternatives)
{
	char one[64];
	for (const char *p = alternatives; *p; p += strspn(p, "\n")) {
		size_t n = strcspn(p, "\n");
		snprintf(one, sizeof one, "%.*s", (int)n, p);
		if (span_has(line, one))
			return true;
		p += n;
	}
	return false;
}

static void look_at_openings(struct verdict *v, const char *path, struct cursor line)
{
	char shown[80];
	for (size_t i = 0; i < ARRAY_SIZE(openings); i++) {
		if (!strstr(path, openings[i].where) || !has_any(line, openings[i].has[0]) ||
		    (openings[i].has[1] && !has_any(line, openings[i].has[1])))
			continue;
		span_copy(line, shown, sizeof shown);
		blame(v, "autostart_content", openings[i].score, openings[i].technique, "%s: %s",
		      openings[i].text, shown);
	}
}

/* polkit's rules take many lines: one that says yes without asking for anything. */
static void look_at_polkit(struct verdict *v, const char *path, struct cursor text)
{
	bool rule = strstr(path, "/polkit-1/") && span_has(text, "polkit.Result.YES") &&
	            !span_has(text, "if");
	bool authority =
	    strstr(path, "/polkit-1/") && span_has(text, "=yes") && span_has(text, "Action=*");
	if (rule || authority)
		blame(v, "autostart_content", 0.78, "T1548", "polkit says yes to everything");
}

static void look_at_config(struct verdict *v, const char *path, struct cursor line)
{
	struct cursor rest = line, word;
	look_at_runs(v, line);
	while (loads(line) && span_word(&rest, &word)) {
		/* From the path on: key="/x", (binary="/x"), |/x, :name:…:/x:flags */
		const uint8_t *slash = memchr(word.p, '/', cursor_left(&word));
		if (slash && slash > word.p && byte_of(slash[-1], "\"'=|{:^!("))
			word.p = slash;
		while (word.p < word.end && byte_of(*word.p, "\"'=|{!"))
			word.p++;
		struct cursor part;
		if (span_until(&word, ':', &part))
			word = part;
		if (signs_loose_path(word) || signs_hidden_path(word) || below_home(word) ||
		    !strcmp(path, "/etc/ld.so.preload"))
			look_at_target(v, word);
	}
	look_at_openings(v, path, line);
	if (span_has(line, "polkit.Result.YES") && span_starts(line, "return"))
		blame(v, "autostart_content", 0.45, "T1548", "polkit says yes");
}

static void look_at_lines(struct verdict *v, const char *path, enum kind kind, struct cursor text)
{
	struct lines l = lines_of(text.p, cursor_left(&text));
	if (kind == LINES) {
		look_at_text(v, SIGNS_SHELL, text, "");
		look_at_polkit(v, path, text);
	}
	for (struct cursor line; lines_next(&l, &line);) {
		line = span_trim(line);
		if (line.p == line.end || *line.p == '#')
			continue;
		if (kind == UDEV)
			look_at_udev(v, line);
		else if (kind == PAM)
			look_at_pam(v, line);
		else
			look_at_config(v, path, line);
	}
}

/* Scripts of packages make accounts and setuid programs by trade; these signs are no trade of
 * theirs. */
static void look_at_package(struct verdict *v, struct cursor text)
{
	const uint32_t bad = 1u << SIGN_REVERSE_SHELL | 1u << SIGN_NET_CODE | 1u << SIGN_MINER |
	                     1u << SIGN_FETCH_RUN;
	struct signs s = {0};
	signs_look(kind_of_text(text), text.p, cursor_left(&text), &s);
	if (s.found & bad && bad & 1u << s.heaviest)
		blame(v, "autostart_content", s.weight, sign_technique(s.heaviest), "%s: %.90s",
		      sign_text(s.heaviest), s.line);
}

static void look_at_content(struct verdict *v, const char *path, enum kind kind, struct cursor text)
{
	struct cursor line;
	if (span_starts(text, "\177ELF"))
		return;
	switch (kind) {
	case SCRIPT:
		look_at_text(v, kind_of_text(text), text, "");
		for (struct lines l = lines_of(text.p, cursor_left(&text)); lines_next(&l, &line);)
			look_at_openings(v, path, line);
		break;
	case CODE:
		look_at_text(v, SIGNS_CODE, text, "");
		break;
	case WEB:
		look_at_text(v, SIGNS_WEB, text, "");
		break;
	case UNIT:
		look_at_unit(v, text);
		break;
	case CRON:
	case CRONTAB:
		look_at_cron(v, text, kind == CRON);
		break;
	case UDEV:
	case PAM:
	case LINES:
		look_at_lines(v, path, kind, text);
		break;
	case PACKAGE:
		look_at_package(v, text);
		break;
	case MODULE:
	case PRESENT:
	case PROGRAM:
	case SETUID:
	case CAPABLE:
		break;
	}
}

static bool as_packaged(const struct owned_file *f, const struct buf *b)
{
	uint8_t sum[DIGEST_LEN_MAX];
	size_t n;
	struct digest d;
	digest_begin(&d, DIGEST_MD5);
	digest_add(&d, b->data, b->len);
	return digest_end(&d, sum, &n) == 0 && n == sizeof f->md5 && !memcmp(sum, f->md5, n);
}

static void look_at_owner(struct verdict *v, const struct owned_file *f, bool known)
{
	const struct place *p = place_of(f);
	bool odd = known && !f->package[0];
	usec_t changed = (usec_t)f->st.st_ctim.tv_sec * USEC_PER_SEC;
	const char *rule = p->kind == SETUID    ? "setuid_unowned"
	                   : p->kind == CAPABLE ? "capability_unowned"
	                   : p->kind == MODULE  ? "module_unowned"
	                                        : "autostart_unowned";
	if (!odd)
		return;
	if (p->unowned > 0)
		blame(v, rule, p->unowned, p->technique, "no package has it; it is started by %s",
		      p->what);
	if (signs_hidden_path(cursor_of(f->path, strlen(f->path))) && p->path[0] == '/')
		blame(v, rule, 0.72, "T1564.001", "its name is hidden");
	if (v->t->since && changed >= v->t->since && p->kind != WEB)
		blame(v, rule, 0.75, p->technique, "it was changed not before --since");
}

static void tell(struct triage *t, const struct owned_file *f, const struct verdict *v)
{
	const struct place *p = place_of(f);
	char when[TIME_STR_MAX];
	struct finding out;
	const char *base = strrchr(f->path, '/') + 1;
	triage_begin(t, v->rule, &out);
	out.score = v->score;
	snprintf(out.technique, sizeof out.technique, "%s", v->technique);
	snprintf(out.subject, sizeof out.subject, "%.150s", f->path);
	snprintf(out.selector, sizeof out.selector, "path:%.150s", f->path);
	for (size_t i = 0; i < v->n; i++)
		finding_reason(&out, "%s", v->reasons[i]);
	finding_reason(&out, "changed %s (ctime), owner %u, mode %04o, package %s; %s",
	               time_str((usec_t)f->st.st_ctim.tv_sec * USEC_PER_SEC, when), f->st.st_uid,
	               f->st.st_mode & 07777, f->package[0] ? f->package : "none", p->what);
	if (p->kind == UNIT && v->score >= FINDING_SCORE_LOOK && ends(base, ".service"))
		finding_order(&out, "disable service %s", base);
	triage_found(t, &out);
}

/* Where a link leads; false: it is none. */
static bool link_to(const struct triage *t, const struct owned_file *f, char *to, size_t n,
                    struct cursor *ret)
{
	_cleanup_close_ int fd = -1;
	if (!S_ISLNK(f->st.st_mode))
		return false;
	fd = triage_open(t, f->path, O_PATH | O_NOFOLLOW);
	ssize_t len = fd < 0 ? -1 : readlinkat(fd, "", to, n - 1);
	*ret = cursor_of(to, len > 0 ? (size_t)len : 0);
	return true;
}

static bool strange(struct cursor to)
{
	return !span_starts(to, "/dev/null") && (signs_loose_path(to) || signs_hidden_path(to));
}

/* A link to what packages have, or to nothing. */
static bool plain_link(const struct triage *t, const struct owned_file *f)
{
	char room[ROOM];
	struct cursor to;
	return link_to(t, f, room, sizeof room, &to) &&
	       !(strange(to) || span_starts(to, "/home/") || span_starts(to, "/root/") ||
	         span_starts(to, "/opt/"));
}

static void look_at_link(struct verdict *v, const struct owned_file *f)
{
	char room[ROOM];
	struct cursor to;
	if (!link_to(v->t, f, room, sizeof room, &to) || !strange(to))
		return;
	room[cursor_left(&to)] = 0;
	blame(v, "autostart_program", 0.76, "T1036.005", "it leads to %.100s", room);
}

/* Of thousands of modules only the ones of nobody's are looked at. */
static bool passed_over(const struct triage *t, const struct owned_file *f)
{
	return plain_link(t, f) || (place_of(f)->kind == MODULE && f->package[0]);
}

static void judge(struct triage *t, struct owned *o, struct owned *started, size_t i, bool known)
{
	const struct owned_file *f = &o->v[i];
	struct buf b = BUF_INIT(f->has_sum ? PROGRAM_MAX : CONTENT_MAX);
	struct verdict v = {.t = t, .started = known ? started : NULL, .file = (int)i};
	bool packaged = f->package[0] && f->has_sum;
	int r = passed_over(t, f) ? -ENOENT : triage_read(t, f->path, &b);
	if (r == -EACCES)
		triage_unseen(t, "%s: no right to read it", f->path);
	look_at_link(&v, f);
	if ((r == 0 && !(packaged && as_packaged(f, &b))) || r == -EFBIG) {
		if (packaged && !f->conffile && !f->unsettled)
			blame(&v, "package_changed", 0.75, "T1554",
			      "it is not what package %s brought", f->package);
		look_at_owner(&v, f, known);
		look_at_content(&v, f->path, place_of(f)->kind, cursor_of(b.data, b.len));
	}
	if (v.rule)
		tell(t, f, &v);
	buf_free(&b);
}

/* Programs that are started by themselves from where only packages put any, and no package has
 * them. */
static void tell_started(struct triage *t, const struct owned *o, struct owned *started)
{
	owned_ask(started, t);
	for (size_t i = 0; i < started->n; i++) {
		const struct owned_file *p = &started->v[i], *by = &o->v[p->place];
		struct verdict v = {.t = t};
		if (p->package[0])
			continue;
		blame(&v, "autostart_program", 0.74, place_of(by)->technique,
		      "no package has %.60s, and it lies where only packages put programs",
		      p->path);
		tell(t, by, &v);
	}
}

int area_persistence(struct triage *t, struct err *e)
{
	struct owned *o = calloc(1, sizeof *o), *started = calloc(1, sizeof *started);
	if (!o || !started) {
		free(o);
		free(started);
		return err_set(e, -ENOMEM, "no memory for the list of files");
	}
	for (size_t i = 0; i < ARRAY_SIZE(places) && !triage_over(t); i++)
		collect_place(t, o, (int)i, NULL);
	collect_homes(t, o);
	walk(t, o);
	bool known = owned_ask(o, t);
	if (!known)
		triage_unseen(
		    t, "/var/lib/dpkg/info: not there; which package has a file is not known");
	if (o->lost)
		triage_unseen(t, "%zu files more than there is room for", o->lost);
	for (size_t i = 0; i < o->n && !triage_over(t); i++)
		judge(t, o, started, i, known);
	tell_started(t, o, started);
	owned_free(o);
	owned_free(started);
	return 0;
}
