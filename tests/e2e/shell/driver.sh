# Runs the cases of the folder $1 by the shell `sh`, each in a directory of its own below $2; what it
# said and came to goes into the folder $3. With a file NAME.stdin the script is on standard input.
cases=$1 work=$2 results=$3
mkdir -p "$work" "$results"
for script in "$cases"/*.sh; do
    name=${script##*/}
    name=${name%.sh}
    mkdir "$work/$name"
    cd "$work/$name"
    cp "$script" case.sh
    set -- case.sh
    input=/dev/null
    if [ -f "$cases/$name.stdin" ]; then
        set --
        input=case.sh
    fi
    env -i PATH="$PATH" HOME=/ LC_ALL=C.UTF-8 SH=sh timeout -s KILL 10 sh "$@" \
        < "$input" > "$results/$name.out" 2> "$results/$name.err"
    echo $? > "$results/$name.code"
done
