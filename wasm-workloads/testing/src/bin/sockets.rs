//! One act on std's sockets for each name in its first argument: what the network's tests look at.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

type Outcome = Result<(), Box<dyn Error>>;
type Act = fn(&[String]) -> Outcome;

const ACTS: &[(&str, Act)] = &[
    ("addresses", addresses),
    ("bulk", bulk),
    ("connect", connect),
    ("echo", echo),
    ("flood", flood),
    ("garbage", garbage),
    ("leave-unread", leave_unread),
    ("listen", listen),
    ("options", options),
    ("pingpong", pingpong),
    ("resolve", resolve),
    ("scan", scan),
    ("sink", sink),
    ("talk", talk),
    ("udp", udp),
    ("udp-echo", udp_echo),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let acts: BTreeMap<_, _> = ACTS.iter().copied().collect();
    let Some(act) = args.first().and_then(|name| acts.get(name.as_str())) else {
        eprintln!("sockets: one of {:?}", acts.keys());
        std::process::exit(2);
    };
    if let Err(error) = act(&args[1..]) {
        eprintln!("sockets: {error}");
        std::process::exit(1);
    }
}

fn argument(args: &[String], at: usize) -> Result<&str, String> {
    args.get(at).map(String::as_str).ok_or_else(|| format!("argument {} is missing", at + 1))
}

/// ADDRESS [COUNT]: echoes connections, one after another, to their ends.
fn echo(args: &[String]) -> Outcome {
    let listener = TcpListener::bind(argument(args, 0)?)?;
    println!("listening on {}", listener.local_addr()?);
    let count = args.get(1).map_or(Ok(usize::MAX), |count| count.parse())?;
    for stream in listener.incoming().take(count) {
        let mut stream = stream?;
        println!("from {}", stream.peer_addr()?.ip());
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => stream.write_all(&buffer[..read])?,
                Err(error) => {
                    println!("{:?}", error.kind());
                    break;
                }
            }
        }
    }
    Ok(())
}

/// ADDRESS TEXT: says it, half closes, prints the answer.
fn talk(args: &[String]) -> Outcome {
    let mut stream = TcpStream::connect(argument(args, 0)?)?;
    stream.write_all(argument(args, 1)?.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    println!("{} says {answer}", stream.peer_addr()?);
    Ok(())
}

/// ADDRESS...: what becomes of a connection to each.
fn connect(args: &[String]) -> Outcome {
    for address in args {
        match TcpStream::connect(address) {
            Ok(stream) => println!("{address} connected from {}", stream.local_addr()?.ip()),
            Err(error) => println!("{address} {:?}", error.kind()),
        }
    }
    Ok(())
}

/// ADDRESS SECONDS: what becomes of a connection if nobody waits longer.
fn scan(args: &[String]) -> Outcome {
    let address: SocketAddr = argument(args, 0)?.parse()?;
    let patience = Duration::from_secs_f64(argument(args, 1)?.parse()?);
    match TcpStream::connect_timeout(&address, patience) {
        Ok(_) => println!("open"),
        Err(error) => println!("{:?}", error.kind()),
    }
    Ok(())
}

/// ADDRESS...: what becomes of listening on each, while those before are held.
fn listen(args: &[String]) -> Outcome {
    let mut held = Vec::new();
    for address in args {
        match TcpListener::bind(address) {
            Ok(listener) => {
                println!("{address} bound {}", listener.local_addr()?.port() != 0);
                held.push(listener);
            }
            Err(error) => println!("{address} {:?}", error.kind()),
        }
    }
    let first = held.first().ok_or("nothing is bound")?.local_addr()?;
    held.clear();
    println!("again {}", TcpListener::bind(first).is_ok());
    Ok(())
}

/// Accepts one connection on ADDRESS and closes it with what was sent unread.
fn leave_unread(args: &[String]) -> Outcome {
    let listener = TcpListener::bind(argument(args, 0)?)?;
    println!("listening");
    let (stream, _) = listener.accept()?;
    let mut first = [0];
    stream.peek(&mut first).ok();
    drop(stream);
    Ok(())
}

/// ADDRESS: how a server that hangs up looks to one who goes on writing.
fn garbage(args: &[String]) -> Outcome {
    let mut stream = TcpStream::connect(argument(args, 0)?)?;
    let chunk = [0xff; 4096];
    let error = loop {
        if let Err(error) = stream.write_all(&chunk) {
            break error;
        }
    };
    println!("{:?}", error.kind());
    Ok(())
}

/// ADDRESS COUNT: opens so many connections and keeps them; then says how many it got and why no more.
fn flood(args: &[String]) -> Outcome {
    let address = argument(args, 0)?;
    let count: usize = argument(args, 1)?.parse()?;
    let mut held = Vec::new();
    let mut errors = BTreeMap::<String, usize>::new();
    for _ in 0..count {
        match TcpStream::connect(address) {
            Ok(stream) => held.push(stream),
            Err(error) => *errors.entry(format!("{:?}", error.kind())).or_default() += 1,
        }
    }
    println!("{} open, then {errors:?}", held.len());
    Ok(())
}

/// ADDRESS MEGABYTES: sends so much and prints how fast.
fn bulk(args: &[String]) -> Outcome {
    let mut stream = TcpStream::connect(argument(args, 0)?)?;
    let megabytes: usize = argument(args, 1)?.parse()?;
    let chunk = vec![0x5a; 1 << 20];
    let begin = Instant::now();
    for _ in 0..megabytes {
        stream.write_all(&chunk)?;
    }
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    println!("{} {}", String::from_utf8(answer)?, begin.elapsed().as_nanos());
    Ok(())
}

/// ADDRESS: counts one connection's bytes and answers their number.
fn sink(args: &[String]) -> Outcome {
    let listener = TcpListener::bind(argument(args, 0)?)?;
    println!("listening");
    let (mut stream, _) = listener.accept()?;
    let (mut buffer, mut total) = (vec![0; 1 << 20], 0_u64);
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            read => total += read as u64,
        }
    }
    stream.write_all(total.to_string().as_bytes())?;
    Ok(())
}

