//! Sockets and waiting.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use simple_dns::{RCODE, TYPE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tracing::{debug, error};

use super::answer::{Verdict, Zone, answer};
use super::message::{Answer, Data, Query, Record};
use crate::node::network::{DNS_PORT, ResolveError, Stream, UdpSocket};
use crate::node::proxy::start::Context;

/// The host's resolver gets so long; then the client is told to try again.
const OUTSIDE_TIMEOUT: Duration = Duration::from_secs(5);
/// For how long its answers hold: it does not say. CoreDNS' cache keeps answers as long.
const OUTSIDE_TTL_SECONDS: u32 = 30;
/// Bound: connections by TCP at once; each costs a message of at most 64 KiB.
const CONNECTIONS_MAX: usize = 1024;
/// A connection on which nothing comes is closed after this time.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// What all questions share.
struct Server {
    ctx: Arc<Context>,
    zone: Zone,
}

/// Answers at the node's address, port 53, by UDP and TCP, until the proxy stops.
pub(in crate::node::proxy) async fn serve(ctx: Arc<Context>) {
    let config = ctx.rooms.network.config();
    let zone = Zone {
        domain: config.cluster_domain.clone(),
        networks: vec![config.pods, config.services],
    };
    let stop = ctx.stop.clone();
    let server = Arc::new(Server { ctx, zone });
    tokio::select! {
        () = stop.cancelled() => {}
        ((), ()) = async { tokio::join!(datagrams(&server), connections(&server)) } => {}
    }
}

impl Server {
    fn address(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.ctx.gateway.address()), DNS_PORT)
    }

    fn answer(&self, query: &Query) -> Verdict {
        answer(query, self.ctx.rooms.network.names(), &self.zone)
    }

    /// Adds what the host's resolver knows of a name. A client that has many such questions open is
    /// told that this one failed.
    async fn ask_outside(
        &self,
        query: &Query,
        name: &str,
        mut answer: Answer,
        client: SocketAddr,
    ) -> Answer {
        let asks_for_addresses = query.is_for(TYPE::A) || query.is_for(TYPE::AAAA);
        if !asks_for_addresses {
            // The host's resolver answers addresses only. A lie, but one that ends the search.
            return answer;
        }
        let (clock, network) = (&self.ctx.rooms.clock, &self.ctx.rooms.network);
        let pod = match client.ip() {
            IpAddr::V4(ip) => network.member(ip),
            IpAddr::V6(_) => None,
        };
        let Some(lookup) = pod.and_then(|pod| pod.begin_lookup()) else {
            return Answer::failed(RCODE::ServerFailure);
        };
        let found = tokio::select! {
            found = network.resolve_outside(lookup, name) => found,
            () = clock.sleep(OUTSIDE_TIMEOUT) => Err(ResolveError::TryAgain),
        };
        match found {
            Ok(addresses) => {
                let data = addresses.into_iter().filter_map(|ip| match ip {
                    IpAddr::V4(ip) => query.is_for(TYPE::A).then_some(Data::A(ip)),
                    IpAddr::V6(ip) => query.is_for(TYPE::AAAA).then_some(Data::Aaaa(ip)),
                });
                let record =
                    |data| Record { name: name.to_owned(), ttl_seconds: OUTSIDE_TTL_SECONDS, data };
                answer.records.extend(data.map(record));
            }
            Err(ResolveError::TryAgain) => answer.code = RCODE::ServerFailure,
            Err(ResolveError::NotFound | ResolveError::Invalid) => answer.code = RCODE::NameError,
        }
        answer
    }
}

async fn datagrams(server: &Arc<Server>) {
    let socket = match server.ctx.gateway.udp(server.address()) {
        Ok(socket) => Arc::new(socket),
        Err(error) => return error!(%error, "Cannot answer DNS questions by UDP"),
    };
    loop {
        match socket.recv().await {
            Ok((bytes, client)) => datagram(server, &socket, &bytes, client),
            Err(crate::node::network::Error::Down) => return,
            Err(error) => debug!(%error, "A DNS answer did not arrive"),
        }
    }
}

fn datagram(server: &Arc<Server>, socket: &Arc<UdpSocket>, bytes: &Bytes, client: SocketAddr) {
    let query = match Query::parse(bytes) {
        Ok(query) => query,
        Err(reply) => return reply.into_iter().for_each(|reply| send(socket, reply, client)),
    };
    match server.answer(&query) {
        Verdict::Answered(answer) => send(socket, query.datagram(&answer), client),
        Verdict::Outside { name, answer } => {
            let (server, socket) = (server.clone(), socket.clone());
            let (tasks, stop) = (server.ctx.tasks.clone(), server.ctx.stop.clone());
            // Bound: the client's share of lookups; a question beyond it ends at once.
            tasks.spawn(async move {
                let asking = server.ask_outside(&query, &name, answer, client);
                if let Some(answer) = stop.run_until_cancelled(asking).await {
                    send(&socket, query.datagram(&answer), client);
                }
            });
        }
    }
}

fn send(socket: &UdpSocket, reply: Vec<u8>, client: SocketAddr) {
    if let Err(error) = socket.send(reply.into(), Some(client)) {
        debug!(%client, %error, "A DNS answer was not sent");
    }
}

async fn connections(server: &Arc<Server>) {
    let listener = match server.ctx.gateway.listen(server.address()) {
        Ok(listener) => listener,
        Err(error) => return error!(%error, "Cannot answer DNS questions by TCP"),
    };
    let open = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(stream) = listener.accept().await {
        let Ok(permit) = open.clone().try_acquire_owned() else {
            stream.reset();
            continue;
        };
        let server = server.clone();
        let (tasks, stop) = (server.ctx.tasks.clone(), server.ctx.stop.clone());
        tasks.spawn(async move {
            stop.run_until_cancelled(connection(&server, stream)).await;
            drop(permit);
        });
    }
}

/// One question after another, each with its length before it.
async fn connection(server: &Server, mut stream: Stream) {
    let clock = &server.ctx.rooms.clock;
    let client = stream.peer_address();
    loop {
        let read = async {
            let length = stream.read_u16().await?;
            let mut bytes = vec![0; length.into()];
            stream.read_exact(&mut bytes).await.map(|_| bytes)
        };
        let bytes = tokio::select! {
            read = read => read,
            () = clock.sleep(IDLE_TIMEOUT) => return,
        };
        let Ok(bytes) = bytes else { return };
        let reply = match Query::parse(&bytes) {
            Err(None) => return,
            Err(Some(reply)) => reply,
            Ok(query) => {
                let answer = match server.answer(&query) {
                    Verdict::Answered(answer) => answer,
                    Verdict::Outside { name, answer } => {
                        server.ask_outside(&query, &name, answer, client).await
                    }
                };
                query.reply(&answer, u16::MAX.into())
            }
        };
        let length = u16::try_from(reply.len()).unwrap_or(u16::MAX);
        let framed = [&length.to_be_bytes()[..], &reply].concat();
        let written = tokio::select! {
            written = stream.write_all(&framed) => written,
            () = clock.sleep(IDLE_TIMEOUT) => return,
        };
        if written.is_err() {
            return;
        }
    }
}
