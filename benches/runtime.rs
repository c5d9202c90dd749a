//! What a container, a process and an idle Pod cost. Figures are printed, never asserted: see
//! `benches/README.md` for how to read them.

#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot run has nothing to say")]
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench measures time")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use sampan::client::clock::Clock;
use sampan::node::files::{Layer, Mount, Root, Volume};
use sampan::node::runtime::{
    Config, Container, ContainerSpec, ExecSpec, Http, LogSink, Output, Runtime, Stdio,
};
use tokio::sync::Notify;

/// Containers that are alive at once in the largest run.
const MANY: usize = 1000;

fn main() {
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    threads.block_on(run());
}

async fn run() {
    let directory = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(directory.path());
    let began = Instant::now();
    bench.runtime.warm_up().await.unwrap();
    println!("warm up (pool of {} instances)          {:>10.1?}", MANY + 200, began.elapsed());
    bench.first().await;
    bench.starts(2000).await;
    bench.mounted(1000).await;
    bench.execs(2000).await;
    bench.spawns(200).await;
    for count in [100, MANY] {
        bench.at_once(count).await;
    }
    bench.kills().await;
    for (millis, processes) in [(200, 1), (500, 1), (500, 8), (1500, 2)] {
        bench.limited(millis, processes).await;
    }
    bench.runtime.shutdown().await;
}

struct Bench<'a> {
    runtime: Runtime,
    directory: &'a Path,
    uppers: AtomicUsize,
    cpu_millis_max: Option<u64>,
}

impl<'a> Bench<'a> {
    fn new(directory: &'a Path) -> Self {
        let workloads = Path::new(env!("CARGO_MANIFEST_DIR")).join("wasm-workloads");
        let tool = workloads.join("target/wasm32-wasip2/release/tool.wasm");
        let bin = directory.join("image/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::copy(&tool, bin.join("tool")).expect(
            "first: cargo build --release --target wasm32-wasip2 -p sampan-testing, in wasm-workloads",
        );
        let instances_max = u32::try_from(MANY + 200).unwrap();
        let cache_directory = directory.join("cache");
        let runtime =
            Runtime::new(Config { cache_directory, instances_max }, Clock::system()).unwrap();
        Self { runtime, directory, uppers: AtomicUsize::new(0), cpu_millis_max: None }
    }

    fn root(&self) -> Arc<Root> {
        let number = self.uppers.fetch_add(1, Ordering::Relaxed);
        let upper = self.directory.join(format!("upper-{number}"));
        std::fs::create_dir(&upper).unwrap();
        let open = |path: &Path| Dir::open_ambient_dir(path, ambient_authority()).unwrap();
        let image = Layer::from(open(&self.directory.join("image")));
        Arc::new(Root::new(Some(Arc::new(image)), open(&upper)))
    }

    /// Started, and the moment of its first write to stdout.
    async fn start(&self, argv: &[&str], root: Arc<Root>) -> (Container, Duration) {
        self.start_with(argv, root, Vec::new()).await
    }

    async fn start_with(
        &self,
        argv: &[&str],
        root: Arc<Root>,
        env: Vec<(String, String)>,
    ) -> (Container, Duration) {
        let first = Arc::new(Notify::new());
        let told = first.clone();
        let log: LogSink = Arc::new(move |_| told.notify_one());
        let spec = ContainerSpec {
            name: "bench".to_owned(),
            argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
            env,
            working_dir: "/".to_owned(),
            root,
            tools: None,
            memory_bytes_max: None,
            cpu_millis_max: self.cpu_millis_max,
            http: Http::default(),
            stdio: Stdio { stdout: Output::Log(log), ..Stdio::default() },
        };
        let began = Instant::now();
        let container = self.runtime.sandbox("bench", None).start(spec).await.unwrap();
        first.notified().await;
        (container, began.elapsed())
    }

    async fn first(&self) {
        let (container, first) = self.start(&["tool", "echo"], self.root()).await;
        container.wait().await;
        println!("first start of a 240 KB program, compiled   {first:>10.1?}");
    }

