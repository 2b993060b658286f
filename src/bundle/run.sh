#!/bin/sh
# JMarlin on a machine with an NVIDIA driver but without Java: everything is in this folder.
#
#   run.sh first [--tiny]             in 480 s what tells most: rates, which kernels are right, their speed against cuBLAS
#   run.sh second [--tiny]            in 540 s the rest: the tests, the list of layers, whole models, compute-sanitizer, Nsight Compute
#
# Each keeps to its time whatever hangs or dies, and leaves NAME.txt, one page, NAME.tar.gz with all there is, and NAME.log. Single parts:
#
#   run.sh info                       what this machine has and what can run where
#   run.sh check [--cpu]              the tests: those of the GPU, or with --cpu those that need none
#   run.sh sanitize                   the kernels under compute-sanitizer: memcheck, racecheck, initcheck, synccheck
#   run.sh bench [--quick|--resume|...]   speeds against cuBLAS, with a report; options as of "jmarlin bench"
#   run.sh probe                      on compute capability 9.0: what the Hopper kernel's plan rests on, measured one by one
#   run.sh profile                    key counters of one product from Nsight Compute
#   run.sh jmarlin ...                the command line itself;   run.sh jmh ...   the JMH benchmarks
#
# Before the command's own options: --out FOLDER (./jmarlin-out) for logs and results, --limit SECONDS for the whole command.
# Exit code 0: all well; else it failed, and the last lines say what. Nothing is installed and no setting of the GPU is changed.
# From outside: CUBLAS_DIR and CUDA_DIR (folders of libcublas and libcuda), CUDA_HOME (compute-sanitizer, ncu), JAVA_FLAGS,
# JMARLIN_WORK (where first and second keep what they hand on, else work in this folder). --tiny: small shapes and few kernels, for a
# rehearsal on a machine that only pretends to be a GPU.
here=$(cd "$(dirname "$0")" && pwd)

usage() { sed -n '2,/^here=/s/^# \{0,1\}//p' "$0" >&2; exit 2; }

command=$1
[ $# -gt 0 ] && shift
out=$PWD/jmarlin-out
limit=
while [ $# -gt 0 ]; do
    case $1 in
    --out) [ $# -gt 1 ] || usage; out=$2; shift 2 ;;
    --limit) [ $# -gt 1 ] || usage; limit=$2; shift 2 ;;
    *) break ;;
    esac
done
case $limit in *[!0-9]*) echo "run.sh: --limit $limit is no number of seconds" >&2; exit 2 ;; esac
. "$here/parts.sh"
mkdir -p "$out" && [ -w "$out" ] || { echo "run.sh: cannot write to $out" >&2; exit 1; }
out=$(cd "$out" && pwd)
work=$out
case $command in first|second)      # what they leave beside the folder of results, so that this holds few files
    work=${JMARLIN_WORK:-$here/work}
    mkdir -p "$work" 2>/dev/null && [ -w "$work" ] || work=$(mktemp -d) || exit 1
    work=$(cd "$work" && pwd) ;;
esac
tmp=$work/tmp
mkdir -p "$tmp" || exit 1
trap 'rm -rf "$tmp"' EXIT

# ---- finding CUDA ----

