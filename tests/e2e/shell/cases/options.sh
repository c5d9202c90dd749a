### errexit ends at a failure [ash dash bash]
set -e; echo a; false; echo no
### errexit spares conditions [ash dash bash]
set -e; if false; then :; fi; false || echo or; false && echo no; ! true; while false; do :; done; until true; do :; done; echo end
### errexit in functions [ash dash bash]
set -e; f() { false; echo "in f"; }; if f; then echo cond; fi; f || echo no; f; echo no
### errexit in a subshell [ash dash bash]
set -e; (false; echo no); echo no2
### errexit and substitutions [ash dash bash]
set -e; x=$(false) || echo caught; echo $(false) arg; x=$(false); echo no
### errexit and pipelines [ash dash bash]
set -e; false | true; echo a; true | false; echo no
### errexit and the last of an and-list [ash dash bash]
set -e; true && false; echo no
### errexit and a group [ash dash bash]
set -e; { false; } ; echo no
### errexit runs the exit trap [ash dash bash]
trap 'echo trap $?' EXIT; set -e; false
### errexit and negation [ash dash bash]
set -e; ! false; ! true; echo ok
### errexit by the command line [ash dash bash]
$SH -e -c 'false; echo no'; echo $?; $SH -ec 'true; echo yes'
### errexit with nounset and pipefail [ash bash]
set -euo pipefail; x=${UNSET:-d}; echo $x; false | cat || echo failed; echo end
### errexit and return in functions [ash dash bash]
set -e; f() { return 1; }; f || true; echo a; f; echo no
### errexit and case [ash dash bash]
set -e; case a in a) false || true;; esac; case a in a) false;; esac; echo no
### errexit and local assignment [ash bash]
set -e; f() { local x=$(false); echo masked; }; f
### nounset [ash dash]
set -u; echo ${x:-d} ${x+no}; set -- ; echo "$@" $#; echo $1; echo no
### nounset with arithmetic and lengths [ash dash]
set -u; x=1; echo $((x+1)); echo ${#x}; (echo ${#nope}); echo $?
### xtrace [ash stderr]
set -x; x=1; echo "a b" $x; for i in 1; do :; done; [ a = a ]; y=$(echo sub); set +x; echo end
### xtrace with its own prompt [ash stderr]
PS4='>>$LINENO '; set -x; echo a; x='it'\''s'; echo "$x"
### verbose shows lines as they are read [ash dash bash stderr]
set -v
echo a
### noexec only reads [ash dash bash]
set -n; echo no
### allexport [ash dash bash]
set -a; foo=bar; set +a; env | grep ^foo
### options by name [ash dash bash]
set -o errexit; set +o errexit; set -o noglob; echo *; set +o noglob; echo ok
### positional parameters by set [ash dash bash]
set -- -a b; echo $1; set -e -- x y; echo $1 $2 $#; set x; echo $1 $#; set --; echo $#
### set shows variables [ash dash]
foo='a b'; set | grep ^foo=
### dollar minus [ash dash bash]
set -e; case $- in *e*) echo e;; esac; set +e; case $- in *e*) echo e;; *) echo none;; esac
### options of a command string [ash bash]
$SH -c 'echo $0 $1 $#' zero one two; $SH -c 'echo $-' | grep -c c; $SH -c 'exit 5'; echo $?
### script from standard input [ash dash bash]
echo 'echo hello $1' | $SH -s arg; echo 'exit 4' | $SH; echo $?
### standard input is shared with what the script runs [bash]
printf 'read x\nthis is data\necho "got $x"\n' | $SH
printf 'cat\nline for cat\n' | $SH
printf 'head -1\nfirst\necho second\n' | $SH 2>/dev/null | head -1
### the whole script on standard input [bash stdin]
echo a
read x
data for read
echo "<$x>"
while read y; do echo "[$y]"; [ "$y" = end ] && break; done
one
end
echo after
f() {
  echo in f
}
f
cat <<E
here
E
### syntax error on standard input comes late [ash dash stdin]
echo first
if fi
echo no
### shell name and arguments of a script [ash dash bash]
echo 'echo $0 $# $1' > s; $SH s a b; $SH ./s
### unreadable script [ash]
$SH nofile; echo $?
### unknown option of the shell [ash]
$SH -Z; echo $?
### pipefail by command line [ash bash]
$SH -o pipefail -c 'false | true'; echo $?
### option list [ash]
set -o | grep -c errexit; set +o | grep errexit
