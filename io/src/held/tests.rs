//! Addresses and directories that are given up after a while, or never.

use std::net::{SocketAddr, TcpListener};

use super::*;
use crate::blocking::lock_dir;
use crate::net::Reservation;
use m3_testing::TempDir;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

#[test]
fn what_is_given_up_is_taken_then() {
    let dir = TempDir::new("io");
    let lock = lock_dir(dir.path()).unwrap();
    let (holder, addr) = listener();
    let mut tries = 0;
    let mut held = Some((lock, holder));
    let mut patience = Patience::new(LONG);
    let lock = patience.until_free(|| {
        tries += 1;
        if tries == 3 {
            held = None;
        }
        lock_dir(dir.path())
    });
    assert_eq!(tries, 3);
    let reserved = patience.until_free(|| Reservation::take(addr)).unwrap();
    assert_eq!(reserved.addr(), addr);
    drop(lock.unwrap());
}

#[test]
fn who_holds_on_is_named_with_the_time_waited() {
    let (_holder, addr) = listener();
    let mut patience = Patience::new(SHORT);
    let refused = patience.until_free(|| Reservation::take(addr)).unwrap_err();
    assert!(now().since(patience.begun) >= SHORT);
    let IoError::StillHeld { held, waited } = &refused else { panic!("{refused}") };
    assert!(matches!(**held, IoError::AddressInUse { addr: found } if found == addr));
    assert!(*waited >= SHORT);
    let text = refused.to_string();
    assert!(text.contains("already in use") && text.contains("(waited "), "{text}");

    // What was waited for the address is not waited again for the directory.
    let dir = TempDir::new("io");
    let _lock = lock_dir(dir.path()).unwrap();
    let mut tries = 0;
    let refused = patience.until_free(|| {
        tries += 1;
        lock_dir(dir.path())
    });
    assert!(matches!(refused, Err(IoError::StillHeld { .. })));
    assert_eq!(tries, 1);
}

#[test]
fn what_waiting_does_not_mend_is_said_at_once() {
    let mut patience = Patience::new(LONG);
    let dir = TempDir::new("io");
    let missing = patience.until_free(|| lock_dir(dir.path().join("none")));
    assert!(matches!(missing, Err(IoError::File(_))));
    // An address of a network that is for documents only.
    let foreign = "192.0.2.1:1".parse().unwrap();
    let refused = patience.until_free(|| Reservation::take(foreign));
    assert!(matches!(refused, Err(IoError::Bind { .. })));
    assert!(!patience.is_told);
}
