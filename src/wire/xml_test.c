/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "wire/xml.h"

static struct xml_doc *parse(const char *s)
{
	struct xml_doc *d = NULL;
	struct err e = {0};
	if (xml_parse(s, strlen(s), &d, &e) < 0)
		fail_msg("%s: %s", s, e.text);
	return d;
}

static void an_answer_of_ec2(void **state)
{
	struct xml_doc *d =
	    parse("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	          "<R xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\n"
	          "  <set><item><id>i-1</id></item><other/><item><id>i-2</id></item></set>\n"
	          "  <nextToken>a&amp;b&#x20AC;&#10;</nextToken></R>");
	const struct xml_node *root = xml_root(d), *n = xml_child(xml_at(root, "set"), "item");
	assert_string_equal(root->name, "R");
	assert_string_equal(xml_ns(n), "http://ec2.amazonaws.com/doc/2016-11-15/");
	assert_string_equal(xml_text_at(n, "id"), "i-1");
	n = xml_next(n, "item");
	assert_string_equal(xml_text_at(n, "id"), "i-2");
	assert_null(xml_next(n, "item"));
	assert_null(xml_next(n, NULL));
	assert_string_equal(xml_text_at(root, "nextToken"), "a&b\xe2\x82\xac\n");
	assert_string_equal(xml_text_at(root, "set/item/none"), "");
	assert_string_equal(xml_text_at(NULL, "x"), "");
	assert_null(xml_child(NULL, "x"));
	xml_free(d);
}

static void namespaces_and_attributes(void **state)
{
	struct xml_doc *d = parse("<nc:a xmlns:nc=\"urn:1\" b='x &quot;\n\t&#9;' nc:b=\"2\">"
	                          "<c xmlns='urn:2'><nc:d/><e xmlns=''/></c></nc:a>");
	const struct xml_node *a = xml_root(d), *c = xml_child(a, "c");
	assert_string_equal(a->prefix, "nc");
	assert_string_equal(xml_ns(a), "urn:1");
	assert_string_equal(xml_attr(a, "b"), "x \"  \t");
	assert_string_equal(xml_attr(a, "nc:b"), "2");
	assert_null(xml_attr(a, "d"));
	assert_string_equal(xml_ns(c), "urn:2");
	assert_string_equal(xml_ns(xml_child(c, "d")), "urn:1");
	assert_string_equal(xml_ns(xml_child(c, "e")), "");
	xml_free(d);
}

/* The text is what stands in front of the first child, however it is cut up. */
static void texts(void **state)
{
	static const struct {
		const char *in, *text;
	} cases[] = {
	    {"<a/>", ""},
	    {"<a></a>", ""},
	    {"<a >\r\nx\r</a\n>", "\nx\n"},
	    {"\xef\xbb\xbf<a>x</a>\n<!-- end --><?pi?>\n", "x"},
	    {"<!-- - --><a>x<!-- y -->z<?p q?>w</a>", "xzw"},
	    {"<a><![CDATA[]]></a>", ""},
	    {"<a>1<![CDATA[<b>&amp;]] >]]>2</a>", "1<b>&amp;]] >2"},
	    {"<a>front<b>in</b>behind</a>", "front"},
	    {"<a>&lt;&gt;&amp;&quot;&apos;</a>", "<>&\"'"},
	    {"<a>]]&gt;]]&gt;</a>", "]]>]]>"},
	    {"<\xc3\xa4>\xf0\x9f\x98\x80</\xc3\xa4>", "\xf0\x9f\x98\x80"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct xml_doc *d = parse(cases[i].in);
		assert_string_equal(xml_text(xml_root(d)), cases[i].text);
		xml_free(d);
	}
}

static const char *const no_xml[] = {
    "",
    " ",
    "<!-- only -->",
    "x",
    "<a>",
    "<a",
    "<a b",
    "<a b=",
    "<a b=c>",
    "<a b='c>",
    "<a b='<'/>",
    "<a b='1'c='2'/>",
    "<a b='1' b='2'/>",
    "<a></b>",
    "<a></a",
    "<a></aa>",
    "</a>",
    "<a/><b/>",
    "<a/>x",
    "<a>&x;</a>",
    "<a>& </a>",
    "<a>&amp</a>",
    "<a>&#0;</a>",
    "<a>&#x1b;</a>",
    "<a>&#xd800;</a>",
    "<a>&#x110000;</a>",
    "<a>&#99999999999999999999;</a>",
    "<a>&#;</a>",
    "<a>\x1b[2J</a>",
    "<a>\xc2\x9b</a>",
    "<a>\x7f</a>",
    "<a>\xff</a>",
    "<a>\xc0\xaf</a>",
    "<a>\xe2\x82</a>",
    "<a>]]></a>",
    "<a><![CDATA[x</a>",
    "<a><!-- -- --></a>",
    "<a><!-- </a>",
    "<1/>",
    "<a:b/>",
    "<a:/>",
    "<a:b:c xmlns:a='x'/>",
    "<a xmlns:b=''><b:c/></a>",
    "<!DOCTYPE a><a/>",
    "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
    "<a><!ENTITY x 'y'></a>",
    " <?xml version='1.0'?><a/>",
    "<?xml version='1.0' encoding='UTF-16'?><a/>",
    "<?xml version='1.0' encoding='ISO-8859-1'?><a/>",
};

static void refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(no_xml); i++) {
		struct xml_doc *d = NULL;
		struct err e = {0};
		if (xml_parse(no_xml[i], strlen(no_xml[i]), &d, &e) != -EBADMSG || d || !e.text[0])
			fail_msg("taken: %s", no_xml[i]);
	}
	struct xml_doc *d = NULL;
	assert_int_equal(xml_parse("<a>\0</a>", 8, &d, NULL), -EBADMSG);
	assert_int_equal(xml_parse(NULL, 0, &d, NULL), -EBADMSG);
}

