### stat shows names, sizes and kinds
printf hello > f; mkdir d; ln -s f l; : > e; stat -c '%n %s %F %a %A %U %N' f l e; stat -c '%F %A' d; stat -L -c %F l; stat -c '|%8s|%-8s|%08s|%%|' f
stat nope; echo $?
### du counts what is below
printf 12345 > f; du f; du -s f; du nope; echo $?
### chmod checks its arguments
: > f; chmod +x f; echo $?; chmod 755 f; echo $?; chmod zz f; echo $?; chmod +x nope; echo $?; chmod 9 f; echo $?; chown root:root f; echo $?; chown nosuch f; echo $?
### mktemp makes files and directories
f=$(mktemp ./abXXXXXX); test -f "$f" && echo ${#f}; d=$(mktemp -d -p .); test -d "$d" && echo ${#d}; mktemp -q nope/XXXXXX; echo $?; TMPDIR=/x mktemp -u -t fo.XXXXXX | cut -c 1-6
### dd copies blocks
printf 0123456789 > f; dd if=f bs=4 skip=1 count=1 status=none; echo; dd if=f of=g bs=4; cp g h; printf ab | dd of=h conv=notrunc bs=1 seek=3; cat g h; dd if=f of=i bs=4 conv=sync; wc -c < i; dd if=nope; echo $?
### truncate cuts and fills
printf hello > f; truncate -s 3 f; cat f; truncate -s 1k f; wc -c < f; truncate -c -s 1 nope; ls nope; truncate -s x f; echo $?
### link and unlink
echo a > f; link f g; cat g; link f g; echo $?; unlink g; unlink g; echo $?; factor 12 97; groups
### find runs commands
mkdir -p d/e; echo a > d/f; echo b > d/g; find d -type f -exec echo {} \; | sort; find d -name f -exec cat {} +; find d -type f -exec false {} +; echo $?; find d -name e -exec rmdir {} \; ; ls d
### find reads expressions
mkdir -p a/b c; echo 1 > a/x; echo 22 > a/b/y; : > c/z
find . -name b -prune -o -type f -print | sort; find . -empty; find . \( -name x -o -name y \) ! -path '*b*'; find . -size +2c -type f; find . -type f -size -2c; find . -iname X; find . -regex '.*/[yz]' | sort; find a -depth -maxdepth 1 | sort; find . -name y -print0 | tr '\0' '#'
find . -nope 2> err; echo $?; head -n 1 err; find nope; echo $?
### xargs splits and batches
printf 'a b\nc "d e"\n' | xargs -n 2 echo; printf 'a\nb\n' | xargs -I% echo [%]; printf 'a b' | xargs -t echo; printf 'a "b' | xargs echo; echo $?; echo a | xargs false; echo $?; printf '' | xargs -r echo no; printf 'a E b' | xargs -E E echo
### copies keep what they are told to
echo old > f; touch -d '2020-01-02 03:04:05' f; cp -p f g; stat -c %Y g; echo new > h; cp -u f h; cat h; ln -s f l; cp -P l m; readlink m; cp l f; echo $?; cat f; mkdir d; cp -t d f h; ls d; cp -v f x; mv -v x y
### timeout ends what takes too long
timeout 0.2 sleep 5 2> /dev/null; echo $?; timeout 5 false; echo $?; timeout -s KILL 0.2 sleep 5 2> /dev/null; echo $?
