//! `sampan up`: a cluster until Ctrl-C, or in the background.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgMatches, Args, FromArgMatches};
use ipnet::Ipv4Net;

use super::which::WhichArguments;
use super::{Subcommand, output};
use crate::client::clock::Clock;
use crate::cluster::{Cluster, data_directory, kubeconfig, process};
use crate::config::{
    Capacity, Config, EgressDefault, Environment, Flags, Grant, Listen, Places, State,
    parse_capacity, parse_grant, parse_port_range,
};
use crate::node::ingress;
use crate::telemetry;

#[derive(Debug, Args)]
struct Arguments {
    #[command(flatten)]
    which: WhichArguments,
    /// Address and port of the API server [default: 127.0.0.1:6443, or a free port if that is taken]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// Address where NodePort and LoadBalancer Services listen [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    node_address: Option<IpAddr>,
    /// Keep everything in memory: nothing outlives the process
    #[arg(long)]
    ephemeral: bool,
    /// Directory for what can be made again: compiled programs and laid-out images. Clusters may share
    /// one [default: the directory for the cluster's data]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Directory whose programs Pods may name as image: file:///...; may be repeated
    #[arg(long, value_name = "DIR")]
    allow_images: Vec<PathBuf>,
    /// Directory in which hostPath volumes may be; may be repeated
    #[arg(long, value_name = "DIR")]
    allow_host_path: Vec<PathBuf>,
    /// Network of the Pods [default: 10.42.0.0/16]
    #[arg(long, value_name = "CIDR")]
    pod_cidr: Option<Ipv4Net>,
    /// Network of the Services [default: 10.43.0.0/16]
    #[arg(long, value_name = "CIDR")]
    service_cidr: Option<Ipv4Net>,
    /// Ports of the node that NodePort and LoadBalancer Services get [default: 30000-32767]
    #[arg(long, value_name = "FIRST-LAST", value_parser = parse_port_range)]
    service_node_port_range: Option<RangeInclusive<u16>>,
    /// Where Ingresses are served over HTTP [default: port 8080 of the node's address, or a free one]
    #[arg(long, value_name = "ADDR:PORT")]
    ingress_http: Option<SocketAddr>,
    /// Where Ingresses are served over HTTPS [default: port 8443, or a free one]
    #[arg(long, value_name = "ADDR:PORT")]
    ingress_https: Option<SocketAddr>,
    /// Whether Pods may reach what lies outside the cluster
    #[arg(long, value_name = "RULE", value_parser = egress(), default_value = "allow")]
    egress: EgressDefault,
    /// What Pods may reach all the same: an address of this machine, or, with --egress deny, also a
    /// network outside; may be repeated. Pods find 127.0.0.1:PORT at host.sampan.internal:PORT
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = parse_grant)]
    egress_grant: Vec<Grant>,
    /// What the node says it has, such as cpu=4,memory=8Gi,ephemeral-storage=20Gi,pods=50 [default:
    /// what this machine has, and 10,000 Pods]
    #[arg(long, value_name = "NAME=AMOUNT,...", value_parser = parse_capacity)]
    capacity: Option<Capacity>,
    /// Return when the cluster is ready and leave it running
    #[arg(long)]
    background: bool,
    /// Set by --background for the process it leaves running: ends its report with a mark
    #[arg(long, hide = true)]
    mark_report: bool,
}

pub(super) const COMMAND: Subcommand = Subcommand {
    define: || {
        Arguments::augment_args(clap::Command::new("up"))
            .about("Start a cluster and add it to the kubeconfig")
    },
    run,
};

fn egress() -> impl TypedValueParser<Value = EgressDefault> {
    PossibleValuesParser::new(["allow", "deny"])
        .map(|rule| if rule == "deny" { EgressDefault::Deny } else { EgressDefault::Allow })
}

/// Ends the report of a process in the background: ASCII "end of transmission".
const REPORT_MARK: &str = "\u{4}";

