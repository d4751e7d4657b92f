//! Samples to a coded stream and back, by the kind of series.

use m3_benches::{Runner, mix};
use m3_shard::codec;
use m3_shard::series::Part;

const STEP_NS: i64 = 15_000_000_000;

/// A name, and the value of the n-th sample.
type Kind = (&'static str, fn(usize) -> f64);

fn main() {
    let run = Runner::from_args();
    let count = run.size(480_000);
    let kinds: [Kind; 4] = [
        ("constant", |_| 7.0),
        ("counter", |i| (i as u64 * 131 + mix(i as u64) % 50) as f64),
        ("gauge, two decimals", |i| (mix(i as u64) % 10_000) as f64 / 100.0),
        ("any bits", |i| f64::from_bits(mix(i as u64))),
    ];
    for (name, value) in kinds {
        let jittered = |i: usize| i as i64 * STEP_NS + (mix(i as u64) % 5) as i64 * 1_000_000;
        let samples: Vec<_> = (0..count).map(|i| (jittered(i), value(i).to_bits())).collect();
        let part = Part::encode(0, &samples);
        println_size(name, part.bytes.len(), count);
        run.case(&format!("encode {name}"), count, || Part::encode(0, &samples).bytes.len());
        run.case(&format!("decode {name}"), count, || {
            let mut sum = 0u64;
            let decoded = codec::decode(part.start, &part.bytes, |ts, bits| {
                sum = sum.wrapping_add(bits ^ ts as u64);
            });
            assert!(decoded.is_ok());
            sum
        });
    }
}

#[expect(clippy::print_stdout, reason = "figures are the output")]
fn println_size(name: &str, bytes: usize, count: usize) {
    println!("{name:40} {:10.2} bytes a sample", bytes as f64 / count as f64);
}
