//! Addresses by Pod uid.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;

use parking_lot::Mutex;

/// Addresses per block; a node takes a block when those it has are used up.
const BLOCK: u32 = 256;

/// Which Pod has which address of the cluster's Pod network, 10.42.0.0/16.
///
/// Blocks of /24 are taken as needed, 256 at most. The first two addresses of a block (its name and
/// its gateway's) and the last are never given out. A released address is given out again only when
/// no fresh one is left, the longest released first, so that nobody's old connection reaches a
/// stranger.
#[derive(Debug)]
pub struct AddressBook(Mutex<Pages>);

#[derive(Debug)]
struct Pages {
    /// Offset in the network of the next address never given out.
    fresh: u32,
    by_uid: HashMap<String, Ipv4Addr>,
    released: VecDeque<Ipv4Addr>,
}

/// 10.42.0.0/16.
const NETWORK: u32 = u32::from_be_bytes([10, 42, 0, 0]);
const NETWORK_SIZE: u32 = 256 * BLOCK;

impl AddressBook {
    pub fn new() -> Self {
        Self(Mutex::new(Pages { fresh: 0, by_uid: HashMap::new(), released: VecDeque::new() }))
    }

    /// The Pod's address: the one it has, or a new one; `None` when all 64,768 are in use.
    pub fn allocate(&self, uid: &str) -> Option<Ipv4Addr> {
        let mut pages = self.0.lock();
        if let Some(address) = pages.by_uid.get(uid) {
            return Some(*address);
        }
        let address = pages.next()?;
        pages.by_uid.insert(uid.to_owned(), address);
        Some(address)
    }

    /// Takes the Pod's address back; nothing happens if it has none.
    pub fn release(&self, uid: &str) {
        let mut pages = self.0.lock();
        if let Some(address) = pages.by_uid.remove(uid) {
            pages.released.push_back(address);
        }
    }

    /// The first block, for `spec.podCIDR`.
    pub fn cidr(&self) -> String {
        format!("{}/24", Ipv4Addr::from(NETWORK))
    }
}

impl Default for AddressBook {
    fn default() -> Self {
        Self::new()
    }
}

impl Pages {
    fn next(&mut self) -> Option<Ipv4Addr> {
        while self.fresh < NETWORK_SIZE {
            let offset = self.fresh;
            self.fresh += 1;
            let in_block = offset % BLOCK;
            if (2..BLOCK - 1).contains(&in_block) {
                return Some(Ipv4Addr::from(NETWORK + offset));
            }
        }
        self.released.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_pod_keeps_its_address_until_it_is_released() {
        let book = AddressBook::new();
        assert_eq!(book.allocate("a"), Some(Ipv4Addr::new(10, 42, 0, 2)));
        assert_eq!(book.allocate("a"), Some(Ipv4Addr::new(10, 42, 0, 2)));
        assert_eq!(book.allocate("b"), Some(Ipv4Addr::new(10, 42, 0, 3)));
        book.release("a");
        book.release("a");
        assert_eq!(book.allocate("a"), Some(Ipv4Addr::new(10, 42, 0, 4)));
    }

    #[test]
    fn blocks_are_taken_as_needed_and_addresses_are_distinct() {
        let book = AddressBook::new();
        let addresses: HashSet<Ipv4Addr> =
            (0..1_000).map(|n| book.allocate(&n.to_string()).expect("a free address")).collect();
        assert_eq!(addresses.len(), 1_000);
        assert!(addresses.iter().all(|a| !matches!(a.octets()[3], 0 | 1 | 255)));
        assert!(addresses.contains(&Ipv4Addr::new(10, 42, 1, 2)));
    }

    #[test]
    fn the_longest_released_is_reused_when_nothing_fresh_is_left() {
        let book = AddressBook::new();
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
