//! The figures of the test process itself.

use super::*;

#[test]
fn the_figures_of_this_process_are_plausible() {
    let usage = usage();
    assert!(usage.resident_bytes > 100_000 && usage.virtual_bytes >= usage.resident_bytes);
    assert!(usage.open_fds >= 3 && usage.open_fds < usage.max_fds, "{usage:?}");
    assert!(usage.threads >= 1);
    let now = crate::time::wall_ns() as f64 / 1e9;
    assert!(usage.start_seconds > now - 86_400.0 && usage.start_seconds < now + 60.0, "{usage:?}");
}

#[test]
fn a_name_with_spaces_and_brackets_shifts_no_field() {
    let stat = "7 (a ) b) S 1 7 7 0 -1 4 0 0 0 0 250 50 0 0 20 0 9 0 1000 8192 3 0";
    let usage = parse_stat(stat, 100.0);
    let expected = Usage {
        cpu_seconds: 3.0,
        virtual_bytes: 8192,
        start_seconds: 110.0,
        threads: 9,
        ..Usage::default()
    };
    assert_eq!(usage, expected);
    assert_eq!(parse_stat("", 0.0), Usage::default());
}

#[test]
fn sizes_are_in_bytes() {
    let status = "VmPeak:\t  9 kB\nVmRSS:\t   12 kB\n";
    assert_eq!((kibibytes(status, "VmRSS:"), kibibytes("", "VmRSS:")), (12 * 1024, 0));
}

#[test]
fn an_absent_limit_on_files_is_the_largest_number() {
    let head = "Limit                     Soft Limit           Hard Limit           Units\n";
    let max = |soft: &str| parse_max_fds(&format!("{head}Max open files  {soft}  9  files\n"));
    assert_eq!((max("1024"), max("unlimited")), (1024, u64::MAX));
}

#[test]
fn limits_stand_in_the_cgroup_and_those_above() {
    let v2 = "0::/system.slice/m3ring.service\n";
    let expected = [
        "/sys/fs/cgroup/system.slice/m3ring.service/memory.max",
        "/sys/fs/cgroup/system.slice/memory.max",
        "/sys/fs/cgroup/memory.max",
    ];
    assert_eq!(memory_limit_files(v2), expected);
    let v1 = "9:cpu,cpuacct:/docker/4f\n4:memory:/docker/4f\n";
    let expected = [
        "/sys/fs/cgroup/memory/docker/4f/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    assert_eq!(memory_limit_files(v1), expected);
    assert_eq!(memory_limit_files("0::/\n"), ["/sys/fs/cgroup/memory.max"]);
    assert!(memory_limit_files("nonsense").is_empty());
}
