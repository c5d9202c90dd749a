//! The cluster's front door for HTTP: requests from outside go where Ingresses send them.
//!
//! Enter by [`Door::start`]. Nothing listens until there is an Ingress of a class of ours. `table`
//! says where a request goes (pure), `forward` takes it there over the Pods' network, `certificates`
//! has what TLS needs, `start` follows the objects and holds the sockets.
//!
//! Upstream: `networking.k8s.io/v1` Ingress; how conflicts are settled is ingress-nginx's way: the
//! older Ingress wins, an exact path before prefixes, a longer prefix before a shorter one.

mod certificates;
mod forward;
mod serve;
mod start;
mod table;

pub use start::Config;
pub(crate) use start::{Door, Rooms};
