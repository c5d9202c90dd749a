//! The small programs of a Unix system in one: called by the name in `args[0]`, or as
//! `busybox NAME …`. Their words are busybox's. To add one: a function in a file of its kind, a line
//! in [`APPLETS`] and one in `applets.txt`, from which the image's links are made.

mod archive;
mod attributes;
mod awk;
mod call;
mod columns;
mod compress;
mod container;
mod copy;
mod date;
mod dd;
mod delta;
mod dump;
mod encode;
mod expression;
mod factor;
mod files;
mod find;
mod grep;
mod lines;
mod list;
mod make;
mod names;
mod network;
mod octal;
mod pager;
mod processes;
mod rights;
mod run;
mod screen;
mod sed;
mod sort;
mod stat;
mod stream;
mod stty;
mod sums;
mod system;
mod text;
mod usage;
mod vi;
mod watch;
mod xargs;

use call::{Call, Done, Failure};

/// A program.
struct Applet {
    name: &'static str,
    /// What its arguments are, for its usage message.
    usage: &'static str,
    run: fn(&Call) -> Done,
}

const fn applet(name: &'static str, usage: &'static str, run: fn(&Call) -> Done) -> Applet {
    Applet { name, usage, run }
}

/// Sorted by name, as `applets.txt`.
static APPLETS: &[Applet] = &[
    applet("[", "EXPRESSION ]", system::test),
    applet("[[", "EXPRESSION ]]", system::test),
    applet("arch", "", system::arch),
    applet("awk", "[-v VAR=VAL]... [-F SEP] { -f FILE... | PROGRAM } [FILE]...", awk::awk),
    applet("base64", "[-d] [-w COL] [FILE]", encode::base64),
    applet("basename", "FILE [SUFFIX] | -a FILE... | -s SUFFIX FILE...", names::basename),
    applet("cat", "[-nb] [FILE]...", text::cat),
    applet(
        "chgrp",
        "[-RhLHPcvf] GROUP FILE...\n\nWASI has no owners: nothing changes",
        rights::chgrp,
    ),
    applet(
        "chmod",
        "[-Rcvf] MODE[,MODE]... FILE...\n\nWASI has no modes: nothing changes; what takes rights from the owner fails",
        rights::chmod,
    ),
    applet(
        "chown",
        "[-RhLHPcvf] USER[:[GRP]] FILE...\n\nWASI has no owners: nothing changes",
        rights::chown,
    ),
    applet("cksum", "[FILE]...", sums::cksum),
    applet("clear", "", system::clear),
    applet("cmp", "[-ls] [-n NUM] FILE1 [FILE2]", delta::cmp),
    applet("comm", "[-123] FILE1 FILE2", columns::comm),
    applet("cp", "[-arRPLHpfinlsTuv] { SOURCE... DEST | -t DIR SOURCE... }", copy::cp),
    applet(
        "curl",
        "[-sSvifILGOk] [-X METHOD] [-H HEADER] [-d DATA] [-F FIELD] [-T FILE] [-o FILE]\n\t[-u USER:PASS] [-m SEC] [--connect-timeout SEC] [-w FORMAT] [--resolve HOST:PORT:ADDR]\n\t[--cacert FILE] [--cert FILE] [--key FILE] URL...\n\nTrusts whom the host trusts, without --cacert, CURL_CA_BUNDLE or SSL_CERT_FILE",
        network::curl::curl,
    ),
    applet("cut", "[-b LIST | -c LIST | -f LIST] [-d SEP] [-s] [FILE]...", lines::cut),
    applet("date", "[-u] [-d TIME] [-I[SPEC]] [-R] [-r FILE] [+FMT]", date::date),
    applet(
        "dd",
        "[if=FILE] [of=FILE] [ibs=N obs=N/bs=N] [count=N] [skip=N] [seek=N]\n\t[conv=notrunc|noerror|sync|fsync|swab]\n\t[iflag=skip_bytes|count_bytes|fullblock] [oflag=seek_bytes|append] [status=noxfer|none]",
        dd::dd,
    ),
    applet("df", "[-PkmhTa] [-B SIZE] [-t TYPE] [FILE]...", container::df),
    applet("diff", "[-abiNqrsw] [-L LABEL] [-U LINES] FILE1 FILE2", delta::diff),
    applet("dirname", "FILENAME", names::dirname),
    applet("du", "[-aHLcsbhmk] [-d N] [FILE]...", usage::du),
    applet("echo", "[-neE] [ARG]...", system::echo),
    applet("egrep", "[-HhnlLoqvsrRiwxc] [-m N] [-A|B|C N] PATTERN [FILE]...", grep::grep),
    applet("env", "[-i0] [-u NAME]... [NAME=VALUE]... [PROG ARGS]", run::env),
    applet("expand", "[-i] [-t N] [FILE]...", columns::expand),
    applet("expr", "EXPRESSION", expression::expr),
    applet("factor", "[NUMBER]...", factor::factor),
    applet("false", "", system::false_),
    applet("fgrep", "[-HhnlLoqvsrRiwxc] [-m N] [-A|B|C N] PATTERN [FILE]...", grep::grep),
    applet(
        "find",
        "[-HL] [PATH]... [ACTIONS]\n\n\
         ( ACTIONS ), ! ACT, ACT1 [-a] ACT2, ACT1 -o ACT2\n\
         -name|-iname|-path|-ipath PATTERN, -regex PATTERN, -type f|d|l|c, -empty,\n\
         -size [+-]N[bckMG], -mtime|-mmin [+-]N, -newer FILE, -samefile FILE, -perm MASK,\n\
         -user NAME, -group NAME, -executable, -maxdepth N, -mindepth N, -depth, -xdev, -follow,\n\
         -print, -print0, -prune, -quit, -delete, -exec CMD ARG ;, -exec CMD ARG +",
        find::find,
    ),
    applet("fold", "[-bs] [-w WIDTH] [FILE]...", columns::fold),
    applet("free", "[-bkmgh]", container::free),
    applet(
        "grep",
        "[-HhnlLoqvsrRiwFExc] [-m N] [-A|B|C N] { PATTERN | -e PATTERN... } [FILE]...",
        grep::grep,
    ),
    applet("groups", "[USER]", system::groups),
    applet("gunzip", "[-cfkt] [FILE]...", compress::gunzip),
    applet("gzip", "[-cfkdt1-9] [FILE]...", compress::gzip),
    applet("hd", "[-v] [-n LEN] [-s OFS] [FILE]...", dump::hexdump),
    applet("head", "[-n N] [-c N] [-q] [-v] [FILE]...", text::head),
    applet("hexdump", "[-bcCdox] [-v] [-n LEN] [-s OFS] [FILE]...", dump::hexdump),
    applet("hostname", "[-sfi]", system::hostname),
    applet("id", "[-ugnG]", system::id),
    applet("ifconfig", "[-a] [INTERFACE]", network::interfaces::ifconfig),
    applet(
        "install",
        "[-cdDpsv] [-m MODE] [-o USER] [-g GRP] [-t DIR] [SOURCE]... DEST",
        make::install,
    ),
    applet(
        "ip",
        "[-4|-6] [-o] address|link|route [show] [[dev] INTERFACE]",
        network::interfaces::ip,
    ),
    applet("kill", "[-l] [-SIG] PID...", processes::kill),
    applet("killall", "[-lq] [-SIG] PROCESS_NAME...", processes::killall),
    applet("less", "[-EFINSR] [FILE]...", pager::less),
    applet("link", "FILE LINK", make::link),
    applet("ln", "[-sfnbTv] [-S SUF] TARGET... LINK|DIR", files::ln),
    applet("logname", "", system::logname),
    applet("ls", "[-1AaCdFhlpRrSt] [FILE]...", list::ls),
    applet("md5sum", "[-c [-s]] [FILE]...", sums::md5sum),
    applet("mkdir", "[-p] [-m MODE] DIRECTORY...", files::mkdir),
    applet("mktemp", "[-dtqu] [-p DIR] [TEMPLATE]", make::mktemp),
    applet("more", "[FILE]...", pager::more),
    applet("mount", "[-t FSTYPE]", container::mount),
    applet("mv", "[-finTv] { SOURCE... DEST | -t DIR SOURCE... }", copy::mv),
    applet(
        "nc",
        "[-nuvz46] [-w SEC] [-i SEC] HOST PORT [-e PROG ARGS]\n\tnc -l[k] [-uv] [-w SEC] { -p PORT [FROM] | [HOST] PORT } [-e PROG ARGS]",
        network::nc::nc,
    ),
    applet("nl", "[-b a|t|n] [-n ln|rn|rz] [-i N] [-s SEP] [-v N] [-w N] [FILE]...", columns::nl),
    applet("nproc", "[--all] [--ignore=N]", container::nproc),
    applet(
        "nslookup",
        "[-type=QUERY_TYPE] [-debug] HOST [DNS_SERVER]\n\nQUERY_TYPE: soa,ns,a,aaaa,cname,mx,txt,ptr,srv,any",
        network::nslookup::nslookup,
    ),
    applet(
        "od",
        "[-abcdfhilovxs] [-t TYPE]... [-A RADIX] [-N SIZE] [-j SKIP] [-w[BYTES]] [FILE]...",
        octal::od,
    ),
    applet("paste", "[-s] [-d LIST] [FILE]...", columns::paste),
    applet("pgrep", "[-flanovxc] [-P PPID] [-g PGRP] [PATTERN]", processes::pgrep),
    applet("pidof", "[-s] [-o PID] [NAME]...", processes::pidof),
    applet(
        "ping",
        "[-46qA] [-c CNT] [-s SIZE] [-i SECS] [-W SEC] [-w SEC] HOST\n\nThe Pods' network answers itself; it does not reach what is outside the cluster",
        network::ping::ping,
    ),
    applet("pkill", "[-l|-SIGNAL] [-fnovx] [-P PPID] [-g PGRP] [PATTERN]", processes::pkill),
    applet("printenv", "[VARIABLE]...", run::printenv),
    applet("printf", "FORMAT [ARG]...", system::printf),
    applet("ps", "[-o COL1,COL2=HEADER]", processes::ps),
    applet("pwd", "", names::pwd),
    applet("readlink", "[-fn] FILE", names::readlink),
    applet("realpath", "FILE...", names::realpath),
    applet("reset", "", stty::reset),
    applet("rev", "[FILE]...", lines::rev),
    applet("rm", "[-irf] FILE...", files::rm),
    applet("rmdir", "[-p] DIRECTORY...", files::rmdir),
    applet("sed", "[-i[SFX]] [-nrEsz] [-f FILE]... [-e CMD]... [FILE]...", sed::sed),
    applet("seq", "[-w] [-s SEP] [FIRST [INC]] LAST", system::seq),
    applet("sha1sum", "[-c [-s]] [FILE]...", sums::sha1sum),
    applet("sha256sum", "[-c [-s]] [FILE]...", sums::sha256sum),
    applet("sha512sum", "[-c [-s]] [FILE]...", sums::sha512sum),
    applet("shuf", "[-e WORD... | -i LOW-HIGH | FILE] [-n N] [-z]", columns::shuf),
    applet("sleep", "[N]...", system::sleep),
    applet("sort", "[-nghMVrufbscz] [-k KEY] [-t CHAR] [-o FILE] [FILE]...", sort::sort),
    applet("split", "[-l N | -b N] [-a N] [INPUT [PREFIX]]", columns::split),
    applet(
        "stat",
        "[-ltf] [-c FMT] FILE...\n\nWASI tells no modes, owners, inodes or links: the usual ones are shown",
        stat::stat,
    ),
    applet("strings", "[-fo] [-t o|d|x] [-n LEN] [FILE]...", dump::strings),
    applet("stty", "[-a|g] [-F DEVICE] [SETTING]...", stty::stty),
    applet("sum", "[-rs] [FILE]...", sums::sum),
    applet("sync", "[-df] [FILE]...", make::sync),
    applet("tac", "[FILE]...", lines::tac),
    applet("tail", "[-fqv] [-n N] [-c N] [FILE]...", text::tail),
    applet("tar", "c|x|t [-vmkO] [-f TARFILE] [-C DIR] [FILE]...", archive::tar),
    applet("tee", "[-ai] [FILE]...", text::tee),
    applet("telnet", "HOST [PORT]", network::telnet::telnet),
    applet("test", "EXPRESSION", system::test),
    applet("time", "[-p] PROG ARGS", watch::time),
    applet("timeout", "[-s SIG] [-k KILL_SECS] SECS PROG ARGS", run::timeout),
    applet("top", "[-b] [-n COUNT] [-d SECONDS]", processes::top),
    applet("touch", "[-cd:r:] FILE...", files::touch),
    applet("tr", "[-cds] STRING1 [STRING2]", lines::tr),
    applet("true", "", system::true_),
    applet("truncate", "[-c] -s SIZE FILE...", make::truncate),
    applet("tty", "[-s]", system::tty),
    applet("uname", "[-amnrspv]", system::uname),
    applet("unexpand", "[-fa] [-t N] [FILE]...", columns::unexpand),
    applet("uniq", "[-cdui] [INPUT [OUTPUT]]", lines::uniq),
    applet("unlink", "FILE", make::unlink),
    applet("uptime", "", container::uptime),
    applet("usleep", "N", system::usleep),
    applet("vi", "[-R] [-c CMD] [+LINE] [FILE]...", vi::vi),
    applet("watch", "[-n SEC] [-t] PROG ARGS", watch::watch),
    applet("wc", "[-cmlw] [FILE]...", text::wc),
    applet(
        "wget",
        "[-cqS] [--spider] [-O FILE] [-o LOGFILE] [--header STR]\n\t[--post-data STR | --post-file FILE] [-T SEC] [-P DIR] [-U AGENT]\n\t[--no-check-certificate | --ca-certificate FILE] URL...\n\nTrusts whom the host trusts, without --ca-certificate or SSL_CERT_FILE",
        network::wget::wget,
    ),
    applet("which", "[-a] COMMAND...", names::which),
    applet("whoami", "", system::whoami),
    applet(
        "xargs",
        "[-0rtx] [-a FILE] [-d CHAR] [-E STR] [-I STR] [-L N] [-n N] [-s N] [-P N] [PROG ARGS]\n\nWith -P too, one PROG runs after another",
        xargs::xargs,
    ),
    applet("xxd", "[-pru] [-g N] [-c N] [-l LEN] [-s OFS] [FILE]", dump::xxd),
    applet("yes", "[STRING]", system::yes),
    applet("zcat", "[FILE]...", compress::zcat),
];