first_with() {    # first_with NAME FOLDER...: the first folder that holds NAME
    name=$1; shift
    for folder in "$@"; do [ -e "$folder/$name" ] && { echo "$folder"; return; }; done
}
toolkit() { first_with "$1" ${CUDA_HOME:+"$CUDA_HOME/bin"} /usr/local/cuda/bin /usr/local/cuda-*/bin /opt/nvidia/nsight-compute/* /usr/bin; }

if [ -z "$CUDA_DIR" ]; then
    CUDA_DIR=$(first_with libcuda.so.1 /usr/lib/x86_64-linux-gnu /usr/lib64 /usr/local/nvidia/lib64 /usr/local/nvidia/lib /usr/lib/wsl/lib)
fi
if [ -z "$CUBLAS_DIR" ]; then
    for library in libcublas.so.12 libcublas.so.13; do
        [ -n "$CUBLAS_DIR" ] || CUBLAS_DIR=$(first_with $library ${CUDA_HOME:+"$CUDA_HOME/lib64"} /usr/local/cuda/lib64 \
            /usr/local/cuda-*/lib64 /usr/lib/x86_64-linux-gnu /usr/lib64 \
            /usr/lib/python3*/site-packages/nvidia/*/lib /usr/local/lib/python3*/*-packages/nvidia/*/lib \
            /opt/*/lib/python3*/site-packages/nvidia/*/lib /opt/*/.venv/lib/python3*/site-packages/nvidia/*/lib)
    done
fi
export CUBLAS_DIR
# JCuda binds functions when they are first called; old entry points need not be in a new driver.
unset LD_BIND_NOW
[ -n "$CUDA_DIR" ] && export LD_LIBRARY_PATH="$CUDA_DIR${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

# ---- running ----

limited() {       # limited SECONDS PROGRAM...: ends it in time, where there is a timeout; within a part when that is over
    seconds=$1; shift
    if [ -n "$run_name" ]; then within_part "$@"
    elif command -v timeout >/dev/null 2>&1; then timeout -k 10 "$seconds" "$@"; else "$@"; fi
}
java_flags="-Djava.io.tmpdir=$tmp -Djmarlin.images=$here/images -Djmarlin.commit=$(cat "$here/COMMIT") -Djava.awt.headless=true $JAVA_FLAGS"

tests() {         # tests SECONDS JUNIT_OPTION...; tests of the source tree and of its builds are left out
    seconds=$1; shift
    limited "${limit:-$seconds}" "$here/jre/bin/java" $java_flags -Djmarlin.tuning=none -cp "$here/lib/junit.jar:$here/tests:$here/lib/jmarlin-cli.jar" \
        org.junit.platform.console.ConsoleLauncher execute --disable-banner --disable-ansi-colors --details=testfeed --fail-if-no-tests \
        --scan-class-path "$here/tests" --reports-dir "${dir:-$out}/junit-${name:-check}" --exclude-package io.github.jmarlin.build \
        --exclude-package io.github.jmarlin.machine --exclude-tag source-tree \
        --exclude-tag gpu-on-stand-in --exclude-tag long --exclude-tag fuzz "$@"
}

logged() {        # logged NAME FUNCTION ...: output to a file and to the terminal; the function's exit code
    log=$out/$1.log; shift
    { "$@" 2>&1; echo $? > "$tmp/status"; } | tee "$log"
    status=$(cat "$tmp/status")
    [ "$status" = 124 ] && echo "run.sh: the time limit is over; $log has what there was"
    return "$status"
}

need_gpu() {      # the reason why no GPU can be used is an answer, not a failed test
    run_java 120 demo --layer-only --device cuda --k 256 --n 256 --m 1 >"$tmp/gpu.log" 2>&1 && return
    echo "run.sh: no GPU can be used:"; head -n 1 "$tmp/gpu.log"; return 1
}

info() {
    echo "bundle of commit $(cat "$here/COMMIT"); libcuda in ${CUDA_DIR:-(not found)}, cuBLAS in ${CUBLAS_DIR:-(not found)}"
    run_java 60 info
    code=$?
    limited 20 nvidia-smi 2>/dev/null || echo "nvidia-smi: not found, or no driver"
    return $code
}
run_java() {      # run_java SECONDS ARGUMENTS...: the command line
    seconds=$1; shift
    limited "${limit:-$seconds}" "$here/jre/bin/java" $java_flags ${tuning:+"-Djmarlin.tuning=$tuning"} -jar "$here/lib/jmarlin-cli.jar" "$@"
}

check() {
    if [ "$1" = --cpu ]; then
        tests 900 --exclude-tag gpu
    else
        need_gpu && tests 900 --include-tag gpu
    fi
}

sanitize() {
    failed=
    for tool in memcheck racecheck initcheck synccheck; do
        if under_sanitizer $tool; then echo "$tool: clean"; else echo "$tool: FAILED, see above"; failed=1; fi
    done
    [ -z "$failed" ]
}
under_sanitizer() {    # under_sanitizer TOOL [NAME_FILTER]
    tools=$(toolkit compute-sanitizer)
    [ -n "$tools" ] || { echo "run.sh: compute-sanitizer not found (CUDA_HOME, /usr/local/cuda/bin)"; return 1; }
    limited $((${limit:-600} / 4)) "$tools/compute-sanitizer" --tool "$1" --error-exitcode 9 --print-limit 20 \
        "$here/sanitize/sanitize" "$here/images" ${2:+"$2"}
}

bench() {
    seconds=${limit:-600}
    case " $* " in *" --quick "*) seconds=${limit:-200} ;; esac
    limit=$seconds run_java "$seconds" bench --out "$out/bench" --seconds $((seconds * 8 / 10)) "$@"
}

probe() {          # exit code 2: not a device of compute capability 9.0, so there is nothing to measure
    limited "${limit:-120}" "$here/probe/hopper_probe"
    code=$?
    [ $code = 2 ] && return 0
    return $code
}

profile() {        # the clocks stay as they are: locking them is not ours to do
    tools=$(toolkit ncu)
    [ -n "$tools" ] || { echo "run.sh: ncu not found (CUDA_HOME, /usr/local/cuda/bin)"; return 1; }
    limited "${limit:-300}" "$tools/ncu" --clock-control none --target-processes all --kernel-name regex:'striped|hopper' \
        --launch-skip 4 --launch-count 3 \
        --section SpeedOfLight --section MemoryWorkloadAnalysis --section WarpStateStats --section SchedulerStats --section Occupancy \
        --section LaunchStats "$here/jre/bin/java" $java_flags -jar "$here/lib/jmarlin-cli.jar" bench --device cuda \
        --family striped,hopper --shape 8192x8192 --m 16 --group -1 --mode stream --seconds 60 --out "${dir:-$out}/profile"
}

# ---- first and second: the parts, in the order of what tells most ----

shape=8192x8192 rows=1,16,64,128,256 tiles=--every-kernel few=_sym_g64 layers=--quick
tiny() { shape=256x256 rows=1,16 tiles= layers='--shape 256x256 --m 1' striped=striped_bf16_sym_g64 hopper=hopper_bf16_sym_g64_m16 few=striped_bf16_sym_g64; }

first() {
    begin_run first "${limit:-480}" info:30 probe:60 rates:10 smoke_striped:40 smoke_hopper:40 bench_striped:130 bench_hopper:110 kernels:50
    run_parts
}
second() {
    rows=
    begin_run second "${limit:-540}" info:30 kernels:30 tests_products:130 tests_hopper:90 tests_rest:60 bench:100 generate:40 \
        memcheck:30 racecheck:40 synccheck:20 initcheck:20 profile:40
    run_parts
}

of_log() { sed -n "$2" "$dir/$1.log" 2>/dev/null | head -n 1; }
no_gpu() {         # nothing to do where info came to its end and named no GPU
    [ -e "$dir/info.log" ] && [ -z "$(capability)" ] && [ -n "$(of_log info '/best device/p')" ] && echo "no GPU can be used"
}
capability() { of_log info 's/.*(compute capability \([0-9.]*\),.*/\1/p'; }
not_hopper() {     # if info died nobody knows: then it is tried
    no_gpu && return
    found=$(capability)
    [ -n "$found" ] && [ "$found" != 9.0 ] && echo "the device is of compute capability $found, this is for 9.0"
}
died() { case $(sed -n "s/^$1	//p" "$dir/parts.txt") in "TIMED OUT"*|FAILED*) [ -z "$(of_log "$1" '/ products, .* wrong$/p')" ] ;; *) false ;; esac; }

