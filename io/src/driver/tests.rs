//! The choice of the driver, the texts for a refusal, and a process that may not create a ring.
#![expect(unsafe_code, reason = "installing a seccomp filter")]

use std::time::Duration;

use super::*;
use crate::runtime::tests::{SHORT, starve, storm};
use crate::testing::{is_child, on_two, run_child};
use crate::{CoreId, file, net, spawn, time};
use m3_testing::TempDir;

#[test]
fn the_three_words() {
    for word in ["auto", "io_uring", "epoll"] {
        assert_eq!(word.parse::<DriverChoice>().unwrap().to_string(), word);
    }
    let text = "uring".parse::<DriverChoice>().unwrap_err().to_string();
    assert_eq!(text, "unknown I/O driver \"uring\"; it is one of auto, io_uring, epoll");
}

#[test]
fn epoll_is_had_without_asking() {
    let report = probe(DriverChoice::Epoll, 1, 0).unwrap();
    assert_eq!((report.driver, report.remedy), (Driver::Epoll, None));
}

#[test]
fn every_refusal_names_its_cause_and_its_remedy() {
    let plain = || System { kernel: "6.1.0".into(), ..System::default() };
    let filtered = || System { filtered: true, disabled: Some(0), ..plain() };
    let disabled = |n| System { disabled: Some(n), ..plain() };
    let memlock = System { memlock: Some(65536), ..plain() };
    for (code, around, cause, cure) in [
        (libc::EPERM, filtered(), "seccomp filter", "--security-opt seccomp="),
        (libc::EPERM, disabled(2), "io_uring_disabled is 2", "sysctl -w"),
        (libc::EPERM, disabled(1), "privileged only", "io_uring_group"),
        (libc::EPERM, plain(), "EPERM", "security module"),
        (libc::ENOSYS, filtered(), "seccomp filter", "--security-opt seccomp="),
        (libc::ENOSYS, plain(), "kernel 6.1.0 has no io_uring", "Linux 5.11"),
        (libc::ENOMEM, memlock, "RLIMIT_MEMLOCK is 64 KiB", "--ulimit memlock=8388608"),
        (libc::EINVAL, plain(), "1024 entries on kernel 6.1.0", "1 to 32768"),
        (libc::EMFILE, plain(), "no file descriptors left", "ulimit -n"),
        (libc::EIO, plain(), "io_uring_setup", "dmesg"),
    ] {
        let error = std::io::Error::from_raw_os_error(code);
        let refusal = Refusal { step: "io_uring_setup", granted: 1, error };
        let (reason, remedy) = explain(&refusal, 4, 1024, &around);
        assert!(reason.contains(cause), "{reason}");
        assert!(remedy.contains(cure), "{remedy}");
    }
}

#[test]
fn fields_of_the_kernels_texts() {
    let text = "Name:\tx\nSeccomp:\t2\nMax locked memory         65536   65536   bytes\n";
    assert_eq!(field(text, "Seccomp:"), Some("2"));
    assert_eq!(field(text, "Max locked memory"), Some("65536"));
    assert_eq!(field(text, "Absent:"), None);
}

/// Forbids this thread and its children the three io_uring calls, as a container's default profile
/// does.
fn forbid_uring(errno: i32) {
    let stmt = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let jump =
        |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let allow = stmt(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW);
    let mut filter = [
        stmt(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        jump(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 425, 0, 2),
        jump(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, 427, 1, 0),
        stmt(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno as u32),
        allow,
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: plain integers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: the program and its filter outlive the call, which copies them.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

/// Does everything a node does, on the driver that is left.
fn everything_works(report: &DriverReport) {
    let dir = TempDir::new("io");
    let path = dir.path().join("state");
    on_two(report, move |core| {
        let path = path.with_extension(core.to_string());
        Box::pin(async move {
            file::replace_file(&path, b"kept".to_vec()).await.unwrap();
            assert_eq!(file::read_file(&path, 10).await.unwrap(), b"kept");
            let log = file::File::open_write(&path).await.unwrap();
            log.allocate(1 << 16).await.unwrap();
            log.write_all_at(vec![1; 200], 4).await.0.unwrap();
            log.sync_data().await.unwrap();
            log.close().await.unwrap();
            time::sleep(Duration::from_millis(5)).await;
            let any = "127.0.0.1:0".parse().unwrap();
            let listener = net::TcpListener::bind(any, net::Options::default()).unwrap();
            let addr = listener.local_addr();
            spawn(async move {
                let (stream, _) = listener.accept().await.unwrap();
                let (_, buf) = stream.read(Vec::with_capacity(10)).await;
                stream.write_all(buf).await.0.unwrap();
            });
            let stream = net::TcpStream::connect(addr).await.unwrap();
            stream.write_all(b"echo".to_vec()).await.0.unwrap();
            let (_, buf) = stream.read(Vec::with_capacity(10)).await;
            assert_eq!(buf, b"echo");
            assert!(core <= CoreId(1));
        })
    });
    storm(report, 512);
    starve(report, SHORT);
}

fn falls_back(name: &str, errno: i32) {
    if is_child(name) {
        forbid_uring(errno);
        let refused = probe(DriverChoice::IoUring, 2, 1024).unwrap_err().to_string();
        assert!(refused.contains("seccomp") && refused.contains("or epoll"), "{refused}");
        let report = probe(DriverChoice::Auto, 2, 1024).unwrap();
        assert_eq!(report.driver, Driver::Epoll);
        let reason = report.reason.as_deref().unwrap();
        assert!(reason.contains("seccomp filter on this process"), "{reason}");
        assert!(report.remedy.is_some());
        everything_works(&report);
        eprintln!("all of it worked");
        return;
    }
    let (passed, stderr) = run_child(name);
    assert!(passed && stderr.contains("all of it worked"), "{stderr}");
}

#[test]
fn without_io_uring_by_eperm_everything_works_on_epoll() {
    let name = "driver::tests::without_io_uring_by_eperm_everything_works_on_epoll";
    falls_back(name, libc::EPERM);
}

#[test]
fn without_io_uring_by_enosys_everything_works_on_epoll() {
    let name = "driver::tests::without_io_uring_by_enosys_everything_works_on_epoll";
    falls_back(name, libc::ENOSYS);
}
