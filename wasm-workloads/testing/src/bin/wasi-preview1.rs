//! Walks every call of WASI preview 1 as its module makes it, its errors and edges: as `wasi-filesystem` does,
//! with the same mounts. Prints what differs from what POSIX and WASI say, then how many answers were looked at;
//! exits with 1 if one was wrong. With an argument: makes that call
//! only, of those that the adapter has not.

#[cfg(all(target_os = "wasi", target_env = "p1"))]
#[expect(unsafe_code, reason = "the calls themselves; every buffer outlives its call")]
mod calls {
    use std::fmt::Debug;

    use wasi::*;

    type Answer<T> = Result<T, Errno>;

    #[derive(Default)]
    pub(super) struct Walk {
        count: usize,
        wrong: Vec<String>,
    }

    const ALL: Rights = RIGHTS_FD_READ | RIGHTS_FD_WRITE | RIGHTS_FD_SEEK | RIGHTS_FD_READDIR;
    const READER: Rights = RIGHTS_FD_READ | RIGHTS_FD_SEEK;
    const FOLLOW: Lookupflags = LOOKUPFLAGS_SYMLINK_FOLLOW;
    /// No descriptor has this number.
    const NOBODY: Fd = 77;

    impl Walk {
        fn is<T: PartialEq + Debug>(&mut self, what: &str, got: T, wanted: T) {
            self.count += 1;
            if got != wanted {
                self.wrong.push(format!("{what}: {got:?} instead of {wanted:?}"));
            }
        }

        fn refused<T>(&mut self, what: &str, got: Answer<T>, wanted: Errno) {
            self.is(what, got.err().map(|error| error.name()), Some(wanted.name()));
        }

        fn done<T>(&mut self, what: &str, got: Answer<T>) -> Option<T> {
            self.is(what, got.as_ref().err().map(Errno::name), None);
            got.ok()
        }

        pub(super) fn walk(mut self) {
            let root = self.preopens();
            unsafe { path_create_directory(root, "p1") }.expect("a directory");
            self.surroundings();
            self.clocks_and_chance();
            self.opening(root);
            self.positions(root);
            self.sizes_and_times(root);
            self.descriptors(root);
            self.room(root);
            self.names(root);
            self.listing(root);
            self.polls();
            self.wrong.iter().for_each(|wrong| println!("{wrong}"));
            println!("{} answers, {} wrong", self.count, self.wrong.len());
            if !self.wrong.is_empty() {
                unsafe { proc_exit(1) };
            }
        }

        /// Answers the descriptor of `/`.
        fn preopens(&mut self) -> Fd {
            let mut names = Vec::new();
            for fd in 3.. {
                let Ok(prestat) = (unsafe { fd_prestat_get(fd) }) else { break };
                let mut name = vec![0; unsafe { prestat.u.dir }.pr_name_len];
                let read = unsafe { fd_prestat_dir_name(fd, name.as_mut_ptr(), name.len()) };
                self.done("fd_prestat_dir_name", read);
                let short = unsafe { fd_prestat_dir_name(fd, name.as_mut_ptr(), name.len() - 1) };
                self.refused("into too little", short, ERRNO_NAMETOOLONG);
                names.push((String::from_utf8_lossy(&name).into_owned(), fd));
            }
            names.sort();
            let shown: Vec<_> = names.iter().map(|(name, _)| name.as_str()).collect();
            self.is("preopens", shown, vec![".", "/"]);
            self.refused("fd_prestat_get of none", unsafe { fd_prestat_get(NOBODY) }, ERRNO_BADF);
            let root = names.last().expect("there is one").1;
            let stat = self.done("fd_fdstat_get", unsafe { fd_fdstat_get(root) });
            let filetype = stat.map(|stat| stat.fs_filetype);
            self.is("its type", filetype == Some(FILETYPE_DIRECTORY), true);
            root
        }