fn main() {
    sampan_process::exit(run_named(std::env::args().collect()));
}

fn run_named(mut arguments: Vec<String>) -> u8 {
    loop {
        let first = arguments.first().cloned().unwrap_or_default();
        let name = first.rsplit('/').next().unwrap_or_default();
        if let Ok(at) = APPLETS.binary_search_by(|applet| applet.name.cmp(name)) {
            return run(&APPLETS[at], arguments);
        }
        match (name, arguments.get(1).map(String::as_str)) {
            ("busybox" | "busybox.wasm", None | Some("--help")) => {
                let names: Vec<_> = APPLETS.iter().map(|applet| applet.name).collect();
                println!(
                    "{BANNER}\n\nUsage: busybox [function [arguments]...]\n\nCurrently defined functions:\n\t{}",
                    names.join(", ")
                );
                return 0;
            }
            ("busybox" | "busybox.wasm", Some("--list")) => {
                APPLETS.iter().for_each(|applet| println!("{}", applet.name));
                return 0;
            }
            ("busybox" | "busybox.wasm", Some("sh" | "ash")) => return run::shell(&arguments[1..]),
            ("busybox" | "busybox.wasm", Some(_)) => {
                arguments.remove(0);
            }
            _ => {
                eprintln!("{name}: applet not found");
                return 127;
            }
        }
    }
}

const BANNER: &str =
    concat!("BusyBox-like programs of sampan v", env!("CARGO_PKG_VERSION"), ", multi-call binary.");

fn run(applet: &Applet, arguments: Vec<String>) -> u8 {
    let call = Call::new(applet.name, arguments);
    let is_test = applet.name == "test" || applet.name.starts_with('[');
    if !is_test && call.arguments() == ["--help"] {
        println!("{}", usage(applet.name));
        return 0;
    }
    match (applet.run)(&call) {
        Ok(code) => code,
        // The reader has what it wanted.
        Err(Failure::Output(err)) if call::is_closed(&err) => 141,
        Err(failure) => {
            call.explain(&failure);
            1
        }
    }
}

/// What a program's arguments are.
fn usage(name: &str) -> String {
    let usage = APPLETS.iter().find(|applet| applet.name == name).map_or("", |found| found.usage);
    format!("{BANNER}\n\nUsage: {name} {usage}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_the_images_links_are_made_from_it() {
        assert!(APPLETS.is_sorted_by(|one, other| one.name < other.name));
        let names: Vec<_> = APPLETS.iter().map(|applet| applet.name).collect();
        assert_eq!(include_str!("../applets.txt").lines().collect::<Vec<_>>(), names);
    }
}
