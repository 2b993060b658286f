#!/bin/sh
# Unpacks the GPU bundle into a root file system that holds a shell, a few tools and the C library, but no Java, and runs there what
# needs no GPU. Needs root. usage: check-in-clean-root.sh BUNDLE.tar.gz
set -eu
archive=$(readlink -f "$1")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/tmp" "$root/proc" "$root/dev" "$root/opt"
for tool in sh cat mkdir tee timeout dirname sed head tail wc ls mv cp date sleep tar gzip rm env; do cp -L "$(command -v $tool)" "$root/bin/"; done
for library in libz.so.1 libstdc++.so.6 libgcc_s.so.1; do
    ldconfig -p | sed -n "s|.*$library .*x86-64.* => ||p" | head -n 1
done > "$root/tmp/libraries"
for file in "$root"/bin/* $(cat "$root/tmp/libraries"); do ldd "$file" 2>/dev/null || true; done | grep -o '/[^ ]*' | sort -u >> "$root/tmp/libraries"
# What a JVM opens by itself.
for library in libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1; do
    ldconfig -p | sed -n "s|.*$library .*x86-64.* => ||p" | head -n 1
done >> "$root/tmp/libraries"
while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done < "$root/tmp/libraries"
tar xzf "$archive" -C "$root/opt"
unshare --mount --pid --fork sh -eu -c '
    mount --bind "$0" "$0"
    mount -t proc proc "$0/proc"
    mount -t tmpfs dev "$0/dev"
    mknod -m 666 "$0/dev/null" c 1 3; mknod -m 666 "$0/dev/random" c 1 8; mknod -m 666 "$0/dev/urandom" c 1 9
    run() { chroot "$0" /bin/env -i PATH=/bin /bin/sh /opt/bundle/run.sh "$@"; }
    run info --out /tmp/out
    run check --out /tmp/out --cpu
    run bench --out /tmp/out --limit 60 --quick
    if run check --out /tmp/out; then echo "check passes without a GPU" >&2; exit 1; fi
    run first --out /tmp/first --limit 60
    sed "s/^/page: /" "$0/tmp/first/first.txt"
' "$root"
echo "the bundle works in a clean root"
