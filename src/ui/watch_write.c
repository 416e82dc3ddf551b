/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/watch_write.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "observe/capture_out.h"

#define SELECT_MAX 64

struct watch_write {
	const char *path;
	struct capture_out *file;
	struct pick selected[SELECT_MAX];
	size_t n_selected, n_sent, n_found; /* n_found: of those sent */
	/* Why each pick is wanted; emptied when its first packet has been written. */
	char why[PICKS_MAX][PICK_TEXT_MAX];
};

/* "PREFIX", "ADDR" or "ADDR:PORT". */
static int parse_selection(const char *text, struct pick *ret, struct err *e)
{
	struct endpoint at;
	struct pick p = {0};
	int r = prefix_parse(text, &p.a, e);

	if (r < 0 && endpoint_parse(text, &at, NULL) == 0) {
		p.a = prefix_of(&at.addr, addr_bits(&at.addr));
		p.a_port = at.port;
		r = 0;
	}
	if (r < 0)
		return err_set(e, -EINVAL, "--select %.80s: give an address, ADDR:PORT or a prefix",
		               text);
	snprintf(p.text, sizeof(p.text), "selected: %.80s", text);
	*ret = p;
	return 0;
}

static int parse_selections(struct watch_write *o, const struct args *a, struct err *e)
{
	const struct arg_value *v;
	int r = 0;

	for (; !r && (v = args_nth(a, "select", o->n_selected)); o->n_selected++) {
		if (o->n_selected == SELECT_MAX)
			return err_set(e, -EINVAL, "at most %d --select", SELECT_MAX);
		r = parse_selection(v->text, &o->selected[o->n_selected], e);
	}
	return r;
}

int watch_write_open(const struct args *a, const char *const *iface, size_t n,
                     struct watch_write **ret, struct err *e)
{
	const char *path = args_text(a, "write", NULL);
	struct watch_write *o;
	int r;

	if (!path)
		return args_has(a, "select")
		           ? err_set(e, -EINVAL, "--select says what --write writes: give both")
		           : 0;
	if (!(o = calloc(1, sizeof(*o))))
		return err_set(e, -ENOMEM, "out of memory");
	o->path = path;
	if ((r = parse_selections(o, a, e)) < 0 ||
	    (r = capture_out_open(path, iface, n, &o->file, e)) < 0) {
		free(o);
		return r;
	}
	*ret = o;
	return 0;
}

void watch_write_free(struct watch_write *o)
{
	if (!o)
		return;
	capture_out_drop(o->file);
	free(o);
}

static void add_owner(const struct finding *f, struct watch *w, char *dst, size_t n)
{
	const struct pair *p = pairs_find(watch_pairs(w), &f->src.addr, &f->dest.addr);
	size_t used = strlen(dst);

	if (p && p->owner && p->owner->pid)
		snprintf(dst + used, n - used, "; %s[%d], uid %u, %s%s%s", p->owner->comm,
		         p->owner->pid, p->owner->uid, p->owner->exe, p->owner->unit[0] ? ", " : "",
		         p->owner->unit);
}

/* Names of processes are what a process calls itself. */
static void make_printable(char *s)
{
	for (; *s; s++)
		if (*s < 0x20 || *s > 0x7e)
			*s = '?';
}

static void explain(const struct finding *f, struct watch *w, char dst[static PICK_TEXT_MAX])
{
	char id[16] = "";
	size_t used;

	if (f->id)
		snprintf(id, sizeof(id), "f%u ", f->id);
	snprintf(dst, PICK_TEXT_MAX, "%s%s, score %.2f%s%s", id, finding_kind_str(f->kind),
	         f->score, f->domain[0] ? "; " : "", f->domain);
	add_owner(f, w, dst, PICK_TEXT_MAX);
	used = strlen(dst);
	if (f->n_reasons)
		snprintf(dst + used, PICK_TEXT_MAX - used, "; %s", f->reasons[0]);
	make_printable(dst);
}

/* An upload is all that went to one address; the others are about one port, where they name one. */
static void pick_of_finding(const struct finding *f, struct watch *w, struct pick *ret)
{
	bool ports =
	    f->kind != FINDING_UPLOAD && f->proto != IPPROTO_ICMP && f->proto != IPPROTO_ICMPV6;

	*ret = (struct pick){
	    .a = prefix_of(&f->src.addr, addr_bits(&f->src.addr)),
	    .a_port = ports ? f->src.port : 0,
	    .b_port = ports ? f->dest.port : 0,
	    .proto = f->kind == FINDING_UPLOAD ? 0 : f->proto,
	    .first_nsec = f->first * 1000,
	};
	if (f->dest.addr.family)
		ret->b = prefix_of(&f->dest.addr, addr_bits(&f->dest.addr));
	explain(f, w, ret->text);
}

bool watch_write_next(struct watch_write *o, const struct finding *found, size_t n, struct watch *w,
                      struct pick *ret)
{
	if (o->n_sent == PICKS_MAX)
		return false;
	if (o->n_sent < o->n_selected)
		*ret = o->selected[o->n_sent];
	else if (o->n_found < n)
		pick_of_finding(&found[o->n_found++], w, ret);
	else
		return false;
	memcpy(o->why[o->n_sent++], ret->text, PICK_TEXT_MAX);
	return true;
}

void watch_write_frame(struct watch_write *o, const struct frame *f, size_t why)
{
	char *text = o->why[why];

	capture_out_frame(o->file, f, text[0] ? text : NULL);
	text[0] = 0;
}

static void tell(const struct watch_write *o, uint64_t packets, uint64_t bytes,
                 const struct kept_record *kept, struct out *out)
{
	char size[16], now[TIME_STR_MAX];

	if (out->json) {
		out_json(out, json_pack("{s:s s:s s:s s:I s:I s:I s:I s:I s:I}", "timestamp",
		                        time_str(wall_now(), now), "event_type", "written", "file",
		                        o->path, "packets", (json_int_t)packets, "bytes",
		                        (json_int_t)bytes, "findings", (json_int_t)o->n_found,
		                        "selections", (json_int_t)o->n_selected, "late",
		                        (json_int_t)kept->late, "ring_bytes",
		                        (json_int_t)kept->ring_bytes));
		return;
	}
	out_line(out, "%s: %" PRIu64 " packets, %s, of %zu findings and %zu selections", o->path,
	         packets, out_bytes(bytes, size), o->n_found, o->n_selected);
	if (kept->late)
		out_line(out,
		         "of %" PRIu64 " of them the first packets are missing: they had left the "
		         "%" PRIu64 " MiB of recent packets before they were found",
		         kept->late, kept->ring_bytes >> 20);
}

int watch_write_close(struct watch_write *o, const struct kept_record *kept, struct out *out,
                      struct err *e)
{
	uint64_t packets = capture_out_packets(o->file), bytes = capture_out_bytes(o->file);
	int r = capture_out_close(o->file, e);

	if (!r)
		tell(o, packets, bytes, kept, out);
	o->file = NULL;
	free(o);
	return r;
}
