/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/screen.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NCURSES_WIDECHAR 1
#include <curses.h>

#include "base/sys.h"
#include "ui/screen_draw.h"
#include "ui/screen_order.h"
#include "ui/stop.h"

#define KEYS_AT_ONCE 64 /* then data gets its turn */
#define ESCAPE_MSEC  50
#define STAY_MSEC    50

struct watch_screen {
	struct ctx *ctx;
	struct screen_data *data;
	struct screen_state state;
	struct screen_order order;
	struct canvas canvas;
	SCREEN *term;
	FILE *tty; /* owned where standard input is no terminal */
	int tty_fd;
	bool utf8, colour, dirty;
	usec_t boot;
};

/* ---- the terminal ---- */

static void on_abort(int sig)
{
	endwin();
	raise(sig);
}

static void catch_aborts(void (*handler)(int))
{
	static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
	const struct sigaction a = {.sa_handler = handler,
	                            .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &a, NULL);
}

/* Many hosts get a locale by SSH that they do not have: UTF-8 stays UTF-8 then. */
static bool choose_locale(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	const char *wanted = NULL;

	for (size_t i = 0; i < 3 && !(wanted && *wanted); i++)
		wanted = getenv(names[i]);
	if (!setlocale(LC_CTYPE, "") && wanted &&
	    (strcasestr(wanted, "utf-8") || strcasestr(wanted, "utf8")))
		setlocale(LC_CTYPE, "C.UTF-8");
	return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

bool screen_possible(const struct ctx *c)
{
	int fd;

	if (c->out.json || !c->out.width)
		return false;
	if (isatty(STDIN_FILENO))
		return true;
	/* Standard input may be the capture. Without a terminal of its own nobody can type. */
	fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void start_colours(void)
{
	static const short colours[_INK_MAX] = {
	    [INK_GOOD] = COLOR_GREEN, [INK_WARN] = COLOR_YELLOW, [INK_BAD] = COLOR_RED,
	    [INK_OUT] = COLOR_YELLOW, [INK_IN] = COLOR_CYAN,
	};

	start_color();
	use_default_colors();
	for (int i = 1; i < _INK_MAX; i++)
		init_pair((short)i, colours[i] ? colours[i] : -1, -1);
}

static attr_t attributes(const struct watch_screen *s, enum ink ink)
{
	static const attr_t looks[_INK_MAX] = {
	    [INK_BAD] = A_BOLD,         [INK_STRONG] = A_BOLD,
	    [INK_FAINT] = A_DIM,        [INK_HEAD] = A_BOLD | A_UNDERLINE,
	    [INK_SELECTED] = A_REVERSE,
	};

	return looks[ink] | (s->colour ? (attr_t)COLOR_PAIR(ink) : 0);
}

static int open_terminal(struct watch_screen *s, struct err *e)
{
	FILE *in = stdin;
	const char *term = getenv("TERM");
	char *cup;

	if (!isatty(STDIN_FILENO)) {
		if (!(s->tty = fopen("/dev/tty", "r+e")))
			return err_set(e, -ENOTTY, "no terminal to type on");
		in = s->tty;
	}
	s->tty_fd = fileno(in);
	if (!term || !(s->term = newterm(NULL, stdout, in)))
		return err_set(e, -ENOTTY, "the terminal (TERM=%.40s) is not known here",
		               term ? term : "");
	set_term(s->term);
	cup = tigetstr("cup");
	if (!cup || cup == (char *)-1)
		return err_set(e, -ENOTTY, "the terminal (TERM=%.40s) cannot place its cursor",
		               term);
	s->colour = s->ctx->out.colour && has_colors();
	if (s->colour)
		start_colours();
	set_escdelay(ESCAPE_MSEC);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	catch_aborts(on_abort);
	return 0;
}

static void close_terminal(struct watch_screen *s)
{
	/* What has been confirmed is carried out to its end. */
	screen_order_finish(&s->order);
	if (s->term) {
		endwin();
		catch_aborts(SIG_DFL);
		delscreen(s->term);
	}
	if (s->tty)
		fclose(s->tty);
	setlocale(LC_CTYPE, "C");
}

int screen_open(struct ctx *c, const struct screen_about *about, struct watch_screen **ret,
                struct err *e)
{
	struct watch_screen *s = calloc(1, sizeof(*s));
	int r;

	if (!s || screen_data_new(about, &s->data) < 0) {
		free(s);
		return err_set(e, -ENOMEM, "out of memory for the screen");
	}
	s->ctx = c;
	screen_state_init(&s->state);
	screen_data_users(s->data, "/etc/passwd");
	s->utf8 = choose_locale();
	fflush(stdout);
	if ((r = open_terminal(s, e)) < 0) {
		screen_close(s);
		return r;
	}
	s->boot = boot_now();
	s->dirty = true;
	*ret = s;
	return 0;
}

void screen_close(struct watch_screen *s)
{
	if (!s)
		return;
	close_terminal(s);
	canvas_free(&s->canvas);
	screen_state_free(&s->state);
	screen_data_free(s->data);
	free(s);
}

/* ---- drawing ---- */

static void copy_row(const struct watch_screen *s, unsigned y)
{
	const struct canvas_cell *row = &s->canvas.cells[(size_t)y * s->canvas.width];

	move((int)y, 0);
	for (unsigned x = 0; x < s->canvas.width; x++) {
		attrset((int)attributes(s, row[x].ink));
		if (row[x].ch[0])
			addstr(row[x].ch);
	}
}

static void draw(struct watch_screen *s)
{
	unsigned width = (unsigned)getmaxx(stdscr), height = (unsigned)getmaxy(stdscr);

	if (width != s->canvas.width || height != s->canvas.height) {
		canvas_free(&s->canvas);
		if (canvas_new(width, height, s->utf8, &s->canvas) < 0)
			return;
		clear();
	}
	screen_draw(&s->canvas, &s->state, s->data);
	for (unsigned y = 0; y < s->canvas.height; y++)
		copy_row(s, y);
	attrset(A_NORMAL);
	move((int)height - 1, 0);
	refresh();
	s->dirty = false;
}

/* ---- keys ---- */

static int key_of(int ch)
{
	static const struct {
		int curses, ours;
	} rows[] = {
	    {KEY_UP, SKEY_UP},         {KEY_DOWN, SKEY_DOWN},
	    {KEY_LEFT, SKEY_LEFT},     {KEY_RIGHT, SKEY_RIGHT},
	    {KEY_PPAGE, SKEY_PAGE_UP}, {KEY_NPAGE, SKEY_PAGE_DOWN},
	    {KEY_HOME, SKEY_HOME},     {KEY_END, SKEY_END},
	    {KEY_ENTER, SKEY_ENTER},   {'\r', SKEY_ENTER},
	    {'\n', SKEY_ENTER},        {'\t', SKEY_TAB},
	    {0x1b, SKEY_ESCAPE},       {KEY_BACKSPACE, SKEY_BACKSPACE},
	    {0x7f, SKEY_BACKSPACE},    {'\b', SKEY_BACKSPACE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].curses == ch)
			return rows[i].ours;
	return ch < KEY_MIN ? ch : 0;
}

static void start_order(struct watch_screen *s)
{
	struct err e = {0};

	/* Ctrl-C at the order's question ends the order, not the watching. */
	signal(SIGINT, SIG_IGN);
	endwin();
	if (screen_order_start(&s->order, s->ctx, s->state.order, s->tty_fd, &e) < 0) {
		snprintf(s->state.message, sizeof(s->state.message), "%.190s", e.text);
		stop_catch();
		clear();
	}
}

/* Back from the order. */
static void go_on(struct watch_screen *s)
{
	screen_order_result(&s->order, s->state.message, sizeof(s->state.message));
	s->order.step = ORDER_NONE;
	stop_catch();
	flushinp();
	clear();
	draw(s);
}

static void do_action(struct watch_screen *s, enum screen_action a)
{
	if (a == ACTION_QUIT)
		stop_asked = 1;
	else if (a == ACTION_ORDER)
		start_order(s);
}

void screen_idle(struct watch_screen *s)
{
	int ch;

	if (s->order.step != ORDER_NONE) {
		if (screen_order_step(&s->order) == ORDER_DONE)
			go_on(s);
		return;
	}
	for (int i = 0; i < KEYS_AT_ONCE && (ch = getch()) != ERR; i++) {
		s->dirty = true;
		if (ch == KEY_RESIZE)
			clear();
		else
			do_action(s, screen_state_key(&s->state, s->data, key_of(ch)));
		if (s->order.step != ORDER_NONE)
			return;
	}
	if (s->dirty)
		draw(s);
}

/* ---- data ---- */

void screen_final(struct watch_screen *s, const struct watch *w, const struct seen_flow *f)
{
	screen_data_final(s->data, f, !w || watch_we_opened(w, &f->flow));
}

void screen_finding(struct watch_screen *s, const struct finding *f)
{
	screen_data_finding(s->data, f);
}

struct taking {
	struct watch_screen *s;
	struct watch *w;
};

static bool take_flow(void *arg, const struct seen_flow *f)
{
	struct taking *t = arg;

	screen_data_living(t->s->data, f, watch_we_opened(t->w, &f->flow));
	return true;
}

static void take_links(struct watch_screen *s)
{
	_cleanup_free_ struct link *links = NULL;
	size_t n;

	if (link_list(NULL, &links, &n, NULL) == 0)
		screen_data_links(s->data, links, n, boot_now());
}

void screen_second(struct watch_screen *s, struct watch *w, const struct source_stats *stats)
{
	struct taking t = {s, w};
	struct watch_losses losses = watch_losses(w);

	if (s->data->about.live)
		take_links(s);
	if (!s->state.paused) {
		screen_data_begin(s->data);
		watch_each(w, take_flow, &t);
		screen_data_end(s->data, stats, &losses, wall_now());
		screen_state_order(&s->state, s->data);
		s->dirty = true;
	}
	screen_data_forget_findings(s->data);
	screen_idle(s);
}

void screen_stay(struct watch_screen *s)
{
	struct pollfd p = {.fd = s->tty_fd, .events = POLLIN};

	while (!stop_asked) {
		screen_idle(s);
		/* While an order asks, what is typed is for it. */
		poll(&p, s->order.step == ORDER_NONE, STAY_MSEC);
	}
}