    async fn starts(&self, count: usize) {
        let (mut firsts, mut lives) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let root = self.root();
            let began = Instant::now();
            let (container, first) = self.start(&["tool", "echo"], root).await;
            container.wait().await;
            lives.push(began.elapsed());
            firsts.push(first);
        }
        print("container: start -> first write", firsts);
        print("container: start -> ended", lives);
    }

    /// What three mounts and ten variables add, the mounting itself included; in turns.
    async fn mounted(&self, count: usize) {
        let open = |name: &str| {
            let path = self.directory.join(name);
            std::fs::create_dir_all(&path).unwrap();
            Dir::open_ambient_dir(path, ambient_authority()).unwrap()
        };
        let volumes = ["one", "two", "three"].map(|name| Volume::from(open(name)));
        let (mut plain, mut mounted) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let root = self.root();
            let began = Instant::now();
            let (container, _) = self.start(&["tool", "echo"], root).await;
            plain.push(began.elapsed());
            container.wait().await;
            let mut root = Root::clone(&*self.root());
            let began = Instant::now();
            let mounts = volumes.iter().enumerate().map(|(number, volume)| Mount {
                path: format!("/mnt/{number}"),
                source: volume.whole(),
                read_only: number == 0,
            });
            root.mount_all(mounts).unwrap();
            let env = (0..10).map(|number| (format!("NAME_{number}"), format!("value {number}")));
            let (container, _) =
                self.start_with(&["tool", "echo"], Arc::new(root), env.collect()).await;
            mounted.push(began.elapsed());
            container.wait().await;
        }
        print("in turns: start -> first write", plain);
        print("the same with 3 mounts and 10 variables", mounted);
    }

    async fn execs(&self, count: usize) {
        let (container, _) = self.start(&["tool", "park"], self.root()).await;
        let mut lives = Vec::new();
        for _ in 0..count {
            let stdio = Stdio::default();
            let argv = vec!["tool".to_owned(), "echo".to_owned()];
            let began = Instant::now();
            container.exec(ExecSpec { argv, stdio }).await.unwrap();
            lives.push(began.elapsed());
        }
        print("exec: start -> ended", lives);
    }

    /// A guest spawns and waits for children.
    async fn spawns(&self, count: usize) {
        let argument = count.to_string();
        let began = Instant::now();
        let (container, _) = self.start(&["tool", "spawns", &argument], self.root()).await;
        container.wait().await;
        let each = began.elapsed() / u32::try_from(count).unwrap();
        println!("guest: spawn and wait, mean of {count}          {each:>10.1?}");
    }

    async fn at_once(&self, count: usize) {
        let roots: Vec<_> = (0..count).map(|_| self.root()).collect();
        let before = resident_kib();
        let began = Instant::now();
        let starts = roots.into_iter().map(|root| self.start(&["tool", "park"], root));
        let containers = futures::future::join_all(starts).await;
        let all = began.elapsed();
        let each = (resident_kib() - before) / i64::try_from(count).unwrap();
        println!("{count:>4} at once, all running                 {all:>10.1?}");
        println!("     memory of each, page tables included  {each:>7} KiB");
        let began = Instant::now();
        for (container, _) in &containers {
            container.kill(15);
        }
        for (container, _) in &containers {
            container.wait().await;
        }
        println!("     all killed and gone                   {:>10.1?}", began.elapsed());
    }

    async fn kills(&self) {
        for what in ["park", "spin"] {
            let mut times = Vec::new();
            for _ in 0..50 {
                let (container, _) = self.start(&["tool", what], self.root()).await;
                let began = Instant::now();
                container.kill(9);
                container.wait().await;
                times.push(began.elapsed());
            }
            print(
                if what == "park" { "kill of a blocked guest" } else { "kill of a busy guest" },
                times,
            );
        }
    }
}

impl Bench<'_> {
    /// Busy processes of a container with a CPU limit, all but the first entered from outside, for ten
    /// seconds: what they get by the container's account, and what the whole process used meanwhile.
    async fn limited(&mut self, millis: u64, processes: usize) {
        self.cpu_millis_max = Some(millis);
        let (container, _) = self.start(&["tool", "spin"], self.root()).await;
        self.cpu_millis_max = None;
        let (began, account, process) = (Instant::now(), container.cpu_time(), process_cpu());
        let argv = || vec!["tool".to_owned(), "spin".to_owned()];
        let others = (1..processes)
            .map(|_| container.exec(ExecSpec { argv: argv(), stdio: Stdio::default() }));
        // They end with the container only.
        let _ = tokio::time::timeout(LIMITED_TIME, async {
            futures::future::join_all(others).await;
            std::future::pending::<()>().await;
        })
        .await;
        let took = began.elapsed().as_secs_f64();
        let share = |used: Duration| used.as_secs_f64() / took * 1000.0;
        let own = share(container.cpu_time() - account);
        let all = share(process_cpu() - process);
        println!(
            "CPU limit {millis:>4}m, {processes} processes, 10 s        {own:>8.0}m  all of sampan {all:.0}m"
        );
        container.kill(9);
        container.wait().await;
    }
}

const LIMITED_TIME: Duration = Duration::from_secs(10);

/// CPU time of this process; nothing where the platform does not tell.
fn process_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = fields.split_whitespace().skip(11).take(2);
    Duration::from_millis(ticks.filter_map(|text| text.parse::<u64>().ok()).sum::<u64>() * 10)
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("{what:<40} p50 {:>9.1?}  p99 {:>9.1?}  n {}", at(50), at(99), times.len());
}

/// Resident memory and page tables of this process; 0 where the platform does not tell.
fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| -> i64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
    };
    field("VmRSS:") + field("VmPTE:")
}
