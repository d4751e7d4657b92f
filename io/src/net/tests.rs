//! Sockets on both drivers.

use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::testing::on_each;
use crate::time::{now, sleep, timeout};
use crate::{spawn, spawn_join};

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// Both ends of one connection.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(loopback(), Options::default()).unwrap();
    let addr = listener.local_addr();
    let accepted = spawn_join(async move { listener.accept().await.unwrap().0 });
    let client = TcpStream::connect(addr).await.unwrap();
    (client, accepted.await)
}

#[test]
fn a_read_appends_behind_what_the_buffer_holds_and_never_grows_it() {
    on_each(|_| async {
        let (client, server) = pair().await;
        client.set_nodelay(true).unwrap();
        client.write_all(b"hello world".to_vec()).await.0.unwrap();
        let mut buf = Vec::with_capacity(16);
        buf.extend_from_slice(b"POST ");
        let (room, at) = (buf.capacity(), buf.as_ptr());
        while buf.len() < 16 {
            let (got, back) = server.read(buf).await;
            buf = back;
            assert!(got.unwrap() > 0);
        }
        assert_eq!(buf, b"POST hello world");
        assert_eq!((buf.capacity(), buf.as_ptr()), (room, at));
        let full = server.read(buf).await;
        assert_eq!(full.0.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        client.shutdown().unwrap();
        let (end, _) = server.read(Vec::with_capacity(1)).await;
        assert_eq!(end.unwrap(), 0);
    });
}

#[test]
fn large_bodies_pass_whole_in_both_directions_at_once() {
    const SIZE: usize = 8 << 20;
    on_each(|_| async {
        let (client, server) = pair().await;
        let body: Vec<u8> = (0..SIZE).map(|i| (i % 251) as u8).collect();
        for end in [server.clone(), client.clone()] {
            let sent = body.clone();
            spawn(async move {
                let (result, back) = end.write_all(sent).await;
                result.unwrap();
                assert_eq!(back.len(), SIZE);
                end.shutdown().unwrap();
            });
        }
        for end in [client, server] {
            let mut got = Vec::with_capacity(SIZE + 1);
            loop {
                let (count, back) = end.read(got).await;
                got = back;
                if count.unwrap() == 0 {
                    break;
                }
            }
            assert!(got == body, "the body changed on its way");
        }
    });
}

#[test]
fn a_peer_that_leaves_is_noticed() {
    on_each(|_| async {
        let (client, server) = pair().await;
        assert!(!server.is_peer_closed());
        drop(client);
        timeout(Duration::from_secs(5), server.peer_closed()).await.unwrap();
        // Writing to it returns an error and raises no signal.
        let mut result = Ok(());
        for _ in 0..100 {
            result = server.write_all(vec![0; 65536]).await.0;
            if result.is_err() {
                break;
            }
        }
        assert!(result.is_err());
    });
}

#[test]
fn a_read_given_up_does_not_keep_the_connection_open() {
    on_each(|_| async {
        let (client, server) = pair().await;
        let given_up = timeout(Duration::from_millis(10), server.read(Vec::with_capacity(8))).await;
        assert!(given_up.is_err());
        drop(server);
        let end = timeout(Duration::from_secs(5), client.read(Vec::with_capacity(8))).await;
        assert_eq!(end.unwrap().0.unwrap(), 0);
    });
}

#[test]
fn abort_ends_a_read_in_flight() {
    on_each(|_| async {
        let (_client, server) = pair().await;
        let reader = server.clone();
        let reading = spawn_join(async move { reader.read(Vec::with_capacity(8)).await.0 });
        sleep(Duration::from_millis(5)).await;
        server.abort().unwrap();
        let end = timeout(Duration::from_secs(5), reading).await.unwrap();
        assert!(matches!(end, Ok(0) | Err(_)));
    });
}

#[test]
fn an_address_in_use_is_said_so_unless_the_port_is_shared() {
    on_each(|_| async {
        let first = TcpListener::bind(loopback(), Options::default()).unwrap();
        let refused = TcpListener::bind(first.local_addr(), Options::default()).unwrap_err();
        assert!(matches!(refused, IoError::AddressInUse { addr } if addr == first.local_addr()));
        let text = refused.to_string();
        assert!(text.contains("already in use") && text.contains("ss -ltnp"), "{text}");

        let share = Options { reuse_port: true, ..Options::default() };
        let first = TcpListener::bind(loopback(), share).unwrap();
        let second = TcpListener::bind(first.local_addr(), share).unwrap();
        assert_eq!(first.local_addr(), second.local_addr());

        let foreign = TcpListener::bind("192.0.2.1:0".parse().unwrap(), Options::default());
        assert!(foreign.unwrap_err().to_string().contains("no interface"));
        let nobody = first.local_addr();
        drop((first, second));
        let text = TcpStream::connect(nobody).await.unwrap_err().to_string();
        assert!(text.contains(&nobody.to_string()), "{text}");
    });
}

#[test]
fn a_reserved_address_is_shared_by_the_cores_and_by_nobody_else() {
    on_each(|_| async {
        let reserved = Reservation::take(loopback()).unwrap();
        let share = Options { reuse_port: true, ..Options::default() };
        let cores: Vec<_> =
            (0..2).map(|_| TcpListener::bind(reserved.addr(), share).unwrap()).collect();
        // Another process finds the address taken, and the reservation gets no connections.
        let second = Reservation::take(reserved.addr()).unwrap_err();
        assert!(matches!(second, IoError::AddressInUse { .. }), "{second}");
        for listener in cores {
            spawn(async move { while listener.accept().await.is_ok() {} });
        }
        for _ in 0..50 {
            let stream = TcpStream::connect(reserved.addr()).await.unwrap();
            let end = timeout(Duration::from_secs(5), stream.read(Vec::with_capacity(1))).await;
            assert!(end.is_ok(), "nobody accepted");
        }
    });
}

#[test]
fn names_are_resolved_and_what_is_none_is_named() {
    on_each(|_| async {
        let found = resolve("localhost:7201").await.unwrap();
        assert!(found.iter().all(|addr| addr.port() == 7201 && addr.ip().is_loopback()));
        assert_eq!(resolve("[::1]:1").await.unwrap(), ["[::1]:1".parse().unwrap()]);
        let text = resolve("localhost").await.unwrap_err().to_string();
        assert!(text.contains("\"localhost\"") && text.contains("HOST:PORT"), "{text}");
    });
}

#[test]
fn accept_errors_are_sorted_by_what_to_do() {
    let sort = |code| AcceptError::sort(io::Error::from_raw_os_error(code));
    assert!(matches!(sort(libc::EMFILE), AcceptError::Exhausted(_)));
    assert!(sort(libc::EMFILE).to_string().contains("ulimit -n"));
    assert!(matches!(sort(libc::ECONNABORTED), AcceptError::Connection(_)));
    assert!(matches!(sort(libc::EBADF), AcceptError::Listener(_)));
}

#[test]
fn a_peer_that_always_has_more_leaves_time_for_others() {
    on_each(|_| async {
        let (client, server) = pair().await;
        let stop = Rc::new(std::cell::Cell::new(false));
        let (feeding, reading) = (Rc::clone(&stop), Rc::clone(&stop));
        spawn(async move {
            let mut buf = vec![1u8; 65536];
            while !feeding.get() {
                let (result, back) = client.write_all(buf).await;
                buf = back;
                if result.is_err() {
                    break;
                }
            }
        });
        spawn(async move {
            let mut buf = Vec::with_capacity(1);
            while !reading.get() {
                buf.clear();
                let (result, back) = server.read(buf).await;
                buf = back;
                if result.is_err() {
                    break;
                }
            }
        });
        let mut took = Vec::new();
        for _ in 0..21 {
            let start = now();
            sleep(Duration::from_millis(5)).await;
            took.push(now().since(start));
        }
        stop.set(true);
        // A single one may be late because the machine was busy. If the core starves them, all are.
        took.sort();
        assert!(took[10] < Duration::from_millis(500), "5 ms timers took {took:?}");
    });
}

#[test]
fn datagrams_arrive_with_their_sender() {
    on_each(|_| async {
        let (a, b) = (
            UdpSocket::bind(loopback(), Options::default()).unwrap(),
            UdpSocket::bind(loopback(), Options::default()).unwrap(),
        );
        let (sent, _) = a.send_to(b"stat:1|c".to_vec(), b.local_addr()).await;
        assert_eq!(sent.unwrap(), 8);
        let mut buf = Vec::with_capacity(100);
        buf.push(b'>');
        let (got, buf) = b.recv_from(buf).await;
        assert_eq!(got.unwrap(), (8, a.local_addr()));
        assert_eq!(buf, b">stat:1|c");
    });
}
