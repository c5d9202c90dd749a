//! The cluster's DNS server, at the node's address on the Pod network: `kube-dns`' only endpoint.
//!
//! Enter by [`serve`]. What a question is answered is decided purely ([`answer`]), from the table of
//! names that the proxy keeps; only names of the outside are asked of the host's resolver.
//!
//! Upstream: CoreDNS with the `kubernetes`, `forward` and `loadbalance` plugins, as kubeadm sets it up.

mod answer;
mod message;
mod server;

#[cfg(test)]
mod tests;

pub(super) use server::serve;