none_info() { :; }
none_probe() { not_hopper; }
none_rates() { [ -n "$(of_log probe '/^rate /p')" ] || echo "the probe gave no rates"; }
none_smoke_striped() { no_gpu; }
none_smoke_hopper() { not_hopper; }
none_bench_striped() { no_gpu; }
none_bench_hopper() { not_hopper; }
none_kernels() { no_gpu; }
none_tests_products() { no_gpu; }
none_tests_hopper() { not_hopper; }
none_tests_rest() { no_gpu; }
none_bench() { no_gpu; }
none_generate() { [ "$layers" = --quick ] || echo "whole models are too much for a rehearsal"; no_gpu; }
none_sanitizer() {
    no_gpu && return
    [ -n "$(toolkit compute-sanitizer)" ] || echo "compute-sanitizer is not installed (CUDA_HOME, /usr/local/cuda/bin)"
}
none_memcheck() { none_sanitizer; }
none_racecheck() { none_sanitizer; }
none_synccheck() { none_sanitizer; }
none_initcheck() { none_sanitizer; }
none_profile() { no_gpu && return; [ -n "$(toolkit ncu)" ] || echo "ncu is not installed (CUDA_HOME, /usr/local/cuda/bin)"; }

part_info() { info; }
part_probe() { limited 0 "$here/probe/hopper_probe"; }
part_rates() {      # together, and if the model refuses one, each by itself
    all=$(sed -n 's/^rate //p' "$dir/probe.log")
    store_rates "$(echo $all | sed 's/ /,/g')" && return
    given=1
    for rate in $all; do store_rates "$rate" && given=0; done
    return $given
}
store_rates() {
    if run_java 0 tune --device cuda --rate "$1" > "$tmp/rate" 2>&1; then echo "stored $1"; else echo "not stored: $1"; cat "$tmp/rate"; return 1; fi
}
part_smoke_striped() { limited 0 "$here/sanitize/sanitize" "$here/images" "${striped:-striped}"; }
part_smoke_hopper() { limited 0 "$here/sanitize/sanitize" "$here/images" "${hopper:-hopper}"; }
part_bench_striped() { family_bench striped striped,dense; }
part_bench_hopper() { family_bench hopper hopper; }
family_bench() {    # every tile where all of them came through the smoke test, else the planner's choice alone
    died "smoke_$1" && tiles=
    run_java 0 bench --device cuda --family "$2" --lines --shape "$shape" --m "$rows" --group -1 --mode graph $tiles \
        --out "$dir/bench_$1" --seconds $((seconds * 7 / 10 + 1))
}
part_kernels() { run_java 0 check --device cuda --seconds $((seconds * 8 / 10 + 3)); }
products='.*\.(CudaGemm|CudaLinear|CudaAccuracy|DenseGemm|DenseLinear)Test'
part_tests_products() { tests 0 --include-tag gpu --include-classname "$products"; }
part_tests_hopper() { tests 0 --include-tag gpu --include-classname '.*\.Hopper.*Test'; }
part_tests_rest() { tests 0 --include-tag gpu --exclude-classname "$products" --exclude-classname '.*\.Hopper.*Test'; }
part_bench() { run_java 0 bench --device cuda $layers --lines --out "$dir/bench" --seconds $((seconds * 7 / 10 + 1)); }
part_generate() { run_java 0 bench --device cuda --generate --quick --lines --out "$dir/generate"; }
part_memcheck() { under_sanitizer memcheck "$few"; }
part_racecheck() { under_sanitizer racecheck "$few"; }
part_synccheck() { under_sanitizer synccheck "$few"; }
part_initcheck() { under_sanitizer initcheck "$few"; }
part_profile() { profile; }

case $command in
info|check|sanitize|probe|bench|profile) logged "$command" "$command" "$@" ;;
first|second)
    command -v timeout >/dev/null 2>&1 || { echo "run.sh: $command needs the command timeout" >&2; exit 1; }
    [ "$1" = --tiny ] && { tiny; shift; }
    [ $# = 0 ] || usage
    $command ;;
jmarlin) run_java 86400 "$@" ;;
jmh) limited "${limit:-86400}" "$here/jre/bin/java" $java_flags -cp "$here/lib/jmarlin-cli.jar" org.openjdk.jmh.Main -foe true "$@" ;;
*) usage ;;
esac