        fn surroundings(&mut self) {
            let (count, bytes) = unsafe { args_sizes_get() }.expect("sizes");
            self.is("args_sizes_get", count >= 1, true);
            let (mut pointers, mut buffer) = (vec![std::ptr::null_mut(); count], vec![0; bytes]);
            let got = unsafe { args_get(pointers.as_mut_ptr(), buffer.as_mut_ptr()) };
            self.done("args_get", got);
            self.is("ends in a zero", buffer.last().copied(), Some(0));
            let (count, bytes) = unsafe { environ_sizes_get() }.expect("sizes");
            let (mut pointers, mut buffer) = (vec![std::ptr::null_mut(); count], vec![0; bytes]);
            let got = unsafe { environ_get(pointers.as_mut_ptr(), buffer.as_mut_ptr()) };
            self.done("environ_get", got);
            let text = String::from_utf8_lossy(&buffer).into_owned();
            self.is("PATH is there", text.split('\0').any(|one| one.starts_with("PATH=")), true);
        }

        fn clocks_and_chance(&mut self) {
            let time = |clock| unsafe { clock_time_get(clock, 1) };
            let real = self.done("clock_time_get", time(CLOCKID_REALTIME)).unwrap_or_default();
            self.is("the time", real > 1_700_000_000_000_000_000, true);
            let (one, other) = (time(CLOCKID_MONOTONIC).ok(), time(CLOCKID_MONOTONIC).ok());
            self.is("monotonic", one.is_some() && one <= other, true);
            let resolution = unsafe { clock_res_get(CLOCKID_MONOTONIC) }.ok();
            self.is("clock_res_get", resolution.is_some_and(|it| it > 0), true);
            let (mut one, mut other) = ([0; 32], [0; 32]);
            let got = unsafe { random_get(one.as_mut_ptr(), 32) };
            self.done("random_get", got);
            let got = unsafe { random_get(other.as_mut_ptr(), 32) };
            self.done("random_get", got);
            self.is("are not the same", one == other, false);
            let none = unsafe { random_get(one.as_mut_ptr(), 0) };
            self.done("random_get of nothing", none);
            self.done("sched_yield", unsafe { sched_yield() });
        }

        fn opening(&mut self, root: Fd) {
            let new = OFLAGS_CREAT | OFLAGS_EXCL;
            let fd = self.done("path_open, new", open(root, "p1/file", new, ALL, 0));
            self.is("write", fd.map(|fd| write(fd, b"text")), Some(Ok(4)));
            fd.into_iter().for_each(close);
            self.refused("again", open(root, "p1/file", new, ALL, 0), ERRNO_EXIST);
            self.refused("nothing", open(root, "p1/none", 0, ALL, 0), ERRNO_NOENT);
            self.refused("empty", open(root, "", 0, ALL, 0), ERRNO_NOENT);
            self.refused("absolute", open(root, "/p1/file", 0, ALL, 0), ERRNO_PERM);
            let long = "n".repeat(256);
            self.refused("long", open(root, &long, 0, READER, 0), ERRNO_NAMETOOLONG);
            let directory = OFLAGS_DIRECTORY;
            self.refused("no directory", open(root, "p1/file", directory, READER, 0), ERRNO_NOTDIR);
            self.refused("read-only", open(root, "ro/file", 0, ALL, 0), ERRNO_ROFS);
            self.refused("of no descriptor", open(NOBODY, "p1", 0, READER, 0), ERRNO_BADF);
            let file = open(root, "p1/file", 0, READER, 0).expect("it opens");
            self.refused("of a file", open(file, "x", 0, READER, 0), ERRNO_NOTDIR);
            close(file);
            self.done("path_symlink", unsafe { path_symlink("file", root, "p1/link") });
            let itself = unsafe { path_open(root, 0, "p1/link", 0, READER, 0, 0) };
            self.refused("a symlink itself", itself, ERRNO_LOOP);
            let cut = open(root, "p1/cut", OFLAGS_CREAT, ALL, 0).expect("it opens");
            self.is("write", write(cut, b"0123"), Ok(4));
            close(cut);
            let cut = self.done("truncate", open(root, "p1/cut", OFLAGS_TRUNC, ALL, 0));
            self.is("is empty", cut.map(|cut| size(cut)), Some(Ok(0)));
            cut.into_iter().for_each(close);
        }

