//! wasi:sockets/ip-name-lookup: names as the Pod's resolver finds them.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{
    Host, HostResolveAddressStream, ResolveAddressStream,
};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketResult, subscribe};

use crate::node::network::ResolveError;
use crate::node::runtime::process::Process;

/// The longest name of the DNS, in characters.
const NAME_MAX: usize = 253;

type Pending = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, ResolveError>> + Send>>;

enum Lookup {
    Pending(Pending),
    Found(std::vec::IntoIter<IpAddr>),
    Failed(ResolveError),
}

impl Lookup {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Pending(pending) = self {
            let found = std::task::ready!(pending.as_mut().poll(cx));
            *self = match found {
                Ok(addresses) => Self::Found(addresses.into_iter()),
                Err(error) => Self::Failed(error),
            };
        }
        Poll::Ready(())
    }
}

impl Host for Process {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        self.check(&network)?;
        let network = self.network()?;
        if !is_name(&name) {
            return Err(ErrorCode::InvalidArgument.into());
        }
        let pending = async move { network.resolve(&name).await };
        let mut lookup = Lookup::Pending(Box::pin(pending));
        // The cluster's own names are known at once.
        let _ = lookup.poll(&mut Context::from_waker(Waker::noop()));
        Ok(Resource::new_own(self.table.push(lookup)?.rep()))
    }
}

impl HostResolveAddressStream for Process {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> SocketResult<Option<IpAddress>> {
        let lookup = self.table.get_mut(&ours(&stream))?;
        let _ = lookup.poll(&mut Context::from_waker(Waker::noop()));
        match lookup {
            Lookup::Pending(_) => Err(ErrorCode::WouldBlock.into()),
            Lookup::Found(addresses) => Ok(addresses.next().map(IpAddress::from)),
            Lookup::Failed(ResolveError::NotFound) => Err(ErrorCode::NameUnresolvable.into()),
            Lookup::Failed(ResolveError::TryAgain) => {
                Err(ErrorCode::TemporaryResolverFailure.into())
            }
            Lookup::Failed(ResolveError::Invalid) => Err(ErrorCode::InvalidArgument.into()),
        }
    }

    fn subscribe(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(&mut self.table, ours(&stream))
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Lookup>::new_own(stream.rep()))?;
        Ok(())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
    }
}

fn ours(stream: &Resource<ResolveAddressStream>) -> Resource<Lookup> {
    Resource::new_borrow(stream.rep())
}

/// Whether it can be a name or an address at all.
fn is_name(name: &str) -> bool {
    let is_of_one = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'[' | b']');
    !name.is_empty()
        && name.trim_end_matches('.').len() <= NAME_MAX
        && name.bytes().all(|byte| is_of_one(byte) || !byte.is_ascii())
}
