//! Addresses by Pod uid.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use parking_lot::Mutex;

/// Addresses per block; a node takes a block when those it has are used up.
const BLOCK: u32 = 256;

/// Which Pod has which address of the cluster's Pod network.
///
/// Blocks of /24 are taken as needed. The first two addresses of a block (its name and
/// its gateway's) and the last are never given out. A released address is given out again only when
/// no fresh one is left, the longest released first, so that nobody's old connection reaches a
/// stranger.
#[derive(Debug)]
pub struct AddressBook {
    network: Ipv4Net,
    pages: Mutex<Pages>,
}

#[derive(Debug)]
struct Pages {
    /// Offset in the network of the next address never given out.
    fresh: u32,
    by_uid: HashMap<String, Ipv4Addr>,
    released: VecDeque<Ipv4Addr>,
}

impl AddressBook {
    /// `network` has a /24 at least.
    pub fn new(network: Ipv4Net) -> Self {
        let pages = Pages { fresh: 0, by_uid: HashMap::new(), released: VecDeque::new() };
        Self { network, pages: Mutex::new(pages) }
    }

    /// The Pod's address: the one it has, or a new one; `None` when all are in use (of a /16, 64,768).
    pub fn allocate(&self, uid: &str) -> Option<Ipv4Addr> {
        let mut pages = self.pages.lock();
        if let Some(address) = pages.by_uid.get(uid) {
            return Some(*address);
        }
        let address = pages.next(self.network)?;
        pages.by_uid.insert(uid.to_owned(), address);
        Some(address)
    }

    /// Takes the Pod's address back; nothing happens if it has none.
    pub fn release(&self, uid: &str) {
        let mut pages = self.pages.lock();
        if let Some(address) = pages.by_uid.remove(uid) {
            pages.released.push_back(address);
        }
    }

    /// The first block, for `spec.podCIDR`.
    pub fn cidr(&self) -> String {
        format!("{}/24", self.network.network())
    }

    pub fn network(&self) -> Ipv4Net {
        self.network
    }
}

impl Pages {
    fn next(&mut self, network: Ipv4Net) -> Option<Ipv4Addr> {
        let first = u32::from(network.network());
        let size = u32::from(network.broadcast()) - first;
        while self.fresh < size {
            let offset = self.fresh;
            self.fresh += 1;
            let in_block = offset % BLOCK;
            if (2..BLOCK - 1).contains(&in_block) {
                return Some(Ipv4Addr::from(first + offset));
            }
        }
        self.released.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn book() -> AddressBook {
        AddressBook::new(Ipv4Net::new_assert(Ipv4Addr::new(10, 42, 0, 0), 16))
    }

    #[test]
    fn a_pod_keeps_its_address_until_it_is_released() {
        let book = book();
        assert_eq!(book.allocate("a"), Some(Ipv4Addr::new(10, 42, 0, 2)));
        assert_eq!(book.allocate("a"), Some(Ipv4Addr::new(10, 42, 0, 2)));
        assert_eq!(book.allocate("b"), Some(Ipv4Addr::new(10, 42, 0, 3)));
        book.release("a");
        book.release("a");
        assert_eq!(book.allocate("a"), Some(Ipv4Addr::new(10, 42, 0, 4)));
    }

    #[test]
    fn blocks_are_taken_as_needed_and_addresses_are_distinct() {
        let book = book();
        let addresses: HashSet<Ipv4Addr> =
            (0..1_000).map(|n| book.allocate(&n.to_string()).expect("a free address")).collect();
        assert_eq!(addresses.len(), 1_000);
        assert!(addresses.iter().all(|a| !matches!(a.octets()[3], 0 | 1 | 255)));
        assert!(addresses.contains(&Ipv4Addr::new(10, 42, 1, 2)));
    }

    #[test]
    fn the_longest_released_is_reused_when_nothing_fresh_is_left() {
        let book = book();
        let all = 256 * 253;
        for n in 0..all {
            assert!(book.allocate(&n.to_string()).is_some());
        }
        assert_eq!(book.allocate("one too many"), None);
        book.release("7");
        book.release("3");
        assert_eq!(book.allocate("x"), Some(Ipv4Addr::new(10, 42, 0, 9)));
        assert_eq!(book.allocate("y"), Some(Ipv4Addr::new(10, 42, 0, 5)));
        assert_eq!(book.allocate("z"), None);
    }
}
