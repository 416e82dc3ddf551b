/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "acquire/memory/core.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "acquire/memory/core_plan.h"
#include "acquire/memory/hold.h"
#include "acquire/memory/image.h"
#include "acquire/hostfile.h"
#include "base/sys.h"
#include "base/table.h"
#include "kern/proc.h"

#define PAGE        4096u
#define NOTES_MAX   (64u << 20)
#define MAPS_MAX    (64u << 20)
#define FPREGS_MAX  4096
#define FILE_MAX    (64u << 20)
#define THREADS_MAX 65536u

/* Where in the general registers of a core the stack and instruction pointers are. */
#if defined(__x86_64__)
enum { MACHINE = EM_X86_64, REG_SP = 19, REG_PC = 16 };
#elif defined(__aarch64__)
enum { MACHINE = EM_AARCH64, REG_SP = 31, REG_PC = 32 };
#else
enum { MACHINE = EM_NONE, REG_SP = -1, REG_PC = -1 };
#endif

struct core {
	int pid, dir;
	struct proc_id id;
	struct hold hold;
	bool held,
	    smeared_regs; /* some threads' registers are only stack and instruction pointer */
	struct buf maps, notes, head;
	struct core_plan plan;
	int mem;
};

static ssize_t read_mem(void *arg, uint64_t at, void *dst, size_t n)
{
	const struct core *c = arg;
	ssize_t r;
	do
		r = sys->pread(c->mem, dst, n, (off_t)at);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r == 0 ? -EIO : r;
}

/* What /proc tells of the registers of a thread that nobody holds: while it waits in a call. */
static void registers_told(struct core *c, pid_t tid, elf_gregset_t regs)
{
	char path[64], text[512] = "";
	struct buf b = BUF_INIT(sizeof(text) - 1);
	unsigned long long sp = 0, pc = 0;
	snprintf(path, sizeof(path), "task/%d/syscall", (int)tid);
	if (hostfile_read(c->dir, path, &b) == 0) {
		snprintf(text, sizeof(text), "%s", buf_str(&b));
		text[strcspn(text, "\n")] = 0;
		char *last = strrchr(text, ' ');
		if (last && sscanf(last, " %llx", &pc) == 1) {
			*last = 0;
			last = strrchr(text, ' ');
			if (!last || sscanf(last, " %llx", &sp) != 1)
				sp = pc = 0;
		}
	}
	buf_free(&b);
	if (REG_SP >= 0) {
		regs[REG_SP < 0 ? 0 : REG_SP] = sp;
		regs[REG_PC < 0 ? 0 : REG_PC] = pc;
	}
	c->smeared_regs = true;
}

static void note_thread(struct core *c, pid_t tid, ssize_t at)
{
	struct elf_prstatus st = {.pr_pid = tid, .pr_ppid = c->id.ppid};
	uint8_t fp[FPREGS_MAX];
	ssize_t n = -ENOENT;
	if (at < 0 ||
	    hold_registers(&c->hold, (size_t)at, NT_PRSTATUS, &st.pr_reg, sizeof(st.pr_reg)) < 0)
		registers_told(c, tid, st.pr_reg);
	else
		n = hold_registers(&c->hold, (size_t)at, NT_PRFPREG, fp, sizeof(fp));
	st.pr_fpvalid = n > 0;
	elf_note_add(&c->notes, "CORE", NT_PRSTATUS, &st, sizeof(st));
	if (n > 0)
		elf_note_add(&c->notes, "CORE", NT_PRFPREG, fp, (size_t)n);
}

static void note_process(struct core *c)
{
	struct elf_prpsinfo p = {.pr_state = 0, .pr_sname = 'R'};
	struct buf line = BUF_INIT(ELF_PRARGSZ - 1);
	p.pr_pid = c->pid;
	p.pr_ppid = c->id.ppid;
	p.pr_uid = c->id.uid;
	snprintf(p.pr_fname, sizeof(p.pr_fname), "%.15s", c->id.comm);
	hostfile_read(c->dir, "cmdline", &line);
	for (size_t i = 0; i < line.len; i++)
		p.pr_psargs[i] = line.data[i] ? (char)line.data[i] : ' ';
	buf_free(&line);
	elf_note_add(&c->notes, "CORE", NT_PRPSINFO, &p, sizeof(p));
}

