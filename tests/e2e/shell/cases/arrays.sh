### indexed arrays [bash]
a=(one "two words" three); echo ${a[0]} "${a[1]}" ${#a[@]} ${#a[1]} ${a[-1]} $a
for x in "${a[@]}"; do echo "<$x>"; done
### elements one by one [bash]
a[3]=x; a[1]=y; echo ${a[@]} ${!a[@]} ${#a[@]}; unset 'a[1]'; echo ${!a[@]}; i=3; echo ${a[i]} ${a[$i]} ${a[i-0]}
### appending [bash]
a=(1 2); a+=(3 4); a[0]+=x; echo ${a[*]}; s=(); echo ${#s[@]}; s+=(z); echo "${s[@]}"
### joined and sliced [bash]
a=(a b c d); IFS=,; echo "${a[*]}"; unset IFS; echo "${a[@]:1:2}" "${a[@]: -1}"
### operators on all elements [bash]
a=(x.c y.c); echo "${a[@]%.c}" "${a[@]/./_}" "${a[@]^}"
### from words and patterns [bash]
touch p.1 p.2; a=(p.* {x,y} $(echo m n)); echo ${#a[@]} "${a[@]}"
### indices of their own [bash]
a=([2]=c [5]=f g); echo "${!a[@]}" "${a[@]}"
### reading into an array [bash]
read -a w <<< "a b c"; echo ${#w[@]} ${w[2]}
### status of each stage [bash]
true | false | (exit 3); echo "${PIPESTATUS[@]}"; false; echo ${PIPESTATUS[0]}
### empty arrays under set -u [bash]
set -u; a=(); echo "[${a[*]}]" ${#a[@]}; for x in "${a[@]}"; do echo no; done
### default of an array [bash]
a=(); echo "${a[@]:-none}"; b=(1); echo "${b[@]:-none}" "${b[@]+set}"
### in arithmetic [bash]
a=(1 2 3); echo $((a[1]+a[2])); ((a[0]+=10)); echo ${a[0]}; i=1; echo $((a[i]*2))
### several lines and comments [bash]
a=(
  one   # the first
  two
)
echo ${#a[@]} ${a[1]}
### local and declared arrays [bash]
f() { local -a l=(x y); local m=(z); echo ${l[1]} ${m[0]}; }; f; echo "${l[*]}"; declare -a d=(1 2); echo ${d[1]}
### copies [bash]
a=(1 "2 3"); b=("${a[@]}" 4); echo ${#b[@]}
### mapfile [bash]
printf 'l1\nl 2\n' > f; mapfile -t m < f; echo ${#m[@]} "${m[1]}"; readarray n < f; printf %s "${n[@]}"
### declared and shown [bash]
a=(1 "x y"); declare -p a; b=text; declare -p b; export c=1; declare -p c; readonly d=2; declare -p d
### function name and source [bash]
f() { echo ${FUNCNAME[0]} $FUNCNAME; }; f; echo ${BASH_SOURCE[0]}
### an array survives in a subshell [bash]
a=(x y); (echo ${a[1]}); echo $(echo ${#a[@]}); echo | { cat; echo ${a[@]}; }
### last argument of an array [bash]
a=(1 2 3); echo ${a[${#a[@]}-1]} ${a[@]: -2:1}
