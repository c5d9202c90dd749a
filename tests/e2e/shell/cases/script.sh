### an install script [ash dash bash]
# Installs a made-up tool from a tar archive that this script makes itself.
set -eu

PROGRAM=${0##*/}
VERSION=1.4.2
PREFIX=${PREFIX:-./opt}
QUIET=no
DRY=no
COMPONENTS=

say() {
    [ "$QUIET" = yes ] || printf '%s: %s\n' "$PROGRAM" "$*"
}

warn() {
    printf '%s: warning: %s\n' "$PROGRAM" "$*" >&2
}

die() {
    printf '%s: error: %s\n' "$PROGRAM" "$*" >&2
    exit 1
}

usage() {
    cat <<USAGE
Usage: $PROGRAM [-hnq] [-p PREFIX] [-c NAME]... [ACTION]

Actions:
  install   put version $VERSION below PREFIX (now $PREFIX)
  remove    take it away again
  check     say what is there
USAGE
}

need() {
    for command in "$@"; do
        command -v "$command" >/dev/null 2>&1 || die "need '$command' (command not found)"
    done
}

cleanup() {
    status=$?
    rm -rf "$WORK"
    [ $status -eq 0 ] && say "cleaned up" || say "failed with $status"
}

version_at_least() {
    # Compares dotted numbers part by part.
    left=$1 right=$2
    while [ -n "$left$right" ]; do
        l=${left%%.*} r=${right%%.*}
        case $left in *.*) left=${left#*.} ;; *) left= ;; esac
        case $right in *.*) right=${right#*.} ;; *) right= ;; esac
        [ "${l:-0}" -gt "${r:-0}" ] && return 0
        [ "${l:-0}" -lt "${r:-0}" ] && return 1
    done
    return 0
}

detect() {
    system=$(uname -s 2>/dev/null || echo unknown)
    case $system in
        Linux | Darwin | *BSD) family=unix ;;
        *) family=other ;;
    esac
    case ${1:-x86_64} in
        x86_64 | amd64) machine=x64 ;;
        aarch64 | arm64) machine=arm64 ;;
        *) die "unsupported machine: $1" ;;
    esac
    say "machine is $machine"
    : "$family"
}

make_archive() {
    mkdir -p "$WORK/tool-$VERSION/bin" "$WORK/tool-$VERSION/share"
    cat > "$WORK/tool-$VERSION/bin/tool" <<'TOOL'
#!/bin/sh
echo "tool says: $*"
TOOL
    # Not every system has modes.
    chmod +x "$WORK/tool-$VERSION/bin/tool" 2>/dev/null || :
    n=0
    for component in base $COMPONENTS; do
        n=$((n + 1))
        cat > "$WORK/tool-$VERSION/share/$component.conf" <<-CONF
		# $component, number $n
		name=$component
		home=\$HOME/$component
		CONF
    done
    (cd "$WORK" && tar cf tool.tar "tool-$VERSION")
}

install_files() {
    [ -d "$PREFIX" ] || mkdir -p "$PREFIX"
    tar xf "$WORK/tool.tar" -C "$PREFIX"
    ln -sf "tool-$VERSION" "$PREFIX/current"
    find "$PREFIX/tool-$VERSION" -type f | sort | while read -r file; do
        lines=$(wc -l < "$file" | tr -d ' ')
        say "installed ${file#"$PREFIX/"} ($lines lines)"
    done
}

contents() {
    (cd "$1" && find . -type f | sort | xargs cat | sha256sum | cut -d ' ' -f 1)
}

verify() {
    (cd "$WORK" && gzip -c tool.tar | gzip -dc | cmp - tool.tar) || die "the archive is broken"
    if [ "$(contents "$WORK/tool-$VERSION")" = "$(contents "$PREFIX/tool-$VERSION")" ]; then
        say "verified $(contents "$PREFIX/tool-$VERSION" | sed 's/\(........\).*/\1/')"
    else
        die "what is installed differs from the archive"
    fi
}

report() {
    find "$PREFIX/tool-$VERSION" -type f | sort | xargs wc -c | awk '
        $2 != "total" {
            bytes += $1; files++
            kind = $2; sub(/.*[.\/]/, "", kind)
            if (!(kind in seen)) { seen[kind]; kinds++ }
        }
        END { printf "%d files of %d kinds, %d bytes\n", files, kinds, bytes }'
}

edit_profile() {
    profile=./profile
    line="export PATH=\"$PREFIX/current/bin:\$PATH\""
    touch "$profile"
    if grep -qxF "$line" "$profile"; then
        say "profile is up to date"
    else
        printf '%s\n' "$line" >> "$profile"
        say "profile: added $(wc -l < "$profile" | tr -d ' ') line"
    fi
}

check() {
    if [ -L "$PREFIX/current" ] && [ -f "$PREFIX/current/bin/tool" ]; then
        found=$(readlink "$PREFIX/current")
        say "found ${found#tool-}"
        version_at_least "${found#tool-}" 1.4 && say "new enough" || warn "too old"
        sh "$PREFIX/current/bin/tool" hello "$(sed -n 's/^name=//p' "$PREFIX"/current/share/*.conf | tr '\n' ' ')"
    else
        say "nothing is there"
        return 3
    fi
}

remove() {
    rm -rf "$PREFIX/tool-$VERSION" "$PREFIX/current"
    rmdir "$PREFIX" 2>/dev/null || warn "$PREFIX is not empty"
}

main() {
    OPTIND=1 DRY=no QUIET=no COMPONENTS=
    while getopts hnqp:c: option; do
        case $option in
            h) usage; return 0 ;;
            n) DRY=yes ;;
            q) QUIET=yes ;;
            p) PREFIX=$OPTARG ;;
            c) COMPONENTS="${COMPONENTS:+$COMPONENTS }$OPTARG" ;;
            *) return 2 ;;
        esac
    done
    shift $((OPTIND - 1))
    case ${1:-install} in
        install)
            detect x86_64
            make_archive
            if [ "$DRY" = yes ]; then
                say "would install $(tar tf "$WORK/tool.tar" | wc -l | tr -d ' ') entries"
            else
                install_files
                verify
                report
                edit_profile
            fi
            ;;
        check) check ;;
        remove) remove ;;
        *) die "unknown action: $1" ;;
    esac
}

need tar grep sed find sort readlink wc tr ln gzip sha256sum awk xargs cmp
WORK=./work.$$
mkdir "$WORK"
trap cleanup EXIT

main -h
main -n
main -c extra -c docs install
main install
main check
(main -q check) || echo "quiet check failed"
main remove
main check || echo "check: $?"
(detect riscv) 2>&1 || echo "detect: $?"
for pair in '1.2 1.2' '1.10 1.9' '1.2 1.2.1' '2 1.9.9'; do
    set -- $pair
    if version_at_least "$1" "$2"; then echo "$1 >= $2"; else echo "$1 < $2"; fi
done
main frobnicate