static int by_number(const void *a, const void *b)
{
	const pid_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* The first thread of a core is the one that debuggers show: the process's own. */
static void note_threads(struct core *c)
{
	if (c->held) {
		qsort(c->hold.tids, c->hold.n, sizeof(*c->hold.tids), by_number);
		for (size_t i = 0; i < c->hold.n; i++) {
			note_thread(c, c->hold.tids[i], (ssize_t)i);
			if (i == 0)
				note_process(c);
		}
		return;
	}
	pid_t *tids = NULL;
	size_t n = hold_threads(c->dir, &tids);
	qsort(tids, n, sizeof(*tids), by_number);
	for (size_t i = 0; i < n; i++) {
		note_thread(c, tids[i], -1);
		if (i == 0)
			note_process(c);
	}
	free(tids);
}

static int make_notes(struct core *c, struct err *e)
{
	struct buf desc = BUF_INIT(NOTES_MAX), auxv = BUF_INIT(64u << 10);
	note_threads(c);
	if (hostfile_read(c->dir, "auxv", &auxv) == 0)
		elf_note_add(&c->notes, "CORE", NT_AUXV, auxv.data, auxv.len);
	if (elf_file_note(&desc, c->plan.files, c->plan.n_files, PAGE) == 0)
		elf_note_add(&c->notes, "CORE", NT_FILE, desc.data, desc.len);
	buf_free(&desc);
	buf_free(&auxv);
	return c->notes.error ? err_set(e, c->notes.error, "the notes of the core are too long")
	                      : 0;
}

static int open_process(int pid, struct core *c, struct err *e)
{
	char path[32];
	*c = (struct core){.pid = pid,
	                   .mem = -1,
	                   .maps = BUF_INIT(MAPS_MAX),
	                   .notes = BUF_INIT(NOTES_MAX),
	                   .head = BUF_INIT(NOTES_MAX)};
	snprintf(path, sizeof(path), "/proc/%d", pid);
	c->dir = sys->open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	int r = c->dir < 0 ? -errno : proc_read(pid, &c->id);
	if (r < 0)
		return err_set(e, r == -ENOENT ? -ESRCH : r, "no process %d: %s", pid,
		               strerror(-r));
	return 0;
}

static int plan_process(struct core *c, struct err *e)
{
	int pid = c->pid, r = hostfile_read(c->dir, "maps", &c->maps);
	if (r < 0)
		return err_set(e, r, "process %d (%s): its mappings cannot be read: %s", pid,
		               c->id.comm, strerror(-r));
	if (!c->maps.len)
		return err_set(e, -ENODATA,
		               "process %d (%s) has no memory of its own: it is a thread of the "
		               "kernel, or has ended",
		               pid, c->id.comm);
	_cleanup_close_ int pagemap = sys->openat(c->dir, "pagemap", O_RDONLY | O_CLOEXEC, 0);
	r = core_plan_make(&c->maps, pagemap, &c->plan, e);
	if (r < 0)
		return r;
	c->mem = sys->openat(c->dir, "mem", O_RDONLY | O_CLOEXEC, 0);
	return c->mem < 0 ? err_set(e, -errno,
	                            "process %d (%s): its memory cannot be opened: %s; that needs "
	                            "root (CAP_SYS_PTRACE)",
	                            pid, c->id.comm, strerror(errno))
	                  : 0;
}

static void close_process(struct core *c)
{
	if (c->held)
		hold_end(&c->hold);
	core_plan_free(&c->plan);
	buf_free(&c->maps);
	buf_free(&c->notes);
	buf_free(&c->head);
	sys_closep(&c->mem);
	sys_closep(&c->dir);
}

int core_preflight(int pid, json_t **ret, struct err *e)
{
	struct core c;
	int r = open_process(pid, &c, e);
	if (r == 0)
		r = plan_process(&c, e);
	if (r == 0)
		*ret = json_pack("{s:s+, s:I, s:[s]}", "source", "memory of process ", c.id.comm,
		                 "bytes", (json_int_t)c.plan.bytes, "notes",
		                 "the process runs on while it is read, unless --hold stops its "
		                 "threads");
	close_process(&c);
	return r == 0 && !*ret ? err_set(e, -ENOMEM, "out of memory") : r;
}

static int write_core(struct core *c, struct image *i, struct capture_sink *s, const char *name,
                      struct err *e)
{
	struct capture_file *f = NULL;
	_cleanup_free_ struct phys_range *ranges =
	    calloc(c->plan.n ? c->plan.n : 1, sizeof(*ranges));
	if (!ranges)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t k = 0; k < c->plan.n; k++)
		if (c->plan.segments[k].filesz)
			ranges[i->n_ranges++] = (struct phys_range){
			    c->plan.segments[k].vaddr,
			    c->plan.segments[k].vaddr + c->plan.segments[k].filesz - 1};
	i->ranges = ranges;
	int r = s->ops->begin(s, name, &f, e);
	if (r < 0)
		return r;
	r = s->ops->write(f, c->head.data, c->head.len, e);
	if (r == 0)
		r = image_write(i, s, f, e);
	i->ranges = NULL;
	if (r == 0)
		return s->ops->end(f, e);
	s->ops->drop(f, true);
	return r;
}

