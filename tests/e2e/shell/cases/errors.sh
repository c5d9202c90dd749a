### a syntax error ends the script where it stands [ash dash]
echo before
if true; then
### unexpected word [ash stderr]
echo a
fi
### unexpected parenthesis [ash stderr]
echo a )
### unexpected end [ash stderr]
while true; do
echo x
### double semicolon outside of case [ash stderr]
echo a;; echo b
### missing then [ash stderr]
if true; echo a; fi
### a pipe without a command [ash stderr]
echo a | | cat
### nothing before and-and [ash stderr]
&& echo a
### bad for loop variable [ash stderr]
for 1x in a; do echo; done
### an unclosed brace [ash]
echo ${x
### an unclosed substitution [ash stderr]
echo $(echo a
### readonly variables [ash stderr]
readonly x=1; x=2; echo no
### unset of a readonly variable [ash dash]
readonly x=1; unset x; echo no
### cd to nowhere [ash stderr]
cd /nowhere; echo $?
### shift too far [ash]
set -- a; shift 2; echo $?
### bad number to exit and shift [ash]
(exit abc); echo $?; shift abc; echo no
### redirection to nowhere [ash stderr]
echo a > /nowhere/f; echo $?; cat < /nowhere/f; echo $?
### redirection of a special builtin fails the script [dash]
: < /nowhere/f; echo no
### bad descriptor [ash stderr]
echo a >&7; echo $?
### test with bad operands [ash stderr]
[ a -eq 1 ]; echo $?; [ 1 -eq ]; echo $?; [ a b c d ]; echo $?
### missing bracket [ash stderr]
[ a = a; echo $?
### unset with a bad name [ash]
unset 1x; echo no
### dot without a file [ash stderr]
. ./nofile; echo no
### a bad option to set [ash]
set -Z; echo no
### kill of nobody [ash]
kill 999999; echo $?; kill -BAD 1; echo $?
### trap with a bad signal [ash]
trap : NOSIG; echo $?
### eval of a syntax error [ash]
eval 'echo ('; echo no
### command before a fault keeps the script [ash]
command . ./nofile; echo $?
### error in a subshell stays there [ash dash]
(: ${x?no}); echo $?; (readonly a=1; a=2); echo $?
### bad function name [ash]
a/b() { :; }
### return with a bad number [ash]
f() { return x; }; f; echo no
### local outside of a function [ash dash]
local x=1; echo no
### getopts without arguments [ash]
getopts; echo no
### wait for a stranger [ash dash bash]
wait 999999 2>/dev/null; echo $?
### unknown option to read [ash]
read -Z x; echo no
### a here-document that is not closed [ash]
cat <<E
x
### umask with a bad mode [ash]
umask 99; echo $?
