### defaults and alternatives [ash dash bash]
unset u; e=; v=val
echo "${u-d} ${u:-d} ${e-d} ${e:-d} ${v-d} ${v:-d}"
echo "${u+a}|${u:+a}|${e+a}|${e:+a}|${v+a}|${v:+a}"
echo "${u=x} $u ${e:=y} $e"
### error if unset ends the script [ash dash]
echo before
echo ${u?}
echo not reached
### error with a message [ash stderr]
: ${name:?is needed}
### error message of its own words [ash stderr]
: ${1?}
### lengths [bash]
x=hello; set -- a bb ccc
echo ${#x} ${#} $# ${#1} ${#3} ${#u} ${#@} ${#*}
### removing prefixes and suffixes [ash dash bash]
p=/usr/lib/x.tar.gz
echo ${p#*/} ${p##*/} ${p%.*} ${p%%.*} ${p%/*} ${p#/usr} ${p%nothing}
echo ${p##*[!a-z]}
### quoted pattern characters are literal in removal [ash dash bash]
x='a*b*c'; echo "${x#*'*'}" "${x%"*"*}" "${x##*\*}"
y='*'; echo "${x#a$y}" "${x#a"$y"}"
### substrings [ash bash]
s=abcdef
echo ${s:2} ${s:1:3} ${s: -2} ${s:(-3):2} ${s:0:-1} ${s:10} "${s:3:0}" ${s:1+1:1}
### replacement [bash]
s=banana
echo ${s/a/o} ${s//a/o} ${s/#b/c} ${s/%a/o} ${s/an} ${s//an/} ${s/n*/X} ${s//[an]/.}
### replacement with quoted and expanded parts [bash]
s='a/b/c'; r='x y'
echo "${s//\//-}" "${s/\/b/$r}" ${s//'/'/:}
### case modification [bash]
s='hello World'
echo "${s^} ${s^^} ${s,} ${s,,} ${s^^o} ${s^^[a-h]}"
### indirect parameters [bash]
a=b; b=c; echo ${!a}
set -- x y; n=2; echo ${!n} ${!#}
### names with a prefix [bash]
zz_a=1; zz_b=2; echo ${!zz_*} "${!zz_@}"
### quoting transformation [bash]
x="it's"; echo ${x@Q}
### positional parameters above nine [ash dash bash]
set -- 1 2 3 4 5 6 7 8 9 ten eleven
echo $10 ${10} ${11}
### at and star [ash dash bash]
set -- "a b" c ""
for x in "$@"; do echo "<$x>"; done
for x in "$*"; do echo "<$x>"; done
for x in $@; do echo "<$x>"; done
for x in $*; do echo "<$x>"; done
### star joins with the first of IFS [ash dash bash]
set -- a b c; IFS=-+; echo "$*"; IFS=; echo "$*"; unset IFS; echo "$*"
### at within a word [ash dash bash]
set -- 1 2 3; for x in "a$@b"; do echo "<$x>"; done
set --; for x in "a$@b" "$@"; do echo "<$x>"; done
### slices of positional parameters [bash]
set -- a b c d e; echo "${@:2:2}" "${@:4}" ${@: -1} "${*:1:2}"
### splitting by IFS [ash dash bash]
x='a:b::c'; IFS=:; set -- $x; echo $#; for i; do echo "<$i>"; done
IFS=' :'; x=' a : b '; set -- $x; echo $#
### an unquoted empty expansion is no field [ash dash bash]
x=; set -- $x $x; echo $#; set -- a$x; echo $#
### unset variable under set -u [ash dash]
set -u; echo "${x-ok}"; echo $x; echo no
### message of an unset variable [ash stderr]
set -u; echo $nope
### special parameters [ash dash bash]
false; echo $?; true; echo $?
[ "$$" -gt 0 ] && echo pid; echo $#
### default words are expanded late [ash dash bash]
x=set; : ${x:=$(echo called >&2)}; : ${y:=$(echo called)}; echo $y
### nested defaults [ash dash bash]
echo ${a:-${b:-${c:-deep}}} "${a:-"q r"}" ${a:-'x  y'} "${a:-'q'}"
### a tilde in a default [ash dash bash]
HOME=/h; echo ${nope:-~} "${nope:-~}" ${nope:-~/x}
### splitting of a default word [ash dash bash]
set -- ${nope:-a b "c d"}; echo $#
### bad substitution [ash]
echo ${a b}
echo no
### assignment lists and expansion order [ash dash bash]
a=1 b=$a c=${b}2; echo $a $b $c
### last argument [bash]
echo a b; echo $_
### suffix removal of positional list [bash]
set -- a.c b.c; echo ${@%.c} "${@/a/x}"
### LINENO counts lines [ash bash]
echo $LINENO
echo $LINENO

echo $LINENO
### random and seconds exist [ash bash]
a=$RANDOM; [ "$a" -ge 0 ] && [ "$a" -lt 32768 ] && echo ok
### PPID is a number [ash dash bash]
[ "$PPID" -gt 0 ] && echo ok
### OLDPWD and PWD follow cd [ash dash bash]
mkdir -p a/b; cd a; cd b; echo "${PWD##*/} ${OLDPWD##*/}"; cd - >/dev/null; echo ${PWD##*/}
### UID and EUID [bash]
echo $UID $EUID
### appending assignment [bash]
x=a; x+=b; x+="c d"; echo "$x"; export y=1; y+=2; env | grep ^y=