static char *repeat(const char *s, size_t n)
{
	size_t len = strlen(s);
	char *all = malloc(len * n + 1);
	assert_non_null(all);
	for (size_t i = 0; i <= n; i++)
		memcpy(all + i * len, s, i < n ? len : 1);
	all[len * n] = 0;
	return all;
}

static void limits(void **state)
{
	struct xml_doc *d = NULL;
	char *deep = repeat("<a>", XML_DEPTH_MAX), *more = repeat("<a>", XML_DEPTH_MAX + 1);
	assert_int_equal(xml_parse(deep, strlen(deep), &d, NULL), -EBADMSG); /* not closed */
	assert_int_equal(xml_parse(more, strlen(more), &d, NULL), -E2BIG);
	free(deep);
	free(more);
	assert_int_equal(xml_parse("", XML_SIZE_MAX + 1, &d, NULL), -E2BIG);

	char *many = repeat("<b/>", XML_NODES_MAX + 2);
	memcpy(many, "<a> ", 4);
	assert_int_equal(xml_parse(many, strlen(many), &d, NULL), -E2BIG);
	free(many);

	struct buf b = BUF_INIT(4096);
	buf_addf(&b, "<a");
	for (int i = 0; i <= XML_ATTRS_MAX; i++)
		buf_addf(&b, " a%d=''", i);
	buf_addf(&b, "/>");
	assert_int_equal(xml_parse(b.data, b.len, &d, NULL), -EBADMSG);
	buf_free(&b);
}

static void the_line_is_told(void **state)
{
	struct xml_doc *d = NULL;
	struct err e = {0};
	assert_int_equal(xml_parse("<a>\n\n<b></c>", 12, &d, &e), -EBADMSG);
	assert_string_equal(e.text, "line 3 of the answer is no XML: an end tag that is not the "
	                            "open one's");
}

static void what_is_written_reads_back(void **state)
{
	static const char *const good[] = {"",       "plain",          "a<b>&\"'c",
	                                   "]]>]]>", "\xc3\xa4\t\n\r", "</member><member>"};
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct buf b = BUF_INIT(1024);
		buf_addf(&b, "<a b='");
		assert_int_equal(xml_add(&b, good[i]), 0);
		buf_addf(&b, "'>");
		assert_int_equal(xml_add(&b, good[i]), 0);
		buf_addf(&b, "</a>");
		struct xml_doc *d = parse(buf_str(&b));
		assert_string_equal(xml_text(xml_root(d)), good[i]);
		assert_string_equal(xml_attr(xml_root(d), "b"), good[i]);
		xml_free(d);
		buf_free(&b);
	}
	static const char *const bad[] = {"\x1b", "\x01", "\xff", "\xc3", "\xc2\x9b"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct buf b = BUF_INIT(1024);
		assert_int_equal(xml_add(&b, bad[i]), -EINVAL);
		assert_int_equal(b.error, -EINVAL);
		buf_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_answer_of_ec2),
	    cmocka_unit_test(namespaces_and_attributes),
	    cmocka_unit_test(texts),
	    cmocka_unit_test(refused),
	    cmocka_unit_test(limits),
	    cmocka_unit_test(the_line_is_told),
	    cmocka_unit_test(what_is_written_reads_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
