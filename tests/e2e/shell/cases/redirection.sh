### in out and append [ash dash bash]
echo a > f; echo b >> f; cat < f; cat f > g; wc -l < g; > empty; [ -s empty ] || echo empty
### errors to a file and together [ash dash bash]
{ echo out; echo err >&2; } > f 2>&1; cat f; { echo out; echo err >&2; } 2>&1 > g | cat; cat g
### order of redirections [ash dash bash]
{ echo o; echo e >&2; } 2>&1 >/dev/null
### both at once [ash bash]
{ echo o; echo e >&2; } &> f; cat f
### both at once in other spellings [bash]
{ echo o; echo e >&2; } &>> f; { echo o; echo e >&2; } >& g; cat f g; { echo o; echo e >&2; } |& sort
### noclobber [ash bash]
echo a > f; set -C; echo b > f; echo $?; echo c >| f; cat f; echo d >> f; cat f
### read and write [ash dash bash]
echo hello > f; echo HE 1<> f; cat f
### descriptors above two [ash dash bash]
exec 3> f; echo a >&3; echo b >&3; exec 3>&-; cat f; exec 4< f; read x <&4; read y <&4; echo $x $y; exec 4<&-
### saving and restoring stdout [ash dash bash]
exec 3>&1; exec > f; echo in file; exec >&3 3>&-; echo back; cat f
### descriptors in a group [ash dash bash]
{ echo a >&3; echo b; } 3>&1 | cat
### descriptors above two in a subshell [ash dash bash guest]
exec 3> f; (echo sub >&3); echo "$(echo inner >&3)"; echo p | cat >&3; { echo stage >&3; } | cat; exec 3>&-; cat f
### descriptors above two in a program [ash dash bash guest]
exec 3> f; $SH -c 'echo child >&3'; exec 3>&-; cat f; echo in > g; exec 4< g; $SH -c 'read x <&4; echo $x'
### closed descriptors [ash dash bash]
echo a >&- 2>/dev/null; echo $?
### redirection without a command [ash bash]
> f; < f; echo $?; < none 2>/dev/null; echo $?
### redirections of a loop [ash dash bash]
for i in 1 2 3; do echo $i; done > f; while read x; do echo "<$x>"; done < f
### redirections of a function call [ash dash bash]
f() { echo in f; cat; }; echo data | f > o; cat o
### redirection before the command [ash dash bash]
> f echo a; < f cat; 2>/dev/null ls none; echo $?
### read in a loop consumes line by line [ash dash bash]
printf 'a\nb\nc\n' | while read x; do echo "$x"; read y; echo "[$y]"; done
### a redirection's name is expanded [ash dash bash]
n="my file"; echo x > "$n"; cat "$n"; echo y > f$((1+1)); cat f2
### input of background jobs is empty [ash dash]
echo data | { cat & wait; }; echo end
### pipes have their own processes [ash dash bash]
x=1; echo 2 | read x; echo $x; x=1; : | { x=3; }; echo $x
### a long pipeline [ash dash bash]
seq 1 1000 | grep 7 | sort -rn | head -3 | tr '\n' ' '; echo
### a writer whose reader has gone [ash dash bash]
yes | head -2; while true; do echo y; done | head -1
### much data through a pipe [ash dash bash]
seq 1 50000 | { read x; echo $x; cat; } | tail -1
### duplicated input [ash dash bash]
printf 'one\ntwo\n' > f; exec 5< f; { read a; read b; } <&5; echo $a $b
### moving descriptors [bash]
exec 3> f; echo moved 1>&3-; cat f
### dev null and dev stdout [ash dash bash]
echo a > /dev/null; echo b > /dev/stdout; echo c > /dev/stderr 2>/dev/null; cat < /dev/null; echo in | cat /dev/stdin
### status of a pipeline [ash dash bash]
true | false; echo $?; false | true; echo $?; exit 3 | exit 4; echo $?
### pipefail [ash bash]
set -o pipefail; false | true; echo $?; (exit 3) | (exit 4) | true; echo $?; true | true; echo $?
### exec replaces the shell [ash dash bash]
exec echo replaced; echo no
### exec gives the program's exit code [ash dash bash]
exec $SH -c 'exit 9'
### exec of nothing there [ash]
exec /no/such/thing; echo no
### exec drops an exit trap [ash dash bash]
trap 'echo bye' EXIT; exec true
### exec with descriptors for a program [ash dash bash]
exec 2>&1; ls none | grep -c none
