### if elif else [ash dash bash]
for x in 1 2 3; do if [ $x = 1 ]; then echo one; elif [ $x = 2 ]; then echo two; else echo other; fi; done
### the status of if without a taken branch is zero [ash dash bash]
if false; then :; fi; echo $?
### while and until [ash dash bash]
i=0; while [ $i -lt 3 ]; do i=$((i+1)); echo w$i; done; until [ $i = 0 ]; do i=$((i-1)); done; echo $i
### the status of a loop is that of its last body [ash dash bash]
while false; do :; done; echo $?; for i in 1; do false; done; echo $?; for i in; do false; done; echo $?
### break and continue by levels [ash dash bash]
for i in 1 2 3; do for j in a b c; do [ $j = b ] && continue 2; [ $i = 3 ] && break 2; echo $i$j; done; done
### break in a while condition [ash dash bash]
while break; do echo no; done; echo ok
### for without a list [ash dash bash]
set -- x 'y z'; for a do echo "$a"; done; for a; do echo "$a"; done
### for in over nothing [ash dash bash]
for a in; do echo no; done; for a in $nothing; do echo no; done; echo end
### newlines where they may stand [ash dash bash]
for x in a b
do
  echo $x
done
if
  true
then
  echo t
fi
case x
in
  x) echo x
  ;;
esac
echo a &&
  echo b ||
  echo c
echo p |
  cat
### case patterns [ash dash bash]
for x in apple banana cherry 'a b' '' '*' 7; do case $x in a*e) echo A;; b?n*|c*) echo BC;; "a b") echo ab;; '') echo empty;; \*) echo star;; [0-9]) echo digit;; *) echo other;; esac; done
### case with expansions in its patterns [ash dash bash]
p='a*'; case abc in $p) echo pattern;; esac; case abc in "$p") echo no;; *) echo quoted;; esac
### case without a match is zero [ash dash bash]
false; case x in y) ;; esac; echo $?
### the last arm may lack its end [ash dash bash]
case a in b) echo b;; a) echo a
esac
case a in (a) echo p; esac
### falling through [bash]
case a in a) echo 1;& b) echo 2;; c) echo 3;; esac
case ab in a*) echo 1;;& *b) echo 2;;& c) echo 3;; *) echo 4;; esac
### groups and subshells [ash dash bash]
{ echo a; echo b; } | cat -n
x=1; (x=2; echo $x); echo $x; { x=3; }; echo $x
(exit 3); echo $?; ( (exit 4) ); echo $?
### and-or lists [ash dash bash]
true && echo a || echo b; false && echo a || echo b; false || true && echo c; ! true || echo d; ! false && echo e
### negation gives zero or one [ash dash bash]
! false; echo $?; ! true; echo $?; ! (exit 5); echo $?
### semicolons and ampersands [ash dash bash]
echo a; echo b & wait; echo c
### functions and their arguments [ash dash bash]
f() { echo "$# $1 $*"; shift; echo "$1"; return 3; }
set -- outer; f a b c; echo $? $1
### functions see and change variables [ash dash bash]
x=1; f() { x=2; y=3; }; f; echo $x $y
### local variables [ash dash bash]
x=out; f() { local x=in y; echo $x; g; x=changed; }; g() { echo "g $x"; }; f; echo $x ${y-unset}
### local without a value hides [ash bash]
x=out; f() { local x; echo "${x-unset}"; x=1; }; f; echo $x
### recursion [ash dash bash]
f() { [ $1 -le 1 ] && { echo 1; return; }; echo $(( $1 * $(f $(($1-1))) )); }; f 6
### a function may be redefined and removed [ash dash bash]
f() { echo 1; }; f() { echo 2; }; f; unset -f f; f 2>/dev/null; echo $?
### the function keyword [ash bash]
function f { echo f $1; }; function g() { echo g; }; f x; g
### functions with other bodies [ash dash bash]
f() ( x=sub; echo $x ); x=main; f; echo $x
g() if [ "$1" ]; then echo yes; else echo no; fi; g a; g
h() for i in 1 2; do echo $i; done; h
### function with redirections [ash dash bash]
f() { echo out; echo err >&2; } 2>&1; f | sort
### a function hides a builtin [ash dash bash]
echo() { command echo "<$@>"; }; echo a
### return gives the last status [ash bash]
f() { false; return; }; f; echo $?; g() { return 300; }; g; echo $?
### return at top level of a sourced file [ash dash bash]
printf 'echo in\nreturn 4\necho no\n' > f; . ./f; echo $?
### nested functions [ash dash bash]
f() { g() { echo g; }; g; }; f; g
### a pipeline in a condition [ash dash bash]
if echo abc | grep -q b; then echo found; fi; while echo x | grep -q y; do echo no; done; echo end
### break outside of a loop is nothing [ash dash]
break; echo $?
### select [bash]
printf '1\n\n3\nx\n' | { select f in a b c; do echo "<$f|$REPLY>"; [ "$f" ] || break; done; } 2>/dev/null
### exit in a subshell and in a function [ash dash bash]
(exit 7); echo $?; f() { exit 8; }; f; echo no
### exit without a number [ash dash bash]
false; exit
### exit wraps at 256 [ash dash bash]
exit 259
### status of an empty script [ash dash bash]
# nothing
### command not found [ash stderr]
nosuchcommand a b; echo $?
### command not found in a path [ash stderr]
/no/such/command; echo $?; ./nope; echo $?
### not executable [ash dash bash]
mkdir d; ./d 2>/dev/null; echo $?
### a file that is not executable [ash dash bash]
echo data > f; ./f 2>/dev/null; echo $?
### a script without its hash bang [ash dash bash]
printf 'echo ran $1\n' > s; chmod +x s 2>/dev/null; ./s arg
### a script with a hash bang [ash dash bash guest]
printf '#!/bin/sh\necho "ran $0 $1"\n' > s; chmod +x s 2>/dev/null; ./s arg
### deep nesting [ash dash bash]
( ( ( ( { { if true; then ( echo deep ); fi; }; } ) ) ) )
