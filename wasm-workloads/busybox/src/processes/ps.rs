//! `ps`

use sampan_process::system::{self, Process};
use sampan_process::{self as process, terminal};

use super::{clock, command_line, now_ms, short_name, state};
use crate::call::{Call, Done, Failure, print};
use crate::screen::text::fit;

/// A column: its name for `-o`, its title, its width and what it says; numbers are on the right.
struct Column {
    name: &'static str,
    title: &'static str,
    width: usize,
    number: bool,
    say: fn(&Process) -> String,
}

const fn left(
    name: &'static str,
    title: &'static str,
    width: usize,
    say: fn(&Process) -> String,
) -> Column {
    Column { name, title, width, number: false, say }
}

const fn right(
    name: &'static str,
    title: &'static str,
    width: usize,
    say: fn(&Process) -> String,
) -> Column {
    Column { name, title, width, number: true, say }
}

const COLUMNS: &[Column] = &[
    left("user", "USER", 8, |_| "root".to_owned()),
    left("group", "GROUP", 8, |_| "root".to_owned()),
    left("comm", "COMMAND", 16, |other| short_name(other).to_owned()),
    left("args", "COMMAND", 0, command_line),
    right("pid", "PID", 5, |other| other.pid.to_string()),
    right("ppid", "PPID", 5, |other| other.parent.to_string()),
    right("pgid", "PGID", 5, |other| other.group.to_string()),
    right("etime", "ELAPSED", 7, |other| {
        clock(now_ms().saturating_sub(other.started_ms) * 1_000_000)
    }),
    right("nice", "NI", 5, |_| "0".to_owned()),
    left("rgroup", "RGROUP", 8, |_| "root".to_owned()),
    left("ruser", "RUSER", 8, |_| "root".to_owned()),
    right("time", "TIME", 5, |other| clock(other.cpu_time_ns)),
    left("tty", "TT", 6, |other| if other.terminal { "tty" } else { "?" }.to_owned()),
    right("vsz", "VSZ", 4, |other| size(other.memory_bytes)),
    right("sid", "SID", 5, |other| other.group.to_string()),
    left("stat", "STAT", 4, |other| state(other).to_owned()),
    right("rss", "RSS", 4, |other| size(other.memory_bytes)),
];

/// Other names that people type.
const ALIASES: &[(&str, &str)] =
    &[("cmd", "args"), ("command", "args"), ("tt", "tty"), ("ni", "nice"), ("stime", "time")];

const DEFAULT: &str = "pid,user,time,args";

/// Kibibytes, or with more than four digits mebibytes.
fn size(bytes: u64) -> String {
    let kibibytes = bytes >> 10;
    if kibibytes < 10_000 { kibibytes.to_string() } else { format!("{}m", kibibytes >> 10) }
}

pub fn ps(call: &Call) -> Done {
    // `ps aux` and `ps -ef` as everyone types them: all are shown anyway.
    let options = call.options("efaAxuwlTHo:")?;
    let asked: Vec<&str> = options.values('o').collect();
    let asked = if asked.is_empty() { DEFAULT.to_owned() } else { asked.join(",") };
    let table = table(&asked, &system::processes()).map_err(Failure::Message)?;
    let most = terminal::size(&process::stdout()).map(|size| usize::from(size.columns));
    let most = most.filter(|columns| *columns > 0 && !options.has('w'));
    let cut = |line: &str| most.map_or_else(|| line.to_owned(), |columns| fit(line, columns));
    print(table.lines().map(|line| cut(line) + "\n").collect::<String>())
}

fn table(asked: &str, processes: &[Process]) -> Result<String, String> {
    let columns = columns(asked)?;
    let mut out = String::new();
    let titles = columns.iter().map(|(column, title)| (column, title.clone(), false));
    line(&mut out, titles.collect());
    for other in processes {
        let cells = columns.iter().map(|(column, _)| (column, (column.say)(other), column.number));
        line(&mut out, cells.collect());
    }
    Ok(out)
}

fn line(out: &mut String, cells: Vec<(&&Column, String, bool)>) {
    let last = cells.len().saturating_sub(1);
    for (at, (column, text, right)) in cells.into_iter().enumerate() {
        let width = column.width.max(column.title.len());
        match (right, at == last) {
            (true, _) => *out += &format!("{text:>width$}"),
            (false, true) => *out += &text,
            (false, false) => *out += &format!("{text:<width$}"),
        }
        out.push(if at == last { '\n' } else { ' ' });
    }
}

/// The columns named, with their titles: `NAME=TITLE` gives another, for the rest of the list.
fn columns(asked: &str) -> Result<Vec<(&'static Column, String)>, String> {
    let mut columns = Vec::new();
    let mut rest = asked;
    while !rest.is_empty() {
        let end = rest.find(',').unwrap_or(rest.len());
        let (word, title, next) = match rest[..end].split_once('=') {
            Some((word, _)) => (word, Some(&rest[word.len() + 1..]), ""),
            None => (&rest[..end], None, rest.get(end + 1..).unwrap_or("")),
        };
        let word = word.trim();
        let name = ALIASES.iter().find(|(alias, _)| *alias == word).map_or(word, |alias| alias.1);
        let column = COLUMNS.iter().find(|column| column.name == name).ok_or_else(|| {
            let names: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
            format!("bad -o argument '{word}', supported arguments: {}", names.join(","))
        })?;
        columns.push((column, title.unwrap_or(column.title).to_owned()));
        rest = next;
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn columns_are_busyboxs() {
        let processes = [example(1, 0, "sh -c x"), example(7, 1, "/bin/sleep 100")];
        assert_eq!(
            table(DEFAULT, &processes).unwrap(),
            "PID   USER     TIME  COMMAND\n    1 root      1:01 sh -c x\n    7 root      1:01 /bin/sleep 100\n"
        );
        assert_eq!(
            table("pid,ppid,vsz,stat,tty,comm", &processes[1..]).unwrap(),
            "PID   PPID  VSZ  STAT TT     COMMAND\n    7     1 3072 R    ?      sleep\n"
        );
        assert_eq!(table("pid=Number", &processes[1..]).unwrap(), "Number\n    7\n");
        assert!(table("foo", &[]).unwrap_err().starts_with("bad -o argument 'foo', supported"));
    }
}
