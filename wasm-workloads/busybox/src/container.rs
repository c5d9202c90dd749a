//! What the container is and has: `uptime`, `free`, `mount`, `df`, `nproc`. Its limits are the
//! machine, as far as a program inside can tell.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sampan_process::system::{self, Mount, Usage};

use crate::call::{Call, Done, Failure, print};

/// Since the container's start; it has no users, and no load that would be its own.
pub fn uptime(call: &Call) -> Done {
    let options = call.options("")?;
    if !options.operands.is_empty() {
        return Err(Failure::usage());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let started = Duration::from_millis(system::usage().container_started_ms);
    print(up(now, now.saturating_sub(started)))
}

fn up(now: Duration, up: Duration) -> String {
    let (day, minutes) = (now.as_secs() % 86400, up.as_secs() / 60);
    let clock = format!("{:02}:{:02}:{:02}", day / 3600, day / 60 % 60, day % 60);
    let days = match minutes / 1440 {
        0 => String::new(),
        1 => "1 day, ".to_owned(),
        days => format!("{days} days, "),
    };
    let rest = match minutes / 60 % 24 {
        0 => format!("{} min", minutes % 60),
        hours => format!("{hours:>2}:{:02}", minutes % 60),
    };
    format!(" {clock} up {days}{rest}\n")
}

/// How amounts are shown.
#[derive(Clone, Copy)]
enum Unit {
    Bytes(u64),
    Human,
}

impl Unit {
    fn show(self, bytes: u64) -> String {
        match self {
            Self::Bytes(unit) => (bytes / unit).to_string(),
            Self::Human => human(bytes),
        }
    }
}

/// With one decimal and the largest unit that leaves 1 or more.
pub fn human(bytes: u64) -> String {
    const UNITS: [char; 5] = ['K', 'M', 'G', 'T', 'P'];
    if bytes < 1024 {
        return bytes.to_string();
    }
    // In tenths, rounded; 1023.96 of a unit are 1.0 of the next.
    let tenths = |shift: u32| (bytes as u128 * 10 + (1 << (shift - 1))) >> shift;
    let fits = |at: &usize| tenths(10 * (*at as u32 + 1)) < 10240;
    let at = (0..UNITS.len()).find(fits).unwrap_or(UNITS.len() - 1);
    let tenths = tenths(10 * (at as u32 + 1));
    format!("{}.{}{}", tenths / 10, tenths % 10, UNITS[at])
}

pub fn free(call: &Call) -> Done {
    let options = call.options("bkmghw")?;
    let unit = match options.last_of("bkmgh") {
        Some('b') => Unit::Bytes(1),
        Some('m') => Unit::Bytes(1 << 20),
        Some('g') => Unit::Bytes(1 << 30),
        Some('h') => Unit::Human,
        _ => Unit::Bytes(1 << 10),
    };
    print(memory(&system::usage(), unit))
}

/// There is no cache and nothing shared: a program's memory is its own.
fn memory(usage: &Usage, unit: Unit) -> String {
    let (total, used) = (usage.memory_bytes_max, usage.memory_bytes);
    let free = total.saturating_sub(used);
    let row = |amounts: &[u64]| -> String {
        amounts.iter().map(|amount| format!("{:>12}", unit.show(*amount))).collect()
    };
    format!(
        "              total        used        free      shared  buff/cache   available\n\
         Mem:  {}\nSwap: {}\n",
        row(&[total, used, free, 0, 0, free]),
        row(&[0, 0, 0])
    )
}

pub fn mount(call: &Call) -> Done {
    let options = call.options("afirvt:T:O:o:")?;
    if !options.operands.is_empty() || options.has('a') {
        let why = "nothing can be mounted from inside: name a volume in the Pod";
        return Err(Failure::Message(why.to_owned()));
    }
    let line = |mount: &Mount| {
        let mode = if mount.read_only { "ro" } else { "rw" };
        format!("{} on {} type {} ({mode})\n", source(mount), mount.target, kind(mount))
    };
    let wanted = |mount: &&Mount| options.value('t').is_none_or(|wanted| wanted == kind(mount));
    print(system::mounts().iter().filter(wanted).map(line).collect::<String>())
}

/// Where the bytes are: the host's devices are not the container's to know.
fn source(mount: &Mount) -> &str {
    kind(mount)
}

/// As Linux names the kind.
pub fn kind(mount: &Mount) -> &str {
    match mount.kind.as_str() {
        "devices" => "devtmpfs",
        kind => kind,
    }
}

pub fn df(call: &Call) -> Done {
    let options = call.options("PkmhTaiB:t:")?;
    if options.has('i') {
        let why = "how many files fit is not known here: WASI does not tell";
        return Err(Failure::Message(why.to_owned()));
    }
    let block = options.value('B').map(|text| call.number(text)).transpose()?;
    let (unit, title) = match (options.last_of("kmhB"), options.has('P')) {
        (Some('h'), _) => (Unit::Human, "     Size".to_owned()),
        (Some('m'), _) => (Unit::Bytes(1 << 20), "1M-blocks".to_owned()),
        (Some('B'), _) => {
            let block = block.unwrap_or(1024).max(1);
            (Unit::Bytes(block), format!("{block}-blocks"))
        }
        (_, true) => (Unit::Bytes(1 << 10), "1024-blocks".to_owned()),
        _ => (Unit::Bytes(1 << 10), "1K-blocks".to_owned()),
    };
    let style = Style { unit, title, posix: options.has('P'), kinds: options.has('T') };
    let (mounts, mut code) = (system::mounts(), 0);
    let mut out = style.head();
    if options.operands.is_empty() {
        let shown = |mount: &&Mount| {
            (options.has('a') || mount.size.is_some_and(|size| size.total > 0))
                && options.value('t').is_none_or(|wanted| wanted == kind(mount))
        };
        out.extend(mounts.iter().filter(shown).map(|mount| style.row(mount)));
    }
    for name in &options.operands {
        let path = call.path(name);
        match holder(&mounts, &path).filter(|_| std::fs::symlink_metadata(&path).is_ok()) {
            Some(mount) => out += &style.row(mount),
            None => {
                call.complain(&format!("{name}: can't find mount point"));
                code = 1;
            }
        }
    }
    print(out)?;
    Ok(code)
}

/// The mount that a path lies in.
pub fn holder<'a>(mounts: &'a [Mount], path: &str) -> Option<&'a Mount> {
    let within = |mount: &&Mount| {
        let rest = path.strip_prefix(mount.target.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    mounts.iter().filter(within).max_by_key(|mount| mount.target.len())
}

struct Style {
    unit: Unit,
    title: String,
    posix: bool,
    kinds: bool,
}

impl Style {
    fn head(&self) -> String {
        let kinds = if self.kinds { "Type       " } else { "" };
        let (used, percent) =
            if self.posix { ("   Used", "Capacity") } else { ("     Used", "Use%") };
        let title = &self.title;
        format!("Filesystem           {kinds}{title} {used} Available {percent} Mounted on\n")
    }

    fn row(&self, mount: &Mount) -> String {
        let kinds = if self.kinds { format!("{:<10} ", kind(mount)) } else { String::new() };
        let (total, available) =
            mount.size.map_or((0, 0), |size| (size.total, size.available.min(size.total)));
        let used = total - available;
        let percent = (used * 100 + total / 2).checked_div(total).unwrap_or(0);
        format!(
            "{:<20} {kinds}{:>9} {:>9} {:>9} {percent:>3}% {}\n",
            source(mount),
            self.unit.show(total),
            self.unit.show(used),
            self.unit.show(available),
            mount.target
        )
    }
}

/// The cores that the container may keep busy; `--all` are the machine's.
pub fn nproc(call: &Call) -> Done {
    let mut arguments = call.arguments().to_vec();
    let all = arguments.iter().any(|word| word == "--all");
    arguments.retain(|word| word != "--all");
    let ignored = match arguments.as_slice() {
        [] => 0,
        [word] => match word.strip_prefix("--ignore=") {
            Some(number) => call.number(number)?,
            None => return Err(Failure::usage()),
        },
        _ => return Err(Failure::usage()),
    };
    let count = cores(&system::usage(), all).saturating_sub(ignored).max(1);
    print(format!("{count}\n"))
}

fn cores(usage: &Usage, all: bool) -> u64 {
    let cores = u64::from(usage.cores.max(1));
    let limit = usage.cpu_millis_max.filter(|_| !all).map(|millis| millis.div_ceil(1000).max(1));
    limit.map_or(cores, |limit| limit.min(cores))
}

#[cfg(test)]
mod tests {
    use sampan_process::system::Space;

    use super::*;

    #[test]
    fn memory_is_the_containers() {
        let usage = Usage { memory_bytes: 3 << 20, memory_bytes_max: 64 << 20, ..Usage::default() };
        assert_eq!(
            memory(&usage, Unit::Bytes(1 << 10)),
            "              total        used        free      shared  buff/cache   available\n\
             Mem:         65536        3072       62464           0           0       62464\n\
             Swap:            0           0           0\n"
        );
        assert!(memory(&usage, Unit::Human).contains("Mem:         64.0M        3.0M       61.0M"));
    }

    #[test]
    fn sizes_have_one_decimal() {
        let sizes = [0, 1023, 1024, 4096, 1536, (1 << 20) - 1, 25_232_302_080];
        assert_eq!(
            sizes.map(human),
            ["0", "1023", "1.0K", "4.0K", "1.5K", "1.0M", "23.5G"].map(str::to_owned)
        );
    }

    #[test]
    fn times_since_the_start() {
        let at = Duration::from_secs(19 * 3600 + 54 * 60 + 26);
        let check = |minutes: u64, expect: &str| {
            assert_eq!(
                up(at, Duration::from_secs(minutes * 60)),
                format!(" 19:54:26 up {expect}\n")
            );
        };
        check(3, "3 min");
        check(208, " 3:28");
        check(1440 + 5, "1 day, 5 min");
        check(2880 + 605, "2 days, 10:05");
    }

    #[test]
    fn a_limit_counts_in_whole_cores() {
        let usage = |cpu_millis_max| Usage { cores: 4, cpu_millis_max, ..Usage::default() };
        assert_eq!(cores(&usage(None), false), 4);
        assert_eq!(cores(&usage(Some(500)), false), 1);
        assert_eq!(cores(&usage(Some(1500)), false), 2);
        assert_eq!(cores(&usage(Some(9000)), false), 4);
        assert_eq!(cores(&usage(Some(500)), true), 4);
    }

    #[test]
    fn filesystems_have_busyboxs_columns() {
        let mount = |target: &str, kind: &str, size| Mount {
            target: target.to_owned(),
            kind: kind.to_owned(),
            read_only: false,
            size,
        };
        let space = Space { total: 264_212_084 << 10, available: 76_751_440 << 10 };
        let mounts = [mount("/", "overlay", Some(space)), mount("/dev", "devices", None)];
        let style = Style {
            unit: Unit::Bytes(1024),
            title: "1K-blocks".to_owned(),
            posix: false,
            kinds: false,
        };
        assert_eq!(
            style.head(),
            "Filesystem           1K-blocks      Used Available Use% Mounted on\n"
        );
        assert_eq!(
            style.row(&mounts[0]),
            "overlay              264212084 187460644  76751440  71% /\n"
        );
        assert_eq!(holder(&mounts, "/dev/null").unwrap().target, "/dev");
        assert_eq!(holder(&mounts, "/device").unwrap().target, "/");
    }
}
