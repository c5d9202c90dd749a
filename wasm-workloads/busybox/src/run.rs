//! Programs that start others: `env`, `timeout`.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use sampan_process::{self as process, Child, Command, Handle, SpawnError};

use crate::call::{Call, Done, Failure, print};
use crate::processes::signal_names;

/// `busybox sh`
pub fn shell(arguments: &[String]) -> u8 {
    let call = Call::new("sh", arguments.to_vec());
    let environment: Vec<_> = env::vars().collect();
    let streams = [&process::stdin(), &process::stdout(), &process::stderr()];
    match start_file(&call, "/bin/sh", arguments, environment, streams) {
        Ok(child) => child.wait() as u8,
        Err(_) => {
            call.complain("/bin/sh: not found");
            127
        }
    }
}

pub fn printenv(call: &Call) -> Done {
    if call.arguments().is_empty() {
        return print(
            env::vars().map(|(name, value)| format!("{name}={value}\n")).collect::<String>(),
        );
    }
    let mut code = 0;
    for name in call.arguments() {
        match env::var(name) {
            Ok(value) => code |= print(value + "\n")?,
            Err(_) => code = 1,
        }
    }
    Ok(code)
}

pub fn env(call: &Call) -> Done {
    let mut options = call.options("+i0u:")?;
    let dash = options.operands.first().is_some_and(|word| word == "-");
    options.operands.drain(..usize::from(dash));
    let mut environment: Vec<(String, String)> =
        if dash || options.has('i') { Vec::new() } else { env::vars().collect() };
    environment.retain(|(name, _)| options.values('u').all(|unset| unset != name));
    let is_assignment = |word: &&String| word.contains('=');
    for word in options.operands.iter().take_while(is_assignment) {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        environment.retain(|(known, _)| known != name);
        environment.push((name.to_owned(), value.to_owned()));
    }
    let command: Vec<String> = options.operands.iter().skip_while(is_assignment).cloned().collect();
    if command.is_empty() {
        let end = if options.has('0') { '\0' } else { '\n' };
        return print(
            environment
                .iter()
                .map(|(name, value)| format!("{name}={value}{end}"))
                .collect::<String>(),
        );
    }
    match start(call, &command, environment, &process::stdin()) {
        Ok(child) => Ok(child.wait() as u8),
        Err((code, why)) => {
            call.complain(&format!("can't execute '{}': {why}", command[0]));
            Ok(code)
        }
    }
}

/// Starts a command sought in `PATH`; exit code and reason if that fails.
pub fn start(
    call: &Call,
    command: &[String],
    environment: Vec<(String, String)>,
    stdin: &Handle,
) -> Result<Child, (u8, String)> {
    start_with(call, command, environment, [stdin, &process::stdout(), &process::stderr()])
}

/// The same with all three streams.
pub fn start_with(
    call: &Call,
    command: &[String],
    environment: Vec<(String, String)>,
    streams: [&Handle; 3],
) -> Result<Child, (u8, String)> {
    let path = environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
    let path = path.unwrap_or_else(|| "/sbin:/usr/sbin:/bin:/usr/bin".to_owned());
    let file = crate::names::candidates(call, &command[0], &path).into_iter().next();
    let file = file.ok_or_else(|| (127, "No such file or directory".to_owned()))?;
    match start_file(call, &file, command, environment.clone(), streams) {
        // A script: the shell knows what runs it.
        Err((126, _)) => {
            let script: Vec<String> = ["sh", "-c", "\"$0\" \"$@\""]
                .map(str::to_owned)
                .into_iter()
                .chain(command.iter().cloned())
                .collect();
            start_file(call, "/bin/sh", &script, environment, streams)
        }
        started => started,
    }
}

/// Starts a command line of the shell's, as `awk` does; why not, if that fails.
pub fn shell_command(
    call: &Call,
    line: &str,
    stdin: &Handle,
    stdout: &Handle,
) -> Result<Child, String> {
    let command = Command {
        program: "/bin/sh".to_owned(),
        args: ["sh", "-c", line].map(str::to_owned).to_vec(),
        env: env::vars().collect(),
        cwd: call.directory.clone(),
        ..Command::default()
    };
    process::spawn(command, stdin, stdout, &process::stderr()).map_err(|err| match err {
        SpawnError::NotFound => "can't execute '/bin/sh': No such file or directory".to_owned(),
        SpawnError::Limit => "can't start a command: too many processes".to_owned(),
        SpawnError::NotExecutable(why) | SpawnError::Other(why) => why,
    })
}

fn start_file(
    call: &Call,
    file: &str,
    command: &[String],
    env: Vec<(String, String)>,
    [stdin, stdout, stderr]: [&Handle; 3],
) -> Result<Child, (u8, String)> {
    let spawn = Command {
        program: file.to_owned(),
        args: command.to_vec(),
        env,
        cwd: call.directory.clone(),
        ..Command::default()
    };
    process::spawn(spawn, stdin, stdout, stderr).map_err(|err| match err {
        SpawnError::NotFound => (127, "No such file or directory".to_owned()),
        SpawnError::NotExecutable(_) => (126, "Exec format error".to_owned()),
        SpawnError::Limit => (126, "Resource temporarily unavailable".to_owned()),
        SpawnError::Other(why) => (126, why),
    })
}

/// How long a command's arguments may be in all, as busybox's default.
pub const ARGUMENT_BYTES_MAX: usize = 32 << 10;

/// How often a running command is looked at.
const LOOK: Duration = Duration::from_millis(20);

pub fn timeout(call: &Call) -> Done {
    let options = call.options("+s:k:")?;
    let [seconds, command @ ..] = options.operands.as_slice() else { return Err(Failure::usage()) };
    if command.is_empty() {
        return Err(Failure::usage());
    }
    let name = options.value('s').unwrap_or("TERM");
    let signal = signal_names::number(name)
        .ok_or_else(|| Failure::Message(format!("unknown signal '{name}'")))?;
    let grace = options.value('k').map(crate::system::duration).transpose()?;
    let limit = crate::system::duration(seconds)?;
    let child = match start(call, command, env::vars().collect(), &process::stdin()) {
        Ok(child) => child,
        Err((code, why)) => {
            call.complain(&format!("can't execute '{}': {why}", command[0]));
            return Ok(code);
        }
    };
    let code = ends_within(&child, limit).or_else(|| {
        child.kill(signal);
        ends_within(&child, grace?).or_else(|| {
            child.kill(SIGKILL);
            None
        })
    });
    Ok(code.unwrap_or_else(|| child.wait()) as u8)
}

const SIGKILL: u8 = 9;

/// The exit code of a child that ends in time.
fn ends_within(child: &Child, limit: Duration) -> Option<i32> {
    let started = Instant::now();
    loop {
        let code = child.try_wait();
        let left = limit.saturating_sub(started.elapsed());
        if code.is_some() || left.is_zero() {
            return code;
        }
        thread::sleep(left.min(LOOK));
    }
}
