//! Echoes, which the network answers itself: there is no kernel under a Pod that would.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;

use super::pipe::Pipe;
use super::policy::Asked;
use super::{DATAGRAM_BYTES_MAX, Error, PodNetwork};

/// Why nothing came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PingError {
    #[error("Destination Host Unreachable")]
    Unreachable,
    #[error("no answer in time")]
    TimedOut,
    #[error("the cluster's egress rules are against it")]
    Denied,
    /// Only TCP and UDP reach what is outside the cluster.
    #[error("the address is outside the cluster")]
    Unsupported,
}

impl PodNetwork {
    /// Sends so many bytes (at most [`DATAGRAM_BYTES_MAX`]) there and back, through the queues that
    /// connections use, and answers how long it took. A Service's address answers, as kube-proxy's
    /// does in ipvs mode (in iptables mode it does not): who pings one wants to know if it is there.
    ///
    /// # Errors
    /// See [`PingError`].
    pub async fn ping(
        &self,
        address: IpAddr,
        bytes: usize,
        timeout: Duration,
    ) -> Result<Duration, PingError> {
        let network = &self.0.network;
        let clock = network.clock();
        let begin = clock.monotonic();
        match self.check_echo(address.to_canonical()) {
            // What a policy is against is swallowed, as connections are.
            Err(PingError::TimedOut) => {
                clock.sleep_until(begin + timeout).await;
                return Err(PingError::TimedOut);
            }
            checked => checked?,
        }
        let payload = Bytes::from(vec![0; bytes.min(DATAGRAM_BYTES_MAX)]);
        tokio::select! {
            biased;
            passed = self.there_and_back(payload) => passed.map_err(|_| PingError::Unreachable)?,
            () = clock.sleep_until(begin + timeout) => return Err(PingError::TimedOut),
        }
        Ok(clock.monotonic().saturating_sub(begin))
    }

    async fn there_and_back(&self, payload: Bytes) -> Result<(), Error> {
        let len = payload.len().max(1);
        let mut payload = if payload.is_empty() { Bytes::from_static(&[0]) } else { payload };
        for _ in 0..2 {
            let way = Pipe::new(self.0.buffered.clone());
            way.try_write(&mut payload)?;
            tokio::task::yield_now().await;
            payload = way.try_read(len)?.unwrap_or_default();
        }
        Ok(())
    }

    fn check_echo(&self, address: IpAddr) -> Result<(), PingError> {
        let network = &self.0.network;
        if self.0.check_local(address).is_ok() {
            return Ok(());
        }
        match address {
            IpAddr::V4(ip) if network.is_of_pods(ip) => {
                let pod = network.pod(ip).ok_or(PingError::Unreachable)?;
                network.decide(&self.0, &pod, Asked::Echo).map_err(|_| PingError::TimedOut)
            }
            _ if network.routes().leads_from(address) => Ok(()),
            IpAddr::V4(ip) if network.is_of_services(ip) => Err(PingError::Unreachable),
            _ => match network.config().egress.check(SocketAddr::new(address, 0)) {
                Ok(()) => Err(PingError::Unsupported),
                Err(Error::Denied) => Err(PingError::Denied),
                Err(_) => Err(PingError::Unreachable),
            },
        }
    }
}
