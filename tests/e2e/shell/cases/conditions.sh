### strings and numbers [ash dash bash]
[ a = a ] && echo 1; [ a != b ] && echo 2; [ -z "" ] && echo 3; [ -n x ] && echo 4; [ 3 -lt 10 ] && echo 5; [ 3 -ge 3 ] && echo 6; [ -5 -lt 0 ] && echo 7; test x && echo 8
### files [ash dash bash]
touch f; mkdir d; echo x > g; ln -s f l; ln -s nowhere b
for t in e f d s L h r w; do for n in f d g l b none; do [ -$t $n ] && printf '%s%s ' $t $n; done; done; echo
### file ages [ash dash]
touch -d '2020-01-01 00:00:00' old; touch new; [ new -nt old ] && echo newer; [ old -ot new ] && echo older; [ old -nt none ] && echo yes; [ f -ef f ] || echo no
### and or and parentheses in test [ash dash bash]
[ a = a -a b = b ] && echo 1; [ a = b -o b = b ] && echo 2; [ ! a = b ] && echo 3; [ \( a = b -o 1 = 1 \) -a x ] && echo 4
### odd operands [ash dash bash]
[ "" ]; echo $?; [ ! ]; echo $?; [ ! "" ]; echo $?; [ -f ]; echo $?; [ = = = ]; echo $?; [ "(" = ")" ]; echo $?; []; echo $?
### comparison of text [ash dash bash]
[ a \< b ] && echo less; [ b \> a ] && echo more
### double brackets do not split [bash]
x="a b"; [[ $x = "a b" ]] && echo same; [[ -n $empty ]] || echo empty; [[ $x == a* ]] && echo pattern; [[ $x == "a*" ]] || echo literal
### logic in double brackets [bash]
[[ a == a && b == b ]] && echo and; [[ a == b || b == b ]] && echo or; [[ ! a == b ]] && echo not; [[ ( a == b || c == c ) && d == d ]] && echo group
### regular expressions [bash]
[[ abc123 =~ ^[a-z]+([0-9]+)$ ]] && echo "${BASH_REMATCH[0]} ${BASH_REMATCH[1]}"; [[ abc =~ ^b ]] || echo no
re='^(a|b)+$'; [[ abab =~ $re ]] && echo re; [[ a.c =~ a\.c ]] && echo dot; [[ abc =~ "a.c" ]] || echo quoted; [[ "x y" =~ x[[:space:]]y ]] && echo space
### version check by regular expression [bash]
v=1.22.333; if [[ $v =~ ^([0-9]+)\.([0-9]+)\.([0-9]+)$ ]]; then echo "${BASH_REMATCH[1]}-${BASH_REMATCH[2]}-${BASH_REMATCH[3]}"; fi
### order and numbers in double brackets [bash]
[[ a < b ]] && echo lt; [[ 10 -gt 9 ]] && echo gt; [[ 1+1 -eq 2 ]] && echo expr; [[ b > a ]] && echo more
### variables that are set [bash]
x=; [[ -v x ]] && echo set; [[ -v nope ]] || echo unset; a=(1); [[ -v a[0] ]] && echo elem; [[ -v a[4] ]] || echo none
### options in double brackets [bash]
set -e; [[ -o errexit ]] && echo on; set +e; [[ -o errexit ]] || echo off
### files in double brackets [bash]
touch f; [[ -f f && ! -d f ]] && echo file; [[ -e none ]] || echo none
### double brackets over lines [bash]
[[ a == a &&
   b == b ]] && echo ok
if [[ x != y ]]; then echo differ; fi
### test is silent about empty variables when quoted [ash dash bash]
unset u; [ "$u" = "" ] && echo empty; [ -z $u ] && echo noarg; [ $u = x ] 2>/dev/null; echo $?
### terminal test [ash dash bash]
[ -t 0 ] || echo no; test -t 1 || echo no
### too many arguments [ash dash bash]
x="a b c"; [ $x = a ] 2>/dev/null; echo $?
