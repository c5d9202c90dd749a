### wait for all [ash dash bash]
(echo a > f) & (echo b > g) & wait; cat f g; echo $?
### wait for one gives its code [ash dash bash]
(exit 7) & p=$!; (exit 8) & wait $p; echo $?; wait $!; echo $?
### wait twice and of several [ash dash bash]
(exit 3) & a=$!; (exit 4) & b=$!; wait $a $b; echo $?
### background keeps its variables to itself [ash dash bash]
x=1; { x=2; } & wait; echo $x
### the last background pid is a number [ash dash bash]
true & case $! in *[!0-9]*|'') echo bad;; *) echo pid;; esac; wait
### dollar dollar is the same in subshells [ash dash bash]
[ "$$" = "$(echo $$)" ] && echo same; (echo $$) | grep -qx $$ && echo sub
### BASHPID differs [bash]
[ "$BASHPID" = "$(echo $BASHPID)" ] || echo differs
### kill ends a job [ash dash bash]
sleep 100 & p=$!; kill $p; wait $p 2>/dev/null; echo $?
### kill by name and number [ash dash bash]
sleep 100 & p=$!; kill -s KILL $p; wait $p 2>/dev/null; echo $?; sleep 100 & p=$!; kill -9 $p; wait $p 2>/dev/null; echo $?; sleep 100 & p=$!; kill -TERM $p; wait $p 2>/dev/null; echo $?
### kill zero asks [ash dash bash]
sleep 100 & p=$!; kill -0 $p && echo alive; kill $p; wait $p 2>/dev/null; kill -0 $p 2>/dev/null; echo $?
### kill names signals [ash]
kill -l | grep -c INT; kill -l 9; kill -l TERM; kill -l 143
### jobs by number [ash bash]
sleep 100 & kill %1; wait %1 2>/dev/null; echo $?
### background pipeline [ash dash bash]
echo abc | tr a-z A-Z > f & wait; cat f
### background and-or list [ash dash bash]
false || echo later > f & wait; cat f
### wait without jobs [ash dash bash]
wait; echo $?
### wait -n [bash]
(exit 5) & wait -n; echo $?
### exit trap [ash dash bash]
trap 'echo bye $?' EXIT; echo hi; exit 3
### exit trap at the end [ash dash bash]
trap 'echo bye' 0; echo hi
### exit trap in a subshell [ash dash bash]
trap 'echo outer' EXIT; (trap 'echo inner' EXIT; echo in); (echo no trap here); echo end
### exit trap sees and changes the code [ash dash bash]
trap 'echo $?; exit 9' EXIT; exit 4
### exit trap after a syntax error in eval [ash]
trap 'echo bye' EXIT; eval 'if'; echo no
### exit trap removed [ash dash bash]
trap 'echo no' EXIT; trap - EXIT; echo end
### exit trap in a function [ash dash bash]
f() { trap 'echo cleanup' EXIT; }; f; echo after
### trap listing [ash dash]
trap 'echo "a b"' EXIT; trap '' INT; trap; trap - EXIT
### trap resets [ash dash bash]
trap 'echo x' TERM; trap - TERM; trap; echo none
### a signal wakes a wait [ash dash bash guest]
trap 'echo caught' USR1; (sleep 0.2; kill -USR1 $$) & sleep 100 & wait $!; echo $?; kill $!
### a signal comes after the running program [ash dash bash guest]
trap 'echo caught' TERM; (kill -TERM $$) & sleep 0.5; echo after
### a signal to itself without a trap ends the shell [ash dash]
kill -TERM $$; echo no
### a trapped signal to itself [ash dash bash]
trap 'echo caught' TERM; kill -TERM $$; echo after; trap 'echo usr' USR1; kill -USR1 $$; echo end
### an ignored signal [ash dash bash]
trap '' TERM; kill -TERM $$; echo alive
### several signals in one trap [ash dash bash]
trap 'echo sig' HUP INT TERM; kill -HUP $$; kill -INT $$; echo end
### a trap keeps the status [ash dash bash]
trap 'true' USR1; false; kill -USR1 $$; echo $?; trap 'false' USR2; true; kill -USR2 $$; echo $?
### a trap that exits [ash dash bash]
trap 'echo cleanup; exit 5' TERM; kill $$; echo no
### err trap [bash]
trap 'echo err $?' ERR; false; true; (exit 3) || true; if false; then :; fi; (exit 4); echo end
