//! One small act for each name in its first argument: what the runtime's tests look at.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

use sampan_process::{Child, Command, Handle, OpenMode, SpawnError, pipe, spawn};

type Outcome = Result<(), Box<dyn Error>>;
type Act = fn(&[String]) -> Outcome;

const ACTS: &[(&str, Act)] = &[
    ("append", append),
    ("args", args),
    ("bomb", bomb),
    ("cat", cat),
    ("devices", devices),
    ("echo", echo),
    ("env", env),
    ("exit", exit),
    ("files", files),
    ("first", first),
    ("grow", grow),
    ("kill", kill),
    ("missing", missing),
    ("network", network),
    ("park", park),
    ("pipeline", pipeline),
    ("processes", processes),
    ("shared", shared),
    ("signal", signal),
    ("sleep", sleep),
    ("spawns", spawns),
    ("spin", spin),
    ("state", state),
    ("yes", yes),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let acts: BTreeMap<_, _> = ACTS.iter().copied().collect();
    let Some(act) = args.first().and_then(|name| acts.get(name.as_str())) else {
        eprintln!("tool: one of {:?}", acts.keys());
        sampan_process::exit(2);
    };
    if let Err(error) = act(&args[1..]) {
        eprintln!("tool: {error}");
        sampan_process::exit(1);
    }
}

fn args(_: &[String]) -> Outcome {
    println!("{:?}", std::env::args().collect::<Vec<_>>());
    Ok(())
}

fn env(args: &[String]) -> Outcome {
    for name in args {
        println!("{name}={}", std::env::var(name)?);
    }
    Ok(())
}

fn echo(args: &[String]) -> Outcome {
    println!("{}", args.join(" "));
    Ok(())
}

fn cat(args: &[String]) -> Outcome {
    match args.first() {
        Some(path) => io::copy(&mut fs::File::open(path)?, &mut io::stdout())?,
        None => io::copy(&mut io::stdin(), &mut io::stdout())?,
    };
    Ok(())
}

fn exit(args: &[String]) -> Outcome {
    sampan_process::exit(args[0].parse()?);
}

fn append(args: &[String]) -> Outcome {
    let mut file = fs::OpenOptions::new().append(true).create(true).open(&args[0])?;
    Ok(file.write_all(args[1].as_bytes())?)
}

/// Prints the first line of stdin and leaves the rest.
fn first(_: &[String]) -> Outcome {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    print!("{line}");
    Ok(())
}

/// Writes until nobody reads.
fn yes(_: &[String]) -> Outcome {
    let mut stdout = io::stdout();
    loop {
        if let Err(error) = stdout.write_all(&[b'y'; 4095]).and_then(|()| stdout.write_all(b"\n")) {
            eprintln!("{:?}", error.kind());
            return Ok(());
        }
    }
}

/// Says so, and waits to be killed.
fn park(_: &[String]) -> Outcome {
    println!("parked");
    loop {
        std::thread::sleep(Duration::from_secs(1000));
    }
}

/// Starts children one after the other.
fn spawns(args: &[String]) -> Outcome {
    let null = sampan_process::null();
    for _ in 0..args[0].parse()? {
        start(&["exit", "0"], &null, &null)?.wait();
    }
    println!("done");
    Ok(())
}

fn spin(_: &[String]) -> Outcome {
    println!("spinning");
    loop {
        std::hint::spin_loop();
    }
}

fn sleep(args: &[String]) -> Outcome {
    let began = Instant::now();
    std::thread::sleep(Duration::from_millis(args[0].parse()?));
    println!("{}", began.elapsed().as_millis());
    Ok(())
}

/// Takes memory in steps of a mebibyte until there is none.
fn grow(_: &[String]) -> Outcome {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        all.push(vec![1; 1 << 20]);
    }
}

fn child(args: &[&str]) -> Command {
    let args = ["tool"].iter().chain(args).map(|arg| (*arg).to_owned()).collect();
    let program = "/bin/tool".to_owned();
    Command { program, args, env: Vec::new(), cwd: "/tmp".to_owned(), ..Command::default() }
}

fn start(args: &[&str], stdin: &Handle, stdout: &Handle) -> Result<Child, String> {
    spawn(child(args), stdin, stdout, &sampan_process::stderr())
        .map_err(|error| format!("{error:?}"))
}

/// `yes | first`, then the codes of both.
fn pipeline(_: &[String]) -> Outcome {
    let (read, write) = pipe().map_err(|error| error.to_string())?;
    let yes = start(&["yes"], &sampan_process::null(), &write)?;
    let first = start(&["first"], &read, &sampan_process::stdout())?;
    drop((read, write));
    println!("{} {}", first.wait(), yes.wait());
    Ok(())
}

fn kill(_: &[String]) -> Outcome {
    let null = sampan_process::null();
    let spinning = start(&["spin"], &null, &null)?;
    let sleeping = start(&["sleep", "1000000"], &null, &null)?;
    assert_eq!(spinning.try_wait(), None);
    spinning.kill(15);
    sleeping.kill(9);
    println!("{} {} {}", spinning.wait(), sleeping.wait(), spinning.wait());
    Ok(())
}

