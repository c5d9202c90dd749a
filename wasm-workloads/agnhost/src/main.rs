//! What Kubernetes' own tests ask of a container, for `image: registry.k8s.io/e2e-test-images/agnhost`
//! and `registry.k8s.io/pause`: the subcommands that a Pod on WebAssembly can have, answering in
//! upstream's words. Upstream: `test/images/agnhost`.
//!
//! To add one: a function, and a line in [`SUBCOMMANDS`]. Servers are answers to requests, put into
//! `server`'s one loop over all sockets.

mod clock;
mod connect;
mod flags;
mod grpc_health;
mod json;
mod liveness;
mod logs;
mod mounttest;
mod netexec;
mod pause;
mod poll;
mod porter;
mod resolver;
mod serve_hostname;
mod server;
mod webserver;

use flags::Flags;

/// What a subcommand's run comes to: the exit code, or why it could not run.
type Done = Result<u8, String>;

struct Subcommand {
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Done,
}

const fn subcommand(
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Done,
) -> Subcommand {
    Subcommand { name, about, run }
}

/// Sorted by name.
static SUBCOMMANDS: &[Subcommand] = &[
    subcommand(
        "connect",
        "Attempts a TCP or UDP connection and returns useful errors",
        connect::run,
    ),
    subcommand("dns-server-list", "Prints the host's DNS Server list", resolver::servers),
    subcommand("dns-suffix", "Prints the host's DNS suffix list", resolver::suffixes),
    subcommand("entrypoint-tester", "Prints the args it's passed and exits", entrypoint_tester),
    subcommand("etc-hosts", "Prints the host's /etc/hosts file", resolver::hosts),
    subcommand(
        "grpc-health-checking",
        "Starts a gRPC server that says how it is, and an HTTP server that tells it",
        grpc_health::run,
    ),
    subcommand("liveness", "Starts a server that is alive for 10 seconds", liveness::run),
    subcommand("logs-generator", "Outputs lines of logs to stdout uniformly", logs::run),
    subcommand("mounttest", "Writes and prints files of volumes", mounttest::run),
    subcommand("netexec", "Creates HTTP and UDP servers with various endpoints", netexec::run),
    subcommand("pause", "Pauses the execution", pause::run),
    subcommand("porter", "Serves requested data on ports specified in ENV variables", porter::run),
    subcommand("serve-hostname", "Serves the hostname", serve_hostname::run),
    subcommand("test-webserver", "Starts a simple HTTP fileserver", webserver::run),
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let code = run(&arguments).unwrap_or_else(|error| {
        eprintln!("Error: {error}");
        1
    });
    sampan_process::exit(code);
}

fn run(arguments: &[String]) -> Done {
    let called = arguments.first().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
    // The image `pause` has its program under this name.
    if called == "pause" {
        return pause::run(&[]);
    }
    let Some(name) =
        arguments.get(1).filter(|name| !matches!(name.as_str(), "-h" | "--help" | "help"))
    else {
        print!("{}", usage());
        return Ok(0);
    };
    match SUBCOMMANDS.iter().find(|subcommand| subcommand.name == name) {
        Some(subcommand) => (subcommand.run)(&arguments[2..]),
        None => Err(format!(
            "unknown command \"{name}\" for \"app\": sampan's agnhost has {}",
            SUBCOMMANDS.iter().map(|subcommand| subcommand.name).collect::<Vec<_>>().join(", ")
        )),
    }
}

fn usage() -> String {
    let mut text = "Usage:\n  app [command]\n\nAvailable Commands:\n".to_owned();
    for Subcommand { name, about, .. } in SUBCOMMANDS {
        text.push_str(&format!("  {name:<21}{about}\n"));
    }
    text
}

/// All arguments, as Go prints a list of them.
fn entrypoint_tester(_: &[String]) -> Done {
    println!("[{}]", std::env::args().collect::<Vec<_>>().join(" "));
    Ok(0)
}

fn hostname() -> String {
    let file = || std::fs::read_to_string("/etc/hostname").ok().map(|text| text.trim().to_owned());
    std::env::var("HOSTNAME").ok().or_else(file).unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subcommands_are_sorted_and_found() {
        assert!(SUBCOMMANDS.is_sorted_by_key(|subcommand| subcommand.name));
        assert_eq!(run(&["/agnhost".to_owned()]), Ok(0));
        let unknown = run(&["/agnhost".to_owned(), "webhook".to_owned()]).unwrap_err();
        assert!(unknown.starts_with("unknown command \"webhook\" for \"app\""), "{unknown}");
    }
}