        fn positions(&mut self, root: Fd) {
            let it = open(root, "p1/positions", OFLAGS_CREAT, ALL, 0).expect("it opens");
            self.is("fd_write", write(it, b"0123456789"), Ok(10));
            self.is("fd_tell", unsafe { fd_tell(it) }.ok(), Some(10));
            let seek = |offset, whence| unsafe { fd_seek(it, offset, whence) };
            self.is("fd_seek", seek(2, WHENCE_SET).ok(), Some(2));
            self.is("fd_read", read(it, 3), Ok(b"234".to_vec()));
            self.is("fd_seek on", seek(1, WHENCE_CUR).ok(), Some(6));
            self.is("fd_seek from the end", seek(-2, WHENCE_END).ok(), Some(8));
            self.is("the rest", read(it, 10), Ok(b"89".to_vec()));
            self.is("the end", read(it, 10), Ok(Vec::new()));
            self.refused("fd_seek before the beginning", seek(-1, WHENCE_SET), ERRNO_INVAL);
            let (mut a, mut b) = ([0; 2], [0; 3]);
            let into = [
                Iovec { buf: a.as_mut_ptr(), buf_len: 2 },
                Iovec { buf: b.as_mut_ptr(), buf_len: 3 },
            ];
            let count = unsafe { fd_pread(it, &into, 1) };
            // One buffer at a time is an answer, too.
            self.is("fd_pread", count.is_ok_and(|count| count >= 2) && a == *b"12", true);
            let from = [Ciovec { buf: b"xy".as_ptr(), buf_len: 2 }];
            self.is("fd_pwrite", unsafe { fd_pwrite(it, &from, 12) }.ok(), Some(2));
            self.is("leaves the position", unsafe { fd_tell(it) }.ok(), Some(10));
            self.is("the hole", pread(it, 4, 10), Ok(b"\0\0xy".to_vec()));
            self.done("fd_sync", unsafe { fd_sync(it) });
            self.done("fd_datasync", unsafe { fd_datasync(it) });
            let advice = unsafe { fd_advise(it, 0, 4, ADVICE_WILLNEED) };
            self.done("fd_advise", advice);
            close(it);
            let append = FDFLAGS_APPEND;
            let it = open(root, "p1/positions", 0, ALL, append).expect("it opens");
            self.is("append", write(it, b"end"), Ok(3));
            self.is("is at the end", pread(it, 5, 12), Ok(b"xyend".to_vec()));
            let flags = unsafe { fd_fdstat_get(it) }.map(|stat| stat.fs_flags).ok();
            self.is("fd_fdstat_get", flags, Some(append));
            self.done("fd_fdstat_set_flags", unsafe { fd_fdstat_set_flags(it, 0) });
            close(it);
            let reader = open(root, "p1/positions", 0, READER, 0).expect("it opens");
            self.is("write to a reader", write(reader, b"x"), Err(ERRNO_BADF.name()));
            let shut = unsafe { sock_shutdown(reader, SDFLAGS_RD) };
            self.refused("sock_shutdown of a file", shut, ERRNO_NOTSOCK);
            close(reader);
            self.is("write to nobody", write(NOBODY, b"x"), Err(ERRNO_BADF.name()));
            self.is("read of a directory", read(root, 1), Err(ERRNO_BADF.name()));
        }

