# A run made of parts under one limit, for run.sh: each part gets its share of the time that is left, so what one does not use the
# later ones have, and one that hangs or dies costs only itself. What comes out is on disk, and in the archive, before the next begins.
#
#   begin_run NAME SECONDS PART:SHARE...    then run_parts: part_PART says what a part does, none_PART why it has nothing to do here
#
# In the folder of results at any moment: NAME.tar.gz (logs, measurements), NAME.txt (one page), NAME.log (what was on the terminal).

now() { date +%s; }

begin_run() {
    run_name=$1; run_limit=$2; shift 2
    run_parts_left=$*
    # For the page and the archive at the end.
    reserve=$((run_limit / 20 + 3))
    run_end=$(($(now) + run_limit - reserve))
    [ "$run_end" -gt "$(now)" ] || { echo "run.sh: --limit $run_limit: too short for anything" >&2; exit 2; }
    dir=$work/$run_name
    rm -rf "$dir" && mkdir -p "$dir" || exit 1
    tuning=$work/tuning
    : > "$dir/parts.txt"
    echo "run.sh $run_name of commit $(cat "$here/COMMIT"), at most $run_limit s" > "$dir/run.txt"
    : > "$out/$run_name.log"
    run_started=$(now)
    trap 'stop_part; outcome "FAILED: run.sh was told to end" 0; finish_run; exit 143' TERM INT HUP
}

say() { echo "$*" | tee -a "$out/$run_name.log"; }

run_parts() {
    result=0
    for part in $run_parts_left; do
        shares=0
        for each in $run_parts_left; do shares=$((shares + ${each#*:})); done
        run_parts_left=${run_parts_left#"$part"}
        run_parts_left=${run_parts_left# }
        run_part "${part%:*}" $(((run_end - $(now)) * ${part#*:} / shares))
        save_run
    done
    finish_run
    return $result
}

# run_part NAME SECONDS: its output goes to NAME.log and, as it comes, to the terminal; a line in parts.txt says how it ended.
run_part() {
    name=$1; seconds=$2
    why=$(none_$name)
    [ "$seconds" -ge 1 ] || why="no time was left"
    if [ -n "$why" ]; then outcome "none: $why" 0; return; fi
    say "==== $name, at most $seconds s"
    part_started=$(now)
    part_end=$((part_started + seconds))
    log=$dir/$name.log
    : > "$log"
    ( cd "$dir" && part_$name ) > "$log" 2>&1 < /dev/null &
    part_pid=$!
    shown=0
    # Beyond the limit and the time that the signals take it is left behind: a process in the driver's hands may not even be killed.
    while kill -0 $part_pid 2>/dev/null && [ "$(now)" -le $((part_end + 8)) ]; do
        sleep 0.5 2>/dev/null || sleep 1
        show_log
    done
    if kill -0 $part_pid 2>/dev/null; then
        code=124
        say "run.sh: $name cannot even be killed, and is left behind"
    else
        wait $part_pid
        code=$?
    fi
    show_log
    took=$(($(now) - part_started))
    case $code in
    0) outcome ok $took ;;
    124|137) outcome "TIMED OUT: ended after $took s" $took ;;
    *) outcome "FAILED: exit code $code" $took ;;
    esac
}

show_log() {      # what is new in the part's log
    size=$(wc -c < "$log")
    [ "$size" -gt "$shown" ] || return 0
    tail -c +$((shown + 1)) "$log" | head -c $((size - shown)) | tee -a "$out/$run_name.log"
    shown=$size
}

outcome() {       # outcome WORDS SECONDS
    say "==== $name: $1"
    case $name:$1 in
    *:ok|*:none*) ;;
    *check:*|profile:*) ;;                  # reported, not a failure of the run
    *) result=1 ;;
    esac
    printf '%s\t%s\t%s\n' "$name" "$1" "$2" >> "$dir/parts.txt"
}

# within_part PROGRAM...: ends it when the part's time is over.
within_part() {
    left=$((part_end - $(now)))
    [ $left -ge 1 ] || return 124
    timeout -k 5 $left "$@" &
    echo $! > "$tmp/running"
    wait $!
}

stop_part() { [ -e "$tmp/running" ] && kill "$(cat "$tmp/running")" 2>/dev/null; }

plain_summary() {
    cat "$dir/run.txt"
    sed 's/^/  /' "$dir/parts.txt"
    for later in $run_parts_left; do echo "  ${later%:*}	not reached"; done
}

archive() {
    ( cd "$work" && tar cf - "$run_name" $(ls -d tuning* 2>/dev/null) | gzip > "$out/$run_name.tar.gz.new" ) &&
        mv "$out/$run_name.tar.gz.new" "$out/$run_name.tar.gz"
}

# Everything so far, and the page without figures until finish_run. A log is cut to its two ends where it is enormous.
save_run() {
    plain_summary > "$out/$run_name.txt"
    for file in "$dir"/*.log; do
        [ "$(wc -c < "$file")" -le 4000000 ] && continue
        { head -c 1000000 "$file"; echo; echo "... cut by run.sh ..."; tail -c 1000000 "$file"; } > "$dir/cut" && mv "$dir/cut" "$file"
    done
    cp "$out/$run_name.txt" "$dir/summary.txt"
    archive
}

finish_run() {
    echo "$(($(now) - run_started)) s used" >> "$dir/run.txt"
    save_run
    if timeout -k 1 $((reserve - 2)) "$here/jre/bin/java" $java_flags -cp "$here/lib/jmarlin-cli.jar" \
            io.github.jmarlin.bench.report.RunSummary "$dir" "$rows" > "$tmp/summary" 2> "$dir/summary-errors.log"; then
        for later in $run_parts_left; do printf '  %-16s not reached\n' "${later%:*}"; done >> "$tmp/summary"
        mv "$tmp/summary" "$out/$run_name.txt"
        cp "$out/$run_name.txt" "$dir/summary.txt"
    fi
    say "==== summary"
    tee -a "$out/$run_name.log" < "$out/$run_name.txt"
    archive
}
