//! What clients on this machine do: ask by HTTP, and ask again and again.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// No answer takes longer.
pub(crate) const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);

/// The whole answer to a GET.
pub(crate) fn get(address: &str, host: &str, path: &str) -> io::Result<String> {
    let mut stream = connect(address)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A connection that does not wait forever.
pub(crate) fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    Ok(stream)
}

/// Several clients at once who ask until they are told to stop or fail.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<thread::JoinHandle<Option<String>>>,
}

impl Load {
    /// `client` is called once for each of them, and what it answers again and again.
    pub(crate) fn of<Ask>(clients: usize, client: impl Fn() -> Ask) -> Self
    where
        Ask: FnMut() -> io::Result<()> + Send + 'static,
    {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let start = |_| {
            let (stop, answered, mut ask) = (stop.clone(), answered.clone(), client());
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    match ask() {
                        Ok(()) => drop(answered.fetch_add(1, Ordering::Relaxed)),
                        Err(error) => return Some(error.to_string()),
                    }
                }
                None
            })
        };
        let clients = (0..clients).map(start).collect();
        Self { stop, answered, clients }
    }

    /// How many requests were answered, and why clients failed.
    pub(crate) fn end(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let failures = self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        (self.answered.load(Ordering::Relaxed), failures)
    }
}
