### single quotes keep everything [ash bash]
echo 'a  b $x `y` \n "'
### double quotes expand and keep blanks [ash dash bash]
x='1  2'
echo "a  $x" $x
### quotes join what is beside them [ash dash bash]
echo a'b'"c"d\e
### backslash before newline joins lines [ash dash bash]
echo one\
two "three\
four" 'five\
six'
### backslashes in double quotes [ash dash bash]
printf '%s\n' "\$ \` \" \\ \a \'"
### empty quotes are a field [ash dash bash]
set -- "" '' a""; echo $#
x=; set -- $x "$x"; echo $#
### dollar quotes know C escapes [ash bash]
printf '%s|' $'a\tb' $'\x41' $'\101' $'it\'s' $'\\' $'a\nb'
### dollar quotes in double quotes are not special [ash bash]
echo "$'a\tb'"
### dollar quotes with unicode [bash]
echo $'\u00e4 \u20ac'
### a hash begins a comment only at a word's start [ash dash bash]
echo a#b # c
echo '#' "#" \# a;#x
echo $#
### quoted newline in a string [ash dash bash]
echo "a
b"
### nested quotes in substitutions [ash dash bash]
echo "$(echo "a  b" 'c "d"')"
echo "`echo "x  y"`"
echo "${x:-"a  b"}"
### an unterminated quote is a syntax error [ash]
echo "abc
### a lone dollar is itself [ash dash bash]
echo $ "$" a$ $.x "$%"
### tilde in quotes stays [ash dash]
HOME=/h; echo ~ "~" '~' \~ ~/x a~ x=~
y=~/z:~/q; echo "$y"
### backquotes nest with backslashes [ash dash bash]
echo `echo \`echo deep\``
echo `echo '\\$x' \\$HOME`
