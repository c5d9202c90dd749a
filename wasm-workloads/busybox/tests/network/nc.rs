use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::server::closed_port;
use crate::{DEBIAN, OURS, agree, directory, ours, run};

/// Ours, or Debian's, with pipes at both ends.
fn start(program: &str, words: &[&str]) -> Child {
    Command::new(program)
        .arg("nc")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Connects as soon as somebody listens.
fn connect(port: u16) -> TcpStream {
    for _ in 0..500 {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            return stream;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("nobody listens on {port}");
}

#[test]
fn failures_are_told_in_debians_words() {
    let port = closed_port().to_string();
    agree(&["nc", "127.0.0.1", &port]);
    agree(&["nc", "-w", "1", "127.0.0.1", &port]);
    agree(&["nc", "nosuch.invalid", "80"]);
    agree(&["nc", "127.0.0.1", "abc"]);
    agree(&["nc", "-l", "-p", "70000"]);
}

#[test]
fn both_sides_are_heard_out() {
    for program in [OURS, DEBIAN] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let mut child = start(program, &["127.0.0.1", &port]);
        let (mut stream, _) = listener.accept().unwrap();
        child.stdin.as_mut().unwrap().write_all(b"question\n").unwrap();
        let mut buffer = [0; 9];
        stream.read_exact(&mut buffer).unwrap();
        stream.write_all(b"answer\n").unwrap();
        let mut heard = [0; 7];
        child.stdout.as_mut().unwrap().read_exact(&mut heard).unwrap();
        assert_eq!((&buffer, &heard), (b"question\n", b"answer\n"), "{program}");
        // The end of the input is told, and what the peer still says is heard.
        drop(child.stdin.take());
        assert_eq!(stream.read(&mut buffer).unwrap(), 0, "{program}");
        stream.write_all(b"farewell").unwrap();
        drop(stream);
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"farewell"[..]));
    }
}

#[test]
fn the_peers_end_is_the_end() {
    for program in [OURS, DEBIAN] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let mut child = start(program, &["127.0.0.1", &port]);
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"bye\n").unwrap();
        drop(stream);
        // Its input is still open.
        assert_eq!(child.wait().unwrap().code(), Some(0), "{program}");
        let mut heard = String::new();
        child.stdout.take().unwrap().read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "bye\n", "{program}");
    }
}

#[test]
fn an_echo_of_much_does_not_block() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::copy(&mut stream.try_clone().unwrap(), &mut stream).unwrap();
    });
    let much = "0123456789abcde\n".repeat(1 << 18);
    let mut child = start(OURS, &["127.0.0.1", &port]);
    let mut input = child.stdin.take().unwrap();
    let sent = much.clone();
    let writer = thread::spawn(move || input.write_all(sent.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout == much.as_bytes(), "{} bytes", output.stdout.len());
}

/// A child of nc's that listens already.
fn listening(words: &[&str]) -> (Child, String) {
    let port = closed_port().to_string();
    let mut child = start(OURS, &[&["-v", "-l", "-p", port.as_str()], words].concat());
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening"), "{line}");
    (child, port)
}

/// Runs it while its input is written, which may be more than a pipe holds.
fn feed(words: &[&str], input: &str) -> (Option<i32>, String) {
    let mut child = start(OURS, words);
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_program_may_answer_with_much() {
    let (mut server, port) = listening(&["-e", "cat"]);
    let much = "0123456789abcde\n".repeat(1 << 18);
    let (code, heard) = feed(&["127.0.0.1", &port], &much);
    assert!(code == Some(0) && heard == much, "{} bytes", heard.len());
    server.wait().unwrap();
}

#[test]
fn a_peer_that_says_nothing_hears_all() {
    let (mut server, port) = listening(&[]);
    drop(server.stdin.take());
    let mut sender = start(OURS, &["127.0.0.1", &port]);
    let mut stdin = sender.stdin.take().unwrap();
    let mut heard = BufReader::new(server.stdout.take().unwrap());
    for n in 0..3 {
        // Each after the one before has arrived: never is there more at hand.
        writeln!(stdin, "{n}").unwrap();
        let mut line = String::new();
        heard.read_line(&mut line).unwrap();
        assert_eq!(line, format!("{n}\n"));
    }
    drop(stdin);
    assert_eq!(sender.wait().unwrap().code(), Some(0));
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[test]
fn it_listens_once_or_for_ever() {
    let port = closed_port();
    for words in [&["-l", "-p"][..], &["-l"]] {
        let mut child = start(OURS, &[words, &[&port.to_string()]].concat());
        child.stdin.as_mut().unwrap().write_all(b"welcome\n").unwrap();
        let mut stream = connect(port);
        stream.write_all(b"hi\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((heard.as_str(), &output.stdout[..]), ("welcome\n", &b"hi\n"[..]));
        assert_eq!(output.status.code(), Some(0));
    }
    let mut child = start(OURS, &["-lk", "-p", &port.to_string(), "-v", "-e", "cat"]);
    for word in ["one", "two", "three"] {
        let mut stream = connect(port);
        // Somebody breaks off: what he was sent he does not read.
        let mut rude = connect(port);
        rude.write_all(&[b'x'; 100_000]).unwrap();
        drop(rude);
        stream.write_all(word.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, word);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines[0], format!("listening on 0.0.0.0:{port} ..."));
    assert!(
        lines[1].starts_with(&format!("connect to 127.0.0.1:{port} from 127.0.0.1:")),
        "{told}"
    );
}

#[test]
fn ports_are_tried() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let open = listener.local_addr().unwrap().port().to_string();
    let closed = closed_port().to_string();
    let ran = ours(&["nc", "-z", "127.0.0.1", &open]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let ran = ours(&["nc", "-zv", "127.0.0.1", &open]);
    assert_eq!(ran.stderr, format!("127.0.0.1 (127.0.0.1:{open}) open\n"));
    let ran = ours(&["nc", "-z", "127.0.0.1", &closed]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""));
    let ran = ours(&["nc", "-zv", "-w1", "127.0.0.1", &closed]);
    assert_eq!(ran.stderr, format!("nc: 127.0.0.1 (127.0.0.1:{closed}): Connection refused\n"));
    assert_eq!(ours(&["nc", "-z", "127.0.0.1", &format!("{open}-{open}")]).code, Some(0));
    let ran = ours(&["nc", "-zvu", "127.0.0.1", &closed]);
    assert_eq!(ran.stderr, format!("nc: 127.0.0.1 (127.0.0.1:{closed}): Connection refused\n"));
}

#[test]
fn patience_ends() {
    let port = closed_port().to_string();
    let ran = ours(&["nc", "-l", "-p", &port, "-w", "1"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), "nc: timeout\n"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    // The peer says nothing, and the input has ended.
    assert_eq!(ours(&["nc", "-w", "1", "127.0.0.1", &port]).code, Some(0));
}

#[test]
fn datagrams_go_both_ways() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port().to_string();
    let server = thread::spawn(move || {
        let mut buffer = [0; 100];
        let (n, peer) = socket.recv_from(&mut buffer).unwrap();
        socket.send_to(b"pong\n", peer).unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    });
    let ran = run(&[OURS], &["nc", "-u", "-w", "1", "127.0.0.1", &port], &directory(), "ping\n");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "pong\n"));
    assert_eq!(server.join().unwrap(), "ping\n");
}