        fn sizes_and_times(&mut self, root: Fd) {
            let it = open(root, "p1/sizes", OFLAGS_CREAT, ALL, 0).expect("it opens");
            self.is("write", write(it, b"0123456789"), Ok(10));
            self.done("fd_filestat_set_size", unsafe { fd_filestat_set_size(it, 4) });
            self.is("fd_filestat_get", size(it), Ok(4));
            self.done("and up", unsafe { fd_filestat_set_size(it, 6) });
            self.is("with zeroes", pread(it, 9, 2), Ok(b"23\0\0".to_vec()));
            self.refused("fd_allocate", unsafe { fd_allocate(it, 0, 100) }, ERRNO_NOTSUP);
            let (a, m) = (FSTFLAGS_ATIM, FSTFLAGS_MTIM);
            let set = unsafe { fd_filestat_set_times(it, 1_000, 2_000, a | m) };
            self.done("fd_filestat_set_times", set);
            let times = |stat: Filestat| (stat.atim, stat.mtim);
            let got = unsafe { fd_filestat_get(it) }.map(times).ok();
            self.is("they are", got, Some((1_000, 2_000)));
            let both = a | FSTFLAGS_ATIM_NOW;
            let set = unsafe { fd_filestat_set_times(it, 1, 1, both) };
            self.refused("given and now", set, ERRNO_INVAL);
            let at = |flags| unsafe { path_filestat_get(root, flags, "p1/link") };
            let kinds = (at(0).map(kind).ok(), at(FOLLOW).map(kind).ok());
            self.is("path_filestat_get", kinds, (Some("symlink"), Some("file")));
            let set =
                unsafe { path_filestat_set_times(root, FOLLOW, "p1/link", 3_000, 4_000, a | m) };
            self.done("path_filestat_set_times", set);
            self.is("its target's", at(FOLLOW).map(times).ok(), Some((3_000, 4_000)));
            let none = unsafe { path_filestat_get(root, FOLLOW, "p1/none") };
            self.refused("of nothing", none, ERRNO_NOENT);
            close(it);
        }

        fn descriptors(&mut self, root: Fd) {
            let one = open(root, "p1/file", 0, READER, 0).expect("it opens");
            let other = open(root, "p1/sizes", 0, READER, 0).expect("it opens");
            self.done("fd_renumber", unsafe { fd_renumber(one, other) });
            self.is("is the one", read(other, 4), Ok(b"text".to_vec()));
            self.refused("whose number is free", unsafe { fd_close(one) }, ERRNO_BADF);
            self.refused("fd_renumber of none", unsafe { fd_renumber(NOBODY, other) }, ERRNO_BADF);
            self.done("fd_close", unsafe { fd_close(other) });
            self.refused("again", unsafe { fd_close(other) }, ERRNO_BADF);
            let mut held = Vec::new();
            let refusal = loop {
                match open(root, "p1/file", 0, READER, 0) {
                    Ok(fd) if held.len() < 10_000 => held.push(fd),
                    Ok(_) => break None,
                    Err(error) => break Some(error.name()),
                }
            };
            self.is("no more descriptors", refusal, Some(ERRNO_NOMEM.name()));
            self.is("a hundred there were", held.len() >= 100, true);
            held.into_iter().for_each(close);
            let again = self.done("and one again", open(root, "p1/file", 0, READER, 0));
            again.into_iter().for_each(close);
        }

        /// `/data` has 64 KiB.
        fn room(&mut self, root: Fd) {
            let it = open(root, "data/full", OFLAGS_CREAT, ALL, 0).expect("it opens");
            let chunk = vec![1; 16 << 10];
            for _ in 0..4 {
                let mut rest = &chunk[..];
                while let Ok(written @ 1..) = write(it, rest) {
                    rest = &rest[written..];
                    if rest.is_empty() {
                        break;
                    }
                }
            }
            self.is("all of the room", size(it), Ok(64 << 10));
            self.is("one more", write(it, b"x"), Err(ERRNO_NOSPC.name()));
            let up = unsafe { fd_filestat_set_size(it, 65 << 10) };
            self.refused("a larger file", up, ERRNO_NOSPC);
            close(it);
            self.done("away", unsafe { path_unlink_file(root, "data/full") });
        }