/// Who is there.
fn processes(_: &[String]) -> Outcome {
    for process in sampan_process::system::processes() {
        println!("{} {}", process.pid, process.args.join(" "));
    }
    Ok(())
}

/// A pid and a signal.
fn signal(args: &[String]) -> Outcome {
    println!("{}", sampan_process::system::kill(args[0].parse()?, args[1].parse()?));
    Ok(())
}

/// Starts children until there may be no more.
fn bomb(_: &[String]) -> Outcome {
    let null = sampan_process::null();
    let mut children = Vec::new();
    loop {
        match spawn(child(&["sleep", "1000000"]), &null, &null, &null) {
            Ok(child) => children.push(child),
            Err(SpawnError::Limit) => break,
            Err(error) => return Err(format!("{error:?}").into()),
        }
    }
    println!("{} {}", children.len(), sampan_process::pid());
    Ok(())
}

fn missing(_: &[String]) -> Outcome {
    let null = sampan_process::null();
    for program in ["/bin/nothing", "/bin", "/etc/text"] {
        let command = Command { program: program.to_owned(), ..child(&[]) };
        println!("{:?}", spawn(command, &null, &null, &null).err());
    }
    Ok(())
}

/// Two children write one after the other to the same open file.
fn shared(_: &[String]) -> Outcome {
    let null = sampan_process::null();
    let file =
        sampan_process::open("/tmp/shared", OpenMode::Write).map_err(|error| error.to_string())?;
    start(&["echo", "one"], &null, &file)?.wait();
    start(&["echo", "two"], &null, &file.clone())?.wait();
    print!("{}", fs::read_to_string("/tmp/shared")?);
    Ok(())
}

fn state(args: &[String]) -> Outcome {
    if args.is_empty() {
        println!("{:?}", sampan_process::state());
        return Ok(());
    }
    let command = Command { state: Some(args[0].clone().into_bytes()), ..child(&["state"]) };
    let (null, stdout) = (sampan_process::null(), sampan_process::stdout());
    spawn(command, &null, &stdout, &null).map_err(|error| format!("{error:?}"))?.wait();
    Ok(())
}

fn network(_: &[String]) -> Outcome {
    let error = std::net::TcpStream::connect("127.0.0.1:80").err();
    println!("{:?}", error.map(|error| error.kind()));
    let error = std::net::TcpListener::bind("127.0.0.1:0").err();
    println!("{:?}", error.map(|error| error.kind()));
    Ok(())
}

fn devices(_: &[String]) -> Outcome {
    fs::write("/dev/null", "gone")?;
    let mut zeros = [1; 4];
    fs::File::open("/dev/zero")?.read_exact(&mut zeros)?;
    let full = fs::write("/dev/full", "x").err().and_then(|error| error.raw_os_error());
    fs::OpenOptions::new().write(true).open("/dev/stdout")?.write_all(b"to stdout\n")?;
    println!("{zeros:?} {full:?} {:?}", fs::read("/dev/null")?);
    let mut names: Vec<_> =
        fs::read_dir("/dev")?.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    println!("{names:?}");
    Ok(())
}

/// What std::fs offers, once.
fn files(_: &[String]) -> Outcome {
    fs::create_dir_all("/work/a/b")?;
    std::env::set_current_dir("/work/a")?;
    fs::write("b/file", "0123456789")?;
    let mut file = fs::OpenOptions::new().read(true).write(true).open("../a/b/file")?;
    file.seek(SeekFrom::Start(4))?;
    file.write_all(b"xy")?;
    file.set_len(8)?;
    file.sync_all()?;
    println!("{} {}", fs::read_to_string("/work/a/b/file")?, file.metadata()?.len());
    fs::rename("b/file", "b/moved")?;
    fs::hard_link("b/moved", "linked")?;
    fs::copy("linked", "copied")?;
    let mut names: Vec<_> =
        fs::read_dir("/work/a")?.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    println!("{names:?}");
    fs::remove_file("b/moved")?;
    let kind = |result: io::Result<()>| result.err().and_then(|error| error.raw_os_error());
    println!("{:?}", kind(fs::remove_dir("/work")));
    println!("{:?}", kind(fs::remove_file("/work/a/b")));
    println!("{:?}", kind(fs::create_dir("/work/a")));
    println!("{:?}", kind(fs::read("/nothing").map(drop)));
    println!("{:?}", kind(fs::read("/work/a/linked/x").map(drop)));
    fs::remove_dir_all("/work")?;
    println!("{:?}", fs::exists("/work")?);
    println!("{}", fs::read_to_string("/etc/text")?);
    fs::remove_file("/etc/text")?;
    println!("{:?} {:?}", fs::exists("/etc/text")?, fs::read_dir("/etc")?.count());
    Ok(())
}