/// ADDRESS COUNT BYTES: so many round trips; prints nanoseconds for each.
fn pingpong(args: &[String]) -> Outcome {
    let mut stream = TcpStream::connect(argument(args, 0)?)?;
    let count: u32 = argument(args, 1)?.parse()?;
    let mut buffer = vec![0; argument(args, 2)?.parse()?];
    let begin = Instant::now();
    for _ in 0..count {
        stream.write_all(&buffer)?;
        stream.read_exact(&mut buffer)?;
    }
    println!("{}", begin.elapsed().as_nanos() / u128::from(count));
    Ok(())
}

/// NAME...: their addresses.
fn resolve(args: &[String]) -> Outcome {
    for name in args {
        match (name.as_str(), 80).to_socket_addrs() {
            Ok(found) => {
                let found: Vec<String> = found.map(|found| found.ip().to_string()).collect();
                println!("{name} {}", found.join(" "));
            }
            Err(error) => println!("{name}: {error}"),
        }
    }
    Ok(())
}

/// ADDRESS COUNT: echoes so many datagrams.
fn udp_echo(args: &[String]) -> Outcome {
    let socket = UdpSocket::bind(argument(args, 0)?)?;
    println!("bound");
    let mut buffer = vec![0; 65_536];
    for _ in 0..argument(args, 1)?.parse::<usize>()? {
        let (read, from) = socket.recv_from(&mut buffer)?;
        println!("{read} from {}", from.ip());
        socket.send_to(&buffer[..read], from)?;
    }
    Ok(())
}

/// ADDRESS TEXT...: sends each to it and prints what comes back; the first from an unconnected socket.
fn udp(args: &[String]) -> Outcome {
    let to: SocketAddr =
        argument(args, 0)?.to_socket_addrs()?.next().ok_or("the name has no address")?;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let mut buffer = vec![0; 65_536];
    for (index, text) in args[1..].iter().enumerate() {
        if index == 0 {
            socket.send_to(text.as_bytes(), to)?;
            let (read, from) = socket.recv_from(&mut buffer)?;
            println!("{from} says {}", String::from_utf8_lossy(&buffer[..read]));
            socket.connect(to)?;
            continue;
        }
        let answer = socket.send(text.as_bytes()).and_then(|_| socket.recv(&mut buffer));
        match answer {
            Ok(read) => println!("says {}", String::from_utf8_lossy(&buffer[..read])),
            Err(error) => println!("{:?}", error.kind()),
        }
    }
    match socket.send(&vec![0; 65_508]) {
        Err(error) => println!("{:?}", error.raw_os_error()),
        Ok(_) => println!("65508 bytes sent"),
    }
    Ok(())
}

/// What a socket says of itself.
fn options(_: &[String]) -> Outcome {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (server, from) = listener.accept()?;
    println!("{}", from == client.local_addr()? && from == server.peer_addr()?);
    client.set_nodelay(true)?;
    client.set_ttl(7)?;
    println!("{} {}", client.nodelay()?, client.ttl()?);
    client.set_nonblocking(true)?;
    let mut buffer = [0; 8];
    println!("{:?}", (&client).read(&mut buffer).map_err(|error| error.kind()));
    listener.set_nonblocking(true)?;
    println!("{:?}", listener.accept().map(drop).map_err(|error| error.kind()));
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(Duration::from_millis(20)))?;
    let timed_out = (&client).read(&mut buffer).map_err(|error| error.kind());
    println!("{}", matches!(timed_out, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)));
    drop(server);
    println!("{:?}", (&client).read(&mut buffer)?);
    Ok(())
}

/// The Pod's own: by listening on all and asking oneself.
fn addresses(_: &[String]) -> Outcome {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let port = listener.local_addr()?.port();
    let other = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    other.connect((Ipv4Addr::new(10, 42, 255, 1), 9))?;
    let own = other.local_addr()?.ip();
    println!("{own} {}", TcpStream::connect((own, port))?.peer_addr()?.ip() == own);
    Ok(())
}
