#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# One entrance to everything: ./do VERB. Works on a bare Debian 12.
# The verbs are called by name, which shellcheck does not see.
# shellcheck disable=SC2317
set -eu
cd "$(dirname "$0")"
top=$PWD
# Debian's own python3 and meson, whatever stands first in PATH.
PATH=/usr/local/sbin:/usr/sbin:/sbin:$PATH
export PATH
python=/usr/bin/python3
meson() { "$python" -B /usr/bin/meson "$@"; }
# The unit tests write their journals under /tmp; in memory their syncs cost nothing.
units() {
	case $(id -u):$top in
	0:/tmp/*) meson test "$@" ;;
	0:*) unshare --mount --propagation private sh -euc \
		'mount -t tmpfs -o mode=1777 tmpfs /tmp; exec "$@"' sh "$python" -B /usr/bin/meson test "$@" ;;
	*) meson test "$@" ;;
	esac
}
jobs=$(nproc 2>/dev/null || echo 2)

say() { printf '%s\n' "$*"; }
die() { printf './do: %s\n' "$*" >&2; exit 1; }

usage() {
	cat <<'TEXT'
usage: ./do VERB
  setup     install by apt what is missing, and say what; what tests take from PyPI goes into .venv
  build     build/stanch
  demo      plays a breach in network namespaces and contains it
  test      every test, as CI runs it; the last line is "N passed, N failed"
            (--exhaustive: every fault at every place, quarter of an hour more)
  bench     medians and ratios against peers
  fuzz      each decoder, or those named, under libFuzzer for FUZZ_SECONDS (60)
  lint      clang-tidy, cppcheck, gcc's analyzer, layers, function size
  cover     line coverage of the unit tests
  package   source and binary tarballs with checksums, in build/package
  clean     removes the build directories
TEXT
}

# ---- setup -------------------------------------------------------------------------------------

wanted_packages() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' packaging/debian-packages; }

# Prints what of the list is not installed. dpkg-query is all it needs.
missing_packages() {
	# shellcheck disable=SC2046
	have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $(wanted_packages) 2>/dev/null |
		sed -n 's/ installed$//p')
	for p in $(wanted_packages); do
		printf '%s\n' "$have" | grep -qx -e "$p" || say "$p"
	done
}

# No service may start because of what we install.
policy=/usr/sbin/policy-rc.d
policy_ours=
policy_on() {
	[ -e "$policy" ] && return 0
	policy_ours=yes
	trap policy_off EXIT
	trap 'exit 130' INT TERM HUP
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
}
policy_off() {
	if [ -n "$policy_ours" ]; then rm -f "$policy"; fi
	policy_ours=
	trap - EXIT INT TERM HUP
}

apt_install() {
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		-o Dpkg::Use-Pty=0 "$@" </dev/null
}

do_setup() {
	command -v dpkg-query >/dev/null || die "this is no Debian; install the packages named in packaging/debian-packages by hand"
	missing=$(missing_packages | tr '\n' ' ')
	[ -n "${missing% }" ] || return 0
	if [ "$(id -u)" != 0 ]; then
		say "Missing packages. Run as root:"
		say "  apt-get update && apt-get install --no-install-recommends ${missing% }"
		exit 1
	fi
	say "Installing by apt: ${missing% }"
	policy_on
	# shellcheck disable=SC2086
	if ! apt-get install -s --no-install-recommends $missing >/dev/null 2>&1; then
		apt-get update -qq
	fi
	# shellcheck disable=SC2086
	apt_install $missing || { apt-get update -qq && apt_install $missing; } ||
		die "apt-get could not install: ${missing% }"
	policy_off
	missing=$(missing_packages | tr '\n' ' ')
	[ -z "${missing% }" ] || die "still missing: ${missing% }"
}

# What tests and benchmarks take from PyPI goes into a place of its own; building needs nothing of it.
do_venv() {
	stamp=.venv/requirements-installed
	if cmp -s tests/requirements.txt "$stamp"; then return 0; fi
	say "Installing into .venv what tests/requirements.txt names"
	rm -rf .venv
	"$python" -m venv .venv || die "python3-venv cannot make .venv"
	.venv/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt ||
		die "pip could not install tests/requirements.txt (doubles of firewalls and clouds)"
	cp tests/requirements.txt "$stamp"
}

# ---- build -------------------------------------------------------------------------------------

# configure DIR [meson options]: once. compile DIR [targets]. build_dir: both, of everything.
configure() {
	dir=$1
	shift
	log=$(mktemp /tmp/stanch-build.XXXXXX)
	if [ ! -f "$dir/build.ninja" ]; then
		rm -rf "$dir"
		meson setup "$dir" "$@" >"$log" 2>&1 || build_failed "meson setup $dir"
	fi
	rm -f "$log"
}
compile() {
	dir=$1
	shift
	log=$(mktemp /tmp/stanch-build.XXXXXX)
	ninja -C "$dir" -j "$jobs" --quiet "$@" >"$log" 2>&1 || build_failed "ninja -C $dir $*"
	rm -f "$log"
}
build_dir() {
	configure "$@"
	compile "$1"
}
build_failed() {
	tail -n 60 "$log" >&2
	rm -f "$log"
	die "$1 failed"
}

do_build() { build_dir build; }

# ---- test --------------------------------------------------------------------------------------

# Results are lines "pass NAME", "fail NAME", "skip NAME: why" in $results.
note() { printf '%s %s\n' "$1" "$2" >>"$results"; }

# phase NAME CMD…: runs it as one check, tells its time, shows its output only when it fails.
phase() {
	name=$1
	shift
	start=$(date +%s)
	if ("$@") >"$scratch/out" 2>&1; then
		note pass "$name"
		say "  ok    $name ($(($(date +%s) - start)) s)"
	else
		note fail "$name"
		say "  FAIL  $name ($(($(date +%s) - start)) s)"
		tail -n 60 "$scratch/out" | sed 's/^/        /'
	fi
}

# suite NAME LOG CMD…: a runner that leaves a log which tests/tally reads into results.
suite() {
	name=$1
	log=$2
	shift 2
	start=$(date +%s)
	rm -f "$log"
	code=0
	("$@") >"$scratch/out" 2>&1 || code=$?
	if $python tests/tally "$name" "$log" >"$scratch/tally" 2>>"$scratch/out" &&
		[ -s "$scratch/tally" ] && { [ "$code" = 0 ] || grep -q '^fail ' "$scratch/tally"; }; then
		cat "$scratch/tally" >>"$results"
	else
		[ ! -f "$scratch/tally" ] || cat "$scratch/tally" >>"$results"
		note fail "$name: the runner ended with $code and the log counts as little"
		[ "$code" != 0 ] || code=1
	fi
	if [ "$code" = 0 ]; then state=ok; else state=FAIL; fi
	say "  $(printf %-5s "$state") $name ($(($(date +%s) - start)) s): $(grep -c '^pass' "$scratch/tally") passed, $(grep -c '^fail' "$scratch/tally") failed"
	[ "$code" = 0 ] || tail -n 120 "$scratch/out" | sed 's/^/        /'
}

asan_units() {
	build_dir build-asan -Db_sanitize=address,undefined -Db_lundef=false -Dwerror=false
	ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		units -C build-asan --suite unit --no-rebuild --logbase units
}
# Left out: triage (openat2 and pidfd_open are none that it knows), priv-role (valgrind's own calls die of its seccomp, and pidfd_open is none it knows) and
# engine-malloc (its own malloc takes the place of valgrind's), kern-watchprog (it waits for the kernel
# by the clock, and valgrind is too slow for that). engine runs without its matrices of
# faults, half an hour here; ASan runs all of them.
valgrind_units() {
	for t in priv-role engine-malloc kern-watchprog triage; do
		note skip "valgrind $t: see valgrind_units in ./do"
	done
	export STANCH_TEST_BRIEF=1
	# shellcheck disable=SC2046
	units -C build --no-rebuild --logbase valgrind --timeout-multiplier 10 \
		$(meson test -C build --suite unit --no-rebuild --list 2>/dev/null | sed 's/.* //' |
			grep -vxE 'priv-role|engine-malloc|kern-watchprog|triage') \
		--wrapper "valgrind -q --suppressions=$top/tests/valgrind.supp --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite --trace-children=no"
}

c_files() { git ls-files 'src/*.c' 'src/*.h' 'tests/*.c' 'tests/*.h' 'bench/*.c'; }
sh_files() {
	git ls-files | grep -v '^tests/fuzz/corpus/' | while read -r f; do
		[ -f "$f" ] && head -n 1 "$f" | grep -q '^#!/bin/sh' && say "$f"
	done
}
check_format() { c_files | xargs -r clang-format --dry-run -Werror; }
check_cppcheck() {
	cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 --enable=warning,portability \
		--suppress=missingIncludeSystem --suppress=unknownMacro \
		--suppressions-list=tests/cppcheck-suppressions -I src -j "$jobs" \
		--cppcheck-build-dir="$scratch" src
}
check_shell() { sh_files | xargs -r shellcheck; }
check_man() {
	find build/man doc -name '*.[1-8]' -type f -print | sort -u >"$scratch/man"
	[ -s "$scratch/man" ] || { say "no man pages yet"; return 0; }
	xargs mandoc -Tlint -Wwarning <"$scratch/man"
}

fuzz_names() { for f in tests/fuzz/*_fuzz.c; do basename "$f" _fuzz.c; done; }
fuzz_corpora() {
	phase "fuzz build" build_fuzzers
	for n in $(fuzz_names); do
		phase "fuzz corpus $n" "build-fuzz/tests/fuzz/${n}_fuzz" -runs=0 "tests/fuzz/corpus/$n"
	done
}

# pytest_suite NAME SECONDS DIR…: says why what was left out was.
pytest_suite() {
	name=$1
	limit=$2
	shift 2
	suite "$name" "$scratch/$name.xml" env --default-signal=INT timeout -k 20 "$limit" "$python" -B -m pytest "$@" -q -rs \
		-p no:cacheprovider --junitxml="$scratch/$name.xml"
	sed -n 's/^SKIPPED \(\[[0-9]*\] \)/  skip  /p' "$scratch/out"
}

# ---- lanes -------------------------------------------------------------------------------------
# Most tests of behaviour wait rather than compute, so three lanes run side by side: what computes
# (at low priority, on one core), what has this kernel's cgroups and devices to itself, and what has
# a world of its own: doubles of devices, container roots, guests.

# The image takes half a minute, mostly of one core: it is made while the unit tests run.
guest_image_begin() {
	image_job=
	if [ "$(id -u)" = 0 ]; then
		"$python" -B tests/guest/image.py >"$scratch/guest-image" 2>&1 &
		image_job=$!
	fi
}

compute_lane() {
	jobs=1
	export MESON_TESTTHREADS=1
	renice -n 15 -p "$(exec sh -c 'echo $PPID')" >/dev/null
	suite unit-asan build-asan/meson-logs/units.json asan_units
	suite unit-valgrind build/meson-logs/valgrind-valgrind.json valgrind_units
	fuzz_corpora
	phase "layers: the checker finds violations" "$python" -B tests/check-layers --self-test
	phase "layers" "$python" -B tests/check-layers
	phase "function size" function_size
	phase "clang-format" check_format
	phase "cppcheck" check_cppcheck
	phase "shellcheck" check_shell
	phase "man pages" check_man
}
range_lane() {
	# Which faults are tried differs from run to run; the number tells them again.
	FAULT_SEED=${FAULT_SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}
	export FAULT_SEED
	limit=2400
	if [ "${FAULTS:-}" = all ]; then limit=10800; fi
	say "  faults: ${FAULTS:-some}, FAULT_SEED=$FAULT_SEED"
	pytest_suite range "$limit" tests/range
}
worlds_lane() {
	pytest_suite points 1200 tests/points
	pytest_suite acquire 600 tests/acquire
	pytest_suite triage 600 tests/triage
	pytest_suite container 900 tests/container
	pytest_suite guest 900 tests/guest
}

# lane NAME: runs NAME_lane in the background. What it says comes whole, when lanes_wait reaps it.
lanes=
lane() {
	mkdir "$scratch/$1"
	(
		# shellcheck disable=SC2030
		scratch=$scratch/$1
		"${1}_lane"
	) >"$scratch/$1.log" 2>&1 &
	lanes="$lanes $1:$!"
}
lanes_wait() {
	for l in $lanes; do
		if ! wait "${l#*:}"; then note fail "${l%:*}: the lane broke off"; fi
		say "${l%:*}"
		# shellcheck disable=SC2031
		cat "$scratch/${l%:*}.log"
	done
}
descendants() { for c in $(pgrep -P "$1"); do say "$c"; descendants "$c"; done; }
# Interrupted tests clean up after themselves: wait for that.
lanes_end() {
	all=
	for l in $lanes; do
		below=$(descendants "${l#*:}")
		all="$all $below"
		kill -TERM "${l#*:}" 2>/dev/null || :
		# shellcheck disable=SC2086
		[ -z "$below" ] || kill -INT $below 2>/dev/null || :
	done
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		left=
		for pid in $all; do if [ -d "/proc/$pid" ]; then left=$pid; fi; done
		[ -n "$left" ] || break
		sleep 1
	done
}

do_test() {
	case ${1:-} in
	'') ;;
	--exhaustive) export FAULTS=all ;;
	*) die "test takes --exhaustive and nothing else" ;;
	esac
	do_setup
	do_venv
	begun=$(date +%s)
	scratch=$(mktemp -d /tmp/stanch-test.XXXXXX)
	trap 'rm -rf "$scratch"' EXIT
	trap 'lanes_end; exit 130' INT TERM HUP
	results=$scratch/results
	: >"$results"

	say "build"
	phase "build" do_build
	guest_image_begin
	suite unit build/meson-logs/units.json units -C build --suite unit --no-rebuild --logbase units
	say "lanes: compute, range, worlds"
	lane compute
	if [ "$(id -u)" = 0 ]; then
		if [ -n "$image_job" ] && ! wait "$image_job"; then
			sed 's/^/        /' "$scratch/guest-image"
		fi
		lane worlds
		lane range
	else
		note skip "range, points, acquire, triage, container, guest: they need root"
	fi
	lanes_wait

	passed=$(grep -c '^pass' "$results" || :)
	failed=$(grep -c '^fail' "$results" || :)
	skipped=$(grep -c '^skip' "$results" || :)
	say "took $(($(date +%s) - begun)) s"
	if [ "$failed" != 0 ]; then sed -n 's/^fail /failed: /p' "$results"; fi
	if [ "$skipped" != 0 ]; then sed -n 's/^skip /skipped: /p' "$results"; fi
	if [ "$skipped" != 0 ]; then
		say "$passed passed, $failed failed, $skipped skipped"
	else
		say "$passed passed, $failed failed"
	fi
	[ "$failed" = 0 ] && [ "$passed" != 0 ]
}

# ---- lint, fuzz, cover -------------------------------------------------------------------------

# pmccabe: complexity in column 1, lines in column 5; tests/size-exceptions says which may and why.
function_size() {
	git ls-files 'src/*.c' | while read -r f; do if [ -f "$f" ]; then say "$f"; fi; done |
		xargs -r pmccabe | awk -v allow=tests/size-exceptions '
		BEGIN { while ((getline line < allow) > 0) { split(line, w, /[ \t]+/);
			if (line !~ /^#/ && w[1] != "") ok[w[1]] = 1 } }
		{ file = $6; sub(/\(.*/, "", file); name = file ":" $7 }
		($1 > 15 || $5 > 60) && !(name in ok) {
			printf "%s: complexity %d, %d lines\n", name, $1, $5; bad = 1 }
		END { exit bad }'
}
lint_tidy() {
	git ls-files 'src/*.c' | while read -r f; do if [ -f "$f" ]; then say "$f"; fi; done |
		grep -v '^src/kern/bpf/' | xargs -P "$jobs" -n 1 clang-tidy --quiet -p build
}
# The product only. Of leaks and of NULL it knows too little: ASan and valgrind look for the ones, clang-tidy
# for the others.
lint_analyzer() {
	configure build-analyzer -Dwerror=true \
		-Dc_args='-fanalyzer -DSTANCH_ANALYZER -Wno-analyzer-malloc-leak
		-Wno-analyzer-null-dereference -Wno-analyzer-null-argument'
	compile build-analyzer stanch
}
do_lint() {
	do_setup
	scratch=$(mktemp -d /tmp/stanch-lint.XXXXXX)
	trap 'rm -rf "$scratch"' EXIT
	trap 'exit 130' INT TERM HUP
	results=$scratch/results
	: >"$results"
	phase "build" do_build
	phase "layers" "$python" -B tests/check-layers
	phase "function size" function_size
	phase "clang-format" check_format
	phase "cppcheck" check_cppcheck
	phase "shellcheck" check_shell
	phase "man pages" check_man
	phase "clang-tidy" lint_tidy
	phase "gcc -fanalyzer" lint_analyzer
	say "$(grep -c '^pass' "$results" || :) passed, $(grep -c '^fail' "$results" || :) failed"
	! grep -q '^fail' "$results"
}

