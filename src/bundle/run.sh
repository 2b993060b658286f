#!/bin/sh
# JMarlin on a machine with an NVIDIA driver but without Java: everything is in this folder.
#
#   run.sh info                       what this machine has and what can run where
#   run.sh check [--cpu]              the tests: those of the GPU, or with --cpu those that need none
#   run.sh sanitize                   the kernels under compute-sanitizer: memcheck, racecheck, initcheck, synccheck
#   run.sh bench [--quick|--resume|...]   speeds against cuBLAS, with a report; options as of "jmarlin bench"
#   run.sh probe                      on compute capability 9.0: what the Hopper kernel's plan rests on, measured one by one
#   run.sh profile                    key counters of one product from Nsight Compute
#   run.sh all [--quick]              info, check, sanitize, probe, bench and profile
#   run.sh jmarlin ...                the command line itself;   run.sh jmh ...   the JMH benchmarks
#
# Before the command's own options: --out FOLDER (./jmarlin-out) for logs and results, --limit SECONDS for the whole command.
# Exit code 0: all well; else it failed, and the last lines say what. Nothing is installed and no setting of the GPU is changed.
# From outside: CUBLAS_DIR and CUDA_DIR (folders of libcublas and libcuda), CUDA_HOME (compute-sanitizer, ncu), JAVA_FLAGS.
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
mkdir -p "$out/tmp" || { echo "run.sh: cannot write to $out" >&2; exit 1; }
out=$(cd "$out" && pwd)
trap 'rm -rf "$out/tmp"' EXIT

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

limited() {       # limited SECONDS PROGRAM...: ends it in time, where there is a timeout
    seconds=$1; shift
    if command -v timeout >/dev/null 2>&1; then timeout -k 10 "$seconds" "$@"; else "$@"; fi
}
java_flags="-Djava.io.tmpdir=$out/tmp -Djmarlin.images=$here/images -Djmarlin.commit=$(cat "$here/COMMIT") -Djava.awt.headless=true $JAVA_FLAGS"

tests() {         # tests SECONDS JUNIT_OPTION...; tests of the source tree and of its builds are left out
    seconds=$1; shift
    limited "${limit:-$seconds}" "$here/jre/bin/java" $java_flags -Djmarlin.tuning=none -cp "$here/lib/junit.jar:$here/tests:$here/lib/jmarlin-cli.jar" \
        org.junit.platform.console.ConsoleLauncher execute --disable-banner --disable-ansi-colors --details=tree --fail-if-no-tests \
        --scan-class-path "$here/tests" --reports-dir "$out/junit" --exclude-package io.github.jmarlin.build \
        --exclude-package io.github.jmarlin.machine --exclude-tag source-tree \
        --exclude-tag gpu-on-stand-in "$@"
}

logged() {        # logged NAME FUNCTION ...: output to a file and to the terminal; the function's exit code
    log=$out/$1.log; shift
    { "$@" 2>&1; echo $? > "$out/tmp/status"; } | tee "$log"
    status=$(cat "$out/tmp/status")
    [ "$status" = 124 ] && echo "run.sh: the time limit is over; $log has what there was"
    return "$status"
}

need_gpu() {      # the reason why no GPU can be used is an answer, not a failed test
    limited 120 "$here/jre/bin/java" $java_flags -jar "$here/lib/jmarlin-cli.jar" demo --device cuda --k 256 --n 256 --m 1 >"$out/tmp/gpu.log" 2>&1 && return
    echo "run.sh: no GPU can be used:"; head -n 1 "$out/tmp/gpu.log"; return 1
}

info() {
    echo "bundle of commit $(cat "$here/COMMIT"); libcuda in ${CUDA_DIR:-(not found)}, cuBLAS in ${CUBLAS_DIR:-(not found)}"
    nvidia-smi 2>/dev/null || echo "nvidia-smi: not found, or no driver"
    run_java 60 info
}
run_java() {      # run_java SECONDS ARGUMENTS...: the command line
    seconds=$1; shift
    limited "${limit:-$seconds}" "$here/jre/bin/java" $java_flags -jar "$here/lib/jmarlin-cli.jar" "$@"
}

check() {
    if [ "$1" = --cpu ]; then
        tests 900 --exclude-tag gpu
    else
        need_gpu && tests 900 --include-tag gpu
    fi
}

sanitize() {
    tools=$(toolkit compute-sanitizer)
    [ -n "$tools" ] || { echo "run.sh: compute-sanitizer not found (CUDA_HOME, /usr/local/cuda/bin)"; return 1; }
    failed=
    for tool in memcheck racecheck initcheck synccheck; do
        if limited $((${limit:-600} / 4)) "$tools/compute-sanitizer" --tool $tool --error-exitcode 9 --log-file "$out/$tool.log" \
                "$here/sanitize/sanitize" "$here/images"; then
            echo "$tool: clean"
        else
            echo "$tool: FAILED, see $out/$tool.log"; failed=1
        fi
    done
    [ -z "$failed" ]
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

profile() {
    tools=$(toolkit ncu)
    [ -n "$tools" ] || { echo "run.sh: ncu not found (CUDA_HOME, /usr/local/cuda/bin)"; return 1; }
    limited "${limit:-300}" "$tools/ncu" --target-processes all --kernel-name regex:'striped|hopper' --launch-skip 4 --launch-count 3 \
        --section SpeedOfLight --section MemoryWorkloadAnalysis --section WarpStateStats --section SchedulerStats --section Occupancy \
        --section LaunchStats "$here/jre/bin/java" $java_flags -jar "$here/lib/jmarlin-cli.jar" bench --device cuda \
        --shape 8192x8192 --m 16 --group -1 --mode stream --seconds 60 --out "$out/profile"
}

everything() {
    result=0
    for part in info check sanitize probe bench profile; do
        echo "==== $part"
        case $part in bench) logged $part $part "$@" ;; *) logged $part $part ;; esac || result=1
        echo "$part: exit code $status" >> "$out/summary.txt"
    done
    echo "==== summary"; cat "$out/summary.txt"
    return $result
}

case $command in
info|check|sanitize|probe|bench|profile) logged "$command" "$command" "$@" ;;
all) rm -f "$out/summary.txt"; everything "$@" ;;
jmarlin) run_java 86400 "$@" ;;
jmh) limited "${limit:-86400}" "$here/jre/bin/java" $java_flags -cp "$here/lib/jmarlin-cli.jar" org.openjdk.jmh.Main -foe true "$@" ;;
*) usage ;;
esac
