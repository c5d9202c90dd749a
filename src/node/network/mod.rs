//! The Pods' network. So far the address book: which Pod has which address.
//!
//! Enter by [`AddressBook::allocate`].

mod address_book;

pub use address_book::AddressBook;
