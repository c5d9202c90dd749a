//! The pools that Services draw from.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use ipnet::Ipv4Net;

/// The addresses and node ports that a cluster gives to its Services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRanges {
    /// `--service-cidr`: at least sixteen addresses. The first is the API server's, the tenth DNS's.
    pub cluster_ips: Ipv4Net,
    /// `--service-node-port-range`
    pub node_ports: RangeInclusive<u16>,
}

impl Default for ServiceRanges {
    /// 10.43.0.0/16 and 30000-32767.
    fn default() -> Self {
        Self {
            cluster_ips: Ipv4Net::new_assert(Ipv4Addr::new(10, 43, 0, 0), 16),
            node_ports: 30_000..=32_767,
        }
    }
}

impl ServiceRanges {
    /// Where the API server answers: the Service `default/kubernetes`.
    pub fn api_server(&self) -> Ipv4Addr {
        self.nth(1)
    }

    /// Where names are resolved: the Service `kube-system/kube-dns`.
    pub fn dns(&self) -> Ipv4Addr {
        self.nth(10)
    }

    /// The address so many after the network's own.
    pub(super) fn nth(&self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.cluster_ips.network().to_bits().wrapping_add(offset))
    }

    /// How many addresses a Service can have: all but the network's own and the last.
    pub(super) fn addresses(&self) -> u32 {
        let bits = 32 - u32::from(self.cluster_ips.prefix_len());
        (1_u64 << bits).saturating_sub(2).try_into().unwrap_or(u32::MAX)
    }
}
