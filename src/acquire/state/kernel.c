/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "acquire/hostfile.h"
#include "acquire/state/state.h"
#include "base/sys.h"
#include "base/table.h"

#define FILE_MAX  (UINT64_C(32) << 20)
#define DMESG_MAX (4 << 20)
#define BPF_MAX   65536

void read_clock(struct reading *r)
{
	struct timex t = {0};
	struct utsname u = {0};
	struct timespec real, boot, mono;
	if (!reading_unit(r, 0, "clock"))
		return;
	int state = adjtimex(&t);
	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	uname(&u);
	reading_row(
	    r, json_pack("{s:s, s:I, s:I, s:I, s:I, s:i, s:I, s:I}", "kind", "clock", "wall_usec",
	                 (json_int_t)real.tv_sec * 1000000 + real.tv_nsec / 1000, "since_boot_usec",
	                 (json_int_t)boot.tv_sec * 1000000 + boot.tv_nsec / 1000, "awake_usec",
	                 (json_int_t)mono.tv_sec * 1000000 + mono.tv_nsec / 1000, "kernel_offset",
	                 (json_int_t)t.offset, "synchronised", state != TIME_ERROR && state >= 0,
	                 "max_error_usec", (json_int_t)t.maxerror, "est_error_usec",
	                 (json_int_t)t.esterror));
	reading_row(r, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "kind", "uname", "system",
	                         u.sysname, "node", u.nodename, "release", u.release, "version",
	                         u.version, "machine", u.machine));
	reading_file(r, "/proc/sys/kernel/random/boot_id", FILE_MAX);
	reading_file(r, "/etc/machine-id", FILE_MAX);
	reading_file(r, "/etc/timezone", FILE_MAX);
	reading_file(r, "/proc/uptime", FILE_MAX);
	reading_file(r, "/proc/loadavg", FILE_MAX);
}

/* Modules that the one list has and the other has not: a module that hides takes itself out of one
 * of them as a rule. */
