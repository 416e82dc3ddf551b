/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The first process of the guest, in the initial ramdisk: loads the modules listed in /modules (in
 * that order), mounts the first virtio disk, starts the agent, becomes systemd.
 *
 * Static, no libc beyond the calls, no udev: half a second on an emulated processor, where Debian's
 * own ramdisk takes ten. What goes wrong is told on the kernel's console, then the guest stops.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROOT_DISK  "/dev/vda"
#define NEW_ROOT   "/root"
#define AGENT      "/usr/sbin/guest-agent"
#define SYSTEMD    "/lib/systemd/systemd"
#define TRIES      1000
#define TRY_USEC   10000
#define MODULE_MAX 256

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int k = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (k >= 0) {
		char text[256];
		vsnprintf(text, sizeof text, fmt, ap);
		dprintf(k, "<2>guest init: %s: %s\n", text, strerror(errno));
		close(k);
	}
	va_end(ap);
	sleep(1);
	reboot(RB_POWER_OFF);
	_exit(1);
}

static void load_modules(void)
{
	char path[MODULE_MAX];
	FILE *list = fopen("/modules", "re");
	if (!list)
		die("no list of modules");
	while (fgets(path, sizeof path, list)) {
		path[strcspn(path, "\n")] = '\0';
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
			die("module %s", path);
		close(fd);
		unlink(path); /* the ramdisk's memory is the guest's */
	}
	fclose(list);
}

/* The disk appears a moment after its driver. */
static void mount_root(void)
{
	mkdir(NEW_ROOT, 0755);
	for (int i = 0; i < TRIES; i++) {
		if (!mount(ROOT_DISK, NEW_ROOT, "ext4", 0, ""))
			return;
		usleep(TRY_USEC);
	}
	die("mounting " ROOT_DISK);
}

static void enter_root(void)
{
	if (mount("/dev", NEW_ROOT "/dev", NULL, MS_MOVE, NULL) || chdir(NEW_ROOT) ||
	    mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		die("entering the root file system");
}

int main(int argc, char **argv)
{
	(void)argc;
	mkdir("/dev", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755");
	load_modules();
	mount_root();
	enter_root();
	if (!fork()) {
		setsid();
		/* systemd leaves processes whose name begins with @ alone until the very end. */
		execl(AGENT, "@guest-agent", (char *)NULL);
		die(AGENT);
	}
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", 1);
	argv[0] = (char *)SYSTEMD;
	execv(SYSTEMD, argv);
	die(SYSTEMD);
}