        fn names(&mut self, root: Fd) {
            let make = |path| unsafe { path_create_directory(root, path) };
            self.done("path_create_directory", make("p1/d"));
            self.refused("again", make("p1/d"), ERRNO_EXIST);
            self.refused("below nothing", make("p1/none/d"), ERRNO_NOENT);
            self.refused("read-only", make("ro/d"), ERRNO_ROFS);
            let link = |old, new| unsafe { path_link(root, 0, old, root, new) };
            self.done("path_link", link("p1/file", "p1/d/second"));
            self.refused("again", link("p1/file", "p1/d/second"), ERRNO_EXIST);
            self.refused("across", link("p1/file", "data/x"), ERRNO_XDEV);
            let links = unsafe { path_filestat_get(root, 0, "p1/file") }.map(|stat| stat.nlink);
            self.is("two names", links.ok(), Some(2));
            let rename = |old, new| unsafe { path_rename(root, old, root, new) };
            self.done("path_rename", rename("p1/d/second", "p1/d/third"));
            self.refused("of nothing", rename("p1/d/second", "p1/x"), ERRNO_NOENT);
            self.refused("across", rename("p1/file", "data/x"), ERRNO_XDEV);
            self.refused("into itself", rename("p1/d", "p1/d/e"), ERRNO_INVAL);
            let remove = |path| unsafe { path_remove_directory(root, path) };
            self.refused("path_remove_directory", remove("p1/d"), ERRNO_NOTEMPTY);
            self.refused("of a file", remove("p1/file"), ERRNO_NOTDIR);
            let unlink = |path| unsafe { path_unlink_file(root, path) };
            self.refused("path_unlink_file of a directory", unlink("p1/d"), ERRNO_ISDIR);
            self.done("path_unlink_file", unlink("p1/d/third"));
            self.refused("again", unlink("p1/d/third"), ERRNO_NOENT);
            self.done("path_remove_directory", remove("p1/d"));
            self.is("path_readlink", read_link(root, "p1/link", 100), Ok("file".to_owned()));
            self.is("of a file", read_link(root, "p1/file", 100), Err(ERRNO_INVAL.name()));
            // Preview 1 cuts it, as POSIX does.
            let cut = read_link(root, "p1/link", 2);
            self.is("into too little", cut, Ok("fi".to_owned()));
        }

        fn listing(&mut self, root: Fd) {
            for number in 0..40 {
                let name = format!("p1/entry-{number:02}");
                close(open(root, &name, OFLAGS_CREAT, ALL, 0).expect("it opens"));
            }
            let rights = RIGHTS_FD_READDIR | RIGHTS_FD_READ;
            let directory = open(root, "p1", OFLAGS_DIRECTORY, rights, 0).expect("it opens");
            for room in [4096, 100] {
                let names = list(directory, room);
                let entries = names.iter().filter(|name| name.starts_with("entry-")).count();
                self.is(&format!("fd_readdir by {room}"), entries, 40);
                let dots = names.iter().filter(|name| *name == "." || *name == "..").count();
                self.is("with . and ..", dots, 2);
            }
            close(directory);
            let file = open(root, "p1/file", 0, READER, 0).expect("it opens");
            let mut buffer = [0; 100];
            let of_file = unsafe { fd_readdir(file, buffer.as_mut_ptr(), buffer.len(), 0) };
            self.refused("fd_readdir of a file", of_file, ERRNO_NOTDIR);
            close(file);
        }

        fn polls(&mut self) {
            let clock = |id, nanoseconds| Subscription {
                userdata: id,
                u: SubscriptionU {
                    tag: EVENTTYPE_CLOCK.raw(),
                    u: SubscriptionUU {
                        clock: SubscriptionClock {
                            id: CLOCKID_MONOTONIC,
                            timeout: nanoseconds,
                            precision: 0,
                            flags: 0,
                        },
                    },
                },
            };
            let wait = [clock(1, 1_000_000_000_000), clock(2, 1_000_000)];
            let mut events = [const { unsafe { std::mem::zeroed::<Event>() } }; 2];
            let count = unsafe { poll_oneoff(wait.as_ptr(), events.as_mut_ptr(), 2) };
            self.is("poll_oneoff", count.ok(), Some(1));
            self.is("the sooner one", events[0].userdata, 2);
            let none = unsafe { poll_oneoff(wait.as_ptr(), events.as_mut_ptr(), 0) };
            self.refused("of nothing", none, ERRNO_INVAL);
        }
    }