static void cross_check_modules(struct reading *r)
{
	struct buf b = BUF_INIT(1u << 20);
	DIR *d = opendir("/sys/module");
	bool told = hostfile_read(AT_FDCWD, "/proc/modules", &b) == 0;
	for (struct dirent *t; d && told && (t = readdir(d));) {
		char path[320], line[272];
		snprintf(path, sizeof(path), "/sys/module/%s/initstate", t->d_name);
		/* What is built in has no state. */
		if (t->d_name[0] == '.' || access(path, F_OK) < 0)
			continue;
		snprintf(line, sizeof(line), "%s ", t->d_name);
		const char *at = strstr(buf_str(&b), line);
		while (at && at != buf_str(&b) && at[-1] != '\n')
			at = strstr(at + 1, line);
		if (!at)
			reading_row(r, json_pack("{s:s, s:o}", "kind", "module_not_in_proc", "name",
			                         reading_text(t->d_name, strlen(t->d_name))));
	}
	char *save = NULL;
	for (char *line = told && b.len ? strtok_r((char *)b.data, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		char path[320];
		snprintf(path, sizeof(path), "/sys/module/%.*s", (int)strcspn(line, " "), line);
		if (access(path, F_OK) < 0)
			reading_row(r, json_pack("{s:s, s:o}", "kind", "module_not_in_sys", "name",
			                         reading_text(line, strcspn(line, " "))));
	}
	if (d)
		closedir(d);
	buf_free(&b);
}

static void read_dmesg(struct reading *r)
{
	char *text = malloc(DMESG_MAX);
	struct capture_file *f = NULL;
	/* 3: all that is in the ring, which stays as it is. */
	int n = text ? klogctl(3, text, DMESG_MAX) : -1;
	if (n < 0)
		reading_row(r, json_pack("{s:s, s:s}", "kind", "no_dmesg", "why", strerror(errno)));
	else if (r->sink.ops->begin(&r->sink, "dmesg", &f, NULL) == 0) {
		r->sink.ops->write(f, text, (size_t)n, NULL);
		r->sink.ops->end(f, NULL);
	}
	free(text);
}

/* Every readable number and word below /proc/sys, but for what acts when it is read. */
static void read_sysctl(struct reading *r, const char *path, unsigned depth)
{
	DIR *d = depth < 12 ? opendir(path) : NULL;
	for (struct dirent *t; d && (t = readdir(d));) {
		char name[512];
		if (t->d_name[0] == '.' || !strcmp(t->d_name, "binfmt_misc") ||
		    snprintf(name, sizeof(name), "%s/%s", path, t->d_name) >= (int)sizeof(name))
			continue;
		if (t->d_type == DT_DIR) {
			read_sysctl(r, name, depth + 1);
			continue;
		}
		struct buf b = BUF_INIT(16384);
		int k = hostfile_read(AT_FDCWD, name, &b);
		if (k == 0 || k == -EMSGSIZE)
			reading_row(r, json_pack("{s:s, s:s, s:o}", "kind", "sysctl", "name",
			                         name + strlen("/proc/sys/"), "value",
			                         reading_text(b.data, b.len)));
		buf_free(&b);
	}
	if (d)
		closedir(d);
}

static const char *const kernel_files[] = {"/proc/modules",
                                           "/proc/sys/kernel/tainted",
                                           "/proc/kallsyms",
                                           "/proc/cmdline",
                                           "/proc/version",
                                           "/proc/meminfo",
                                           "/proc/vmstat",
                                           "/proc/interrupts",
                                           "/proc/softirqs",
                                           "/proc/iomem",
                                           "/proc/ioports",
                                           "/proc/devices",
                                           "/proc/misc",
                                           "/proc/filesystems",
                                           "/proc/partitions",
                                           "/proc/diskstats",
                                           "/proc/swaps",
                                           "/proc/mdstat",
                                           "/proc/locks",
                                           "/proc/keys",
                                           "/proc/key-users",
                                           "/proc/crypto",
                                           "/proc/cgroups",
                                           "/proc/stat",
                                           "/proc/self/mountinfo",
                                           "/sys/kernel/security/lockdown",
                                           "/sys/kernel/security/lsm",
                                           "/sys/kernel/debug/kprobes/list",
                                           "/sys/kernel/tracing/enabled_functions",
                                           "/sys/kernel/tracing/kprobe_events",
                                           "/sys/kernel/tracing/uprobe_events"};

void read_kernel(struct reading *r)
{
	uint64_t unit = 0;
	for (size_t i = 0; i < ARRAY_SIZE(kernel_files); i++)
		if (reading_unit(r, unit++, kernel_files[i]))
			reading_file(r, kernel_files[i], FILE_MAX);
	if (reading_unit(r, unit++, "modules in /proc and in /sys"))
		cross_check_modules(r);
	if (reading_unit(r, unit++, "kernel's log"))
		read_dmesg(r);
	if (reading_unit(r, unit++, "sysctl"))
		read_sysctl(r, "/proc/sys", 0);
}

/* --- BPF --- */

static int bpf_fd(int cmd, uint32_t id)
{
	union bpf_attr a = {.prog_id = id}; /* the same place for every kind */
	return (int)sys->bpf(cmd, &a, sizeof(a));
}

static bool bpf_info(int fd, void *info, uint32_t n)
{
	union bpf_attr a = {0};
	a.info.bpf_fd = (uint32_t)fd;
	a.info.info_len = n;
	a.info.info = (uintptr_t)info;
	return sys->bpf(BPF_OBJ_GET_INFO_BY_FD, &a, sizeof(a)) == 0;
}

static void row_prog(struct reading *r, int fd)
{
	struct bpf_prog_info p = {0};
	if (bpf_info(fd, &p, sizeof(p)))
		reading_row(r,
		            json_pack("{s:s, s:i, s:i, s:o, s:I, s:i, s:i, s:i}", "kind",
		                      "bpf_program", "id", (int)p.id, "type", (int)p.type, "name",
		                      reading_text(p.name, strnlen(p.name, sizeof(p.name))),
		                      "loaded_since_boot_nsec", (json_int_t)p.load_time, "uid",
		                      (int)p.created_by_uid, "maps", (int)p.nr_map_ids,
		                      "translated_bytes", (int)p.xlated_prog_len));
}

static void row_map(struct reading *r, int fd)
{
	struct bpf_map_info m = {0};
	if (bpf_info(fd, &m, sizeof(m)))
		reading_row(r, json_pack("{s:s, s:i, s:i, s:o, s:i, s:i, s:i}", "kind", "bpf_map",
		                         "id", (int)m.id, "type", (int)m.type, "name",
		                         reading_text(m.name, strnlen(m.name, sizeof(m.name))),
		                         "key_size", (int)m.key_size, "value_size",
		                         (int)m.value_size, "max_entries", (int)m.max_entries));
}

static void row_link(struct reading *r, int fd)
{
	struct bpf_link_info l = {0};
	if (bpf_info(fd, &l, sizeof(l)))
		reading_row(r,
		            json_pack("{s:s, s:i, s:i, s:i}", "kind", "bpf_link", "id", (int)l.id,
		                      "type", (int)l.type, "program", (int)l.prog_id));
}

void read_bpf(struct reading *r)
{
	static const struct {
		const char *name;
		int next, open;
		void (*row)(struct reading *r, int fd);
	} kinds[] = {
	    {"BPF programs", BPF_PROG_GET_NEXT_ID, BPF_PROG_GET_FD_BY_ID, row_prog},
	    {"BPF maps", BPF_MAP_GET_NEXT_ID, BPF_MAP_GET_FD_BY_ID, row_map},
	    {"BPF links", BPF_LINK_GET_NEXT_ID, BPF_LINK_GET_FD_BY_ID, row_link},
	};
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		uint32_t id = 0;
		if (!reading_unit(r, i, kinds[i].name))
			continue;
		for (unsigned n = 0; n < BPF_MAX; n++) {
			union bpf_attr a = {.start_id = id};
			if (sys->bpf(kinds[i].next, &a, sizeof(a)) < 0) {
				if (errno != ENOENT)
					reading_row(r, json_pack("{s:s, s:s, s:s}", "kind",
					                         "not_read", "what", kinds[i].name,
					                         "why", strerror(errno)));
				break;
			}
			id = a.next_id;
			_cleanup_close_ int fd = bpf_fd(kinds[i].open, id);
			if (fd >= 0)
				kinds[i].row(r, fd);
		}
	}
}