# Optimised little, as libFuzzer likes it; the rooms below the targets are instrumented, too.
build_fuzzers() {
	CC=clang
	export CC
	configure build-fuzz -Dfuzz=true -Doptimization=1 -Dwerror=false -Db_lundef=false \
		-Db_sanitize=address,undefined -Dc_args='-fsanitize=fuzzer-no-link -fno-sanitize-recover=undefined'
	compile build-fuzz fuzzers
}
do_fuzz() {
	do_setup
	(build_fuzzers)
	# shellcheck disable=SC2046
	[ $# != 0 ] || set -- $(fuzz_names)
	say "$# fuzzers, ${FUZZ_SECONDS:-60} s each, $jobs at a time"
	printf '%s\n' "$@" | xargs -P "$jobs" -n 1 tests/fuzz/search "${FUZZ_SECONDS:-60}" ||
		die "not clean: see above"
	say "$# fuzzers ran clean"
}

do_cover() {
	do_setup
	build_dir build-cover -Db_coverage=true
	meson test -C build-cover --suite unit --no-rebuild
	gcovr -r "$top" --object-directory build-cover -f 'src/' -e '.*_test\.c' --print-summary
}

# ---- demo, bench, package ----------------------------------------------------------------------

need_root() { [ "$(id -u)" = 0 ] || die "$1 makes network namespaces: run it as root"; }

do_demo() {
	do_setup
	need_root demo
	do_build
	exec "$python" -B demo/demo.py
}

do_bench() {
	do_setup
	do_venv
	need_root bench
	build_dir build-release --buildtype=release
	exec sh bench/run build-release "$@"
}

do_package() {
	do_setup
	version=$(sed -n "s/^  version: '\(.*\)',/\1/p" meson.build)
	out=$top/build/package
	rm -rf "$out"
	build_dir build-release --buildtype=release
	mkdir -p "$out"
	git archive --format=tar.gz --prefix="stanch-$version/" -o "$out/stanch-$version.tar.gz" HEAD
	stage=$(mktemp -d /tmp/stanch-package.XXXXXX)
	trap 'rm -rf "$stage"' EXIT
	DESTDIR=$stage meson install -C build-release --no-rebuild --quiet
	tar -C "$stage" --owner=0 --group=0 --sort=name -czf "$out/stanch-$version-$(uname -m).tar.gz" .
	(cd "$out" && sha256sum -- *.tar.gz >SHA256SUMS && cat SHA256SUMS)
}

do_clean() { rm -rf build build-asan build-analyzer build-fuzz build-cover build-release demo-report; }

verb=${1:-}
[ -z "$verb" ] || shift
case $verb in
setup | build | demo | test | bench | fuzz | lint | cover | package | clean) ;;
'' | -h | --help | help) usage; exit 0 ;;
*) usage >&2; exit 2 ;;
esac
[ "$verb" = setup ] && { do_setup; do_venv; exit 0; }
[ "$verb" = build ] && { do_setup; do_build; say "build/stanch"; exit 0; }
{ "do_$verb" "$@"; exit $?; }
