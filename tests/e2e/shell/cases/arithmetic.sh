### operators and precedence [ash dash bash]
echo $((1+2*3)) $(((1+2)*3)) $((7/2)) $((-7/2)) $((7%3)) $((-7%3)) $((1<<4)) $((255>>4))
echo $((5&3)) $((5|3)) $((5^3)) $((~5)) $((!5)) $((!0)) $((3>2)) $((3<=2)) $((1==1)) $((1!=1))
echo $((1&&0)) $((1||0)) $((1?2:3)) $((0?2:3)) $((- - 3)) $((+4))
### assignment operators [ash dash bash]
x=5; echo $((x+=3)) $((x-=1)) $((x*=2)) $((x/=7)) $((x%=2)) $((x<<=3)) $((x|=1)) $((x&=3)) $((x^=1)) $x
### increments [ash bash]
i=1; echo $((i++)) $i $((++i)) $i $((i--)) $((--i)) $i
### power and comma [ash bash]
echo $((2**10)) $((2**3**2)) $((1,2,3))
### variables with and without a dollar [ash dash bash]
a=3; b=4; echo $((a*b)) $(($a*$b)) $((${a}+b))
### variables hold expressions [bash]
a=b+1; b=4; echo $((a))
### number bases [ash dash bash]
echo $((0x1F)) $((010)) $((0XfF))
### bases with a hash [ash bash]
echo $((2#101)) $((16#ff)) $((36#z))
### short circuit has no effects [dash bash]
x=1; echo $((0 && (x=5))) $x $((1 || (x=6))) $x $((1 ? x : (x=9))) $x
### division by zero [ash stderr]
echo $((1/0)); echo no
### a syntax error in arithmetic [ash stderr]
echo $((1+)); echo no
### blanks and newlines inside [ash dash bash]
echo $((  1 +
2  ))
### quotes inside arithmetic [bash]
x=3; echo "$(( x + 1 ))" $(("$x" + 1))
### nested arithmetic and substitutions [ash dash bash]
echo $(( $(echo 2) * $((3+1)) ))
### empty is zero [ash bash]
echo $(()) $((  ))
### unset is zero [ash dash bash]
unset q; echo $((q+1))
### overflow wraps [ash dash bash]
echo $((9223372036854775807+1))
### let [ash bash]
let x=5+3 y=x*2; echo $x $y $?; let 0; echo $?
### double parentheses as a command [bash]
i=3; ((i++)); echo $i; ((i>3)) && echo more; ((0)); echo $?; (( i = i * 2 , i += 1 )); echo $i
if ((i==9)); then echo nine; fi
### C style for [bash]
for ((i=0; i<3; i++)); do echo $i; done
for (( i=0, j=9 ; i<j ; i+=3, j-=3 )); do echo $i $j; done
for ((;;)); do echo once; break; done
### double parentheses that are two subshells [ash dash bash]
( (echo a) ; (echo b) )
((echo c); echo d)
### substitution that begins with a subshell [bash]
echo $( (echo a); echo b )
echo $((echo c); echo d)
### the ternary is right associative [ash dash bash]
x=2; echo $((x==1?10:x==2?20:30))
### arithmetic in a default [ash dash bash]
echo ${n:-$((2*3))}
### variable with leading zeros or blanks [ash]
x=' 7 '; echo $((x+1))
### negative shift and large numbers [ash bash]
echo $((1<<62)) $((-1>>1)) $((-9223372036854775808))
### comparison chains [ash dash bash]
echo $((1<2<3)) $((3>2>1)) $((1<2==1))
### bad number in arithmetic [ash]
x=abc; abc=; echo $((x)); x=12x; echo $((x)); echo no
### loop with arithmetic [ash dash bash]
i=0; while [ $i -lt 5 ]; do i=$((i+1)); [ $((i%2)) = 0 ] && continue; echo $i; done
