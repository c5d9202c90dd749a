//! sampan:network/tls.

use wasmtime::component::Resource;

use super::session::Session;
use super::wit::tls::{self, Error, Options};
use crate::node::runtime::process::Process;

/// Bound: TLS connections of a process at a time. Each may hold a bundle of authorities (1 MiB) and
/// rustls' buffers (less than 0.3 MiB).
const CONNECTIONS_MAX: usize = 64;

type Connection = Resource<ClientConnection>;

/// `None` while it is away on a thread that may wait, and for good if it does not come back.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct ClientConnection(Option<Box<Session>>);

impl Process {
    fn tls_session(&mut self, connection: &Connection) -> wasmtime::Result<&mut Session> {
        let session = self.table.get_mut(connection)?.0.as_deref_mut();
        session.ok_or_else(|| wasmtime::Error::msg("a TLS connection broke off on its thread"))
    }
}

impl tls::Host for Process {}

impl tls::HostClientConnection for Process {
    async fn open(
        &mut self,
        server_name: String,
        options: Options,
    ) -> wasmtime::Result<Result<Connection, Error>> {
        if self.tls_connections >= CONNECTIONS_MAX {
            return Ok(Err(Error::Limit));
        }
        // The host's certificates may have to be read from disk.
        let opened = tokio::task::spawn_blocking(|| Session::open(server_name, options)).await?;
        let session = match opened {
            Ok(session) => session,
            Err(error) => return Ok(Err(error)),
        };
        let Ok(connection) = self.table.push(ClientConnection(Some(Box::new(session)))) else {
            return Ok(Err(Error::Limit));
        };
        self.tls_connections += 1;
        Ok(Ok(connection))
    }

    fn output(&mut self, connection: Connection) -> wasmtime::Result<Vec<u8>> {
        Ok(self.tls_session(&connection)?.output())
    }

    async fn input(
        &mut self,
        connection: Connection,
        bytes: Vec<u8>,
    ) -> wasmtime::Result<Result<u32, Error>> {
        let session = self.tls_session(&connection)?;
        let taken = if session.is_handshaking() {
            // The systems that judge certificates themselves may ask the network about them.
            let session = self.table.get_mut(&connection)?.0.take();
            let mut session = session.ok_or_else(|| wasmtime::Error::msg("no session"))?;
            let taken = tokio::task::spawn_blocking(move || {
                let taken = session.input(&bytes);
                (session, taken)
            });
            let (session, taken) = taken.await?;
            self.table.get_mut(&connection)?.0 = Some(session);
            taken
        } else {
            session.input(&bytes)
        };
        Ok(taken.map(|count| u32::try_from(count).unwrap_or(u32::MAX)))
    }

    fn session(&mut self, connection: Connection) -> wasmtime::Result<Option<tls::Session>> {
        Ok(self.tls_session(&connection)?.facts())
    }

    fn read(&mut self, connection: Connection, len: u32) -> wasmtime::Result<Option<Vec<u8>>> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        Ok(self.tls_session(&connection)?.read(len))
    }

    fn write(&mut self, connection: Connection, bytes: Vec<u8>) -> wasmtime::Result<u32> {
        let taken = self.tls_session(&connection)?.write(&bytes);
        Ok(u32::try_from(taken).unwrap_or(u32::MAX))
    }

    fn close_output(&mut self, connection: Connection) -> wasmtime::Result<()> {
        self.tls_session(&connection)?.close_output();
        Ok(())
    }

    fn drop(&mut self, connection: Connection) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        self.tls_connections -= 1;
        Ok(())
    }
}