fn run(matches: &ArgMatches, env: &Environment) -> anyhow::Result<ExitCode> {
    let arguments = Arguments::from_arg_matches(matches)?;
    if arguments.background {
        let places = Places::new(&arguments.which.into(), env)?;
        return leave_running(&places);
    }
    let clock = Clock::system();
    let component_logs = telemetry::init(env.log.as_deref(), move || clock.now());
    process::raise_open_files_limit();
    let mark_report = arguments.mark_report;
    let flags = Flags {
        which: arguments.which.into(),
        listen: arguments.listen.map_or(Listen::Anywhere, Listen::At),
        node_address: arguments.node_address,
        ephemeral: arguments.ephemeral,
        cache_dir: arguments.cache_dir,
        allow_images: arguments.allow_images,
        allow_host_path: arguments.allow_host_path,
        pod_cidr: arguments.pod_cidr,
        service_cidr: arguments.service_cidr,
        node_ports: arguments.service_node_port_range,
        ingress: ingress::Config { http: arguments.ingress_http, https: arguments.ingress_https },
        egress: arguments.egress,
        egress_grants: arguments.egress_grant,
        capacity: arguments.capacity.unwrap_or_default(),
    };
    let config = Config { component_logs, ..Config::new(&flags, env)? };
    let places = Places::new(&flags.which, env)?;
    let runtime = tokio::runtime::Runtime::new().context("start the asynchronous runtime")?;
    runtime.block_on(serve(config, &places, mark_report))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config, places: &Places, mark_report: bool) -> anyhow::Result<()> {
    let signals = process::Signals::new().context("listen for signals")?;
    let state = config.state.clone();
    let cluster = Cluster::start(config).await?;
    let stopped_early = tokio::select! {
        ready = cluster.ready() => { ready?; false }
        () = signals.first() => true,
    };
    if !stopped_early {
        if let Some(path) = &places.kubeconfig {
            kubeconfig::merge(path, cluster.access())?;
        }
        let lines = report(&cluster, &state, places);
        if mark_report {
            lines.iter().for_each(|line| output::print(line));
            output::print(REPORT_MARK);
        } else {
            lines.iter().for_each(|line| output::say(line));
        }
        signals.first().await;
        output::say("stopping; once more to stop at once");
    }
    tokio::select! {
        () = cluster.shutdown() => {}
        () = signals.second() => bail!("stop in order: interrupted; what was acknowledged is safe"),
    }
    Ok(())
}

/// What was chosen; the last line is what to type next.
fn report(cluster: &Cluster, state: &State, places: &Places) -> Vec<String> {
    let data = match state {
        State::Kept(path) if cluster.is_new() => format!("{} (new)", path.display()),
        State::Kept(path) => path.display().to_string(),
        State::Ephemeral => "in memory, gone when sampan stops".to_owned(),
    };
    let mut lines = vec![
        format!(
            "sampan {} is ready after {} ms",
            super::version::LINE,
            cluster.start_time().as_millis()
        ),
        format!("  data        {data}"),
        format!("  API server  {}{}", cluster.access().server, port_note(cluster)),
    ];
    if let Some(path) = &places.kubeconfig {
        lines.push(format!(
            "  kubeconfig  {}, context {}",
            path.display(),
            cluster.access().context
        ));
    }
    lines.push("stop with Ctrl-C or sampan down; now try:".to_owned());
    lines.push("  kubectl get nodes".to_owned());
    lines
}

fn port_note(cluster: &Cluster) -> &'static str {
    if cluster.is_elsewhere() { " (port 6443 is taken)" } else { "" }
}

/// Starts this program again without `--background`, relays its report, and leaves it: the report
/// comes on its stdout, what it logs later goes to a file.
fn leave_running(places: &Places) -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe().context("find this program")?;
    let arguments = std::env::args_os().skip(1).filter(|argument| argument != "--background");
    let directory = &places.data_directory;
    data_directory::create_private(directory)
        .with_context(|| format!("create {}", directory.display()))?;
    let log_path = directory.join(data_directory::LOG);
    let log = File::create(&log_path).with_context(|| format!("write {}", log_path.display()))?;
    let mut command = Command::new(program);
    command.args(arguments).arg("--mark-report");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    process::detach(&mut command);
    let mut child = command.spawn().context("start in the background")?;
    let report = child.stdout.take().expect("stdout was set to be piped");
    for line in BufReader::new(report).lines() {
        let line = line.context("read the report of the process in the background")?;
        if line == REPORT_MARK {
            return Ok(ExitCode::SUCCESS);
        }
        output::say(&line);
    }
    child.wait().context("wait for the process in the background")?;
    let reason = fs::read_to_string(&log_path).unwrap_or_default();
    output::say(reason.trim_end());
    Ok(ExitCode::FAILURE)
}