/* What /proc has of the process beside its memory. */
static int copy_beside(struct core *c, struct capture_sink *s, struct err *e)
{
	static const char *const names[] = {"maps",      "smaps",   "status",  "stat",
	                                    "cmdline",   "environ", "limits",  "cgroup",
	                                    "mountinfo", "auxv",    "syscall", "wchan"};
	char name[CAPTURE_NAME_MAX];
	struct hostfile copied;
	int r = 0;
	for (size_t i = 0; i < ARRAY_SIZE(names) && r == 0; i++) {
		struct err own = {0};
		snprintf(name, sizeof(name), "process-%d/%s", c->pid, names[i]);
		r = hostfile_copy(s, c->dir, names[i], name, FILE_MAX, &copied, &own);
		if (r < 0 && !own.code)
			r = 0;
		else if (r < 0)
			r = err_set(e, r, "%s", own.text);
	}
	_cleanup_close_ int exe = r == 0 ? hostfile_open(c->dir, "exe", true) : -1;
	snprintf(name, sizeof(name), "process-%d/exe", c->pid);
	return exe < 0 ? r : hostfile_copy_fd(s, exe, name, UINT64_C(1) << 32, &copied, e);
}

static void report(struct core *c, const struct image *i, const struct err *why_not_held,
                   struct capture_sink *s, struct capture_report *ret)
{
	ret->bytes = i->fill.bytes_read + i->fill.bytes_unread;
	ret->missing = i->fill.bytes_unread;
	ret->outcome = i->fill.bytes_unread || c->plan.n_skipped ? CAPTURE_PARTIAL : CAPTURE_WHOLE;
	if (why_not_held->code)
		buf_addf(&ret->notes, "%s; it ran on\n", why_not_held->text);
	if (!c->held)
		buf_addf(&ret->notes, "smeared: the process ran while it was read; of registers "
		                      "there is what /proc tells (--hold stops it)\n");
	if (c->plan.n_skipped)
		buf_addf(&ret->notes,
		         "%zu mappings of more than 256 GiB are left out: reservations as a "
		         "rule\n",
		         c->plan.n_skipped);
	json_object_set_new(s->facts, "process",
	                    json_pack("{s:i, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:o}", "pid",
	                              c->pid, "comm", c->id.comm, "exe", c->id.exe, "smeared",
	                              !c->held, "threads", (json_int_t)c->hold.n, "segments",
	                              (json_int_t)c->plan.n, "mappings_never_touched_in_parts",
	                              (json_int_t)c->plan.n_absent, "mappings_left_out",
	                              (json_int_t)c->plan.n_skipped, "read", image_json(i)));
}

int core_run(int pid, bool hold, struct capture_sink *s, struct capture_report *ret, struct err *e)
{
	struct core c;
	struct err not_held = {0};
	struct image i = {.fill = {.read = read_mem, .arg = &c},
	                  .doing = "reading the process",
	                  .zeros = BUF_INIT(IMAGE_ZEROS_MAX)};
	int r = open_process(pid, &c, e);
	if (r == 0 && hold)
		c.held = hold_begin(c.dir, &c.hold, &not_held) == 0;
	if (r == 0)
		r = plan_process(&c, e);
	if (r == 0)
		r = make_notes(&c, e);
	if (r == 0)
		r = elf_core_head(&c.head, MACHINE, c.plan.segments, c.plan.n, &c.notes, PAGE, e);
	snprintf(ret->main_file, sizeof(ret->main_file), "process-%d.core", pid);
	if (r == 0)
		r = write_core(&c, &i, s, ret->main_file, e);
	if (r == 0)
		r = copy_beside(&c, s, e);
	if (r == 0) {
		char name[CAPTURE_NAME_MAX];
		snprintf(name, sizeof(name), "process-%d.map", pid);
		r = image_map(&i, s, name, e);
	}
	if (r == 0)
		report(&c, &i, &not_held, s, ret);
	image_free(&i);
	close_process(&c);
	return r;
}
