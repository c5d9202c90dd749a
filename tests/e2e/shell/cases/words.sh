### braces make words [bash]
echo {a,b,c} x{1,2}y {a,b}{1,2} pre{,s} {a,{b,c}d}e
### brace sequences [bash]
echo {1..5} {5..1} {1..10..3} {10..1..4} {a..e} {e..a..2} {01..10..3} {-2..2} x{1..3}y
### braces that are none [bash]
echo {} {a} {a,b \{a,b\} "{a,b}" a{1..}b ${HOME+{x}} {1..b} {a..2}
### braces around expansions [bash]
x=1; echo {$x,"b c",$((x+1))} {a,b}$x "$x"{a,b}
### braces in assignments stay [bash]
x={a,b}; echo $x
### braces in a loop [bash]
for i in {1..3} {a,b}; do echo $i; done
### file names by patterns [ash dash bash]
touch a.c b.c .hid c.h; mkdir d e; touch d/x.c e/y.c
echo *.c * .h* */*.c [ab].c [!a].c ?.h *.nothing d/* ./*.h */
### quoted pattern characters do not match [ash dash bash]
touch a b; echo "*" '*' \* "a"* [a]"*" "?"
### classes in patterns [ash bash]
touch a1 b2 Cx; echo [[:alpha:]][[:digit:]] [[:upper:]]* *[[:digit:]]
### patterns match names with blanks [ash dash bash]
touch 'a b' 'c d'; for f in *\ *; do echo "<$f>"; done
### noglob [ash dash bash]
touch a b; set -f; echo *; set +f; echo *
### pattern from a variable [ash dash bash]
touch a.x b.x; p='*.x'; echo $p "$p"
### hidden files need a dot [ash bash]
touch .a b; echo * .[!.]*
### pattern with a directory that is a link [ash dash bash]
mkdir d; touch d/f; ln -s d l; echo l/* */f
### here-document [ash dash bash]
x=1; cat <<END
a $x $(echo sub) `echo tick` $((1+1))
"quoted" 'single' \$x \\ \a
END
### here-document with a quoted delimiter [ash dash bash]
x=1; cat <<'END'
a $x $(echo no) \$ \\
END
cat <<"E F"
$x
E F
cat <<\EOF
$x
EOF
### here-document without tabs [ash dash bash]
cat <<-END
	one
		two $HOME
	END
### two here-documents on a line [ash dash bash]
cat <<A; cat <<B
a
A
b
B
### here-document in a pipeline and in a function [ash dash bash]
f() { cat <<END | tr a-z A-Z
in f $1
END
}
f x; f y
### here-document in a loop and in a substitution [ash dash bash]
for i in 1 2; do cat <<E
n $i
E
done
echo "$(cat <<E
inner
E
)"
### here-string [bash]
cat <<< "a  $HOME"
read a b <<< "x y z"; echo "$a|$b"
### here-document joins lines [ash dash bash]
cat <<END
one \
two
END
### here-document to a file [ash dash bash]
cat > f <<END
line
END
cat f; wc -l < f
### long here-document [ash dash bash]
x=0123456789; x=$x$x$x$x$x$x$x$x$x$x; x=$x$x$x$x$x$x$x$x$x$x; x=$x$x$x$x$x$x$x$x$x$x
cat <<END | wc -c
$x$x$x$x$x$x$x$x$x$x
END
### here-document without its end [ash dash]
cat <<END
text
### here-document with a default in quotes [ash dash bash]
cat <<END
${nope:-"quoted"} ${nope:-'single'}
END
### tilde of a user [ash dash bash]
echo ~root ~nobodyatall ~root/x
### tildes with plus and minus [bash]
cd /tmp; cd /; echo ~+ ~-
### substitution strips newlines at the end only [ash dash bash]
x=$(printf 'a\n\nb\n\n\n'); echo "$x"
### substitution splits unless quoted [ash dash bash]
set -- $(echo a b; echo c); echo $#; set -- "$(echo a b; echo c)"; echo $#
### substitution keeps the exit code [ash dash bash]
x=$(exit 3); echo $?; x=$(true); echo $?
### substitution of a file [bash]
echo content > f; echo "$(<f)"
### comments in a substitution [ash dash bash]
echo $(echo a # comment )
echo b)
### case in a substitution [ash dash bash]
echo $(case x in x) echo yes;; esac) $(case y in (y) echo paren;; esac)
### process substitution [bash]
cat <(echo one) <(echo two); while read l; do echo "<$l>"; done < <(printf 'a\nb\n')
wc -l <(seq 5) | tr -s ' ' | cut -d ' ' -f 1
### assignment of a pattern does not match files [ash dash bash]
touch a b; x=*; echo "$x"; echo $x
### many words [ash dash bash]
set -- $(seq 1 5000); echo $# ${5000}
### unicode passes through [ash bash]
x='äöü €'; echo "$x" "${x#ä}"; case ä in ä) echo ok;; esac
