### echo and its options [ash]
echo -n a; echo b; echo -e 'x\ty\0101\c'; echo; echo -E 'a\tb'; echo -x; echo - a; echo -ne 'n\n'; echo --
### printf formats [ash dash bash]
printf '%s %d %5.2f %x %o %c %% %e\n' str 42 3.14159 255 8 xyz 12345.678; printf '%-5s|%5s|%05d|%+d|% d\n' a b 7 5 6
### printf reuses its format [ash dash bash]
printf '%s=%s\n' a 1 b 2 c; printf 'none\n' x y; printf '%s\n'
### printf escapes [ash dash bash]
printf 'a\tb\\\101\n'; printf '%b|' 'x\ty' 'a\0101' 'q\cz' no; echo
### printf with stars and precision [ash dash bash]
printf '%*d|%-*d|%.*f|%.2s\n' 5 42 5 42 1 2.55 abcdef
### printf of bad numbers [ash dash bash]
printf '%d\n' abc 2>/dev/null; echo $?; printf '%d %d\n' 0x10 010; printf '%d\n' "'A"
### printf to a variable and quoted [bash]
printf -v x '%03d' 7; echo $x; printf '%q %q\n' 'a b' plain
### cd and pwd [ash dash bash]
mkdir -p a/b; cd a; pwd | sed 's,.*/,,'; cd b/..; pwd | sed 's,.*/,,'; cd -- b; cd ..; cd -L .; (cd /; pwd); cd "$OLDPWD" && pwd | sed 's,.*/,,'
### cd through CDPATH [ash dash bash]
mkdir -p p/q; CDPATH=$PWD/p; cd q >/dev/null && pwd | sed 's,.*/p/,p/,'
### export and unset [ash bash]
export A=1; B=2; export B; env | grep '^[AB]=' | sort; unset A; env | grep -c '^A='; export -n B 2>/dev/null; :
### assignments before a command [ash dash]
A=1 env | grep ^A=; echo ${A-unset}; f() { echo $A; }; A=2 f; A=3 :; echo ${A-unset}
### export list [dash]
export Z='a b'; export -p | grep ' Z='
### readonly list [ash]
readonly r='x y'; readonly | grep ' r='; readonly -p | grep -c ' r='
### unset of variables and functions [ash dash bash]
x=1; f() { echo f; }; unset x; echo ${x-gone}; unset -f f; type f >/dev/null 2>&1 || echo nof; unset nothing; echo $?
### shift [ash dash bash]
set -- a b c d; shift; echo $1; shift 2; echo $1 $#; shift 0; echo $#
### eval [ash dash bash]
x='echo "a  b"'; eval $x; eval 'y=1; z=2'; echo $y $z; eval; echo $?; eval false; echo $?; eval "f() { echo made; }"; f
### dot with and without arguments [ash bash]
echo 'echo "$# $1"; v=set' > s; set -- outer; . ./s; . ./s inner; echo $v $1
### dot searches PATH [ash dash bash]
mkdir d; echo 'echo from path' > d/lib.sh; PATH=$PWD/d:$PATH; . lib.sh
### source [ash bash]
echo 'echo sourced' > s; source ./s
### getopts [ash dash bash]
set -- -a -b val -cval2 rest more; while getopts ab:c: o; do echo "$o ${OPTARG-}"; done; shift $((OPTIND-1)); echo "$@"
### getopts joined and ended [ash dash bash]
set -- -abx y -- -z; while getopts abx: o; do echo "$o ${OPTARG-}"; done; echo $OPTIND
### getopts errors loud [ash dash bash]
set -- -z -b; while getopts ab: o 2>/dev/null; do echo "$o ${OPTARG-none}"; done; echo $OPTIND
### getopts errors silent [ash dash bash]
set -- -z -b; while getopts :ab: o; do echo "$o $OPTARG"; done
### getopts twice [ash dash bash]
f() { OPTIND=1; while getopts x: o "$@"; do echo $o $OPTARG; done; }; f -x 1; f -x 2
### getopts message [ash stderr]
set -- -z; getopts ab o; set -- -b; OPTIND=1; getopts b: o
### read splits [ash dash bash]
echo 'a b  c d' | { read x y z; echo "$x|$y|$z"; }; echo '  lead  ' | { read x; echo "<$x>"; }; echo 'a:b:c' | { IFS=: read x y; echo "$x|$y"; }
### read and backslashes [ash bash]
printf 'a\\tb\\\nc\n' | { read x; echo "$x"; }; printf 'a\\tb\n' | { read -r x; echo "$x"; }
### read without a newline at the end [ash dash bash]
printf 'abc' | { read x; echo "$? $x"; }; : | { read x; echo "$? [$x]"; }
### read keeps what IFS says [ash dash bash]
printf ' a \n' | { IFS= read -r x; echo "<$x>"; }
### read with a delimiter and a count [ash bash]
printf 'a:b' | { read -d : x; echo $x; }; echo abcdef | { read -n 3 x; echo $x; }
### read into REPLY [ash bash]
echo line | { read; echo "$REPLY"; }
### read with a time [ash bash]
echo now | { read -t 5 x; echo $? $x; }; sleep 0.6 | { read -t 0.05 x; [ $? != 0 ] && echo late; }
### read many lines [ash dash bash]
seq 1 5 | while read n; do echo $((n*n)); done
### read from another descriptor [bash]
exec 4<<< "four"; read -u 4 x; echo $x
### while read with a last line cut short [ash dash bash]
printf 'a\nb' | while read -r l || [ -n "$l" ]; do echo "[$l]"; done
### command [ash dash bash]
echo() { printf 'func\n'; }; command echo real; command -v cd; command -v nosuch; echo $?; command true; command nosuch 2>/dev/null; printf '%s\n' $?
### command -v of programs and functions [ash dash bash]
f() { :; }; command -v f; command -v if; command -v cat | sed 's,.*/,,'
### type [ash]
f() { :; }; type cd; type if; type f; type nosuch; echo $?; type eval
### hash [ash dash bash]
hash -r; hash cat && echo ok; hash nosuch 2>/dev/null; echo $?
### true false and colon [ash dash bash]
true; echo $?; false; echo $?; : $((x=5)); echo $x
### umask [ash dash bash]
umask 022; umask; umask -S; umask 077; umask; umask u=rwx,g=rx,o=; umask
### times and ulimit answer [ash dash bash]
times | wc -l; ulimit -t >/dev/null; echo $?
### alias [ash dash]
alias ll='echo listing' e=echo
ll a; e b
alias ll; unalias ll; ll 2>/dev/null; echo $?
### alias that ends in a blank [ash dash]
alias run='echo ' word=replaced
run word word
### alias of itself and of reserved words [ash dash]
alias echo='echo x'
echo a
alias forever='while true' 
forever; do echo once; break; done
### aliases are not expanded when quoted or later in a line [ash dash]
alias hi='echo hello'
\hi 2>/dev/null; echo $?; "hi" 2>/dev/null; echo $?; echo hi
### alias in a function and in a subshell [ash dash]
alias hi='echo hello'
f() { hi; }; f; (hi there); echo $(hi sub)
### alias in pipelines [ash dash]
alias up='tr a-z A-Z'
echo abc | up | cat
### unalias all [ash dash]
alias a=b c=d
unalias -a; alias; echo $?
### let and double parentheses agree [bash]
let 'x = 2 + 3'; echo $x; (( x > 4 )); echo $?; let x-=5; echo $? $x
### declare [bash]
declare x=1; declare -r y=2; declare -x z=3; echo $x $y $z; env | grep ^z=; f() { declare l=in; echo $l; declare -g g=glob; }; f; echo ${l-unset} $g
### builtin [bash]
cd() { echo mine; }; cd; builtin cd /; pwd
### xargs find and friends in scripts [ash dash bash]
mkdir d; touch d/a.txt d/b.txt 'd/c d.txt'; find d -name '*.txt' | sort | while read -r f; do basename "$f" .txt; done; printf 'a\nb\n' | xargs -n 1 echo item
### a counter with sort and uniq [ash dash bash]
printf 'b\na\nb\n' | sort | uniq -c | sort -rn | sed 's/^ *//'
### expr basename dirname [ash dash bash]
expr 1 + 2; basename /a/b.c .c; dirname /a/b/c; expr length abc
### mktemp-like names [ash dash bash]
d=./tmp.$$; mkdir $d && echo ok; rmdir $d
### test of commands in a path [ash dash bash]
for c in cat ls nosuchprog; do command -v $c >/dev/null 2>&1 && echo has $c || echo no $c; done