    /// What the adapter does not have: the caller ends. Says so if it does not.
    pub(super) fn without(call: &str) {
        let mut buffer = [0; 1];
        let into = [Iovec { buf: buffer.as_mut_ptr(), buf_len: 1 }];
        let from = [Ciovec { buf: buffer.as_ptr(), buf_len: 1 }];
        let answer = match call {
            "proc_raise" => unsafe { proc_raise(SIGNAL_TERM) },
            "sock_accept" => unsafe { sock_accept(1, 0) }.map(drop),
            "sock_recv" => unsafe { sock_recv(1, &into, 0) }.map(drop),
            "sock_send" => unsafe { sock_send(1, &from, 0) }.map(drop),
            _ => Err(ERRNO_INVAL),
        };
        println!("{answer:?}");
    }

    fn open(root: Fd, path: &str, how: Oflags, rights: Rights, flags: Fdflags) -> Answer<Fd> {
        unsafe { path_open(root, FOLLOW, path, how, rights, rights, flags) }
    }

    fn close(fd: Fd) {
        unsafe { fd_close(fd) }.expect("it closes");
    }

    fn write(fd: Fd, bytes: &[u8]) -> Result<usize, &'static str> {
        let from = [Ciovec { buf: bytes.as_ptr(), buf_len: bytes.len() }];
        unsafe { fd_write(fd, &from) }.map_err(|error| error.name())
    }

    fn read(fd: Fd, len: usize) -> Result<Vec<u8>, &'static str> {
        let mut buffer = vec![0; len];
        let into = [Iovec { buf: buffer.as_mut_ptr(), buf_len: len }];
        let count = unsafe { fd_read(fd, &into) }.map_err(|error| error.name())?;
        buffer.truncate(count);
        Ok(buffer)
    }

    fn pread(fd: Fd, len: usize, offset: u64) -> Result<Vec<u8>, &'static str> {
        let mut buffer = vec![0; len];
        let into = [Iovec { buf: buffer.as_mut_ptr(), buf_len: len }];
        let count = unsafe { fd_pread(fd, &into, offset) }.map_err(|error| error.name())?;
        buffer.truncate(count);
        Ok(buffer)
    }

    fn size(fd: Fd) -> Result<u64, &'static str> {
        unsafe { fd_filestat_get(fd) }.map(|stat| stat.size).map_err(|error| error.name())
    }

    fn kind(stat: Filestat) -> &'static str {
        match stat.filetype {
            FILETYPE_REGULAR_FILE => "file",
            FILETYPE_SYMBOLIC_LINK => "symlink",
            _ => "something else",
        }
    }

    fn read_link(root: Fd, path: &str, room: usize) -> Result<String, &'static str> {
        let mut buffer = vec![0; room];
        let read = unsafe { path_readlink(root, path, buffer.as_mut_ptr(), room) };
        buffer.truncate(read.map_err(|error| error.name())?);
        Ok(String::from_utf8_lossy(&buffer).into_owned())
    }

    /// All names, read by buffers of so many bytes.
    fn list(directory: Fd, room: usize) -> Vec<String> {
        let (mut names, mut cookie) = (Vec::new(), 0);
        let mut buffer = vec![0; room];
        let head = size_of::<Dirent>();
        loop {
            let used = unsafe { fd_readdir(directory, buffer.as_mut_ptr(), room, cookie) };
            let used = used.expect("a listing");
            let mut rest = &buffer[..used];
            while rest.len() >= head {
                let dirent: Dirent = unsafe { rest.as_ptr().cast::<Dirent>().read_unaligned() };
                let length = usize::try_from(dirent.d_namlen).unwrap_or(usize::MAX);
                let Some(name) = rest.get(head..head.saturating_add(length)) else { break };
                names.push(String::from_utf8_lossy(name).into_owned());
                cookie = dirent.d_next;
                rest = &rest[head + length..];
            }
            if used < room {
                return names;
            }
        }
    }
}

#[cfg(all(target_os = "wasi", target_env = "p1"))]
fn main() {
    match std::env::args().nth(1) {
        Some(call) => calls::without(&call),
        None => calls::Walk::default().walk(),
    }
}

#[cfg(not(all(target_os = "wasi", target_env = "p1")))]
fn main() {
    eprintln!("wasi-preview1: runs as a module only");
    std::process::exit(2);
}
